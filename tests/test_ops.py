"""Every operation, on every device: values, first and second derivatives, dtypes, memory layouts, adjoints."""
from cases import cases, no_gradient
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.testing import adjointcheck, gradcheck

every_case = pytest.mark.parametrize("case", cases, ids=str)


def tensors(arrays, device, requires_grad=True):
    return [md.tensor(a, requires_grad=requires_grad and a.dtype.kind == "f", device=device) for a in arrays]


def outputs(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def values_and_gradients(case, inputs):
    """All outputs, and the gradients of Σ y³ with respect to the floating-point inputs, as NumPy arrays."""
    ys = outputs(case.call(*inputs))
    total = sum(ops.sum(y * y * y) for y in ys)
    gradients = md.grad(total, [x for x in inputs if x.requires_grad])
    return [y.numpy() for y in ys], [g.numpy() for g in gradients]


def test_every_operation_has_a_case():
    public = {name for name, value in vars(ops).items() if callable(value) and not name.startswith("_")}
    covered = {case.name for case in cases} | no_gradient
    assert public - covered == set()
    assert covered - public == set()


@every_case
def test_gradients(case, device):
    gradcheck(case.call, *case.draw(seed=1), order=case.order)


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(case, device, dtype):
    inputs = tensors(case.draw(seed=2, dtype=dtype), device)
    values, gradients = values_and_gradients(case, inputs)
    assert {a.dtype.name for a in values + gradients} == {dtype}


@every_case
def test_float32_is_close_to_float64(case, device):
    exact = values_and_gradients(case, tensors(case.draw(seed=3), device))
    rounded = values_and_gradients(case, tensors(case.draw(seed=3, dtype="float32"), device))
    for a, b in zip(sum(exact, []), sum(rounded, [])):
        np.testing.assert_allclose(b, a, rtol=0, atol=case.float32 * max(1e-3, np.max(np.abs(a))))


def transposed(t):
    """The same values, stored with the axes in reverse order."""
    return t.T.reshape(-1).reshape(t.shape[::-1]).T


def sliced(t):
    """The same values, as every other element along the last axis of a larger array, from behind."""
    return ops.stack([t, t], -1).reshape(t.shape[:-1] + (-1,))[..., ::-2][..., ::-1] if t.ndim else t


@every_case
@pytest.mark.parametrize("layout", [transposed, sliced])
def test_memory_layout_does_not_matter(case, device, layout):
    inputs = tensors(case.draw(seed=4), device)
    expected = values_and_gradients(case, inputs)
    strided = [layout(t.detach()).detach() for t in inputs]
    for t in strided:
        t.requires_grad = t.dtype.kind == "f"
    for a, b in zip(sum(expected, []), sum(values_and_gradients(case, strided), [])):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", [transposed, sliced])
def test_layouts_are_not_contiguous(device, layout):
    t = md.tensor(np.arange(24.0).reshape(2, 3, 4), device=device)
    assert not layout(t).data.flags.c_contiguous
    np.testing.assert_array_equal(layout(t).numpy(), t.numpy())


@pytest.mark.parametrize("case", [case for case in cases if case.linear], ids=str)
def test_linear_operations_and_their_adjoints(case, device):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ to rounding, with Aᵀ from reverse mode, and with the adjoint operation where it is known."""
    arrays = case.draw(seed=5)
    for i, x in enumerate(arrays):
        if x.dtype.kind == "f":
            check_adjoint(case, arrays, i, x, device)


def check_adjoint(case, arrays, i, x, device):
    others = [a * 0.0 if case.linear == "joint" and a.dtype.kind == "f" else a for a in arrays]

    def A(x):
        inputs = tensors(others, device, requires_grad=False)
        inputs[i] = x
        return ops.concatenate([ops.flatten(y) for y in outputs(case.call(*inputs))])

    def A_transpose(y):
        leaf = md.tensor(x, requires_grad=True, device=device)
        return md.grad(A(leaf), leaf, y)[0]

    y = np.random.default_rng(6).normal(size=A(md.tensor(x, device=device)).shape)
    adjointcheck(A, A_transpose, x, y)
    if case.adjoint:
        shape = case.call(*tensors(arrays, device)).shape
        adjointcheck(A, lambda y: case.adjoint(ops.reshape(y, shape)), x, y)


# --- shapes, axes and keys drawn by Hypothesis, values compared with NumPy's

def arrays(shape, seed):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


seeds = st.integers(0, 2 ** 32 - 1)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0), seed=seeds)
def test_broadcasting(name, shapes, seed):
    a, b = (arrays(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    operation = getattr(ops, name)
    np.testing.assert_allclose(operation(a, b).numpy(), getattr(np, name)(a, b), rtol=1e-15)
    gradcheck(operation, a, b, order=2, mode="directional", allow_zero=True)


@st.composite
def reductions(draw):
    shape = draw(hnp.array_shapes(max_dims=4, max_side=3))
    axes = st.integers(-len(shape), len(shape) - 1)
    axis = draw(st.none() | axes | st.sets(st.integers(0, len(shape) - 1), min_size=1).map(tuple))
    return shape, axis, draw(st.booleans())


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std"])
@given(reduction=reductions(), seed=seeds)
def test_reductions(name, reduction, seed):
    shape, axis, keepdims = reduction
    x = arrays(shape, seed)
    ours, theirs = getattr(ops, name)(x, axis, keepdims), getattr(np, name)(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-12)
    constant = name in ("var", "std") and np.all(theirs == 0)
    if not constant:
        gradcheck(lambda x: getattr(ops, name)(x, axis, keepdims), x, mode="directional", allow_zero=True)


@st.composite
def keys(draw):
    shape = draw(hnp.array_shapes(max_dims=3, max_side=4))
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    lists = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
    return shape, draw(basic | lists | hnp.arrays(bool, shape))


@given(case=keys(), seed=seeds)
def test_keys(case, seed):
    shape, key = case
    x = arrays(shape, seed)
    np.testing.assert_array_equal(ops.index(x, key).numpy(), x[key])
    added = x.copy()
    np.add.at(added, key, 2.0)
    np.testing.assert_allclose(ops.add_at(x, key, 2.0).numpy(), added)
    gradcheck(lambda x: ops.index(x, key), x, order=2, mode="directional", allow_zero=True)


@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"])
def test_comparisons(name, device):
    a, b = np.array([[1.0, 2.0, 3.0]]), np.array([[2.0], [2.0]])
    result = getattr(ops, name)(*tensors([a, b], device))
    assert not result.requires_grad
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(a, b))


def test_operations_without_a_gradient(device):
    x = md.tensor([[1.0, 3.0, 3.0], [-2.0, 0.0, -2.0]], requires_grad=True, device=device)
    for result, expected in [(ops.argmax(x), 1), (ops.argmax(x, 1), [1, 1]), (ops.argmin(x, 1), [0, 0]),
                             (ops.sign(x), np.sign(x.numpy())), (ops.zeros_like(x), np.zeros((2, 3))),
                             (ops.ones_like(x), np.ones((2, 3))), (ops.stop_gradient(x), x.numpy())]:
        assert not result.requires_grad and result.device == device
        np.testing.assert_array_equal(result.numpy(), expected)
    labels = md.tensor([[2, 0], [1, 1]], device=device)
    np.testing.assert_array_equal(ops.one_hot(labels, 3).numpy(), np.eye(3)[[[2, 0], [1, 1]]])
    assert ops.one_hot(labels, 3).dtype == np.float32
