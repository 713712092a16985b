"""Pooling against plain loops, its gradients and adjoints, in geometries drawn by
`minidl.testing.strategies`; edges."""
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.testing import adjointcheck, gradcheck, strategies

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def by_dimension(test):
    return pytest.mark.parametrize("ndim", [1, 2, 3])(given(data=st.data())(test))


def plain(x, places, window, stride, padding, reduce):
    """reduce(values in the window, how many the window holds) for each place and channel."""
    y = np.zeros(x.shape[:1] + places + x.shape[-1:])
    for n, *p, c in np.ndindex(y.shape):
        seen = []
        for k in np.ndindex(window):
            at = tuple(s * pi + ki - q for s, pi, ki, q in zip(stride, p, k, padding))
            if all(0 <= i < size for i, size in zip(at, x.shape[1:-1])):
                seen.append(x[(n, *at, c)])
        y[(n, *p, c)] = reduce(seen, np.prod(window))
    return y


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float16"])
def test_padding_is_never_the_maximum(dtype):
    x = np.array([-3, -1, 0, -2]).astype(dtype).reshape(1, 4, 1)
    y = ops.max_pool(md.tensor(x), 3, 1, 1)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.numpy().ravel(),
                                  [max(x[0, max(0, i - 1):i + 2, 0]) for i in range(4)])


def test_a_window_of_millions():
    x = md.tensor(np.ones((1, 2 ** 21 + 1, 1), "float32"))
    assert ops.average_pool(x, 2 ** 21 + 1).item() == ops.max_pool(x, 2 ** 21 + 1).item() == 1


@by_dimension
def test_plain_loops(ndim, data):
    case = data.draw(strategies.pool_cases(ndim))
    x, places = case.x, case.y_shape[1:-1]
    largest = plain(x, places, *case.arguments, lambda seen, size: max(seen))
    average = plain(x, places, *case.arguments, lambda seen, size: sum(seen) / size)
    t = md.tensor(x)
    np.testing.assert_array_equal(ops.max_pool(t, *case.arguments).numpy(), largest)
    np.testing.assert_array_equal(ops.max_pool_with_switches(t, *case.arguments)[0].numpy(),
                                  largest)
    np.testing.assert_allclose(ops.average_pool(t, *case.arguments).numpy(), average, rtol=1e-12,
                               atol=1e-12)


@by_dimension
def test_gradients(ndim, data):
    case = data.draw(strategies.pool_cases(ndim))
    for operation in ops.max_pool, ops.average_pool, lambda *a: ops.max_pool_with_switches(*a)[0]:
        gradcheck(lambda x, operation=operation: operation(x, *case.arguments), case.x + 0.01,
                  order=2, mode="directional")


@by_dimension
def test_adjoints(ndim, data):
    """Selecting by fixed switches and unpooling are each other's adjoint; so are averaging and its
    gradient."""
    case = data.draw(strategies.pool_cases(ndim))
    x, u = case.x + 0.01, case.u
    value, switches = ops.max_pool_with_switches(md.tensor(x), *case.arguments)
    unpooled = ops.unpool(md.tensor(u), switches)
    assert unpooled.shape == case.x_shape
    left, right = np.sum(value.numpy() * u), np.sum(x * unpooled.numpy())
    assert left == pytest.approx(right, rel=1e-10, abs=1e-10)

    def spread(u):
        leaf = md.tensor(x, requires_grad=True)
        return md.grad(ops.average_pool(leaf, *case.arguments), leaf, md.tensor(u))[0]

    adjointcheck(lambda x: ops.average_pool(x, *case.arguments), spread, x, u)


def test_defaults_and_single_numbers(device):
    x = md.tensor(np.arange(16.0).reshape(1, 4, 4, 1), device=device)
    assert ops.max_pool(x, 2).numpy().ravel().tolist() == [5.0, 7.0, 13.0, 15.0]
    assert ops.average_pool(x, 2).numpy().ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert ops.max_pool(x, (4, 1), 1).numpy().ravel().tolist() == [12.0, 13.0, 14.0, 15.0]
    assert ops.global_average_pool(x).numpy().tolist() == [[7.5]]
    assert ops.global_max_pool(x).numpy().tolist() == [[15.0]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32"])
def test_the_average_of_whole_numbers_is_not_whole(device, dtype):
    x = md.tensor(np.array([[[0, 0], [1, 1], [1, 0]]], dtype), device=device)
    average = ops.average_pool(x, 2, 1)
    assert average.numpy().tolist() == [[[0.5, 0.5], [1, 0.5]]]
    assert average.dtype == (dtype if dtype.startswith("float") else "float64")


def test_padding_counts_as_zeros_in_the_average(device):
    x = md.tensor(np.ones((1, 3, 1)), device=device)
    assert ops.average_pool(x, 3, 1, 1).numpy().ravel() == pytest.approx([2 / 3, 1.0, 2 / 3])


def test_unpooling_puts_back_what_was_largest(device):
    x = md.tensor([[[1.0], [4.0], [3.0], [2.0]]], device=device)
    y, switches = ops.max_pool_with_switches(x, 2)
    assert ops.unpool(y, switches).numpy().ravel().tolist() == [0.0, 4.0, 3.0, 0.0]
    overlapping, switches = ops.max_pool_with_switches(x, 2, 1)
    assert ops.unpool(overlapping, switches).numpy().ravel().tolist() == [0.0, 8.0, 3.0, 0.0]
    with pytest.raises(ValueError, match="^unpool: "):
        ops.unpool(y, switches)
    with pytest.raises(md.DeviceError, match="^unpool: "):
        ops.unpool(overlapping.to("cpu" if device != "cpu" else "strict"), switches)


def test_the_maximum_of_a_window_with_nan_is_that_nan(device):
    x = md.tensor([[[1.0], [2.0], [np.nan], [0.0], [5.0], [np.nan]]], requires_grad=True,
                  device=device)
    y, switches = ops.max_pool_with_switches(x, 4, 2)
    assert np.isnan(y.numpy()).all()
    assert md.tensor(switches.array).numpy().ravel().tolist() == [3, 1]
    gradient, = md.grad(ops.max_pool(x, 4, 2).sum(), x)
    assert gradient.numpy().ravel().tolist() == [0, 0, 2, 0, 0, 0]


def test_errors_say_what_does_not_fit():
    with pytest.raises(ValueError,
                       match="^max_pool: window 5 is larger than the padded input 4 along H"):
        ops.max_pool(np.zeros((1, 4, 8, 1)), 5)
    with pytest.raises(ValueError, match="^average_pool: x must be"):
        ops.average_pool(np.zeros((4, 8)), 2)
    with pytest.raises(TypeError, match="^max_pool: stride"):
        ops.max_pool(np.zeros((1, 4, 1)), 2, 0.5)
