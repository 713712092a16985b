"""Every operation, layer and loss, on every device: values, derivatives, dtypes, memory layouts,
adjoints, zero sizes."""
import inspect

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import losses, nn, ops
from minidl.learn.cases import cases, constants, refused, zero_size
from minidl.learn.cases import faces as face_cases
from minidl.testing import adjointcheck, gradcheck, strategies

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device
every_case = pytest.mark.parametrize("case", cases, ids=str)

OPERATIONS = {name for name, value in vars(ops).items() if callable(value)
              and not name.startswith("_")}
LOSSES = {name for name, value in vars(losses).items() if inspect.isfunction(value)
          and value.__module__ == losses.__name__
          and not name.startswith("_")}
LAYERS = {name for name in vars(nn) if not name.startswith("_")
          and not inspect.ismodule(getattr(nn, name))}
NO_LAYERS = {"Module", "Parameter", "summary"}
PUBLIC = OPERATIONS | LOSSES | LAYERS - NO_LAYERS | face_cases.NAMES


def test_every_public_name_has_a_case():
    covered = {case.name for case in cases + constants}
    assert PUBLIC - covered == set()
    assert covered - PUBLIC == set()


def test_every_public_name_says_what_it_does_with_zero_size():
    stated = {case.name for case in zero_size.stated} | {
        case.name for case in cases + refused if "empty" in case.words
    }
    assert PUBLIC - stated == set()


def test_every_elementwise_operation_is_checked_to_the_third_order():
    low = {case.name for case in cases if case.order < 3 and case not in zero_size.stated}
    elementwise = {name for name in OPERATIONS
                   if inspect.getmodule(getattr(ops, name)).__name__.endswith(
        ("elementwise", "activation", "trigonometry"))}
    assert len(elementwise) > 30 and low & elementwise == set()


def test_no_case_stands_for_two():
    named = [str(case) for case in cases + constants + refused]
    assert {name for name in named if named.count(name) > 1} == set()


def tensors(arrays, device=None, requires_grad=True):
    return [md.tensor(a, requires_grad=requires_grad and a.dtype.kind == "f", device=device)
            for a in arrays]


def outputs(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def values_and_gradients(case, inputs):
    """All outputs, and the gradients of Σ y³ with respect to the floating-point inputs, as NumPy
    arrays."""
    ys = outputs(case.call(*inputs))
    total = sum(ops.sum(y * y * y) for y in ys)
    gradients = md.grad(total, [x for x in inputs if x.requires_grad])
    return [y.numpy() for y in ys], [g.numpy() for g in gradients]


@every_case
def test_gradients(case):
    gradcheck(case.call, *case.draw(seed=1), order=case.order, allow_zero=case.flat)


@pytest.mark.parametrize("case", [case for case in cases + constants if case.value], ids=str)
def test_values(case, device):
    arrays = case.draw(seed=6)
    found, expected = outputs(case.call(*tensors(arrays))), outputs(case.value(*arrays))
    assert len(found) == len(expected)
    for y, value in zip(found, expected):
        assert y.shape == np.shape(value) and y.device == device
        np.testing.assert_allclose(y.numpy(), value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", constants, ids=str)
def test_constants_have_no_gradient(case, device):
    for layout in as_it_is, transposed, sliced:
        y = case.call(*(layout(t) for t in tensors(case.draw(seed=7))))
        assert not y.requires_grad and y.device == device
        np.testing.assert_array_equal(y.numpy(), case.call(*tensors(case.draw(seed=7))).numpy())


@pytest.mark.parametrize("case", refused, ids=str)
def test_zero_size_is_refused(case):
    with pytest.raises(ValueError, match="^batch_norm: " if case.name == "BatchNorm"
                       else f"^{case.name}: ") as caught:
        case.call(*tensors(case.draw(seed=1)))
    assert "\n" not in str(caught.value)


@every_case
def test_float16_is_kept(case):
    with np.errstate(over="ignore"):
        values, gradients = values_and_gradients(case, tensors(case.draw(seed=2, dtype="float16")))
    assert {a.dtype.name for a in values + gradients} == {"float16"}


@every_case
def test_float32_is_close_to_float64(case):
    exact = values_and_gradients(case, tensors(case.draw(seed=3)))
    rounded = values_and_gradients(case, tensors(case.draw(seed=3, dtype="float32")))
    for a, b in zip(sum(exact, []), sum(rounded, [])):
        assert (a.dtype, b.dtype) == ("float64", "float32")
        np.testing.assert_allclose(b, a, rtol=0,
                                   atol=case.float32 * np.max(np.abs(a), initial=1e-3))


def as_it_is(t):
    return t


def transposed(t):
    """The same values, stored with the axes in reverse order."""
    return t.T.reshape(t.size).reshape(t.shape[::-1]).T


def sliced(t):
    """The same values, as every other element along the last axis of a larger array, from
    behind."""
    return ops.stack([t, t], -1).reshape(*t.shape[:-1],
                                         2 * t.shape[-1])[..., ::-2][..., ::-1] if t.ndim else t


@every_case
def test_memory_layout_does_not_matter(case):
    inputs = tensors(case.draw(seed=4))
    expected = values_and_gradients(case, inputs)
    for layout in transposed, sliced:
        strided = [layout(t.detach()).detach() for t in inputs]
        for t in strided:
            t.requires_grad = t.dtype.kind == "f"
        for a, b in zip(sum(expected, []), sum(values_and_gradients(case, strided), [])):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12, err_msg=layout.__name__)


@pytest.mark.parametrize("layout", [transposed, sliced])
def test_layouts_are_not_contiguous(layout):
    t = md.tensor(np.arange(24.0).reshape(2, 3, 4))
    assert not layout(t).data.flags.c_contiguous
    np.testing.assert_array_equal(layout(t).numpy(), t.numpy())


@pytest.mark.parametrize("case", [case for case in cases if case.linear], ids=str)
def test_linear_operations_and_their_adjoints(case):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ to rounding, with Aᵀ from reverse mode, and with the adjoint operation
    where it is known."""
    arrays = case.draw(seed=5)
    for i, x in enumerate(arrays):
        if x.dtype.kind == "f":
            check_adjoint(case, arrays, i, x)


def check_adjoint(case, arrays, i, x):
    others = [a * 0.0 if case.linear == "joint" and a.dtype.kind == "f" else a for a in arrays]

    def A(x):
        inputs = tensors(others, requires_grad=False)
        inputs[i] = x
        return ops.concatenate([ops.flatten(y) for y in outputs(case.call(*inputs))])

    def A_transpose(y):
        leaf = md.tensor(x, requires_grad=True)
        return md.grad(A(leaf), leaf, y)[0]

    y = np.random.default_rng(6).normal(size=A(md.tensor(x)).shape)
    adjointcheck(A, A_transpose, x, y)
    if case.adjoint:
        shape = case.call(*tensors(arrays)).shape
        adjointcheck(A, lambda y: case.adjoint(ops.reshape(y, shape)), x, y)


# --- shapes, axes, keys and subscripts drawn by Hypothesis, values compared with NumPy's

check = dict(mode="directional", allow_zero=True, atol=1e-9)


@pytest.mark.parametrize("name",
                         ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
@given(pair=strategies.broadcastable(2, low=0.5))
def test_broadcasting(name, pair):
    operation = getattr(ops, name)
    np.testing.assert_allclose(operation(*tensors(pair)).numpy(), getattr(np, name)(*pair),
                               rtol=1e-15)
    a, b = pair[0] + 0.001, pair[1]                 # no ties: drawn are multiples of 1/64
    gradcheck(operation, a, b, order=2, **check)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std"])
@given(data=st.data())
def test_reductions(name, data):
    x = data.draw(strategies.tie_free(strategies.shapes(min_dims=0)))
    axis, keepdims = data.draw(strategies.axes(x.ndim)), data.draw(st.booleans())
    theirs = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(getattr(ops, name)(md.tensor(x), axis, keepdims).numpy(), theirs,
                               rtol=1e-12, atol=1e-12)
    if not (name == "std" and np.all(theirs == 0)):                 # a kink
        gradcheck(lambda x: getattr(ops, name)(x, axis, keepdims), x, **check)


def on_the_device(key):
    return (
        tuple(map(on_the_device, key))
        if type(key) is tuple
        else md.tensor(key)
        if type(key) is np.ndarray
        else key
    )


@given(data=st.data())
def test_keys(data):
    x = data.draw(strategies.arrays(strategies.shapes(min_dims=0, min_side=0)))
    key = data.draw(strategies.indices(x.shape))
    ours = on_the_device(key)
    np.testing.assert_array_equal(ops.index(md.tensor(x), ours).numpy(), x[key])
    added = x.copy()
    np.add.at(added, key, 2.0)
    np.testing.assert_allclose(ops.add_at(md.tensor(x), ours, 2.0).numpy(), added)
    gradcheck(lambda x: ops.index(x, ours), x, order=2, **check)
    u = md.tensor(np.random.default_rng(0).normal(size=x[key].shape))
    adjointcheck(lambda x: ops.index(x, ours), lambda u: ops.scatter(u, ours, x.shape),
                 md.tensor(x), u, allow_zero=True)


@given(case=strategies.einsum_cases())
def test_einsum(case):
    operands = tensors(case.operands)
    expected = np.einsum(case.subscripts, *case.operands)
    np.testing.assert_allclose(ops.einsum(case.subscripts, *operands).numpy(), expected, rtol=1e-12,
                               atol=1e-12)
    gradcheck(lambda *operands: ops.einsum(case.subscripts, *operands), *case.operands, order=2,
              **check)
