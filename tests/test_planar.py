"""Convolutions in three dimensions, and with taps that lie apart, by Winograd's algorithm."""
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_arrays import drawn
import numpy as np
import pytest

from minidl import kernels
from minidl.kernels.fast import planar, winograd
from minidl.kernels.geometry import Geometry
from minidl.parallel import threads


def contractions(g, n, channels, outputs):
    """[(function, its arrays, its other arguments)] of all three, on random numbers."""
    x, w, b = drawn(n, *g.sizes, channels), drawn(*g.kernel, channels, outputs,
                                                  seed=1), drawn(outputs, seed=2)
    u = drawn(n, *g.output, outputs, seed=3)
    return [(kernels.conv, (x, w, b), (g,)), (kernels.conv, (x, w, b), (g, True)),
            (kernels.conv_input, (u, w), (g,)),
            (kernels.conv_weight, (x, u), (g,))]


def agree(function, arrays, others):
    found = function(*arrays, *others)
    exact = function(*(a.astype("float64") for a in arrays), *others)          # always direct
    # of sums that do not cancel by chance
    size = np.sqrt(function(*(a.astype("float64") ** 2 for a in arrays), *others))
    assert found.dtype == np.float32 and found.shape == exact.shape
    assert np.abs(found - exact).max() <= winograd.ERROR * max(size.max(), np.abs(exact).max())


@st.composite
def geometries(draw):
    """In two or three dimensions, 3×3 along the last two; sizes of one pixel, grids that do not
    divide, much padding."""
    lead = draw(st.integers(0, 1))
    kernel = (*draw(st.lists(st.integers(1, 4), min_size=lead, max_size=lead)), 3, 3)
    stride = (*draw(st.lists(st.integers(1, 3), min_size=lead, max_size=lead)), 1, 1)
    dilation = tuple(draw(st.lists(st.integers(1, 3), min_size=lead + 2, max_size=lead + 2)))
    padding = tuple(draw(st.integers(0, 4)) for _ in kernel)
    sizes = tuple(draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 11))
                  for d, k, p in zip(dilation, kernel, padding))
    return Geometry(sizes, kernel, stride, padding, dilation, 1)


@settings(deadline=None)
@given(data=st.data())
def test_as_pictures_or_directly(data):
    g = data.draw(geometries())
    n, channels, outputs = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 5),
                                               st.sampled_from([1, 3, 33])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "WORTHWHILE", 1)
        patch.setenv("MINIDL_CONV", "winograd")
        patch.setenv("MINIDL_NUM_THREADS", str(data.draw(st.integers(1, 3), "threads")))
        for case in contractions(g, n, channels, outputs):
            agree(*case)


DEEP = Geometry((5, 24, 24), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1)
APART = Geometry((40, 39), (3, 3), (1, 1), (2, 2), (2, 2), 1)


@pytest.mark.parametrize("g, channels, chosen",
                         [(DEEP, 32, 4), (DEEP, 16, 0), (APART, 64, 4), (APART, 32, 0)])
def test_chosen_where_it_pays(monkeypatch, g, channels, chosen):
    calls = []
    monkeypatch.setenv("MINIDL_CONV", "auto")
    for name in "conv", "conv_weight":
        def spy(*arguments, function=getattr(planar, name)):
            calls.append(function)
            return function(*arguments)
        monkeypatch.setattr(planar, name, spy)
    for case in contractions(g, 2, channels, channels):
        agree(*case)
    assert len(calls) == chosen


@pytest.mark.parametrize("parts", [2, 6, 1000])
@pytest.mark.parametrize("g", [DEEP, APART,
                               Geometry((9, 6, 7), (2, 3, 3), (3, 1, 1), (1, 0, 2), (2, 2, 1), 1)])
def test_slab_by_slab(monkeypatch, g, parts):
    """Some images, some slices of one, or a slice at a time."""
    seen = planar._seen(drawn(3, *g.sizes, 4), g)
    monkeypatch.setattr(planar, "SLAB", seen.nbytes // parts)
    assert len(planar._slabs(seen, g)) == min(3 * np.prod(g.output[:-2], dtype=int), parts)
    monkeypatch.setenv("MINIDL_CONV", "winograd")
    for case in contractions(g, 3, 4, 5):
        agree(*case)


@pytest.mark.parametrize("g", [DEEP, APART])
def test_filters_are_rearranged_once_and_forgotten_with_the_array(monkeypatch, g):
    monkeypatch.setenv("MINIDL_CONV", "winograd")
    x, w, before = drawn(1, *g.sizes, 3), drawn(*g.kernel, 3, 2), len(planar.filters.found)
    for _ in range(2):
        kernels.conv(x, w, None, g)
    assert len(planar.filters.found) == before + 1
    del w
    assert len(planar.filters.found) == before
