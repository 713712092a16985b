"""Digits and infinities: means, sums of many, slopes in the tails, infinities that stay in place.

The numbers of 17 digits were computed by mpmath 1.3 with 80 digits, as `mpmath.diff(f, x, order)`.
"""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import kernels, losses, ops

pytestmark = pytest.mark.usefixtures("device")  # every test of this file runs on every device
inf, nan = np.inf, np.nan
FLOATS = "float16", "float32", "float64"


def leaf(values, dtype="float64"):
    return md.tensor(np.asarray(values, dtype), requires_grad=True)


def slopes(f, x, order):
    """f and its first derivatives at the number x."""
    x = leaf(x)
    found = [f(x)]
    for _ in range(order):
        found.append(md.grad(found[-1], x, create_graph=True)[0])
    return [y.item() for y in found]


def gradient(f, values, dtype="float64"):
    x = leaf(values, dtype)
    return md.grad(ops.sum(f(x)), x)[0].numpy().tolist()


# --- means


@pytest.mark.parametrize("dtype", FLOATS)
@given(data=st.data())
def test_a_mean_of_equal_numbers_is_that_number(dtype, data):
    width = np.dtype(dtype).itemsize * 8
    number = data.draw(st.floats(-1e4, 1e4, width=width), "number")
    shape = data.draw(
        st.sampled_from([(7,), (3, 5, 7), (1, 11, 13, 3), (2, 1000, 3), (601, 3)]), "shape"
    )
    axis = data.draw(st.sampled_from([None, 0, -1, (0, len(shape) - 1)]), "axis")
    x = md.tensor(np.full(shape, number, dtype))
    axis = axis if len(shape) > 1 else None
    assert (ops.mean(x, axis).numpy() == number).all()
    assert (ops.var(x, axis).numpy() == 0).all() and (ops.std(x, axis).numpy() == 0).all()
    if len(shape) > 2:
        assert (ops.global_average_pool(x).numpy() == number).all()
        assert (ops.average_pool(x, shape[1:-1]).numpy() == number).all()
        assert (ops.resize(x, [n + 4 for n in shape[1:-1]]).numpy() == number).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("number", [0.1, 1 / 3, 255.0, 12345.678])
def test_a_constant_is_normalised_to_the_shift(device, number, dtype):
    x, scale = md.tensor(np.full((7, 13, 11, 3), number, dtype)), md.tensor(np.ones(3, dtype))
    shift = md.tensor(np.array([0.3, -2.0, 0.0], dtype))
    for y in ops.batch_norm(x, scale, shift), ops.layer_norm(x, scale, shift):
        assert (y.numpy() == shift.numpy()).all()
    assert not ops.standardize(x, (0, 1)).numpy().any()
    mean, variance = kernels.channels.moments(x.data)
    assert (mean == x.data[0, 0, 0]).all() and not variance.any()


def test_white_stays_white(device):
    white = md.tensor(np.full((1, 60, 60, 3), 255.0, "float32"))
    assert (ops.average_pool(white, 7, 3).numpy() == 255).all()
    assert (ops.resize(white, (97, 31)).numpy() == 255).all()
    assert (ops.upsample(white, 3, "bilinear").numpy() == 255).all()


def test_an_infinite_mean_is_infinite(device):
    x = md.tensor([[inf, 1.0], [-inf, 1.0], [inf, -inf], [inf, inf]])
    np.testing.assert_array_equal(ops.mean(x, 1).numpy(), [inf, -inf, nan, inf])
    np.testing.assert_array_equal(
        ops.average_pool(x[:, :, None], 2).numpy().ravel(), [inf, -inf, nan, inf]
    )


def test_batch_norm_where_the_mean_is_much_larger_than_the_deviation(device):
    """The mean is rounded to 10⁴ · 2⁻²⁴; all else keeps the digits that float32 has."""
    rng = np.random.default_rng(0)
    arrays = [
        1e4 + rng.standard_normal((16, 8, 8, 4)).astype("float32"),
        np.float32([1, 2, 3, 4]),
        np.zeros(4, "float32"),
    ]
    cotangent = rng.standard_normal(arrays[0].shape).astype("float32")
    found = {}
    for dtype in "float32", "float64":
        x, scale, shift = (leaf(a, dtype) for a in arrays)
        y = ops.batch_norm(x, scale, shift)
        found[dtype] = [y, *md.grad(y, [x, scale, shift], md.tensor(cotangent, dtype=dtype))]
    for rounded, exact, tolerance in zip(*found.values(), (5e-3, 5e-4, 5e-2, 1e-4), strict=True):
        np.testing.assert_allclose(rounded.numpy(), exact.numpy(), rtol=0, atol=tolerance)


def test_batch_norm_in_evaluation_is_the_shift_at_the_mean(device):
    mean = np.float32([0.1, 1234.567, 1e6])
    y = ops.batch_norm(
        mean[None], *np.float32([[3, 4, 5], [0.3, -2, 0]]), mean, np.float32([0, 1e-3, 2])
    )
    assert (y.numpy() == np.float32([0.3, -2, 0])).all()


# --- sums

MANY = 2**20


@pytest.mark.parametrize(
    "layout", ["rows", "every second column", "turned", "middle", "apart", "repeated"]
)
def test_sums_of_many_keep_their_digits(layout):
    """Added one after the other, 2²⁰ times 0.1 in float32 is wrong by 1 %."""
    tall = np.full((MANY, 3), 0.1, "float32")
    x, axis = {
        "rows": (tall, 0),
        "every second column": (np.full((MANY, 6), 0.1, "float32")[:, ::2], 0),
        "turned": (tall.T, 1),
        "middle": (np.stack([tall, tall]), 1),
        "apart": (tall.reshape(MANY // 512, 3, 512), (0, 2)),
        "repeated": (np.broadcast_to(tall[:1], tall.shape), 0),
    }[layout]
    expected = MANY * float(np.float32(0.1))
    np.testing.assert_allclose(ops.sum(x, axis).numpy(), expected, rtol=2e-5)
    np.testing.assert_allclose(ops.mean(x, axis).numpy(), np.float32(0.1), rtol=0)


def test_other_sums_of_many_keep_their_digits():
    """On the CPU: the stand-in for a GPU adds as NumPy does, a GPU in a tree."""
    md.use_device("cpu")
    tall, expected = np.full((MANY, 3), 0.1, "float32"), MANY * float(np.float32(0.1))
    np.testing.assert_allclose(ops.einsum("ij->j", tall).numpy(), expected, rtol=2e-5)
    np.testing.assert_allclose(ops.cumsum(tall, 0).numpy()[-1], expected, rtol=1e-7)
    np.testing.assert_allclose(ops.softmax(tall, 0).numpy() * MANY, 1, rtol=2e-5)
    np.testing.assert_allclose(ops.logsumexp(tall, 0).numpy(), np.log(MANY) + 0.1, rtol=1e-6)
    picture = md.tensor(tall[None])
    assert (ops.average_pool(picture, MANY).numpy() == np.float32(0.1)).all()


def test_a_length_whose_square_does_not_fit(device):
    """As x / ‖x‖ is the slope, nor is it lost where squares are 0 or infinite."""
    for size in 1e30, 1e-30, 1e-42, 3e38:
        x = np.float32([3 / 5, 4 / 5]) * np.float32(size)
        assert ops.norm(md.tensor(x)).item() == pytest.approx(size, rel=1e-6, abs=3e-45)
        np.testing.assert_allclose(
            gradient(ops.norm, x, "float32"), [0.6, 0.8], rtol=1e-2 if size < 1e-40 else 1e-6
        )
    assert ops.norm(md.tensor([inf, 1.0])).item() == inf and np.isnan(
        ops.norm(md.tensor([nan, 1.0])).item()
    )


# --- tails


@pytest.mark.parametrize(
    "name, x, value, first, second",
    [
        ("sigmoid", -40, 4.248354255291589e-18, 4.248354255291589e-18, 4.2483542552915889e-18),
        ("sigmoid", 40, 1.0, 4.248354255291589e-18, -4.2483542552915889e-18),
        ("sigmoid", 3.5, 0.97068776924864368, 0.02845302387973556, -0.026784980676662239),
        ("tanh", -20, -1.0, 1.6993417021166356e-17, 3.3986834042332711e-17),
        ("tanh", 12, 0.99999999992449731, 1.510053817597626e-10, -3.0201076349672257e-10),
        ("tanh", 0.5, 0.46211715726000976, 0.78644773296592741, -0.72686198138358728),
        ("softplus", -40, 4.248354255291589e-18, 4.248354255291589e-18, 4.248354255291589e-18),
        ("softplus", 30, 30.000000000000094, 0.99999999999990642, 9.3576229688384233e-14),
        ("softplus", 1.5, 1.7014132779827524, 0.81757447619364366, 0.14914645207033286),
        ("gelu", -10, -7.6198530241605261e-23, -7.6184000964648141e-22, -7.540706654172291e-21),
        ("gelu", -5, -1.4332578593959696e-6, -7.1469460017922946e-6, -3.4194548838888847e-5),
        ("gelu", 2.5, 2.4844758366855597, 1.0376110859081452, -0.074495277097666284),
        ("elu", -40, -1.0, 4.248354255291589e-18, 4.248354255291589e-18),
        ("elu", -5, -0.99326205300091453, 0.0067379469990854671, 0.0067379469990854671),
        ("expm1", -40, -1.0, 4.248354255291589e-18, 4.248354255291589e-18),
        ("expm1", -3, -0.95021293163213606, 0.049787068367863943, 0.049787068367863943),
    ],
)
def test_tails(device, name, x, value, first, second):
    found = slopes(getattr(ops, name), x, order=2)
    np.testing.assert_allclose(found, [value, first, second], rtol=2e-14)
    narrow = leaf(x, "float32")
    y = getattr(ops, name)(narrow)
    np.testing.assert_allclose([y.item(), md.grad(y, narrow)[0].item()], [value, first], rtol=1e-6)


def test_what_a_sure_softmax_is_still_unsure_of(device):
    """With z = (0, −40), p = 1 − 4.2·10⁻¹⁸ is 1, but neither the loss −log p nor any slope is 0."""
    rest, z = 4.248354255291589e-18, [[0.0, -40.0]]
    np.testing.assert_allclose(ops.log_softmax(md.tensor(z)).numpy(), [[-rest, -40]], rtol=1e-15)
    assert ops.logsumexp(md.tensor(z)).item() == pytest.approx(rest, rel=1e-14)
    assert losses.cross_entropy(md.tensor(z), md.tensor([0])).item() == pytest.approx(
        rest, rel=1e-14
    )
    np.testing.assert_allclose(
        gradient(lambda x: losses.cross_entropy(x, md.tensor([0])), z), [[-rest, rest]], rtol=1e-14
    )
    np.testing.assert_allclose(
        gradient(lambda x: ops.softmax(x)[:, 0], z), [[rest, -rest]], rtol=1e-14
    )
    np.testing.assert_allclose(
        gradient(lambda x: ops.softmax(x.T, 0)[1], z), [[-rest, rest]], rtol=1e-14
    )
    x = leaf(z)
    (first,) = md.grad(ops.log_softmax(x)[0, 0], x, create_graph=True)
    np.testing.assert_allclose(md.grad(first[0, 0], x)[0].numpy(), [[-rest, rest]], rtol=1e-14)


# --- infinities


@pytest.mark.parametrize(
    "name, values, slope",
    [
        ("gelu", [0, inf], [0, 1]),
        ("elu", [-1, inf], [0, 1]),
        ("sigmoid", [0, 1], [0, 0]),
        ("tanh", [-1, 1], [0, 0]),
        ("softplus", [0, inf], [0, 1]),
        ("leaky_relu", [-inf, inf], [0.01, 1]),
    ],
)
def test_activations_of_infinities(device, name, values, slope):
    function = getattr(ops, name)
    assert function(md.tensor([-inf, inf])).numpy().tolist() == values
    assert gradient(function, [-inf, inf]) == slope


def test_an_infinite_pixel_reaches_only_its_neighbours(device):
    x = np.zeros((1, 4, 5, 1))
    x[0, 1, 2] = inf
    for larger in ops.resize(x, (8, 10)).numpy(), ops.upsample(x, 2, "bilinear").numpy():
        assert not np.isnan(larger).any() and (np.isinf(larger).sum((0, 3)) > 0).nonzero()[
            0
        ].tolist() == sorted([1] * 4 + [2] * 4 + [3] * 4 + [4] * 4)
    u = md.tensor(np.where(np.arange(8) == 3, inf, 1.0).reshape(1, 8, 1))
    line = leaf(np.zeros((1, 4, 1)))
    (back,) = md.grad(ops.resize(line, 8), line, u)
    np.testing.assert_array_equal(np.isfinite(back.numpy().ravel()), [True, False, False, True])
    assert not np.isnan(back.numpy()).any()


def test_the_largest_of_minus_infinities_is_no_padding(device):
    """What unpool puts back must be where the picture is; so must the gradient."""
    lowest = np.full((2, 4, 4, 3), -inf)
    lowest[0, 0, 3, 1] = 5.0
    x = leaf(lowest)
    y, switches = ops.max_pool_with_switches(x, 3, 2, 1)
    assert (y.numpy() == np.where(lowest[:, ::2, 1::2] == 5, 5, y.numpy())).all()
    unpooled = ops.unpool(md.tensor(np.ones(y.shape)), switches).numpy()
    assert unpooled.sum() == y.size
    (g,) = md.grad(y, x, md.tensor(np.ones(y.shape)))
    np.testing.assert_array_equal(g.numpy(), unpooled)
    assert g.numpy()[0, 0, 0, 0] == 1  # the first inside of the first window
    whole = np.full((1, 3, 1), np.iinfo("int8").min, "int8")
    _, switches = ops.max_pool_with_switches(whole, 3, 3, 1)
    assert md.tensor(switches.array).numpy().ravel().tolist() == [2]


@pytest.mark.parametrize(
    "dtype, error",
    [
        ("float16", 40000.0),
        ("float32", 3e38),
        ("float64", 1.5e308),
        ("float64", inf),
        ("float32", -inf),
    ],
)
def test_huber_of_large_errors(device, dtype, error):
    """ℓ = δ (|e| − δ/2), whose slope is δ sign(e); no e² is made on the way."""
    p = leaf([error], dtype)
    loss = losses.huber(p, md.tensor(np.zeros(1, dtype)), 2.0, "none")
    assert md.grad(loss, p)[0].item() == 2 * np.sign(error)
    assert loss.item() == (
        inf
        if np.isinf(np.dtype(dtype).type(2 * abs(error)))
        else pytest.approx(2 * (abs(error) - 1))
    )


def test_sure_and_right_costs_nothing(device):
    z = leaf([inf, -inf, inf, -inf])
    each = losses.binary_cross_entropy_with_logits(z, md.tensor([1.0, 0.0, 0.0, 1.0]), "none")
    assert each.numpy().tolist() == [0, 0, inf, inf]
    assert md.grad(ops.sum(each), z)[0].numpy().tolist() == [0, 0, 1, -1]
