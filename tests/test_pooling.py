"""Pooling against plain loops, in geometries drawn from the size formula  P = floor((S + 2·pad − K) / s) + 1 ≥ 1."""
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.testing import adjointcheck, gradcheck


@dataclass
class Geometry:
    x: tuple
    y: tuple
    arguments: tuple            # window, stride, padding

    def distinct(self, seed=0):
        """Entries at least 0.05 apart, of both signs: no ties."""
        rng = np.random.default_rng(seed)
        size = int(np.prod(self.x))
        return ((rng.permutation(size) - size / 2) * 0.1 + rng.uniform(0, 0.05, size)).reshape(self.x)


def axis():
    """(S, K, stride, padding) of one axis: K ≤ S + 2·pad, and pad ≤ K / 2, so that no window sees padding alone."""
    windows = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
    return windows.flatmap(lambda a: st.tuples(st.just(a[0]), st.just(a[1]), st.just(a[2]), st.integers(
        max(0, -(-(a[1] - a[0]) // 2)), a[1] // 2)) if a[1] <= a[0] + 2 * (a[1] // 2) else axis())


@st.composite
def geometries(draw, ndim):
    axes = draw(st.lists(axis(), min_size=ndim, max_size=ndim))
    sizes, window, stride, padding = zip(*axes)
    examples, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    places = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in axes)
    return Geometry((examples, *sizes, channels), (examples, *places, channels), (window, stride, padding))


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


@by_dimension
def test_plain_loops(ndim, data):
    g = data.draw(geometries(ndim))
    x = g.distinct()
    largest = plain(x, g.y[1:-1], *g.arguments, lambda seen, size: max(seen))
    average = plain(x, g.y[1:-1], *g.arguments, lambda seen, size: sum(seen) / size)
    for device in md.devices():
        t = md.tensor(x, device=device)
        np.testing.assert_array_equal(ops.max_pool(t, *g.arguments).numpy(), largest)
        np.testing.assert_array_equal(ops.max_pool_with_switches(t, *g.arguments)[0].numpy(), largest)
        np.testing.assert_allclose(ops.average_pool(t, *g.arguments).numpy(), average, rtol=1e-12, atol=1e-12)


@by_dimension
def test_gradients(ndim, data):
    g = data.draw(geometries(ndim))
    for operation in ops.max_pool, ops.average_pool, lambda *a: ops.max_pool_with_switches(*a)[0]:
        gradcheck(lambda x, operation=operation: operation(x, *g.arguments), g.distinct(), order=2, mode="directional")


@by_dimension
def test_adjoints(ndim, data):
    """Selecting by fixed switches and unpooling are each other's adjoint; so are averaging and its gradient."""
    g = data.draw(geometries(ndim))
    x, u = g.distinct(), np.random.default_rng(1).normal(size=g.y)
    value, switches = ops.max_pool_with_switches(x, *g.arguments)
    unpooled = ops.unpool(u, switches)
    assert unpooled.shape == g.x
    left, right = np.sum(value.numpy() * u), np.sum(x * unpooled.numpy())
    assert left == pytest.approx(right, rel=1e-10, abs=1e-10)

    def spread(u):
        leaf = md.tensor(x, requires_grad=True)
        return md.grad(ops.average_pool(leaf, *g.arguments), leaf, u)[0]

    adjointcheck(lambda x: ops.average_pool(x, *g.arguments), spread, x, u)


@by_dimension
def test_illegal_geometry_raises(ndim, data):
    g = data.draw(geometries(ndim))
    at = data.draw(st.integers(0, ndim - 1))
    names = ["window", "stride", "padding"]
    name = data.draw(st.sampled_from(names + ["too large", "half"]))
    broken = [list(a) for a in g.arguments]
    if name == "too large":
        broken[0][at], broken[2][at] = g.x[1 + at] + 1, 0
    elif name == "half":
        broken[2][at] = broken[0][at] // 2 + 1
    else:
        broken[names.index(name)][at] = -1 if name == "padding" else 0
    for operation in "max_pool", "average_pool":
        with pytest.raises(ValueError, match=f"^{operation}: "):
            getattr(ops, operation)(np.zeros(g.x), *map(tuple, broken))


def test_defaults_and_single_numbers(device):
    x = md.tensor(np.arange(16.0).reshape(1, 4, 4, 1), device=device)
    assert ops.max_pool(x, 2).numpy().ravel().tolist() == [5.0, 7.0, 13.0, 15.0]
    assert ops.average_pool(x, 2).numpy().ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert ops.max_pool(x, (4, 1), 1).numpy().ravel().tolist() == [12.0, 13.0, 14.0, 15.0]
    assert ops.global_average_pool(x).numpy().tolist() == [[7.5]]
    assert ops.global_max_pool(x).numpy().tolist() == [[15.0]]


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


def test_errors_say_what_does_not_fit():
    with pytest.raises(ValueError, match="^max_pool: window 5 is larger than the padded input 4 along H"):
        ops.max_pool(np.zeros((1, 4, 8, 1)), 5)
    with pytest.raises(ValueError, match="^average_pool: x must be"):
        ops.average_pool(np.zeros((4, 8)), 2)
    with pytest.raises(TypeError, match="^max_pool: stride"):
        ops.max_pool(np.zeros((1, 4, 1)), 2, 0.5)
