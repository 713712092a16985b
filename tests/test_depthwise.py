"""Depthwise convolution: the fast kernels against the definition; gradients, digits, edges."""
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_arrays import drawn
import numpy as np
import pytest

import minidl as md
from minidl import kernels, nn, ops
from minidl.kernels import plain
from minidl.kernels.fast import convolution, depthwise
from minidl.kernels.geometry import Geometry
from minidl.parallel import threads
from minidl.testing import gradcheck

CONTRACTIONS = "conv", "conv_input", "conv_weight"


@pytest.fixture(autouse=True)
def few_channels_are_enough(monkeypatch):
    monkeypatch.setattr(depthwise, "FEW", 2)


def arrays(g, images=2, dtype="float64"):
    """x, w and u."""
    shapes = (images, *g.sizes, g.groups), (*g.kernel, 1, g.groups), (images, *g.output, g.groups)
    return [drawn(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def arguments(g, x, w, u):
    return {"conv": (x, w, None, g), "conv_input": (u, w, g), "conv_weight": (x, u, g)}


def check(g, x, w, u):
    """All three contractions are what plain.py says."""
    for name, given_arrays in arguments(g, x, w, u).items():
        found, expected = (getattr(m, name)(*given_arrays) for m in (convolution, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@st.composite
def geometries(draw, axes):
    def several(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * axes))

    kernel, stride, dilation, padding = several(1, 4), several(1, 4), several(1, 3), several(0, 3)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    sizes = tuple(max(n, r - 2 * p) for n, r, p in zip(several(1, 9), reach, padding))
    return Geometry(sizes, kernel, stride, padding, dilation, draw(st.integers(2, 5)))


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_geometry_is_what_is_defined(axes, data):
    """Wherever strips cut the pictures, however long rows are, and for any number of threads."""
    g = data.draw(geometries(axes))
    x, w, u = arrays(g, data.draw(st.integers(1, 3), "images"))
    b = drawn(g.groups, seed=3, dtype="float64")
    values = {"BUDGET": (200, 2 ** 20), "LONG": (1, 8, 1024), "MANY": (2, 256)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "WORTHWHILE", 1)
        patch.setenv("MINIDL_NUM_THREADS", str(data.draw(st.integers(1, 3), "threads")))
        for name in values:
            patch.setattr(depthwise, name, data.draw(st.sampled_from(values[name]), name))
        check(g, x, w, u)
        np.testing.assert_allclose(convolution.conv(x, w, b, g, rectified=True),
                                   np.maximum(plain.conv(x, w, b, g), 0), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("g", [
    Geometry((7,), (3,), (2,), (2,), (2,), 3),
    Geometry((5, 6), (3, 2), (1, 2), (1, 0), (2, 1), 2),
    Geometry((3, 4, 5), (2, 3, 2), (2, 1, 3), (0, 1, 1), (1, 1, 2), 2)], ids=str)
def test_plain_loops(g):
    """y, x̄ and w̄, one product after the other."""
    x, w, u = arrays(g)
    found = {name: np.zeros_like(like) for name, like in zip(CONTRACTIONS, (u, x, w))}
    places = product(range(len(x)), np.ndindex(g.output), np.ndindex(g.kernel), range(g.groups))
    for n, p, k, c in places:
        i = tuple(s * a + d * b - pad
                  for s, a, d, b, pad in zip(g.stride, p, g.dilation, k, g.padding))
        if all(0 <= a < size for a, size in zip(i, g.sizes)):
            found["conv"][(n, *p, c)] += x[(n, *i, c)] * w[(*k, 0, c)]
            found["conv_input"][(n, *i, c)] += u[(n, *p, c)] * w[(*k, 0, c)]
            found["conv_weight"][(*k, 0, c)] += x[(n, *i, c)] * u[(n, *p, c)]
    for name, given_arrays in arguments(g, x, w, u).items():
        np.testing.assert_allclose(getattr(convolution, name)(*given_arrays), found[name],
                                   rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [("float16", 2e-3), ("float32", 1e-6),
                                              ("float64", 1e-14)])
@pytest.mark.parametrize("g", [
    Geometry((300,), (3,), (1,), (1,), (1,), 20),
    Geometry((33, 70), (3, 3), (1, 1), (1, 1), (1, 1), 40),
    Geometry((64, 33), (3, 5), (2, 2), (1, 2), (1, 1), 16),
    Geometry((6, 9, 11), (3, 3, 3), (1, 2, 1), (1, 1, 1), (1, 1, 2), 24)], ids=str)
def test_types(g, dtype, tolerance, monkeypatch):
    """Behind the door, which leads here; float16 is added up in float32."""
    monkeypatch.setenv("MINIDL_CONV", "auto")
    led, applies = [], depthwise.applies
    monkeypatch.setattr(depthwise, "applies", lambda *a: led.append(applies(*a)) or led[-1])
    x, w, u = arrays(g, dtype=dtype)
    wide = arguments(g, *(a.astype("float64") for a in (x, w, u)))
    for name, given_arrays in arguments(g, x, w, u).items():
        made, expected = getattr(kernels, name)(*given_arrays), getattr(plain, name)(*wide[name])
        assert made.dtype == dtype
        assert abs(made - expected).max() <= tolerance * abs(expected).max()
        again = getattr(kernels, name)(*given_arrays)
        np.testing.assert_array_equal(made, again)                      # same run, bit for bit
    summed, bias = kernels.conv_weight(x, u, g, bias=True)
    np.testing.assert_array_equal(summed, kernels.conv_weight(x, u, g))
    expected = u.sum(tuple(range(u.ndim - 1)), "float64")
    assert bias.dtype == dtype
    assert abs(bias - expected).max() <= 10 * tolerance * abs(expected).max()
    assert led and all(led)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradients(axes, device):
    o = {"stride": (2, 1, 1), "padding": (1, 1, 1), "dilation": (1, 2, 1)}
    o = {name: value[:axes] for name, value in o.items()}
    g = Geometry((5, 4, 3)[:axes], (3, 2, 2)[:axes], *o.values(), 3)
    (x, w, u), options, check = arrays(g), o | {"groups": 3}, dict(order=2, mode="directional")
    gradcheck(lambda x, w, b: ops.conv(x, w, b, **options), x, w, np.ones(3), **check)
    gradcheck(lambda u, w: ops.conv_input(u, w, g.sizes, **options), u, w, **check)
    gradcheck(lambda x, u: ops.conv_weight(x, u, g.kernel, **options), x, u, **check)


@pytest.mark.parametrize("shape, kernel, padding", [
    ((1, 2 ** 21, 2), 1, 0), ((1, 1024, 1024, 2), 3, 1), ((2, 1024, 512, 2), 1, 0),
    ((1, 1024, 32, 32, 2), 1, 0), ((2 ** 18, 4, 2), 1, 0)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_sums_keep_their_digits(shape, kernel, padding, stride):
    """Σ 0.1² over many places: in float32, added one by one, the fourth digit would be wrong."""
    axes = len(shape) - 2
    g = Geometry(shape[1:-1], *[(n,) * axes for n in (kernel, stride, padding, 1)], 2)
    x, u = np.full(shape, 0.1, "float32"), np.full((shape[0], *g.output, 2), 0.1, "float32")
    centre = depthwise.conv_weight(x, u, g)[(kernel // 2,) * axes]
    exact = float(np.float32(0.1)) ** 2 * u[..., 0].size
    np.testing.assert_allclose(centre, exact, rtol=3e-6)


@pytest.mark.parametrize("images, sizes", [(0, (5, 6)), (0, (4,)), (2, (5, 6))])
def test_no_pictures_and_one_channel(images, sizes, device):
    x = md.tensor(drawn(images, *sizes, 3), requires_grad=True)
    w = md.tensor(drawn(*[3] * len(sizes), 1, 3, seed=1), requires_grad=True)
    y = ops.conv(x, w, groups=3)
    of_x, of_w = md.grad(y.sum(), [x, w])
    assert (of_x.shape, of_w.shape, y.shape[-1]) == (x.shape, w.shape, 3)
    one = ops.conv(x[..., :1], w[..., :1], groups=1)
    np.testing.assert_allclose(one.numpy(), y.numpy()[..., :1], rtol=1e-5, atol=1e-6)
    if images == 0:
        assert not of_w.numpy().any()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("stride", [1, 2])
def test_infinities_stay_where_they_are_seen(stride, value):
    g = Geometry((6, 7), (3, 3), (stride, stride), (1, 1), (1, 1), 16)
    x, w, u = arrays(g)
    x[0, 2, 3, 1] = u[1, 1, 1, 2] = value
    check(g, x, w, u)


def test_inputs_that_lie_apart_stay_as_they_were():
    g = Geometry((9, 8), (3, 3), (1, 2), (0, 0), (1, 1), 16)
    apart = [np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1) for a in arrays(g)]
    before = [a.copy() for a in apart]
    check(g, *apart)
    for one, other in zip(apart, before):
        np.testing.assert_array_equal(one, other)


def test_a_layer_by_groups(device):
    """As MobileNet has it: each channel by itself, the odd pixel of padding after."""
    x = md.tensor(drawn(1, 6, 7, 16))
    layer = nn.Conv2d(16, 16, 3, stride=2, padding="same", groups=16, rng=0)
    padded, w = np.pad(x.numpy(), [(0, 0), (0, 1), (1, 1), (0, 0)]), layer.weight.numpy()
    expected = layer.bias.numpy() + sum(padded[:, i:i + 5:2, j:j + 7:2] * w[i, j, 0]
                                        for i, j in np.ndindex(3, 3))
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)
