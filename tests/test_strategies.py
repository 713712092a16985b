"""The strategies: what they draw is what they say, shrinks to small cases, and finds minidl's
operations right.

Convolution and pooling on geometries drawn by them are in test_convolution.py and test_pooling.py.
"""
import subprocess
import sys

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.tensor import record
from minidl.testing import GradientError, adjointcheck, gradcheck, strategies

repeatable = settings(database=None, derandomize=True, max_examples=300, deadline=None)


def smallest(strategy, condition=lambda drawn: True):
    return find(strategy, condition, settings=repeatable)


def examples(strategy):
    """The first 1,000 that are drawn: of rare kinds there are a few, too."""
    found = []
    settings(repeatable, max_examples=1000,
             phases=[Phase.generate])(given(strategy)(lambda drawn: found.append(drawn)))()
    return found


# --- arrays

@given(strategies.arrays(low=-0.5, high=3.0))
def test_arrays(x):
    assert x.dtype == np.float64 and 1 <= x.ndim <= 3 and max(x.shape) <= 4
    assert np.all((x >= -0.5) & (x <= 3.0)) and np.all(x * 64 == np.round(x * 64))
    np.testing.assert_array_equal(x.astype("float32"), x)
    gradcheck(lambda x: ops.softmax(ops.gelu(x)), x, order=2, mode="directional", allow_zero=True,
              atol=1e-9)


@given(st.data())
def test_arrays_of_drawn_shapes(data):
    shape = data.draw(strategies.shapes(min_dims=0, max_dims=2, min_side=0, max_side=2))
    for strategy in (strategies.arrays(shape, dtype="float32"),
                     strategies.tie_free(shape, dtype="float32"),
                     strategies.away_from([0], shape, dtype="float32")):
        x = data.draw(strategy)
        assert x.shape == shape and x.dtype == np.float32
    x = data.draw(strategies.arrays(strategies.shapes(3, 3)))
    assert x.ndim == 3


@given(strategies.tie_free(gap=0.25))
def test_tie_free(x):
    gaps = np.diff(np.sort(x, axis=None))
    assert np.all(gaps > 0.249) and abs(x.mean()) < 1e-12
    for axis in range(x.ndim):
        gradcheck(lambda x, axis=axis: (ops.max(x, axis), ops.min(x, axis)), x, order=2,
                  mode="full")
    np.testing.assert_array_equal(ops.argmax(x).numpy(), np.argmax(x))


@given(strategies.away_from([-1, 0, 0.5], gap=0.2))
def test_away_from(x):
    assert all(np.all(np.abs(x - p) >= 0.2) for p in (-1, 0, 0.5)) and np.all(np.abs(x) <= 2)
    for f in (
        ops.relu,
        ops.absolute,
        ops.elu,
        lambda x: ops.clip(x, -1.0, 0.5),
        lambda x: ops.maximum(x, -x),
    ):
        gradcheck(f, x, order=2, mode="directional", allow_zero=True, atol=1e-9)
    gradcheck(lambda x: 1 / x + ops.log(ops.square(x)), x, order=3, mode="directional",
              allow_zero=True)


@given(strategies.broadcastable(3))
def test_broadcastable(abc):
    a, b, c = abc
    shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
    y = ops.where(ops.greater(a, 0), a * md.tensor(b), c)
    assert y.shape == shape
    np.testing.assert_allclose(y.numpy(), np.where(a > 0, a * b, c))
    gradcheck(lambda a, b, c: a * b - ops.sin(c) * b, a, b, c, order=2, mode="directional",
              allow_zero=True, atol=1e-9)


@given(strategies.noncontiguous())
def test_noncontiguous(x):
    assert x.size > 1 and not x.flags.c_contiguous
    for f in (
        ops.exp,
        ops.cumsum,
        ops.softmax,
        lambda x: ops.pad(x, 1, mode="edge"),
        ops.flatten,
        lambda x: x[::-1],
    ):
        copy = np.ascontiguousarray(x)
        np.testing.assert_allclose(f(md.tensor(x)).numpy(), f(md.tensor(copy)).numpy(), rtol=1e-15)
        gradcheck(f, x, mode="directional", atol=1e-9, allow_zero=True)


@given(strategies.noncontiguous(strategies.tie_free((2, 3))))
def test_noncontiguous_of_another_strategy(x):
    np.testing.assert_allclose(np.sort(x, axis=None), 0.1 * np.arange(6) - 0.25)
    assert x.shape == (2, 3) and not x.flags.c_contiguous


# --- axes, keys, subscripts

@given(st.data())
def test_axes(data):
    x = data.draw(strategies.tie_free(strategies.shapes(min_dims=0)))
    axis, keepdims = data.draw(strategies.axes(x.ndim)), data.draw(st.booleans())
    for name in "sum", "mean", "max", "min", "var":
        ours = getattr(ops, name)(x, axis, keepdims)
        np.testing.assert_allclose(ours.numpy(), getattr(np, name)(x, axis=axis, keepdims=keepdims),
                                   rtol=1e-12, atol=1e-12)
        gradcheck(lambda x, name=name: getattr(ops, name)(x, axis, keepdims), x, mode="directional",
                  allow_zero=True,
                  atol=1e-9)
    for wrong in x.ndim, -x.ndim - 1, (0, 0):
        with pytest.raises(ValueError, match="^sum: "):
            ops.sum(x, wrong)


@given(st.data())
def test_indices(data):
    x = data.draw(strategies.arrays(strategies.shapes(min_dims=0, min_side=0)))
    key = data.draw(strategies.indices(x.shape))
    np.testing.assert_array_equal(ops.index(x, key).numpy(), x[key])
    added = x.copy()
    np.add.at(added, key, 2.0)
    np.testing.assert_allclose(ops.add_at(x, key, 2.0).numpy(), added)
    gradcheck(lambda x: ops.index(x, key), x, order=2, mode="directional", allow_zero=True)
    u = np.random.default_rng(0).normal(size=x[key].shape)
    adjointcheck(lambda x: ops.index(x, key), lambda u: ops.scatter(u, key, x.shape), x, u,
                 allow_zero=True)


def test_indices_of_every_kind():
    def kinds(key):
        parts = key if isinstance(key, tuple) else (key,)
        arrays = [i for i, part in enumerate(parts) if isinstance(part, np.ndarray)
                  and part.dtype.kind == "i"]
        between = parts[arrays[0]:arrays[-1]] if arrays else ()
        return {"integer": any(isinstance(part, (int, np.integer)) for part in parts),
                "backwards": any(isinstance(part, slice) and (part.step or 1) < 0
                                 for part in parts),
                "new axis": any(part is None for part in parts),
                "ellipsis": any(part is Ellipsis for part in parts),
                "mask": any(isinstance(part, np.ndarray) and part.dtype == bool for part in parts),
                "arrays": len(arrays) == 3, "negative": any(np.any(parts[i] < 0) for i in arrays),
                "array, slice, array": any(isinstance(part, slice) for part in between)}
    found = [kinds(key) for key in examples(strategies.indices((2, 3, 2)))]
    assert [kind for kind in found[0] if not any(kinds[kind] for kinds in found)] == []


@given(strategies.einsum_cases())
def test_einsum(case):
    expected = np.einsum(case.subscripts, *case.operands)
    np.testing.assert_allclose(ops.einsum(case.subscripts, *case.operands).numpy(), expected,
                               rtol=1e-12, atol=1e-12)
    gradcheck(lambda *operands: ops.einsum(case.subscripts, *operands), *case.operands, order=2,
              mode="directional",
              allow_zero=True)


def test_einsum_of_every_kind():
    def lengths(case, letter="i"):
        """All lengths that a letter has in operands without an ellipsis."""
        terms = case.subscripts.partition("->")[0].split(",")
        return {n for letters, shape in zip(terms, case.shapes) if "." not in letters
                for name, n in zip(letters, shape) if name == letter}

    cases = examples(strategies.einsum_cases())
    for shows in (lambda case: "..." in case.subscripts, lambda case: "ii" in case.subscripts,
                  lambda case: "->" in case.subscripts, lambda case: "->" not in case.subscripts,
                  lambda case: len(case.shapes) == 3, lambda case: case.subscripts.endswith("->"),
                  lambda case: 1 in lengths(case) and len(lengths(case)) > 1):
        assert any(map(shows, cases))


# --- geometry

by_dimension = pytest.mark.parametrize("ndim", [1, 2, 3])


def sizes(n, k, s, p, d):
    """How many places a window has, by moving it along."""
    return sum(start + d * (k - 1) < n + 2 * p for start in range(0, n + 2 * p, s))


@by_dimension
@given(data=st.data())
def test_legal_geometry(ndim, data):
    case = data.draw(strategies.conv_cases(ndim))
    o = case.options
    places = tuple(map(sizes, case.x_shape[1:-1], case.w_shape[:-2], o["stride"], o["padding"],
                       o["dilation"]))
    assert case.y_shape == (case.x_shape[0], *places, case.w_shape[-1]) and min(places) > 0
    assert (case.x.shape, case.w.shape, case.u.shape) == (case.x_shape, case.w_shape, case.y_shape)
    assert eval(repr(case), vars(strategies)) == case               # what is printed recreates it
    assert ops.conv(case.x, case.w, **case.options).shape == case.y_shape

    case = data.draw(strategies.pool_cases(ndim))
    places = tuple(map(sizes, case.x_shape[1:-1], case.window, case.stride, case.padding,
                       (1,) * ndim))
    assert case.y_shape == (case.x_shape[0], *places, case.x_shape[-1]) and min(places) > 0
    assert len(np.unique(np.round(case.x, 6))) == case.x.size
    assert eval(repr(case), vars(strategies)) == case
    assert ops.max_pool(case.x, *case.arguments).shape == case.u.shape == case.y_shape


@by_dimension
@given(data=st.data())
def test_illegal_geometry_raises(ndim, data):
    """ValueError, in every operation that takes the geometry; nothing is ever computed."""
    case = data.draw(strategies.illegal_conv_cases(ndim))
    for given_w in case.w, md.tensor(case.w, requires_grad=True):
        with pytest.raises(ValueError, match="^conv: "):
            ops.conv(case.x, given_w, **case.options)
    case = data.draw(strategies.illegal_pool_cases(ndim))
    for name in "max_pool", "average_pool", "max_pool_with_switches":
        with pytest.raises(ValueError, match=f"^{name}: "):
            getattr(ops, name)(case.x, *case.arguments)


@by_dimension
def test_every_way_to_break_a_geometry_is_drawn(ndim):
    for strategy, ways in (
            (strategies.illegal_conv_cases,
             {"window", "no taps", "stride", "padding", "dilation", "channels", "groups",
                                             "filters", "axes of x", "axes of w", "length"}),
            (strategies.illegal_pool_cases,
             {"too large", "half", "window", "stride", "padding", "axes", "length"})):
        assert {case.broken for case in examples(strategy(ndim))} == ways
        case = smallest(strategy(ndim), lambda case: case.broken == "length")
        assert case.y_shape is None and case.seed == 0 and max(case.x_shape) == 1


# --- small cases

@by_dimension
def test_geometry_shrinks_to_ones(ndim):
    one = (1,) * ndim
    case = smallest(strategies.conv_cases(ndim))
    assert case == strategies.ConvCase((1, *one, 1), (*one, 1, 1), (1, *one, 1), dict(
        stride=one, padding=(0,) * ndim, dilation=one, groups=1))
    assert smallest(strategies.pool_cases(ndim)) == strategies.PoolCase(
        (1, *one, 1), (1, *one, 1), one, one, (0,) * ndim)


def test_geometry_shrinks_to_what_is_asked():
    case = smallest(strategies.conv_cases(2),
                    lambda case: case.options["dilation"][1] > 1 and case.w_shape[1] > 1)
    assert case.options == dict(stride=(1, 1), padding=(0, 1), dilation=(1, 2),
                                groups=1) or case.x_shape == (1, 1, 3, 1)
    assert case.w_shape == (1, 2, 1, 1) and case.seed == 0
    case = smallest(strategies.pool_cases(1),
                    lambda case: case.y_shape[1] > 1 and case.stride[0] == 2)
    assert case.x_shape == (1, 3, 1) and (case.window, case.padding) == ((1,), (0,))


def test_arrays_shrink():
    assert smallest(strategies.arrays()).tolist() == [0.0]
    assert smallest(strategies.arrays(low=0.5)).tolist() == [0.5]
    assert smallest(strategies.arrays(), lambda x: x.max() > 1).tolist() == [1 + 1 / 64]
    np.testing.assert_allclose(smallest(strategies.tie_free(), lambda x: x.size > 2),
                               [-0.1, 0.0, 0.1])
    assert smallest(strategies.away_from([0])).tolist() == [7 / 64]
    assert [x.tolist() for x in smallest(strategies.broadcastable(2))] == [0.0, 0.0]
    assert smallest(strategies.noncontiguous()).tolist() == [0.0, 0.0]
    assert smallest(strategies.axes(3)) is None
    assert smallest(strategies.einsum_cases(), lambda case: len(case.shapes) > 1).shapes == ((), ())


def test_a_failure_shrinks_to_the_smallest_input():
    """A gradient that is wrong only beside other rows is shown with two rows of one zero each."""
    def f(x):
        return record(x.data + 0.0, (x, lambda gy: gy * (1.0 if len(x) == 1 else 2.0)))

    def fails(x):
        try:
            gradcheck(f, x)
        except GradientError:
            return True
        return False
    assert smallest(strategies.arrays(), fails).tolist() in ([0.0, 0.0], [[0.0], [0.0]])


# --- what cannot be drawn

def test_what_cannot_be_drawn():
    with pytest.raises(ValueError,
                       match="^arrays: there is no multiple of 1/64 between 0.001 and 0.002"):
        strategies.arrays(low=0.001, high=0.002)
    with pytest.raises(ValueError, match=r"^away_from: nothing between -1.0 and 1.0 is at least "
                                         r"3.0 away from \[0\]"):
        strategies.away_from([0], gap=3.0, low=-1.0, high=1.0)
    with pytest.raises(TypeError, match="^away_from: points must be a list of numbers, got int"):
        strategies.away_from(0)
    with pytest.raises(TypeError, match="^strategies: shape must be an integer or several"):
        strategies.arrays(2.5)


def test_hypothesis_is_asked_for_when_it_is_needed():
    code = """
import sys
sys.modules["hypothesis"] = None                    # as if it were not installed
import minidl as md
md.testing.gradcheck(md.ops.exp, [1.0])
assert "strategies" in dir(md.testing)
for use in "md.testing.strategies", "__import__('minidl.testing.strategies')":
    try:
        eval(use)
    except ImportError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = (
        "minidl.testing.strategies draws with Hypothesis, which is missing: pip install hypothesis"
    )
    assert done.stdout.splitlines() == [line, line]
    code = "import sys, minidl as md; md.testing.gradcheck; print('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True,
                          text=True).stdout == "False\n"
    with pytest.raises(AttributeError, match="module 'minidl.testing' has no attribute 'strategy'"):
        print(md.testing.strategy)
