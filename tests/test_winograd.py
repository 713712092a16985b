"""Winograd's convolution is the direct one, in all its forms and strips."""
from kernel_arrays import close, drawn
import numpy as np
import pytest

import minidl as md
from minidl import backend, kernels
from minidl.kernels.fast import convolution, winograd
from minidl.kernels.geometry import Geometry


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("sizes, channels", [
    ((40, 41), (32, 33)), ((43, 42), (40, 32)), ((160, 9), (32, 32)), ((4, 200), (33, 35)),
    ((10, 9), (32, 67))])
def test_winograd_equals_the_direct_product(monkeypatch, sizes, channels, padding):
    monkeypatch.setenv("MINIDL_CONV", "winograd")
    x, w, b = drawn(3, *sizes, channels[0]), drawn(3, 3, *channels,
                                                   seed=1), drawn(channels[1], seed=2)
    g = Geometry(sizes, (3, 3), (1, 1), (padding, padding), (1, 1), 1)
    assert winograd.applies(x, w, g)
    direct = convolution._correlate(x, w, b, g)
    close(kernels.conv(x, w, b, g), direct)
    u = drawn(*direct.shape, seed=3)
    # float64 is always direct
    exact = kernels.conv_input(u.astype("float64"), w.astype("float64"), g)
    close(kernels.conv_input(u, w, g), exact.astype("float32"))
    exact = kernels.conv_weight(x.astype("float64"), u.astype("float64"), g)
    close(kernels.conv_weight(x, u, g), exact.astype("float32"))
    monkeypatch.setattr(winograd, "BUDGET", 1)
    close(winograd.conv_weight(x, u, g), exact.astype("float32"))


def test_what_is_remembered_of_a_dead_array_is_not_another_ones():
    """Where its end went unnoticed, as Ctrl-C came at that moment."""
    double = winograd.once(lambda w: 2 * w)
    w = np.ones(3)
    assert double(w) is double(w)
    with pytest.raises(ValueError, match="read-only"):
        w *= 2
    (_, of_dead), = double.found.items()
    del w
    assert not double.found
    w = np.zeros(3)
    double.found[id(w),] = of_dead
    assert (double(w) == 0).all()
    del w
    assert not double.found


@pytest.mark.parametrize("algorithm", ["auto", "winograd", "plain"])
def test_nothing_between_the_borders(monkeypatch, algorithm):
    """Padding alone is convolved, and its gradient is empty."""
    monkeypatch.setenv("MINIDL_CONV", algorithm)
    x, w = md.tensor(np.zeros((1, 0, 60, 64), "float32"),
                     True), md.tensor(np.ones((3, 3, 64, 64), "float32"), True)
    y = md.ops.conv(x, w, padding=2)
    assert y.shape == (1, 2, 62, 64) and not y.numpy().any()
    gx, gw = md.grad(y, [x, w], np.ones(y.shape, "float32"))
    assert gx.shape == x.shape and gw.shape == w.shape and not gw.numpy().any()


def test_what_is_chosen_by_counting():
    """A tile of 4×4 with 64 channels: 16·9·64² against 36·(64² + 36·64 + 16·64)."""
    assert winograd.gain(160, 10, (64, 64)) == pytest.approx(589_824 / 267_264)
    for size, channels, form in [(32, (64, 64), winograd.F4), (32, (64, 32), winograd.F4),
                                 (32, (16, 32), None),
                                 (5, (64, 64), None), (16, (64, 64), winograd.F2)]:
        assert winograd.choose((1, size, size), channels, np) is form, (size, channels)
        assert winograd.choose((1, size, size), channels, np, wherever=True) is winograd.F4


@pytest.mark.parametrize("padding, chosen", [(0, winograd.F4), (1, None), (2, winograd.F4)])
def test_tiles_of_the_result_are_counted(monkeypatch, padding, chosen):
    """From 10×10 places 8×8 or 12×12 tile evenly, 10×10 do not; and so for the adjoint."""
    asked = []
    monkeypatch.setattr(winograd, "choose",
                        lambda *a, choose=winograd.choose, **k: asked.append(choose(*a, **k)))
    size = 8 + 2 * padding
    x, w, u = drawn(16, 10, 10, 48), drawn(3, 3, 48, 48), drawn(16, size, size, 48)
    g = Geometry((10, 10), (3, 3), (1, 1), (padding, padding), (1, 1), 1)
    kernels.conv(x, w, None, g)
    kernels.conv_weight(x, u, g)
    # to 10×10, back to these
    around = Geometry((size, size), (3, 3), (1, 1), (2 - padding, 2 - padding), (1, 1), 1)
    kernels.conv_input(x, w, around)
    assert asked == [chosen] * 3


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("sizes, channels",
                         [((1, 16, 15), (64, 96)), ((2, 8, 7), (64, 128)), ((1, 12, 9), (100, 65)),
                                             ((3, 5, 6), (65, 64)), ((1, 10, 10), (512, 512))])
def test_winograd_with_few_tiles_equals_the_direct_product(sizes, channels, padding):
    x, w, b = drawn(*sizes, channels[0]), drawn(3, 3, *channels, seed=1), drawn(channels[1], seed=2)
    g = Geometry(sizes[1:], (3, 3), (1, 1), (padding, padding), (1, 1), 1)
    exact = kernels.conv(*(a.astype("float64") for a in (x, w, b)), g)
    close(winograd.conv(x, w, b, g, winograd.F2, False), exact.astype("float32"))
    close(winograd.conv(x, w, b, g, winograd.F2, True), np.maximum(exact, 0).astype("float32"))
    adjoint = kernels.conv_input(exact, w.astype("float64"), g)
    close(winograd.conv_input(exact.astype("float32"), w, g, winograd.F2),
          adjoint.astype("float32"))


@pytest.mark.parametrize("budget", [1, 10_000, 300_000])
def test_winograd_in_strips(monkeypatch, budget):
    x, filters = drawn(2, 23, 18, 5), winograd.transformed(drawn(3, 3, 5, 4), winograd.F4, False)
    matrices, found = (winograd.F4.output, winograd.F4.input), []
    for padding in ((0, 0), (1, 2)):
        for size in (budget, 2 ** 30):
            monkeypatch.setattr(winograd, "BUDGET", size)
            found.append(winograd.correlate(x, filters, matrices, None, padding, winograd.F4))
        close(*found[-2:])


@pytest.mark.parametrize("channels", [(32, 96), (64, 128), (40, 72), (7, 65)])
def test_winograd_with_filters_that_serve_both_directions(monkeypatch, channels):
    """Large filters that meet few tiles are kept once: that changes nothing but rounding."""
    x, w, b = drawn(1, 22, 17, channels[0]), drawn(3, 3, *channels,
                                                   seed=1), drawn(channels[1], seed=2)
    u = drawn(1, 22, 17, channels[1], seed=3)
    g = Geometry((22, 17), (3, 3), (1, 1), (1, 1), (1, 1), 1)

    def both():
        return winograd.conv(x, w, b, g, winograd.F4,
                             True), winograd.conv_input(u, w, g, winograd.F4)

    apart = both()
    monkeypatch.setattr(winograd, "SHARED", 0)
    for shared, own in zip(both(), apart):
        close(shared, own)
    assert any(key[0] == id(w) for key in winograd.shared.found)


@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
@pytest.mark.parametrize("sizes, channels", [((90, 91), (64, 65)), ((5, 9), (3, 70))])
def test_winograd_on_every_device(device, sizes, channels, algorithm, monkeypatch):
    """Pictures large enough for a GPU, and a few tiles only because it is asked for."""
    monkeypatch.setenv("MINIDL_CONV", algorithm)
    x, w, b = drawn(2, *sizes, channels[0]), drawn(3, 3, *channels,
                                                   seed=1), drawn(channels[1], seed=2)
    there = [backend.asarray(array, device=backend.device(device)) for array in (x, w, b)]
    g = Geometry(sizes, (3, 3), (1, 1), (1, 1), (1, 1), 1)
    found = kernels.conv(*there, g, rectified=True)
    close(backend.to_host(found), np.maximum(convolution._correlate(x, w, b, g), 0))
    u = drawn(*found.shape, seed=3)
    there.append(backend.asarray(u, device=backend.device(device)))
    exact = kernels.conv_input(u.astype("float64"), w.astype("float64"), g)
    close(backend.to_host(kernels.conv_input(there[3], there[1], g)), exact.astype("float32"))
    exact = kernels.conv_weight(x.astype("float64"), u.astype("float64"), g)
    close(backend.to_host(kernels.conv_weight(there[0], there[3], g)), exact.astype("float32"))


@pytest.mark.parametrize("form", [winograd.F4, winograd.F2])
def test_winograd_matrices_filter_one_row_exactly(form):
    """Aᵀ[(G w) ⊙ (Bᵀ d)] on small whole numbers is the outputs of the filter."""
    d, w = np.array([3, -1, 4, 1, -5, 9.0])[:form.side], np.array([2, -7, 1.0])
    np.testing.assert_allclose(form.a_t @ ((form.g @ w) * (form.b_t @ d)), np.correlate(d, w),
                               rtol=1e-12)


def test_winograd_matrices_of_the_adjoint_turn_the_filter_around():
    d, w = np.array([3, -1, 4, 1, -5, 9.0]), np.array([2, -7, 1.0])
    a_t, b_t = winograd._adjoint(winograd.F4.a_t, winograd.F4.g, winograd.F4.b_t)
    np.testing.assert_allclose(a_t @ ((winograd.F4.g @ w) * (b_t @ d)), np.correlate(d, w[::-1]),
                               rtol=1e-12)


@pytest.mark.parametrize("transform, options", [
    (winograd.shared, [()]),
    (winograd.transformed, [(winograd.F4, False), (winograd.F4, True), (winograd.F2, True)])])
def test_transformed_filters_are_remembered_as_long_as_the_array_lives(
    monkeypatch, transform, options
):
    # a thread that has not woken up yet would hold w for that moment
    monkeypatch.setenv("MINIDL_NUM_THREADS", "1")

    def held():
        return sum(key[0] == identity for key in transform.found)

    w = drawn(3, 3, 32, 32)
    identity = id(w)
    for choice in options:
        first = transform(w, *choice)
        again = transform(w, *choice)       # not in the assertion, which would keep w
        assert again is first
    assert held() == len(options)
    del w
    assert held() == 0
