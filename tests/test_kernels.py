"""The kernels behind convolution: every algorithm and strip size gives the same."""
import os

from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_arrays import close, drawn
import numpy as np
import pytest

import minidl as md
from minidl import kernels
from minidl.kernels.algorithm import ALGORITHMS
from minidl.kernels.fast import winograd
from minidl.kernels.fast.fold import fold
from minidl.kernels.fast.views import pad, padded_rows
from minidl.kernels.geometry import Geometry
from minidl.parallel import threads


@pytest.mark.parametrize("g, channels", [
    (Geometry((13, 17), (3, 3), (1, 1), (1, 1), (1, 1), 1), (8, 5)),
    (Geometry((16, 15), (5, 4), (1, 2), (2, 0), (1, 1), 1), (6, 16)),
    (Geometry((19, 70), (7, 3), (2, 1), (3, 2), (1, 1), 1), (9, 3)),
    (Geometry((12, 19), (3, 5), (1, 1), (0, 0), (1, 2), 1), (8, 4)),
    (Geometry((21, 14), (4, 3), (1, 1), (0, 2), (3, 1), 1), (16, 8)),
    (Geometry((15, 13), (3, 3), (1, 1), (1, 0), (1, 1), 2), (24, 10)),
    (Geometry((8, 7, 9), (3, 2, 3), (1, 1, 1), (1, 0, 2), (1, 1, 1), 1), (5, 4)),
    (Geometry((13, 70), (5, 5), (1, 1), (2, 2), (1, 1), 1), (1, 4)),
    (Geometry((19, 140), (7, 3), (2, 2), (3, 0), (1, 2), 2), (4, 6)),
    (Geometry((12, 9, 9), (5, 2, 3), (1, 1, 1), (1, 0, 1), (1, 1, 1), 1), (3, 4))])
@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("strip_size", [2 ** 21, 3000])
def test_columns_in_strips(monkeypatch, g, channels, images, strip_size):
    """They are what is defined, wherever strips cut the pictures."""
    def all_three():
        return (
            kernels.conv(x, w, b, g),
            kernels.conv(x, w, None, g, rectified=True),
            kernels.conv_input(u, w, g),
            kernels.conv_weight(x, u, g),
        )

    strips = threads.strips
    for module in "parallel.threads", "kernels.fast.convolution":
        monkeypatch.setattr(f"minidl.{module}.strips",
                            lambda *a: strips(*a[:4], strip_size, *a[5:]))
    w, b = drawn(*g.kernel, channels[0] // g.groups, channels[1]), drawn(channels[1])
    x = drawn(images, *g.sizes, channels[0], seed=1)
    u = drawn(images, *g.output, channels[1], seed=2)
    found = {}
    for algorithm in "plain", "strips":
        monkeypatch.setenv("MINIDL_CONV", algorithm)
        found[algorithm] = all_three()
    for defined, in_strips in zip(*found.values(), strict=True):
        close(in_strips, defined)


def folded(u, w, b, g):
    """conv_input as its formula says, product by product, plus b."""
    x = np.zeros((len(u), *(n + 2 * p + s * (d * k) for n, p, s, d, k in
                            zip(g.sizes, g.padding, g.stride, g.dilation, g.kernel)), g.groups,
                  w.shape[-2]))
    split = u.reshape(*u.shape[:-1], g.groups, -1), w.reshape(*w.shape[:-1], g.groups, -1)
    for place in np.ndindex(g.output):
        for tap in np.ndindex(g.kernel):
            at = tuple(s * p + d * k for s, p, d, k in zip(g.stride, place, g.dilation, tap))
            x[(slice(None), *at)] += np.einsum("ngo,cgo->ngc", split[0][(slice(None), *place)],
                                               split[1][tap])
    inside = tuple(slice(p, p + n) for p, n in zip(g.padding, g.sizes))
    x = x[(slice(None), *inside)]
    return x.reshape(*x.shape[:-2], -1) + b


@given(data=st.data())
def test_fold_is_what_its_formula_says(data):
    """Whatever the geometry, and wherever strips cut the pictures."""
    def several(low, high):
        return data.draw(st.tuples(*[st.integers(low, high)] * axes))

    axes = data.draw(st.integers(1, 3))
    sizes = several(1, 7)
    kernel = several(1, 4)
    stride = several(1, 4)
    dilation = several(1, 3)
    padding = several(0, 3)
    sizes = tuple(max(n, d * (k - 1) + 1 - 2 * p)
                  for n, d, k, p in zip(sizes, dilation, kernel, padding))
    groups, channels, outputs = data.draw(
        st.sampled_from([(1, 1, 3), (1, 24, 2), (1, 70, 4), (2, 3, 4), (3, 25, 1)])
    )
    g = Geometry(sizes, kernel, stride, padding, dilation, groups)
    rng = np.random.default_rng(0)
    u = rng.standard_normal((2, *g.output, groups * outputs))
    w = rng.standard_normal((*kernel, channels, groups * outputs))
    b = rng.standard_normal(groups * channels)
    strips = threads.strips
    budget = data.draw(st.sampled_from([500, 2**22]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl.parallel.threads.strips", lambda *a: strips(*a[:4], budget, *a[5:]))
        patch.setattr("minidl.kernels.fast.product.SMALL",
                      data.draw(st.sampled_from([1000, 10 ** 6])))
        expected = folded(u, w, b, g)
        np.testing.assert_allclose(fold(u, w, b, g), expected, atol=1e-11)
        np.testing.assert_allclose(fold(u, w, None, g, True), np.maximum(expected - b, 0),
                                   atol=1e-11)


@given(data=st.data())
def test_lines_of_padded_pictures(data):
    sizes = data.draw(st.tuples(*[st.integers(1, 5)] * data.draw(st.integers(1, 3))))
    widths = [data.draw(st.tuples(*[st.integers((1 - n) // 2, 4)] * 2)) for n in sizes]
    x = drawn(3, *sizes, 2)
    padded = pad(x, widths)
    cut = tuple(slice(max(-before, 0), n - max(-after, 0))
                for n, (before, after) in zip(sizes, widths))
    np.testing.assert_array_equal(padded, np.pad(
        x[(slice(None),) + cut],
        [(0, 0), *((max(before, 0), max(after, 0)) for before, after in widths), (0, 0)]))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, padded.shape[1])] * 2)))
    images = slice(*sorted(data.draw(st.tuples(*[st.integers(0, 3)] * 2))))
    np.testing.assert_array_equal(padded_rows(x, images, slice(first, last), widths),
                                  padded[images, first:last])


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(algorithm, data):
    """Odd sizes, rows of one pixel, channels 1 to 5 (and some at which Winograd pays), strides,
    uneven strips."""
    n = data.draw(st.integers(1, 3))
    height = data.draw(st.integers(1, 19))
    width = data.draw(st.integers(1, 19))
    channels = data.draw(st.tuples(*[st.sampled_from([1, 2, 3, 4, 5, 32, 33])] * 2), "channels")
    kernel, stride = data.draw(st.sampled_from([((3, 3), (1, 1)), ((3, 2), (2, 3)),
                                                ((1, 1), (1, 1)), ((1, 2), (2, 1))]))
    padding = data.draw(st.integers(max(0, -(-(3 - min(height, width)) // 2)), 2), "padding")
    g = Geometry((height, width), kernel, stride, (padding, padding), (1, 1), 1)
    x = drawn(n, height, width, channels[0])
    w = drawn(*kernel, *channels, seed=1)
    b = drawn(channels[1], seed=2)
    u = drawn(n, *g.output, channels[1], seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "WORTHWHILE", 1)  # small as they are, cut them for all threads
        patch.setenv("MINIDL_CONV", algorithm)
        patch.setenv("MINIDL_NUM_THREADS", str(data.draw(st.integers(1, 3), "threads")))
        double = {name: array.astype("float64") for name, array in dict(x=x, w=w, u=u).items()}
        y = kernels.conv(double["x"], double["w"], None, g)
        close(kernels.conv(x, w, None, g), y.astype("float32"))
        close(kernels.conv(x, w, b, g), (y + b).astype("float32"))
        close(kernels.conv_input(u, w, g),
              kernels.conv_input(double["u"], double["w"], g).astype("float32"))
        gw = kernels.conv_weight(double["x"], double["u"], g).astype("float32")
        close(kernels.conv_weight(x, u, g), gw)
        for found, expected in zip(kernels.conv_weight(x, u, g, bias=True),
                                   (gw, u.sum((0, 1, 2), "float64")), strict=True):
            close(found, expected.astype("float32"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_pictures(algorithm, monkeypatch):
    monkeypatch.setenv("MINIDL_CONV", algorithm)
    g = Geometry((8, 8), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    x, w, u = drawn(0, 8, 8, 4), drawn(3, 3, 4, 5), drawn(0, 8, 8, 5)
    assert kernels.conv(x, w, None, g).shape == u.shape
    assert kernels.conv_input(u, w, g).shape == x.shape
    np.testing.assert_array_equal(kernels.conv_weight(x, u, g), np.zeros_like(w))
    for found, shape in zip(kernels.conv_weight(x, u, g, bias=True), (w.shape, (5,)), strict=True):
        np.testing.assert_array_equal(found, np.zeros(shape))


def test_an_unknown_algorithm(monkeypatch):
    monkeypatch.setenv("MINIDL_CONV", "magic")
    with pytest.raises(ValueError, match="^MINIDL_CONV must be one of auto, plain, strips, "
                                         "winograd, got 'magic'$"):
        kernels.conv(drawn(1, 4, 4, 1), drawn(3, 3, 1, 1), None,
                     Geometry((4, 4), (3, 3), (1, 1), (0, 0), (1, 1), 1))


@pytest.mark.parametrize("threads", ["1", "2"])
def test_padded_strips_of_equal_shape_do_not_see_each_other(monkeypatch, threads):
    """Workspaces are written again: here by other pictures, other layers and other paddings."""
    monkeypatch.setenv("MINIDL_NUM_THREADS", threads)
    # Winograd's algorithm, where it is asked for, leaves paddings of 3 and more to the others
    tolerance = winograd.ERROR if os.environ.get("MINIDL_CONV") == "winograd" else 1e-6
    for turn in range(3):
        for padding in range(6):
            sizes = 10 - padding % 3, 8
            x, w = drawn(2, *sizes, 3, seed=turn), drawn(3, 3, 3, 2, seed=padding)
            padded = np.pad(x, [(0, 0), (padding, padding), (1, 1), (0, 0)])
            g, whole = (Geometry(s, (3, 3), (1, 1), p, (1, 1), 1) for s, p in
                        ((sizes, (padding, 1)), (padded.shape[1:3], (0, 0))))
            close(kernels.conv(x, w, None, g), kernels.conv(padded, w, None, whole), tolerance)


@pytest.mark.parametrize("shape", [(2, 3), (5, 4, 2, 3), (1, 2, 3, 4, 1)])
def test_batch_norm_goes_back_by_the_lines_of_its_rule(shape, device):
    """The kernel that a sweep uses, and the operations that are recorded where it is to be followed
    back."""
    rng = np.random.default_rng(0)
    x, gy = (md.tensor(3 + rng.standard_normal(shape), device=device) for _ in range(2))
    scale, shift = (md.tensor(rng.standard_normal(shape[-1]), device=device) for _ in range(2))
    for t in (x, scale, shift):
        t.requires_grad = True
    for picture, inputs in (x, [x, scale, shift]), (x.detach(), [scale, shift]), (x, [x]):
        y = md.ops.batch_norm(picture, scale, shift)
        swept = md.grad(y, inputs, gy)
        recorded = md.grad(y, inputs, gy, create_graph=True)
        for one, other in zip(swept, recorded):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)
