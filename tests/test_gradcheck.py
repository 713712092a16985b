"""The tester is tested: operations that are wrong on purpose must be caught, and right ones must pass."""
import importlib

import numpy as np
import pytest
import strict_device

import minidl as md
from minidl import ops
from minidl.tensor import constant, operands, record
from minidl.testing import GradientError, adjointcheck, gradcheck, jacobian

x34, y34, x4 = (np.random.default_rng(i).normal(size=shape) for i, shape in enumerate([(3, 4), (3, 4), (4,)]))


def product(a_rule, b_rule):
    """a ⊙ b with the rules given: a_rule(ȳ, a, b) and b_rule(ȳ, a, b)."""
    def multiply(a, b):
        a, b = operands("multiply", a, b)
        return record(a.data * b.data, (a, lambda gy: a_rule(gy, a, b)), (b, lambda gy: b_rule(gy, a, b)))
    return multiply


def right(gy, a, b):
    return gy * b


def unary(value, rule):
    return lambda x: record(value(x.data), (x, lambda gy: rule(gy, x)))


def in_place(gy, a, b):
    gy.data[...] = gy.data * b.data
    return gy


def changes_the_input(gy, a, b):
    result = gy * b
    a.data[...] = 0.0
    return result


def max_of_zero_padded(x):
    """Its value is that of a maximum padded with zeros; its gradient that of one padded with −∞."""
    value, gradient = ops.maximum(ops.max(x, -1), 0.0), ops.max(x, -1)
    return record(value.data, (gradient, lambda gy: gy))


mutants = {
    "sign": (product(lambda gy, a, b: -gy * b, lambda gy, a, b: gy * a), x34, y34),
    "factor": (product(right, lambda gy, a, b: 2.0 * gy * a), x34, y34),
    "one part in a thousand": (product(right, lambda gy, a, b: 1.001 * gy * a), x34, y34),
    "operands exchanged": (product(lambda gy, a, b: gy * a, lambda gy, a, b: gy * b), x34, y34),
    "forgets the cotangent": (product(lambda gy, a, b: b * 1.0, lambda gy, a, b: gy * a), x34, y34),
    "one entry": (product(lambda gy, a, b: ops.set_at(gy * b, (1, 2), 0.0), lambda gy, a, b: gy * a), x34, y34),
    "zero": (unary(np.exp, lambda gy, x: gy * 0.0), x34),
    "tiny": (unary(lambda x: 1e-9 * x, lambda gy, x: gy * 2e-9), x34),
    "nan": (unary(lambda x: x * 1.0, lambda gy, x: gy * np.nan), x34),
    "transposed operand": (lambda a, b: record(a.data @ b.data, (a, lambda gy: gy @ b), (b, lambda gy: a.T @ gy)),
                           x34[:3, :3], y34[:3, :3]),
    "mean for sum over a broadcast axis": (lambda a, b: record(a.data * b.data, (a, lambda gy: gy * b), (
        b, lambda gy: ops.mean(gy * a, 0))), x34, x4),
    "wrong tie-free position": (lambda x: record(np.max(x.data, -1), (x, lambda gy: ops.scatter(
        gy, (np.arange(3), np.argmin(x.data, -1)), x.shape))), x34),
    "zero padding": (max_of_zero_padded, -np.abs(x34)),
    "cotangent changed in place": (product(in_place, lambda gy, a, b: gy * a), x34, y34),
    "input changed in place": (product(changes_the_input, lambda gy, a, b: gy * b), x34, y34),
    "drops a term": (lambda x: record(x.data ** 2 + x.data, (x, lambda gy: 2.0 * gy * x)), x34),
    "only for one example": (lambda x: record(x.data.sum(0), (x, lambda gy: ops.pad(
        gy[None], ((0, len(x) - 1), (0, 0))))), x34),
    "second output": (lambda x: (ops.exp(x), record(np.sin(x.data), (x, lambda gy: gy * ops.sin(x)))), x34),
}
second_order_mutants = {
    "constant in the rule": (product(lambda gy, a, b: gy * b.detach(), lambda gy, a, b: gy * a), x34, y34),
    "rule in numpy": (unary(np.exp, lambda gy, x: constant(gy.data * np.exp(x.data))), x34),
    "right first, wrong second": (unary(np.sin, lambda gy, x: gy * record(np.cos(x.data), (
        x, lambda g: g * ops.sin(x)))), x34),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["full", "directional"])
@pytest.mark.parametrize("name", mutants)
def test_wrong_gradients_are_caught(name, mode, seed):
    f, *inputs = mutants[name]
    with pytest.raises(GradientError):
        gradcheck(f, *inputs, mode=mode, seed=seed)


@pytest.mark.parametrize("mode", ["full", "directional"])
@pytest.mark.parametrize("name", second_order_mutants)
def test_wrong_second_derivatives_are_caught(name, mode):
    f, *inputs = second_order_mutants[name]
    gradcheck(f, *inputs, mode=mode)
    with pytest.raises(GradientError, match="^gradcheck of gradient of"):
        gradcheck(f, *inputs, mode=mode, order=2)


def test_a_gradient_that_shares_memory_is_caught(monkeypatch):
    """The engine never gives one, so an engine that does stands in."""
    def aliasing(output, inputs, cotangent, create_graph):
        return [cotangent for _ in inputs]
    module = importlib.import_module("minidl.testing.gradcheck")
    monkeypatch.setattr(module, "grad", aliasing)
    with pytest.raises(GradientError, match="gradient of argument 0.* shares memory with cotangent 0"):
        gradcheck(ops.add, x34, y34)
    monkeypatch.setattr(module, "grad", lambda output, inputs, gy, _: [md.tensor(gy)] * len(inputs))
    with pytest.raises(GradientError, match="argument 1.* shares memory with the gradient of argument 0"):
        gradcheck(ops.add, x34, y34)


def test_the_error_says_where_and_what():
    f, *inputs = mutants["factor"]
    with pytest.raises(GradientError, match=r"gradcheck of multiply: gradient of argument 1 \('b'\) at \(0, 0\) is "
                                            r"\S+, differences say \S+ \(relative error 0\.5\); "
                                            r"shapes \(3, 4\), \(3, 4\); seed 7"):
        gradcheck(f, *inputs, seed=7)


def test_kinks_are_named():
    with pytest.raises(GradientError, match="not differentiable there, the slopes on the two sides are"):
        gradcheck(ops.relu, [0.0, 1.0])
    with pytest.raises(GradientError) as caught:
        gradcheck(*mutants["factor"])
    assert "differentiable" not in str(caught.value)


def test_right_gradients_pass():
    assert gradcheck(ops.multiply, x34, y34, order=3) < 1e-9
    assert gradcheck(lambda x: ops.exp(ops.sin(x)), 1e-3 * x34, order=2) < 1e-6
    with np.errstate(invalid="ignore"):
        gradcheck(ops.log, [1e-8, 1.0, 1e8])                        # steps follow the size of each entry
    gradcheck(lambda x: ops.sin(1000.0 * x), x34)                   # bends sharply: smaller steps are tried
    gradcheck(ops.relu, [1e-5, 1.0])                                # a kink close by
    gradcheck(lambda x: x * 1e-12, x34)
    gradcheck(lambda x: x + 1e6, x34)
    gradcheck(lambda x, i: x[i], x34, np.array([0, 2, 0]), order=2)  # integers are passed as they are
    gradcheck(lambda x: (x, ops.argmax(x), x * x), x34)
    assert gradcheck(ops.exp, np.float32([0.5, 1.5])) < 1e-9        # promoted to float64


def test_zero_gradients_show_nothing():
    with pytest.raises(GradientError, match="zero everywhere"):
        gradcheck(ops.sign, x34)
    with pytest.raises(GradientError, match=r"argument 1 \('y'\) is zero everywhere"):
        gradcheck(lambda x, y: x * 2.0, x34, y34)
    gradcheck(ops.sign, x34, allow_zero=True)


def test_same_seed_same_result():
    assert gradcheck(ops.tanh, x34, seed=1) == gradcheck(ops.tanh, x34, seed=1) != gradcheck(ops.tanh, x34, seed=2)


def test_inputs_of_the_caller_are_left_alone(device):
    t = md.tensor(x34, requires_grad=True, device=device)
    gradcheck(lambda t: t * t, t, order=2)
    assert t.grad is None and t.device == device


def test_what_cannot_be_checked():
    with pytest.raises(ValueError, match="gradcheck: order 0"):
        gradcheck(ops.exp, x34, order=0)
    with pytest.raises(ValueError, match="no floating-point input"):
        gradcheck(ops.exp, [1, 2])
    with pytest.raises(GradientError, match="gradcheck of argmax: it has no floating-point output"):
        gradcheck(ops.argmax, x34)


def test_adjointcheck():
    adjointcheck(lambda x: x.T, lambda y: y.T, x34, y34.T)
    with pytest.raises(GradientError, match="adjointcheck: <A x, y> = "):
        adjointcheck(lambda x: 2.0 * x, lambda y: 2.000001 * y, x34, y34)
    with pytest.raises(GradientError, match=r"A maps \(3, 4\) to \(4, 3\)"):
        adjointcheck(lambda x: x.T, lambda y: y, x34, y34)
    with pytest.raises(GradientError, match="shows nothing"):
        adjointcheck(lambda x: 0.0 * x, lambda y: 0.0 * y, x34, y34)


def test_jacobian(device):
    A = np.random.default_rng(0).normal(size=(2, 3))
    found = jacobian(lambda x: md.tensor(A, device=device) @ x, np.ones(3))
    assert found.device == device
    np.testing.assert_allclose(found.numpy(), A)


# --- the stand-in for the GPU refuses what a GPU refuses

def test_strict_device_refuses():
    xp, host = strict_device.xp, np.ones(3)
    a = xp.asarray(host)
    for f in (lambda: np.asarray(a), lambda: np.exp(a), lambda: np.sum(a), lambda: np.concatenate([a, a]),
              lambda: a + host, lambda: host + a, lambda: xp.add(a, host), lambda: a @ host, lambda: a[np.array([0])],
              lambda: a[[0]], lambda: xp.sum([1.0]), lambda: xp.where(host > 0, a, a), lambda: a == host,
              lambda: xp.sum(a, where=a > 0), lambda: a[xp.asarray([0.5])], lambda: a.__setitem__(0, host)):
        with pytest.raises((TypeError, IndexError)):
            f()
    for name in "block", "insert", "nanpercentile", "vecdot", "no_such_function":
        with pytest.raises(AttributeError, match="cupy has no function"):
            getattr(xp, name)
    with pytest.raises(TypeError, match="only supports"):
        strict_device.scatter_add(xp.asarray([1, 2]), (xp.asarray([0]),), 1)


def test_strict_device_behaves_as_cupy():
    xp = strict_device.xp
    a = xp.asarray(np.arange(6.0).reshape(2, 3))
    assert isinstance(a.sum(), strict_device.StrictArray) and a.sum().shape == () and float(a.sum()) == 15.0
    assert isinstance(a[0, 1], strict_device.StrictArray) and a[0, 1].item() == 1.0
    assert a[0][xp.asarray([4, -1])].get().tolist() == [1.0, 2.0]                   # wraps around
    assert (a * np.float64(2)).get().tolist() == (2 * a).get().tolist() == [[0, 2, 4], [6, 8, 10]]
    assert xp.asarray(a) is a and a.astype("float64", copy=False) is a
    assert xp.maximum(a, 2.0, out=a) is a and float(a.min()) == 2.0
    view = xp.broadcast_to(xp.zeros(3), (2, 3))
    view[0, 0] = 1.0                                                                # NumPy's is read-only
    assert view.get()[:, 0].tolist() == [1.0, 1.0]
    assert xp.lib.stride_tricks.sliding_window_view(a, 2, 1).shape == (2, 2, 2)
    assert (a.astype("float32") * 2.0).dtype == np.float32
