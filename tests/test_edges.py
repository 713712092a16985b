"""What happens at the edges: ties, zeros, infinities, empty arrays, dtypes, devices, and
mistakes."""
from fractions import Fraction
import re

import numpy as np
import pytest

import minidl as md
from minidl import losses, nn, ops
from minidl.learn.cases import cases, constants
from minidl.learn.cases import faces as face_cases

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device
inf, nan = np.inf, np.nan


def leaf(values, device="cpu", dtype=float):
    return md.tensor(values, requires_grad=True, dtype=dtype, device=device)


def gradient(f, *arrays, device="cpu"):
    """Gradients of the sum of f, as lists; one list if there is one input."""
    leaves = [leaf(a, device) for a in arrays]
    found = [g.numpy().tolist() for g in md.grad(ops.sum(f(*leaves)), leaves)]
    return found[0] if len(found) == 1 else found


# --- ties and kinks

def test_ties_send_the_cotangent_to_the_first(device):
    for x, name in ([1.0, 3.0, 3.0], "max"), ([3.0, 1.0, 1.0], "min"):
        assert gradient(getattr(ops, name), x, device=device) == [0.0, 1.0, 0.0]
    assert gradient(lambda x: ops.max(x, 0), [[2.0, 1.0], [2.0, 5.0]],
                    device=device) == [[1.0, 0.0], [0.0, 1.0]]
    assert gradient(lambda x: ops.max(x, (0, 1)), np.zeros((2, 2)),
                    device=device) == [[1.0, 0.0], [0.0, 0.0]]
    for name in "maximum", "minimum":
        assert gradient(getattr(ops, name), [1.0, 2.0], [1.0, 2.0],
                        device=device) == [[1.0, 1.0], [0.0, 0.0]]
    assert gradient(lambda x: ops.maximum(x, 0.0), [0.0], device=device) == [1.0]
    assert gradient(lambda x: ops.maximum(0.0, x), [0.0], device=device) == [0.0]


def test_pooling_ties_send_the_cotangent_to_the_first(device):
    ones = np.ones((1, 4, 1))
    assert gradient(lambda x: ops.max_pool(x, 2), ones,
                    device=device) == [[[1.0], [0.0], [1.0], [0.0]]]
    assert gradient(lambda x: ops.max_pool(x, 3, 1, 1), -ones,
                    device=device) == [[[2.0], [1.0], [1.0], [0.0]]]
    assert gradient(ops.global_max_pool, ones, device=device) == [[[1.0], [0.0], [0.0], [0.0]]]


def test_max_pooling_pads_with_minus_infinity(device):
    x = md.tensor(-np.ones((1, 3, 1)), device=device)
    assert ops.max_pool(x, 3, 1, 1).numpy().tolist() == [[[-1.0], [-1.0], [-1.0]]]


def test_whole_numbers_may_have_fractional_results(device):
    assert ops.leaky_relu(md.tensor([-3, 2], device=device), 0.5).numpy().tolist() == [-1.5, 2]
    line = md.tensor([[[10], [20]]], device=device)
    for y in ops.resize(line, 4), ops.upsample(line, 2, "bilinear"):
        assert y.numpy().ravel().tolist() == [10, 12.5, 17.5, 20]


def test_infinite_pixels_are_resized(device):
    for values, m, expected in ([inf, 1.0], 4, [inf, inf, inf, 1]), ([1.0, -inf, 1.0], 1, [-inf]):
        x = md.tensor(np.reshape(values, (1, -1, 1)), device=device)
        assert ops.resize(x, m).numpy().ravel().tolist() == expected


def test_small_integers_do_not_wrap(device):
    byte, exact = md.tensor([3], dtype="uint8", device=device), md.tensor([3.0], device=device)
    for f in ops.sigmoid, ops.softplus, ops.tanh, ops.elu, ops.gelu, ops.leaky_relu:
        assert f(byte).dtype == np.float64 and f(byte).item() == f(exact).item()
    negative = md.tensor([-128], dtype="int8", device=device)  # whose absolute value does not fit
    assert ops.sigmoid(negative).item() == ops.sigmoid(md.tensor(-128.0, device=device)).item()


def test_kinks(device):
    assert gradient(ops.relu, [0.0, -0.0], device=device) == [0.0, 0.0]
    one = md.tensor(np.ones((1, 1, 1)), device=device)
    assert gradient(lambda x: ops.conv_relu(x, one), [[[0.0], [-0.0], [2.0], [np.nan]]],
                    device=device) == [
        [[0.0], [0.0], [1.0], [0.0]]]
    assert gradient(lambda x: ops.leaky_relu(x, 0.1), [0.0], device=device) == [0.1]
    assert gradient(lambda x: ops.elu(x, 0.5), [0.0], device=device) == [0.5]
    assert gradient(ops.absolute, [0.0, -2.0], device=device) == [0.0, -1.0]
    assert gradient(lambda x: ops.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0],
                    device=device) == [0, 1, 1, 1, 0]


def test_a_learned_slope_at_an_infinite_x(device):
    x, slope = leaf([inf, -1.0, 2.0], device), leaf(0.1, device)
    found = md.grad(ops.sum(ops.leaky_relu(x, slope)), [x, slope])
    assert [g.numpy().tolist() for g in found] == [[1.0, 0.1, 1.0], -1.0]


def test_dropout_of_infinite_elements(device):
    x = leaf([inf, inf, -inf, nan], device)
    y = ops.dropout(x, 0.5, rng=0)                      # of which it keeps the first
    assert y.numpy().tolist() == [inf, 0.0, 0.0, 0.0]
    assert md.grad(ops.sum(y), x)[0].numpy().tolist() == [2.0, 0.0, 0.0, 0.0]


# --- zeros

def test_norm_and_deviation_at_zero(device):
    assert gradient(ops.norm, [0.0, 0.0], device=device) == [0.0, 0.0]
    # of x / 1, which it is there
    assert gradient(ops.normalize, [0.0, 0.0], device=device) == [1.0, 1.0]
    rows = gradient(lambda x: ops.norm(x, 1), [[0.0, 0.0], [3.0, 4.0]], device=device)
    assert rows[0] == [0.0, 0.0] and rows[1] == pytest.approx([0.6, 0.8])
    assert gradient(ops.std, [5.0, 5.0], device=device) == [0.0, 0.0]
    assert gradient(ops.var, [5.0, 5.0], device=device) == [0.0, 0.0]
    x = leaf([0.0, 0.0], device)
    first, = md.grad(ops.norm(x), x, create_graph=True)
    second, = md.grad(ops.sum(first), x)
    assert second.numpy().tolist() == [0.0, 0.0]


def test_powers_at_zero(device):
    for exponent, slope in (0, 0.0), (0.0, 0.0), (1, 1.0), (2, 0.0), (3.0, 0.0):
        assert gradient(lambda x, _e=exponent: ops.power(x, _e), [0.0], device=device) == [slope]
        assert gradient(ops.power, [0.0], [float(exponent)], device=device) == [[slope], [0.0]]
    assert gradient(lambda x: ops.power(0, x), [0.0, 2.0], device=device) == [0.0, 0.0]
    assert gradient(lambda x: ops.power(x, 3), [-2.0], device=device) == [12.0]
    # log of a negative base
    assert np.isnan(gradient(lambda x: ops.power(-2.0, x), [2.0], device=device)).all()
    x = leaf([0.0], device)
    derivatives = [x ** 2]
    for _ in range(3):
        derivatives += md.grad(derivatives[-1], x, create_graph=True)
    assert [d.item() for d in derivatives] == [0.0, 0.0, 2.0, 0.0]


def test_roots_and_logarithms_of_zero(device):
    with np.errstate(divide="ignore"):
        assert gradient(ops.sqrt, [0.0], device=device) == [inf]
        assert gradient(ops.log, [0.0], device=device) == [inf]
        assert ops.log(md.tensor(0.0, device=device)).item() == -inf


# --- infinities

def test_where_keeps_the_branch_not_taken_out(device):
    found = gradient(lambda a, b: ops.where([True, False], a, b), [1.0, nan], [inf, 2.0],
                     device=device)
    assert found == [[1.0, 0.0], [0.0, 1.0]]
    leaves = leaf([1.0, 1.0], device), leaf([1.0, 1.0], device)
    cotangent = md.tensor([1.0, nan], device=device)
    a, b = md.grad(ops.where([True, False], *leaves), leaves, cotangent)
    assert a.numpy().tolist() == [1.0, 0.0] and b.numpy()[0] == 0.0
    found = gradient(lambda x: ops.where(x > 0, ops.log(ops.where(x > 0, x, 1.0)), 0.0), [0.0, 2.0],
                     device=device)
    assert found == [0.0, 0.5]


def test_saturation_without_overflow(device):
    x = [-1e4, 0.0, 1e4]
    with np.errstate(all="raise", under="ignore"):
        assert ops.sigmoid(md.tensor(x, device=device)).numpy().tolist() == [0.0, 0.5, 1.0]
        assert ops.softplus(md.tensor(x, device=device)).numpy().tolist() == [0.0, np.log(2.0), 1e4]
        assert ops.elu(md.tensor(x, device=device)).numpy().tolist() == [-1.0, 0.0, 1e4]
        assert gradient(ops.sigmoid, x, device=device) == [0.0, 0.25, 0.0]
        assert gradient(ops.softplus, x, device=device) == [0.0, 0.5, 1.0]
        assert gradient(ops.tanh, x, device=device) == [0.0, 1.0, 0.0]
        for f in ops.softmax, lambda x: ops.exp(ops.log_softmax(x)), lambda x: x - ops.logsumexp(x):
            assert np.isfinite(f(md.tensor(x, device=device)).numpy()).all()
            assert np.isfinite(gradient(f, x, device=device)).all()
        assert ops.logsumexp(md.tensor([1e4, 1e4], device=device)).item() == 1e4 + np.log(2.0)


def test_accuracy_near_zero(device):
    x = md.tensor([1e-12], device=device)
    for f in ops.expm1, ops.log1p, ops.tanh, ops.sin:
        np.testing.assert_allclose(f(x).numpy(), [1e-12], rtol=1e-10)


def test_minus_infinity_is_probability_zero(device):
    x = [-inf, 0.0, 0.0]
    assert ops.softmax(md.tensor(x, device=device)).numpy().tolist() == [0.0, 0.5, 0.5]
    assert gradient(ops.logsumexp, x, device=device) == [0.0, 0.5, 0.5]
    assert gradient(lambda x: ops.softmax(x)[1], x, device=device) == [0.0, 0.25, -0.25]
    nothing = md.tensor([[-inf, -inf], [0.0, -inf]], device=device)
    with np.errstate(divide="ignore"):
        assert ops.logsumexp(nothing, 1).numpy().tolist() == [-inf, 0.0]
        assert gradient(lambda x: ops.logsumexp(x, 1), nothing.numpy(),
                        device=device) == [[0.0, 0.0], [1.0, 0.0]]


# --- empty and small

def test_empty_arrays(device):
    x = np.zeros((0, 3))
    assert ops.sum(md.tensor(x, device=device)).item() == 0.0
    for f in (ops.exp, ops.relu, lambda x: x @ x.T, lambda x: ops.sum(x, 0),
              lambda x: ops.max(x, 1), ops.softmax,
              lambda x: ops.concatenate([x, x]), lambda x: x[:, [0, 0]], lambda x: ops.mean(x, 1),
              ops.flatten,
              lambda x: ops.reshape(x, (3, 0)), lambda x: ops.pad(x, 1), lambda x: ops.norm(x, 1)):
        assert gradient(f, x, device=device) == []
    assert gradient(lambda x: x[:, 1:1], np.ones((1, 2)), device=device) == [[0.0, 0.0]]


@pytest.mark.parametrize("name", ["mean", "max", "min", "var", "std", "logsumexp", "softmax",
                                  "log_softmax", "argmax"])
def test_nothing_to_reduce(device, name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        getattr(ops, name)(md.tensor(np.zeros((3, 0)), device=device), axis=1)


# --- dtypes

def test_sums_over_tall_arrays_keep_their_digits(device):
    """A running sum of float32 would be wrong by 0.25 %."""
    x = md.tensor(np.full((2, 512, 512, 3), 0.1), dtype="float32", device=device)
    # the stand-in adds as NumPy does, a GPU in a tree
    precision = 1e-2 if device == "strict" else 1e-5
    for mean in ops.global_average_pool(x), ops.mean(x, (1, 2)), ops.mean(x, (0, 1, 2)):
        np.testing.assert_allclose(mean.numpy(), 0.1, rtol=precision)
    np.testing.assert_allclose(ops.sum_to(x, (2, 1, 1, 3)).numpy(), 0.1 * 512 ** 2, rtol=precision)
    assert ops.mean(x[:0], (1, 2)).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "bool"])
def test_reductions_of_small_integers_do_not_wrap(device, dtype):
    x = np.array([[3, 100], [1, 2]]).astype(dtype)
    for name in "norm", "mean", "var", "std", "logsumexp", "softmax", "log_softmax":
        function = getattr(ops, name)
        np.testing.assert_allclose(function(md.tensor(x, device=device), 1).numpy(),
                                   function(md.tensor(x.astype(float), device=device), 1).numpy())


def test_sums_of_float16_neither_stop_growing_nor_overflow(device):
    """A running sum of ones stops at 2048; the largest number is 65504."""
    ones = leaf(np.ones((100, 100, 4)), device, "float16")
    assert set(ops.sum(ones, (0, 1)).numpy()) == {10_000}
    many = ops.reshape(ones, (1, 100, 100, 4)) * 40
    for mean in many.mean(), ops.global_average_pool(many), ops.average_pool(many, 100):
        assert mean.dtype == np.float16 and (mean.numpy() == 40).all()
    assert many.var().item() == 0
    assert (ones * 300).var(0).numpy().max() == 0
    few = leaf([300.0, -300.0], device, "float16")
    assert few.std().item() == 300 and ops.norm(few + 400).item() == 707
    assert ops.norm(few).dtype == np.float16
    flat = md.tensor(np.zeros(10_000), dtype="float16", device=device)
    assert abs(ops.softmax(flat).numpy().astype("float64").sum() - 1) < 0.01
    assert abs(ops.logsumexp(flat).item() - np.log(10_000)) < 0.01
    assert ops.cumsum(flat + 1).numpy()[-1] == 10_000
    w, b = leaf(np.ones((1, 1, 4, 4)), device, "float16"), leaf(np.zeros(4), device, "float16")
    y = ops.conv(ops.reshape(ones, (1, 100, 100, 4)), w, b)
    for g in md.grad(y, [w, b], md.tensor(np.ones(y.shape), dtype="float16", device=device)):
        assert g.dtype == np.float16 and (g.numpy() == 10_000).all()


def test_squares_of_float16_do_not_overflow(device):
    x, scale, shift = (leaf(v, device, "float16") for v in ([[0.0], [1000.0]], [2.0], [1.0]))
    row, two, one = (leaf(v, device, "float16") for v in ([[0.0, 1000.0]], [2.0, 2.0], [1.0, 1.0]))
    for y, values in ((ops.standardize(x, 0), [-1, 1]), (ops.batch_norm(x, scale, shift), [-1, 3]),
                      (ops.layer_norm(row, two, one), [-1, 3])):
        assert y.dtype == np.float16 and y.numpy().ravel().tolist() == values
    for g in md.grad(ops.sum(ops.batch_norm(x, scale, shift)), [x, scale, shift]):
        assert g.dtype == np.float16 and np.isfinite(g.numpy()).all()
    used = ops.batch_norm(md.tensor([[60000.0]], dtype="float16", device=device), scale, shift,
                          *(md.tensor([v], dtype="float16", device=device)
                            for v in (59008.0, 100.0)))
    assert used.dtype == np.float16 and used.item() == pytest.approx(1 + 2 * 99.2, rel=1e-2)


def test_settings_may_be_numpy_numbers(device):
    """A float32 result stays float32, which NumPy would make a float64 of a float32 array and a
    np.float64."""
    x, half = leaf([[1.0, 2.0], [3.0, 5.0]], device, "float32"), np.float64(0.5)
    ones, zeros = leaf([1.0, 1.0], device, "float32"), leaf([0.0, 0.0], device, "float32")
    for y in (ops.elu(x - 2, half), ops.leaky_relu(x, half), ops.dropout(x, half, 0),
              ops.standardize(x, 0, half),
              ops.layer_norm(x, ones, zeros, half), ops.batch_norm(x, ones, zeros, eps=half),
              ops.batch_norm(x, ones, zeros, zeros, ones, half)):
        assert y.dtype == np.float32 and md.grad(ops.sum(y), x)[0].dtype == np.float32


def test_what_is_no_dtype_of_a_tensor(device):
    x = leaf([1.0, 2.0], device)
    for dtype in "float31", str, object:
        with pytest.raises(TypeError, match="^astype: "):
            x.astype(dtype)
    with pytest.raises(TypeError, match="^cumsum: axis must be one integer, got 0.5"):
        ops.cumsum(x, 0.5)


def test_numbers_do_not_promote(device):
    x = leaf([1.0, 2.0], device, dtype="float32")
    for y in (x + 1, 1.0 - x, x * 2.5, 3 / x, x ** 2, 2.0 ** x, x ** 0.5, ops.maximum(x, 0.5),
              ops.where(x > 1, x, 0.0),
              ops.clip(x, 0.0, 1.5), ops.pad(x, 1, constant_values=2.0), x.mean(), x.std(),
              ops.leaky_relu(x, 0.1), ops.gelu(x)):
        assert y.dtype == np.float32
        assert md.grad(ops.sum(y), x)[0].dtype == np.float32
    assert ops.clip(x, np.float64(0), np.float64(2)).dtype == np.float32
    half = leaf([1.0, 2.0], device, dtype="float16")
    assert ops.sigmoid(half * 2 + 1).dtype == np.float16


def test_arrays_promote_as_numpy_does(device):
    single, double, whole = leaf([1.0], device,
                                 "float32"), leaf([1.0], device), md.tensor([1], device=device)
    assert (single * double).dtype == (single * whole).dtype == (whole / whole).dtype == np.float64
    for y in single * double, ops.matmul(single,
                                         double), ops.concatenate([single, double]), single * whole:
        assert md.grad(ops.sum(y), single)[0].dtype == np.float32
    assert (whole * 2).dtype == np.int64 and (whole * 2.0).dtype == np.float64
    cast = ops.astype(single, "float64")
    assert cast.dtype == np.float64 and md.grad(cast, single)[0].dtype == np.float32
    assert ops.astype(single, int).requires_grad is False


def test_complex_and_objects_are_refused():
    for values in [1j], ["a"], [None]:
        with pytest.raises(TypeError):
            md.tensor(values)


def test_new_arrays_have_the_dtype_of_their_number(device):
    assert ops.full(2, Fraction(1, 2), device=device).numpy().tolist() == [0.5, 0.5]
    for number in (7, 1.5, True, np.float32(1.5), np.int8(-128), md.tensor(2.0, dtype="float16")):
        y = ops.full(2, number, device=device)
        assert y.dtype == getattr(number, "dtype", type(number)) and y.device == device
        assert (y.numpy() == float(number)).all()


def test_whole_numbers_at_equal_distances_are_numpys(device):
    y = ops.linspace(-1, 1, 4, dtype="int64", device=device)
    assert y.dtype == np.int64 and y.numpy().tolist() == [-1, -1, 0, 1]
    assert ops.arange(3, dtype=bool, device=device).numpy().tolist() == [False, True, True]
    assert ops.arange(256, dtype="uint8", device=device).numpy()[-1] == 255


# --- devices

@pytest.mark.parametrize("case", [case for case in cases + constants if len(case.inputs) > 1
                                  and case.name not in {*vars(nn), *face_cases.HEADS}], ids=str)
def test_two_devices_in_one_operation(case):
    first, *others = case.draw(seed=8)
    with pytest.raises(md.DeviceError, match=rf"^{case.name}: .*'(cpu|strict)'.*'(cpu|strict)'"):
        case.call(md.tensor(first, device="strict"), *(md.tensor(x, device="cpu") for x in others))


def test_nothing_moves_silently():
    here, there = leaf([1.0, 2.0]), leaf([1.0, 2.0], "strict")
    for f in (lambda: there * np.ones(2), lambda: there[np.array([0])], lambda: np.ones(2) + there,
              lambda: ops.take(there, np.array([0])),
              lambda: md.grad(there * there, there, np.ones(2)),
              lambda: md.grad(there * there, there, here), lambda: ops.one_hot(there, 3) * here):
        with pytest.raises((md.DeviceError, TypeError)):
            f()
    with pytest.raises(TypeError, match=r"\.numpy\(\)"):
        np.asarray(there)
    assert there.numpy().tolist() == [1.0, 2.0] and float(there[1]) == 2.0
    assert there[0].item() == 1.0
    moved = there.to("cpu")
    assert moved.device == "cpu" and (moved * here).shape == (2,)
    assert md.grad(ops.sum(moved * here), there)[0].device == "strict"


def test_numbers_are_on_every_device():
    chosen = md.tensor([True, False], device="strict")
    there = md.tensor([1.0, 2.0], device="strict")
    for a, b, dtype in (1.0, 0.0, "float64"), (1, 0, "int64"), (there, 0, "float64"):
        y = ops.where(chosen, a, b)
        assert y.device == "strict" and y.numpy().tolist() == [1, 0] and y.dtype == dtype
    x = md.tensor([1.0, 2.0], device="strict", dtype="float32")
    for y in (ops.maximum(x, 1.5), ops.clip(x, 1.5, None), ops.set_at(x, 0, 1.5),
              ops.add_at(x, [0], 0.5), 1.5 + x * 0):
        assert y.device == "strict" and y.numpy()[0] == 1.5 and y.dtype == np.float32


def test_unknown_device():
    with pytest.raises(md.DeviceError, match="'tpu' is unknown"):
        md.use_device("tpu")
    with pytest.raises(md.DeviceError, match="'tpu' is unknown"):
        md.tensor(1.0, device="tpu")


def test_out_of_range_raises_on_every_device(device):
    x, labels = md.tensor(np.zeros((3, 4)), device=device), md.tensor([0, 3], device=device)
    for f in (lambda: x[labels], lambda: x[3], lambda: x[:, -5], lambda: ops.take(x, labels, 0),
              lambda: x[[-4]],
              lambda: ops.take_along_axis(x, md.tensor([[3]] * 4, device=device).T, 0),
              lambda: ops.add_at(x, labels, 1.0)):
        with pytest.raises(IndexError, match="out of range"):
            f()
    for wrong_labels in [0, 3], [-1, 0]:
        with pytest.raises(ValueError, match="^one_hot: labels lie between"):
            ops.one_hot(md.tensor(wrong_labels, device=device), 3)


# --- nothing changes in place

def test_assignment_is_refused_and_explained(device):
    t = md.tensor([1.0, 2.0], device=device)
    with pytest.raises(TypeError, match="ops.set_at"):
        t[0] = 5.0
    before = t
    t += 1.0
    assert t is not before and before.numpy().tolist() == [1.0, 2.0]


def test_writing_a_position_twice(device):
    x = md.tensor([1.0, 2.0, 3.0], device=device)
    with pytest.raises(ValueError, match="^set_at: .*twice"):
        ops.set_at(x, [0, 0], 5.0)
    assert ops.add_at(x, [0, 0], 5.0).numpy().tolist() == [11.0, 2.0, 3.0]
    assert ops.set_at(x, [2, 0], [7.0, 8.0]).numpy().tolist() == [8.0, 2.0, 7.0]
    assert x.numpy().tolist() == [1.0, 2.0, 3.0]


# --- mistakes

a, b = np.ones((2, 3)), np.ones((4, 5))
picture, flat = np.ones((1, 4, 4, 2)), np.ones((2, 3))
wrong = {
    "add": (a, b), "multiply": (a, b), "maximum": (a, b), "power": (a, b), "where": (a > 0, a, b),
    "less": (a, b),
    "matmul": (a, a), "outer": (a, a), "einsum": ("ij,jk", a, a), "diagonal": (np.ones(3),),
    "trace": (np.ones(3),),
    "reshape": (a, (4, 2)), "transpose": (a, 0, 0), "moveaxis": (a, 2, 0), "swapaxes": (a, 0, 2),
    "expand_dims": (a, 5),
    "squeeze": (a, 0), "broadcast_to": (a, (2, 4)), "concatenate": ([a, b],), "stack": ([a, b],),
    "split": (a, 4),
    "pad": (a, ((1, 1),) * 3), "flip": (a, 2), "roll": (a, 1, 2), "repeat": (a, -1),
    "tile": (a, -1),
    "index": (a, (0, 0, 0)), "take": (a, [0], 2), "take_along_axis": (a, np.zeros((1, 1), int), 0),
    "set_at": (a, 0, np.ones(4)), "add_at": (a, 0, np.ones(4)),
    "scatter": (np.ones(3), [0, 1], (4,)),
    "sum": (a, 2), "mean": (a, (0, 0)), "max": (a, 2), "min": (a, -3), "var": (a, 2), "std": (a, 2),
    "norm": (a, 2),
    "normalize": (a, 2),
    "argmax": (a, 2), "argmin": (a, 2), "cumsum": (a, 2), "sum_to": (a, (4,)), "softmax": (a, 2),
    "log_softmax": (a, 2),
    "logsumexp": (a, 2), "clip": (a,), "leaky_relu": (a, -1.0), "elu": (a, -1.0),
    "one_hot": (np.array([5]), 3),
    "conv": (picture, np.ones((3, 3, 3, 1))), "conv_relu": (picture, np.ones((3, 3, 3, 1))),
    "conv_input": (picture, np.ones((3, 3, 2, 2)), (9, 9)),
    "conv_weight": (picture, picture, (3, 3)), "conv_transpose": (picture, np.ones((3, 3, 2, 3))),
    "max_pool": (picture, 5), "average_pool": (picture, 0),
    "max_pool_with_switches": (picture, 5, None, 0),
    "global_average_pool": (flat,), "global_max_pool": (flat,), "upsample": (picture, 0),
    "resize": (picture, 0),
    "pixel_shuffle": (picture, 3), "standardize": (a, 2), "batch_norm": (a, np.ones(4), np.ones(3)),
    "layer_norm": (a, np.ones(3), np.ones(2)), "dropout": (a, 1.0, 0),
    "group_norm": (a, np.ones(3), np.ones(3), 2), "instance_norm": (a, np.ones(3), np.ones(3)),
}


@pytest.mark.parametrize("name", wrong)
def test_errors_name_the_operation(device, name):
    arguments = [md.tensor(x, device=device) if isinstance(x, np.ndarray) else x
                 for x in wrong[name]]
    with pytest.raises((ValueError, IndexError), match=f"^{name}: ") as caught:
        getattr(ops, name)(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words, call", {
    "conv: x must be .* 1 to 3 spatial axes": lambda: ops.conv(np.ones((4, 2)), np.ones((2, 2))),
    "conv: filter .* must have 4 axes": lambda: ops.conv(picture, np.ones((3, 2, 1))),
    "conv: the 3 filters .* do not divide into 2 groups":
        lambda: ops.conv(picture, np.ones((3, 3, 1, 3)), groups=2),
    r"conv: b of shape \(2,\)": lambda: ops.conv(picture, np.ones((3, 3, 2, 1)), np.ones(2)),
    r"conv_relu: b of shape \(2,\)":
        lambda: ops.conv_relu(picture, np.ones((3, 3, 2, 1)), np.ones(2)),
    "conv_weight: x holds 1 examples, u 2":
        lambda: ops.conv_weight(picture, np.ones((2, 2, 2, 1)), 3),
    r"conv_input: u must be .*, got shape \(\)":
        lambda: ops.conv_input(np.array(1.0), picture, (2, 2)),
    r"conv_input: filter \(\) must have 4 axes":
        lambda: ops.conv_input(picture, np.array(1.0), (2, 2)),
    r"conv_weight: x must be .*, got shape \(\)":
        lambda: ops.conv_weight(np.array(1.0), picture, (2, 2)),
    r"conv_weight: u must be .*, got shape \(2,\)":
        lambda: ops.conv_weight(picture, np.ones(2), (2, 2)),
    "conv_transpose: output_padding .* must be smaller": lambda: ops.conv_transpose(
        picture, np.ones((3, 3, 1, 2)), output_padding=1),
    "conv_transpose: padding .* leaves nothing":
        lambda: ops.conv_transpose(picture, np.ones((1, 1, 1, 2)), padding=2),
    "conv_transpose: b of shape":
        lambda: ops.conv_transpose(picture, np.ones((3, 3, 1, 2)), np.ones(2)),
    "clip: min must be at most max, got min=1 and max=0": lambda: ops.clip(a, 1, 0),
    r"index: a mask of shape \(3,\) does not fit axes 0 to 0":
        lambda: ops.index(a, np.ones(3, bool)),
    "add_at: values of shape .* must broadcast to the shape of x.key.":
        lambda: ops.add_at(a, 0, np.ones((2, 1, 3))),
    "take_along_axis: indices of shape .* along axis 0 do not fit":
        lambda: ops.take_along_axis(a, np.array([0]), 0),
    "matmul: operands need at least one axis": lambda: ops.matmul(a, np.array(2.0)),
    "gram: needs at least two axes": lambda: ops.gram(np.ones(3)),
    "einsum: .* asks for a letter": lambda: ops.einsum("ij->k", a),
    "einsum: .* describes 2 operands, got 1": lambda: ops.einsum("ij,jk", a),
    "einsum: operand 0 is 'i'": lambda: ops.einsum("i", a),
    "einsum: .* names a letter twice in the result": lambda: ops.einsum("ij->ii", a),
    "einsum: letter 'i' stands for lengths 2 and 3": lambda: ops.einsum("ii", a),
    "einsum: letter 'j' of .* stands for lengths 3 and 4": lambda: ops.einsum("ij,jk", a, b),
    "batch_norm: give both mean and variance":
        lambda: ops.batch_norm(a, np.ones(3), np.ones(3), mean=np.ones(3)),
    "batch_norm: .* more than one value per channel":
        lambda: ops.batch_norm(a[:1], np.ones(3), np.ones(3)),
    "layer_norm: x must be .* at least one channel":
        lambda: ops.layer_norm(np.ones(3), np.ones(3), np.ones(3)),
    "var: 2 elements leave nothing to divide by with ddof=2": lambda: ops.var(a, 0, ddof=2),
    "std: 3 elements leave nothing to divide by with ddof=3": lambda: ops.std(a, 1, ddof=3),
    "upsample: mode must be 'nearest' or 'bilinear', got 'cubic'":
        lambda: ops.upsample(picture, 2, "cubic"),
    "resize: x must be .* 1 to 3 spatial axes": lambda: ops.resize(a, 3),
    "moveaxis: 1 axes cannot move to 2 positions": lambda: ops.moveaxis(a, 0, (0, 1)),
    r"broadcast_to: \(2, 3\) does not broadcast to \(1, 3\)": lambda: ops.broadcast_to(a, (1, 3)),
    "concatenate: axis 2 is out of range": lambda: ops.concatenate([a, a], 2),
    "split: axis 2 is out of range": lambda: ops.split(a, 2, 2),
    "stack: axis 9 is out of range for 3 dimensions": lambda: ops.stack([a, a], 9),
    r"reshape: .* does not fit shape \(-2, -3\)": lambda: ops.reshape(a, -2, -3),
    "index: slice step cannot be zero": lambda: ops.index(a, slice(None, None, 0)),
    "index: only one Ellipsis": lambda: ops.index(a, (..., ...)),
    "pad: mode must be one of 'constant', .*, got 'mean'": lambda: ops.pad(a, 1, "mean"),
    "pad: mode must be one of .*, got 'foo'": lambda: ops.pad(a, 0, "foo"),
    "pad: mode 'reflect' cannot extend length 2": lambda: ops.pad(a, 2, "reflect"),
    r"matmul: a of shape \(2,\) has 2 columns, b of shape \(3,\) has 3 rows":
        lambda: ops.matmul(np.ones(2), np.ones(3)),
    r"matmul: a of shape \(2, 3\) has 3 columns, b of shape \(2,\) has 2 rows":
        lambda: ops.matmul(a, np.ones(2)),
    "einsum: 'ij->ji' describes 1 operands, got 0": lambda: ops.einsum("ij->ji"),
    "einsum: operand 0 is 'éj' in 'éj->é'": lambda: ops.einsum("éj->é", a),
    r"index: an index array of shape \(2,\) and another of shape \(3,\) do not broadcast":
        lambda: ops.index(a, ([0, 1], [0, 1, 2])),
    r"set_at: an index array of shape \(3,\) and another of shape \(2,\) do not broadcast":
        lambda: ops.set_at(a.T, (np.ones(3, bool), [0, 1]), 0.0),
    r"scatter: u of shape \(2,\) and zeros\[key\] of shape \(3,\) do not broadcast":
        lambda: ops.scatter(np.ones(2), [0, 1, 0], (2,)),
    "roll: 3 shifts for 2 axes": lambda: ops.roll(a, (1, 2, 3), (0, 1)),
    "layer_norm: eps must be in": lambda: ops.layer_norm(a, np.ones(3), np.ones(3), -1),
    "group_norm: eps must be in": lambda: ops.group_norm(a, np.ones(3), np.ones(3), 1, -1),
    "instance_norm: eps must be in":
        lambda: ops.instance_norm(picture, np.ones(2), np.ones(2), -1),
    "full: fill_value must be a whole number from -128 to 127, as it becomes int8; got 300":
        lambda: ops.full(2, 300, "int8"),
    "full: fill_value must be a whole number from 0 to 255, as it becomes uint8; got nan":
        lambda: ops.full(2, nan, "uint8"),
    "full: fill_value must be a whole number .* int64; got 1000": lambda: ops.full(2, 10 ** 30),
    "pad: constant_values must be a whole number from -128 to 127": lambda: ops.pad(
        md.tensor([1], dtype="int8"), 1, constant_values=300),
    "pad: constant_values must be a whole number .*; got -inf": lambda: ops.pad(
        md.tensor([1]), 1, constant_values=-inf),
    "set_at: values must be a whole number from 0 to 255, as it becomes uint8; got -1":
        lambda: ops.set_at(md.tensor([1], dtype="uint8"), 0, -1),
    "add_at: values must be a whole number from -128 to 127":
        lambda: ops.add_at(md.tensor([1], dtype="int8"), 0, 300),
    "bitwise_and: b must be a whole number from -128 to 127, as it becomes int8; got 300":
        lambda: md.tensor([1], dtype="int8") & 300,
    "bitwise_xor: b must be a whole number from .* as it becomes int64":
        lambda: md.tensor([True]) ^ 10 ** 30,
    "bitwise_or: a must be a whole number from 0 to 255, as it becomes uint8; got -1":
        lambda: -1 | md.tensor([1], dtype="uint8"),
    "arange: start, stop and step .0, 1, 1e-320. make more elements than fit into memory":
        lambda: ops.arange(0, 1, 1e-320),
    "arange: start, stop and step .* make more elements": lambda: ops.arange(10 ** 400),
    "arange: each number must be a whole number from -128 to 127, as it becomes int8; got 299":
        lambda: ops.arange(300, dtype="int8"),
    "arange: each number must be a whole number from 0 to 255, as it becomes uint8; got -2":
        lambda: ops.arange(-2, 2, dtype="uint8"),
    "huber: delta must be in 0 < delta < inf, got 0": lambda: losses.huber(a, a, delta=0),
    "huber: delta must be in 0 < delta < inf, got nan": lambda: losses.huber(a, a, delta=nan),
    "triplet: reduction must be 'mean', 'sum', 'none' or 'active', got 'all'":
        lambda: losses.triplet(a, a, a, reduction="all"),
}.items())
def test_errors_say_the_rule(words, call):
    with pytest.raises((ValueError, IndexError), match=f"^{words}") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_kinds_are_checked():
    for f in (lambda: ops.exp(None), lambda: ops.add("a", 1.0),
              lambda: ops.matmul(object(), np.ones(2)),
              lambda: ops.index(np.ones(3), 0.5), lambda: ops.index(np.ones(3), True),
              lambda: ops.index(np.ones(3), [0.5]), lambda: ops.one_hot(np.ones(2), 3),
              lambda: ops.argmax(np.ones((2, 2)), (0, 1))):
        with pytest.raises(TypeError, match="^(exp|add|matmul|index|one_hot|argmax): "):
            f()


@pytest.mark.parametrize("axis", ["a", 1.5, (0, "a"), None, True, (0, True)])
@pytest.mark.parametrize("name, call", {
    "sum": lambda axis: ops.sum(a, axis), "softmax": lambda axis: ops.softmax(a, axis),
    "flip": lambda axis: ops.flip(a, axis),
    "squeeze": lambda axis: ops.squeeze(a, axis),
    "expand_dims": lambda axis: ops.expand_dims(a, axis),
    "moveaxis": lambda axis: ops.moveaxis(a, axis, 0),
    "swapaxes": lambda axis: ops.swapaxes(a, axis, 0),
    "transpose": lambda axis: ops.transpose(a, axis, 0),
    "diagonal": lambda axis: ops.diagonal(a, 0, axis, 0),
    "concatenate": lambda axis: ops.concatenate([a, a], axis),
    "stack": lambda axis: ops.stack([a, a], axis),
    "split": lambda axis: ops.split(a, 2, axis), "repeat": lambda axis: ops.repeat(a, 2, axis),
    "take": lambda axis: ops.take(a, [0], axis),
    "take_along_axis": lambda axis: ops.take_along_axis(a, a > 0, axis),
    "standardize": lambda axis: ops.standardize(a, axis),
}.items())
def test_what_is_no_axis(name, call, axis):
    if axis is None and name in ("sum", "softmax", "flip", "squeeze", "repeat", "take",
                                 "standardize"):
        call(axis)                                              # all axes
    else:
        with pytest.raises(TypeError, match=rf"^{name}: \w+ must be (one integer|an integer or "
                                            r"several), got "):
            call(axis)


def test_sizes_and_axes_may_be_numpy_numbers(device):
    x, one, two = md.tensor(np.ones((2, 3)), device=device), np.int64(1), np.int32(2)
    for y, shape in [(ops.expand_dims(x, one), (2, 1, 3)), (ops.squeeze(x[:, :1], one), (2,)),
                     (ops.moveaxis(x, one, 0), (3, 2)),
                     (ops.stack([x, x], two), (2, 3, 2)), (ops.split(x, two)[1], (1, 3)),
                     (ops.tile(x, two), (2, 6)),
                     (ops.repeat(x, two, one), (2, 6)), (ops.pad(x, one), (4, 5)),
                     (ops.pad(x, [one, (0, two)]), (4, 5)),
                     (ops.roll(x, one, one), (2, 3)), (ops.diagonal(x, one), (2,)),
                     (ops.take(x, [0], one), (2, 1))]:
        assert y.shape == shape and {type(n) for n in y.shape} == {int}


def test_axes_may_be_arrays(device):
    x = md.tensor(np.ones((2, 3, 4)), device=device)
    for axes in [2, 0, 1], (2, 0, 1), np.array([2, 0, 1]), md.tensor([2, 0, 1]), range(2, -1, -1):
        expected = (4, 3, 2) if type(axes) is range else (4, 2, 3)
        assert ops.transpose(x, axes).shape == x.transpose(axes).shape == expected
    assert x.transpose(None).shape == x.transpose().shape == x.T.shape == (4, 3, 2)
    steps = md.tensor([[0, 1], [2, 3]], device=device)
    for axes in (0, 1), np.array([0, 1]), md.tensor([0, 1]):
        assert ops.flip(steps, axes).numpy().tolist() == [[3, 2], [1, 0]]
        assert ops.roll(steps, 1, axes).numpy().tolist() == [[3, 2], [1, 0]]
        assert ops.roll(steps, (1, 2), axes).numpy().tolist() == [[2, 3], [0, 1]]
    assert ops.roll(steps, (1, 2), 1).numpy().tolist() == [[1, 0], [3, 2]]


@pytest.mark.parametrize("words, call", {
    "pad: pad_width must be an integer or several, got 'a'": lambda: ops.pad(a, "a"),
    "roll: shift must be an integer or several, got 1.5": lambda: ops.roll(a, 1.5),
    "tile: reps must be an integer or several, got 1.5": lambda: ops.tile(a, 1.5),
    "split: indices_or_sections must be an integer or several, got 1.5": lambda: ops.split(a, 1.5),
    "trace: offset must be one integer, got 0.5": lambda: ops.trace(a, 0.5),
    "pad: pad_width must be an integer or several, got {0: .1, 2.}":
        lambda: ops.pad(a, {0: (1, 2)}),
    "take: an index array must be of integers, got bool": lambda: ops.take(a, [True, False], 0),
    r"concatenate: axis .* integer, got ndarray; .* into one list: concatenate\(\[a, b\]\)$":
        lambda: ops.concatenate(a, a),
    r"stack: axis .* integer, got Tensor; .* into one list: stack\(\[a, b\]\)$":
        lambda: ops.stack(a, md.tensor(a)),
    "diagonal: offset must be one integer, got 0.5": lambda: ops.diagonal(a, 0.5),
    "unpool: switches must be those of max_pool_with_switches, got ndarray":
        lambda: ops.unpool(picture, picture),
    "einsum: subscripts must be a string": lambda: ops.einsum(a, a),
    "take_along_axis: indices must be integers, got bool": lambda: ops.take_along_axis(a, a > 0, 0),
    "index: an index list must be .* its rows of one length": lambda: ops.index(a, [[0, 1], [0]]),
    "index: an index list must be of integers or booleans": lambda: ops.index(a, ["a"]),
    "index: slice indices must be integers": lambda: ops.index(a, slice(0.5, None)),
    "set_at: values of float64 would lose their fractions in x of int64":
        lambda: ops.set_at(np.array([1, 2]), 0, 2.7),
    "add_at: values of float32 would lose their fractions":
        lambda: ops.add_at(np.array([1, 2]), 0, np.float32([2.7])[0]),
    "bitwise_and: b must be a Tensor or an array, got int": lambda: ops.bitwise_and(3, 10 ** 30),
    "bitwise_xor: no integer type holds both uint64 and int64":
        lambda: md.tensor([1], dtype="uint64") ^ md.tensor([1]),
    "set_at: values of float64 would lose": lambda: ops.set_at(np.array([True]), 0, np.array(0.5)),
}.items())
def test_kinds_are_named(words, call):
    with pytest.raises(TypeError, match=f"^{words}") as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (1, 1, 1)])
def test_shapes_to_which_a_sum_cannot_go(shape, device):
    x = md.tensor([1.0, 2.0, 3.0], device=device)
    with pytest.raises(ValueError,
                       match=re.escape(f"sum_to: shape {shape} does not broadcast to (3,)")):
        x.sum_to(shape)


@pytest.mark.parametrize("call, words", [
    (lambda x: x + 300, "add: b must be a whole number from -128 to 127, as .* int8; got 300"),
    (lambda x: 300 - x, "subtract: a must be a whole number from -128 to 127"),
    (lambda x: ops.maximum(x, 300), "maximum: b must be "),
    (lambda x: ops.where([False, True], x, 300), "where: b must be "),
    (lambda x: ops.where([False, True], 300, x), "where: a must be "),
    (lambda x: x ** -129, "power: b must be ")])
def test_a_number_beside_integers_that_do_not_hold_it_is_refused(device, call, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        call(md.tensor([1, 2], dtype="int8", device=device))


def test_a_number_beyond_integers_may_be_compared_and_divided_by(device):
    x = md.tensor([1, 2], dtype="int8", device=device)
    assert (x < 300).numpy().all() and not (x == 300).numpy().any()
    np.testing.assert_allclose((x / 300).numpy(), np.array([1, 2]) / 300, rtol=1e-6)
