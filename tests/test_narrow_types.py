"""Types with few bits, and bytes in another order: nothing wraps, stops growing or overflows.

Every operation, loss and distance runs in every type, and is compared with itself in float64.
"""

import numpy as np
import pytest

import minidl as md
from minidl import faces, losses, nn, ops
from minidl.faces import mining
from minidl.learn.cases import cases, constants
from minidl.style.costs import (
    content_cost,
    mean_gram,
    style_cost,
    style_layer_cost,
    total_variation,
)

pytestmark = pytest.mark.usefixtures("device")  # every test of this file runs on every device

LARGEST = {
    "bool": 1,
    "int8": 120,
    "uint8": 250,
    "int16": 30_000,
    "int64": 10**6,
    ">i4": 10**6,
    ">u2": 60_000,
}
ARITHMETIC = {
    "add",
    "subtract",
    "multiply",
    "negative",
    "power",
    "square",
    "outer",
    "add_at",
    "scatter",
    "prod",
}  # as NumPy's
# NumPy has no sign of booleans, pads with True, and 0 // 0 is 0
NOT_OF_BOOLEANS = {"sign", "pad", "floor_divide"}
REFUSED = {
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "binary_cross_entropy_with_logits",
    "contrastive",
    "triplet",
}


def is_function(case):
    return (
        hasattr(ops, case.name)
        or hasattr(losses, case.name)
        or case.name in ("distance", "squared_distances")
    )


functions = [case for case in cases + constants if is_function(case)]


def leaf(values, dtype):
    return md.tensor(np.asarray(values).astype(dtype), requires_grad=True)


def outputs(y):
    return [t for t in (y if isinstance(y, (list, tuple)) else [y]) if isinstance(t, md.Tensor)]


def whole(case, dtype):
    """(the inputs as whole numbers of that type, up to its largest, the same numbers in
    float64)."""
    narrow, exact = [], []
    for x in case.draw(seed=4):
        if x.dtype.kind == "f":
            x = np.rint(x * (LARGEST[dtype] / np.max(abs(x), initial=1e-9)))
            x = (x if np.dtype(dtype).kind == "i" else abs(x)).astype(dtype)
            exact.append(x.astype("float64"))
        else:
            exact.append(x)
        narrow.append(x)
    return narrow, exact


@pytest.mark.parametrize(
    "case, dtype",
    [
        (case, dtype)
        for case in functions
        for dtype in LARGEST
        if case.name not in ARITHMETIC | REFUSED
        and "soft" not in case.words  # targets that are probabilities are floating-point
        and (dtype != "bool" or case.name not in NOT_OF_BOOLEANS)
    ],
    ids=str,
)
def test_whole_numbers_of_every_type(case, dtype):
    narrow, exact = whole(case, dtype)
    with np.errstate(all="ignore"):
        found = outputs(case.call(*map(md.tensor, narrow)))
        expected = outputs(case.call(*map(md.tensor, exact)))
    for y, value in zip(found, expected, strict=True):
        assert y.dtype.isnative and (y.dtype.kind != "f" or y.dtype.itemsize >= 4)
        np.testing.assert_allclose(y.numpy().astype("float64"), value.numpy(), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", "float32"])
@pytest.mark.parametrize("case", [case for case in cases if is_function(case)], ids=str)
def test_floating_point_numbers_of_every_type(case, dtype):
    """Values and gradients are those of float64, to rounding of the largest of them."""
    native, rng = np.dtype(dtype).newbyteorder("="), np.random.default_rng(0)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in case.draw(seed=3)]
    cotangents = None
    results = []
    for wide in True, False:
        inputs = [
            leaf(a, "float64" if wide else dtype) if a.dtype.kind == "f" else md.tensor(a)
            for a in arrays
        ]
        ys = outputs(case.call(*inputs))
        cotangents = cotangents or [rng.standard_normal(y.shape).astype(native) for y in ys]
        total = sum(ops.sum(y * md.tensor(u, dtype=y.dtype)) for y, u in zip(ys, cotangents))
        results.append([*ys, *md.grad(total, [x for x in inputs if x.requires_grad])])
    for exact, found in zip(*results, strict=True):
        assert found.dtype == native
        size = max(np.max(np.abs(exact.numpy()), initial=0), 1)
        np.testing.assert_allclose(
            found.numpy(), exact.numpy(), rtol=0, atol=64 * np.finfo(native).eps * size
        )


def test_real_functions_of_small_whole_numbers(device):
    x = np.array([1, 2, 12, 250], "uint8")
    for name in "exp expm1 log log1p sqrt sin cos erf tanh sigmoid softplus gelu elu".split():
        y = getattr(ops, name)(md.tensor(x))
        assert y.dtype == "float64"
        np.testing.assert_array_equal(
            y.numpy(), getattr(ops, name)(md.tensor(x.astype(float))).numpy()
        )
    assert ops.erf(md.tensor([1, 2, 3])).numpy().round(4).tolist() == [0.8427, 0.9953, 1.0]


def test_arithmetic_of_whole_numbers_is_numpys(device):
    a, b = np.array([100, -128, 7], "int8"), np.array([100, -1, 7], "int8")
    for name in "add subtract multiply".split():
        y = getattr(ops, name)(md.tensor(a), md.tensor(b))
        assert y.dtype == "int8"
        np.testing.assert_array_equal(y.numpy(), getattr(np, name)(a, b))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_losses_want_predictions_with_fractions(name):
    x = md.tensor(np.ones((2, 3), "int8"))
    with pytest.raises(TypeError, match=f"^{name}: .* must be floating-point, got int8"):
        getattr(losses, name)(
            x, *[x] * (2 if name == "triplet" else 1), *([x[:, 0]] if name == "contrastive" else [])
        )


# --- sums of products


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "bool"])
def test_sums_of_products_of_small_whole_numbers(device, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, LARGEST[dtype] + 1, (40, 40)).astype(dtype) for _ in range(2))
    wide = a.astype("int64"), b.astype("int64")
    for y, expected in [
        (ops.matmul(md.tensor(a), md.tensor(b)), wide[0] @ wide[1]),
        (ops.gram(md.tensor(a)), wide[0].T @ wide[0]),
        (ops.einsum("ij,jk->ik", md.tensor(a), md.tensor(b)), wide[0] @ wide[1]),
        (ops.trace(md.tensor(a)), np.trace(wide[0])),
        (ops.cumsum(md.tensor(a), 0), np.cumsum(wide[0], 0)),
        (
            ops.conv(md.tensor(a[None, :, :1]), md.tensor(a[:1, None])),
            wide[0][None, :, :1] * wide[0][:1],
        ),
    ]:
        np.testing.assert_array_equal(y.numpy(), expected)


def test_sums_of_float16_are_made_in_float32(device):
    """A running sum of ones stops at 2048; products of 300 and 300 are above 65504."""
    ones = md.tensor(np.ones((5000, 4), "float16"))
    large = md.tensor(np.array([[300.0, -300.0, 1.0]], "float16"))
    column = md.tensor(np.array([[300.0], [300.0], [7.0]], "float16"))
    assert (
        ops.matmul(large, column).item() == 7 and ops.einsum("ij,jk->", large, column).item() == 7
    )
    assert (ops.gram(ones).numpy() == 5000).all() and (
        ops.einsum("ij->j", ones).numpy() == 5000
    ).all()
    everywhere = np.zeros(5000, int)
    assert (ops.scatter(ones, md.tensor(everywhere), (2, 4)).numpy() == [[5000] * 4, [0] * 4]).all()
    assert (
        ops.add_at(md.tensor(np.ones((1, 4), "float16")), md.tensor(everywhere), ones).numpy()
        == 5000
    ).all()
    table = leaf(np.zeros((2, 4)), "float16")
    for picked in table[md.tensor(everywhere)], ops.take(table, md.tensor(everywhere), 0):
        assert md.grad(picked, table, ones)[0].numpy().tolist() == [[5000] * 4, [0] * 4]
    words = nn.Embedding(2, 4, dtype="float16", rng=0)
    (slope,) = md.grad(words(md.tensor(everywhere)), [words.weight], ones)
    assert slope.dtype == "float16" and slope.numpy().tolist() == [[5000] * 4, [0] * 4]


def test_windows_of_float16_that_overlap(device):
    line = leaf(np.zeros((1, 4000, 1)), "float16")
    (slope,) = md.grad(
        ops.average_pool(line, 3000, 1), line, md.tensor(np.ones((1, 1001, 1), "float16"))
    )
    assert slope.numpy().max() == pytest.approx(1001 / 3000, rel=1e-3)
    peak = leaf(np.eye(1, 4000, 2000).reshape(1, 4000, 1), "float16")
    y, switches = ops.max_pool_with_switches(peak, 3000, 1)
    again = np.ones((1, 1001, 1), "float16")
    assert md.grad(y, peak, md.tensor(again))[0].numpy().max() == 1001
    assert ops.unpool(md.tensor(again.astype("uint8")), switches).numpy().max() == 1001


# --- losses and distances


def test_losses_of_float16(device):
    """An error of 300 among 1000: its square is above 65504, the mean is not."""
    p = leaf(np.r_[300.0, np.zeros(999)], "float16")
    zeros = md.tensor(np.zeros(1000, "float16"))
    loss = losses.mean_squared_error(p, zeros)
    assert loss.dtype == "float16" and loss.item() == 90
    assert md.grad(loss, p)[0].numpy()[0] == np.float16(0.6)
    logits = leaf(np.zeros((1000, 70)), "float16")
    assert losses.cross_entropy(logits, md.tensor(np.zeros(1000, int))).item() == pytest.approx(
        np.log(70), rel=1e-3
    )
    far = [leaf(np.full((1, 4), v), "float16") for v in (170.0, -170.0, -169.0)]
    assert losses.contrastive(*far[:2], md.tensor([0])).item() == 0
    assert losses.triplet(far[0], far[2], far[1]).item() == 0
    wrong = losses.triplet(*far[:2], far[2])
    assert wrong.item() == pytest.approx(4 * (340**2 - 339**2) + 0.2, rel=1e-3)
    assert md.grad(wrong, far[0])[0].numpy().tolist() == [[2] * 4]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", ">i4"])
def test_distances_of_codes_and_pictures(device, dtype):
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(*((-127, 128) if dtype == "int8" else (0, 250)), (5, 3)).astype(dtype)
        for _ in range(2)
    )
    x, y = a.astype(float), b.astype(float)
    squared = ((x[:, None] - y) ** 2).sum(-1)
    with np.errstate(over="ignore"):
        rounded = squared.astype("float16") if dtype == "float16" else squared
    np.testing.assert_array_equal(
        faces.squared_distances(md.tensor(a), md.tensor(b)).numpy(), rounded
    )
    np.testing.assert_array_equal(
        faces.distance(md.tensor(a), md.tensor(b)).numpy(), rounded.diagonal()
    )
    np.testing.assert_allclose(
        faces.distance(md.tensor(a), md.tensor(b), "euclidean").numpy(),
        np.sqrt(squared.diagonal()),
        rtol=1e-3,
    )


def test_mining_with_distances_of_8_bits():
    labels = [0, 0, 1, 1]
    distances = np.array([[0, 250, 252, 9], [250, 0, 3, 4], [252, 3, 0, 200], [9, 4, 200, 0]],
                         "uint8")
    for name in "semi_hard", "batch_hard":
        exact = mining.mine(name, labels, distances.astype(float), 10, 0)
        for found, expected in zip(mining.mine(name, labels, distances, np.uint8(10), 0), exact):
            assert found.tolist() == expected.tolist() and len(expected)


def test_heads_on_bytes_and_on_float16(device):
    a, b = np.array([[200, 10]], "uint8"), np.array([[250, 0]], "uint8")
    for head, terms in (faces.AbsoluteDifferenceHead, 60), (faces.ChiSquareHead, 2500 / 450 + 10):
        for x, y in (a, b), (a.astype("float16"), b.astype("float16")):
            z = head(2, dtype="float64")(md.tensor(x), md.tensor(y))
            assert z.item() == pytest.approx(np.sqrt(2) - terms, rel=1e-3)
    large = md.tensor(np.array([[1000.0, 0.0]], "float16"))
    assert faces.ChiSquareHead(2, dtype="float16")(large, large * 0).item() == pytest.approx(
        -1000, rel=1e-2
    )


def test_style_costs_of_float16(device):
    a = md.tensor(np.full((1, 32, 32, 2), 100.0, "float16"))
    assert (mean_gram(a).numpy() == 10_000).all()
    assert style_layer_cost(mean_gram(a), a).item() == 0
    assert style_cost(a * 3, a * 3).item() == 0         # whose Gram matrix is beyond float16
    assert content_cost(a * 4, a).item() == pytest.approx(300**2 / 4, rel=1e-3)
    stripes = md.tensor((np.arange(100) == 50).reshape(1, 1, 100, 1).astype("float16") * 300)
    assert total_variation(stripes).item() == pytest.approx(2 * 300**2 / 100, rel=1e-3)


# --- bytes in another order


@pytest.mark.parametrize("dtype", [">i8", ">i4", ">u2", ">i2"])
def test_labels_in_another_byte_order(device, dtype):
    labels = np.array([1, 2], dtype)
    assert losses.cross_entropy(
        md.tensor(np.zeros((2, 3))), md.tensor(labels)
    ).item() == pytest.approx(np.log(3))
    assert ops.one_hot(md.tensor(labels), 3).numpy().tolist() == [[0, 1, 0], [0, 0, 1]]
    assert nn.Embedding(3, 2, rng=0)(md.tensor(labels)).shape == (2, 2)
    assert ops.take(md.tensor(np.arange(3.0)), md.tensor(labels)).numpy().tolist() == [1, 2]
    classifier = faces.CosineClassifier(4, 3, rng=0)
    assert classifier(md.tensor(np.ones((2, 4), "float32")), md.tensor(labels)).shape == (2, 3)
    with pytest.raises(ValueError, match="one_hot: labels lie between 1 and 2; allowed are 0 to 1"):
        ops.one_hot(md.tensor(labels), 2)


def test_whatever_comes_in_another_byte_order_is_turned_where_it_enters(device):
    stored = np.array([[1.5, -2.0]], ">f4")
    made = [
        md.tensor(stored),
        md.tensor([[1.5, -2.0]], dtype=">f4"),
        md.tensor(stored.astype("f4")).astype(">f4"),
        md.tensor(stored, dtype=">f4"),
        nn.Parameter(stored),
        nn.Parameter([[1.5, -2.0]], dtype=">f4"),
    ]
    for x in made:
        assert x.dtype == np.float32 and x.dtype.isnative and x.numpy().tolist() == stored.tolist()
        assert ops.conv(
            x[:, :, None], np.ones((1, 1, 1), ">f4") if device == "cpu" else x[:1, :1, None]
        ).dtype.isnative
    assert ops.one_hot(md.tensor([0]), 2, dtype=">f4").dtype.isnative


# --- what is too large for float16 on the way

def test_float16_whose_length_is_too_large(device):
    for values in [60000.0, 60000.0], [3000.0] * 1000:
        x = leaf(values, "float16")
        y = ops.normalize(x)
        assert y.dtype == np.float16
        np.testing.assert_allclose(y.numpy(), len(values) ** -0.5, rtol=1e-3)


def test_float16_whose_square_is_too_large(device):
    x = leaf([300.0, -1000.0], "float16")
    slope, = md.grad(ops.sum(ops.arctan(x)), x)
    assert slope.dtype == np.float16
    np.testing.assert_allclose(slope.numpy(), [1 / 90001, 1 / 1000001], atol=2 ** -25)


# --- no axis at all


@pytest.mark.parametrize(
    "name",
    "relu leaky_relu elu gelu sigmoid tanh softplus softmax log_softmax logsumexp mean sum "
    "norm var std max exp erf clip where".split(),
)
def test_single_numbers(device, name):
    """Of zero dimensions: the value and the slope of an array of one element."""

    def call(x):
        if name in ("softmax", "log_softmax"):
            return getattr(ops, name)(x, axis=() if x.ndim == 0 else -1)
        return {
            "clip": lambda: ops.clip(x, -5.0, 5.0),
            "where": lambda: ops.where(x > 0, x, 2 * x),
        }.get(name, lambda: getattr(ops, name)(x))()

    for value in -3.0, 0.5:
        one, single = leaf([value], "float64"), leaf(value, "float64")
        expected, found = call(one), call(single)
        assert found.shape == () and found.item() == pytest.approx(
            ops.sum(expected).item(), abs=1e-15
        )
        (g,) = md.grad(found, single)
        assert g.shape == () and g.item() == pytest.approx(
            md.grad(ops.sum(expected), one)[0].item(), abs=1e-15
        )
    assert ops.leaky_relu(leaf(-3.0, "float64")).item() == -0.03
    for like in ops.zeros_like, ops.ones_like:
        assert like(np.ones(2)).numpy().tolist() == like([1.0, 2.0]).numpy().tolist()
