"""`kernels/plain.py`, the definition, against loops over single numbers; and what computes the same
sooner against it."""
import math

import numpy as np
import pytest

from minidl import kernels
from minidl.kernels import plain
from minidl.kernels.geometry import Geometry, output_size

GEOMETRIES = 500
contraction = pytest.mark.parametrize("contraction", ["conv", "conv_input", "conv_weight"])


def drawn(rng):
    """(x, w, u, Geometry) of a convolution in 1, 2 or 3 dimensions, with every setting drawn."""
    ndim = int(rng.integers(1, 4))
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, high + 1, ndim)))
                                for high in (3, 3, 2))
    padding = tuple(map(int, rng.integers(0, 3, ndim)))
    sizes = tuple(max(1, d * (k - 1) + 1 - 2 * p) + int(rng.integers(0, 4))
                  for d, k, p in zip(dilation, kernel, padding))
    groups = int(rng.integers(1, 4))
    g = Geometry(sizes, kernel, stride, padding, dilation, groups)
    n, channels, filters = map(int, rng.integers(1, 3, 3))
    return (rng.normal(size=(n, *sizes, groups * channels)),
            rng.normal(size=(*kernel, channels, groups * filters)),
            rng.normal(size=(n, *g.output, groups * filters)), g)


def products(x_shape, w_shape, u_shape, g):
    """Every (index into x, index into w, index into u) whose product the trilinear form adds up."""
    channels, filters = w_shape[-2], w_shape[-1] // g.groups
    for n, *p in np.ndindex(u_shape[:-1]):
        for k in np.ndindex(g.kernel):
            at = tuple(s * pi + d * ki - q
                       for s, pi, d, ki, q in zip(g.stride, p, g.dilation, k, g.padding))
            if all(0 <= i < size for i, size in zip(at, g.sizes)):
                for o in range(w_shape[-1]):
                    for c in range(channels):
                        yield (n, *at, o // filters * channels + c), (*k, c, o), (n, *p, o)


def test_the_three_contractions_equal_loops_over_single_numbers():
    rng = np.random.default_rng(0)
    for _ in range(GEOMETRIES):
        x, w, u, g = drawn(rng)
        y, x_bar, w_bar = np.zeros_like(u), np.zeros_like(x), np.zeros_like(w)
        for i, j, k in products(x.shape, w.shape, u.shape, g):
            y[k] += x[i] * w[j]
            x_bar[i] += u[k] * w[j]
            w_bar[j] += x[i] * u[k]
        np.testing.assert_allclose(plain.conv(x, w, None, g), y, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(plain.conv_input(u, w, g), x_bar, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(plain.conv_weight(x, u, g), w_bar, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("algorithm", ["strips", "winograd", "auto"])
def test_every_algorithm_equals_the_definition(algorithm, monkeypatch):
    monkeypatch.setenv("MINIDL_CONV", algorithm)
    rng = np.random.default_rng(1)
    for _ in range(GEOMETRIES):
        x, w, u, g = drawn(rng)
        b = rng.normal(size=w.shape[-1])
        np.testing.assert_allclose(kernels.conv(x, w, b, g), plain.conv(x, w, b, g), rtol=1e-10,
                                   atol=1e-11)
        np.testing.assert_allclose(kernels.conv_input(u, w, g), plain.conv_input(u, w, g),
                                   rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(kernels.conv_weight(x, u, g), plain.conv_weight(x, u, g),
                                   rtol=1e-10, atol=1e-11)


def pooled(rng):
    """(x, Geometry) of a pooling, whose padding is at most half the window."""
    ndim = int(rng.integers(1, 4))
    kernel, stride = (tuple(map(int, rng.integers(1, 4, ndim))) for _ in range(2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    sizes = tuple(max(1, k - 2 * p) + int(rng.integers(0, 4)) for k, p in zip(kernel, padding))
    # with ties
    x = rng.integers(-2, 3,
                     (int(rng.integers(1, 3)), *sizes, int(rng.integers(1, 3)))).astype(float)
    return x, Geometry(sizes, kernel, stride, padding, (1,) * ndim, 1)


def window(x, n, p, c, g):
    """(number of the offset, value) of all that a window sees of x, without the padding."""
    for number, k in enumerate(np.ndindex(g.kernel), 1):
        at = tuple(s * pi + ki - q for s, pi, ki, q in zip(g.stride, p, k, g.padding))
        if all(0 <= i < size for i, size in zip(at, g.sizes)):
            yield number, x[(n, *at, c)]


def test_pooling_equals_loops_over_single_numbers_and_what_is_sooner_equals_it():
    rng = np.random.default_rng(2)
    for _ in range(GEOMETRIES):
        x, g = pooled(rng)
        if rng.random() < 0.2:
            x[rng.random(x.shape) < 0.5] = -math.inf
        y, switches = plain.max_pool(x, g)
        for n, *p, c in np.ndindex(y.shape):
            inside = list(window(x, n, p, c, g))
            # the first of those that are largest
            number, value = max(inside, key=lambda pair: pair[1])
            assert (y[(n, *p, c)], switches[(n, *p, c)]) == (value, number)
        u, finite = rng.normal(size=y.shape), np.nan_to_num(x, neginf=-9.0)
        fast, found = kernels.max_pool(x, g, find=True)
        np.testing.assert_array_equal(fast, y)
        np.testing.assert_array_equal(found, switches)
        for name, array, rest in (("select", finite, (switches,)), ("unpool", u, (switches,)),
                                  ("window_mean", finite, ()), ("spread", u, ())):
            np.testing.assert_allclose(getattr(kernels, name)(array, *rest, g),
                                       getattr(plain, name)(array, *rest, g),
                                       rtol=1e-12, atol=1e-13, err_msg=name)
        mean = plain.window_mean(finite, g)
        for n, *p, c in list(np.ndindex(mean.shape))[:5]:
            total = sum(value for _, value in window(finite, n, p, c, g))
            np.testing.assert_allclose(mean[(n, *p, c)], total / math.prod(g.kernel), rtol=1e-12,
                                       atol=1e-13)


def test_places_that_a_tap_sees():
    """14 numbers, a filter of 3 taps, stride 2, dilation 2: 5 places, and tap 1 sees numbers 2, 4,
    … of the padded row."""
    g = Geometry((14,), (3,), (2,), (0,), (2,), 1)
    assert g.output == (output_size(14, 3, 2, 0, 2),) == (5,)
    assert np.arange(14)[plain.seen((1,), g)[1]].tolist() == [2, 4, 6, 8, 10]


@contraction
def test_the_definition_runs_on_the_strict_device(contraction):
    from strict_device import StrictArray
    rng = np.random.default_rng(3)
    x, w, u, g = drawn(rng)
    given = {"conv": (x, w, None, g), "conv_input": (u, w, g),
             "conv_weight": (x, u, g)}[contraction]
    there = [StrictArray(v) if isinstance(v, np.ndarray) else v for v in given]
    made = getattr(plain, contraction)(*there)
    assert isinstance(made, StrictArray)
