"""Synthetic pictures: frequencies, views, and what is climbed, where the summit is known."""
import numpy as np
import pytest

import minidl as md
from minidl import nn
from minidl.testing import gradcheck
from minidl.visualize import strength, synthesize
from minidl.visualize.frequencies import Series, basis, colour_root
from minidl.visualize.views import draw_view, view

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


@pytest.mark.parametrize("n", [1, 2, 3, 8, 15])
def test_the_basis_is_fouriers(n):
    waves, f = basis(n)
    np.testing.assert_allclose(waves @ waves.T, np.eye(n), atol=1e-12)
    power = np.abs(np.fft.fft(waves, axis=0))           # a wave has its own frequency alone
    for k in range(n):
        assert set(np.flatnonzero(power[:, k] > 1e-9)) == {round(f[k] * n), -round(f[k] * n) % n}


def test_a_series_by_hand():
    c = np.random.default_rng(0).normal(0, 1, (4, 6, 3))
    (rows, f), (columns, g) = basis(4), basis(6)
    scale = 1 / np.maximum(np.hypot(f[:, None], g), 1 / 6)
    x = np.einsum("ik,jl,klc->ijc", rows, columns, scale[..., None] * c) @ colour_root(3)
    found = Series((4, 6), 3, (-1, 3), "float64")(md.tensor(c)).numpy()
    np.testing.assert_allclose(found, -1 + 4 / (1 + np.exp(-x)), rtol=1e-12)
    assert (colour_root(5) == np.eye(5)).all()
    grey = np.ones(3) @ np.linalg.inv(colour_root(3))   # black and white is what varies most
    assert np.argmax(np.abs(grey)) == 0


@pytest.mark.parametrize("sizes", [(7,), (5, 6), (3, 4, 5)])
def test_a_view_is_linear(sizes):
    rng = np.random.default_rng(0)
    matrix, shift = draw_view(rng, len(sizes), 3, 30, 0.2)
    x = rng.normal(0, 1, (*sizes, 2))
    gradcheck(lambda x: view(x, matrix, shift), x, order=2)
    ones = view(md.tensor(np.ones((*sizes, 1))), matrix, shift).numpy()
    np.testing.assert_allclose(ones, 1, rtol=1e-12)     # the weights of the corners add up to 1


def test_views_that_are_known():
    x = np.random.default_rng(0).normal(0, 1, (5, 5, 2))
    seen = lambda matrix, shift: view(md.tensor(x), np.array(matrix, float), shift).numpy()
    np.testing.assert_allclose(seen([[1, 0], [0, 1]], (0, 0)), x)
    np.testing.assert_allclose(seen([[1, 0], [0, 1]], (2, -1)), np.roll(x, (-2, 1), (0, 1)))
    np.testing.assert_allclose(seen([[1, 0], [0, 1]], (0.25, 0)),
                               0.75 * x + 0.25 * np.roll(x, -1, 0))
    np.testing.assert_allclose(seen([[0, 1], [-1, 0]], (0, 0)), np.rot90(x), atol=1e-12)


def test_drawn_views():
    for seed in range(20):
        matrix, shift = draw_view(np.random.default_rng(seed), 3, 2, 15, 0.1)
        factor = np.linalg.det(matrix) ** (1 / 3)
        turn = matrix / factor
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert 1 / 1.1 <= factor <= 1.1 and np.trace(turn) >= 1 + 2 * np.cos(np.radians(15)) - 1e-9
        assert (np.abs(shift) <= 2).all()


def filters(ndim, channels, dead=False):
    """A convolution and a ReLU, and the greatest activation that pixels in 0..255 can give to each
    unit."""
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[ndim](
        channels, 3, 3, rng=np.random.default_rng(ndim)
    )
    w = conv.weight.numpy()
    most, grey = (255 * part.sum(tuple(range(ndim + 1))) for part in (np.maximum(w, 0), w / 2))
    if dead:                                            # on grey, and near it
        conv.bias.data = md.tensor(-(0.7 * grey + 0.3 * most), dtype="float32").data
        most = most + conv.bias.numpy()
    return nn.Sequential({"conv": conv, "relu": nn.ReLU()}), most


@pytest.mark.parametrize("ndim, channels", [(1, 1), (2, 1), (2, 3), (2, 5), (3, 1)])
def test_the_summit_is_near(ndim, channels):
    net, most = filters(ndim, channels)
    heights = []
    picture = synthesize(net, "relu", 1, (10,) * ndim, channels=channels, steps=40,
                         learning_rate=0.1,
                         callback=lambda step, height: heights.append((step, height)))
    assert picture.shape == (10,) * ndim + (channels,) and picture.dtype == np.float32
    assert 0 <= picture.min() and picture.max() <= 255
    assert strength(net, picture, "relu", 1, most=2) > 0.65 * most[1]
    assert [step for step, _ in heights] == list(range(40)) and heights[-1][1] > heights[0][1]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_from_a_dead_relu(ndim):
    net, most = filters(ndim, 1, dead=True)
    grey = np.full((10,) * ndim + (1,), 127.5, "float32")
    assert strength(net, grey, "relu", 2, most=0) == 0
    picture = synthesize(net, "relu", 2, (10,) * ndim, channels=1, steps=40, learning_rate=0.1)
    assert strength(net, picture, "relu", 2, most=2) > 0.5 * most[2]


def test_a_unit_without_places_and_other_values():
    rng = np.random.default_rng(0)
    net = nn.Sequential({"conv": nn.Conv2d(1, 3, 3, rng=rng), "norm": nn.BatchNorm(3),
                         "relu": nn.ReLU(),
                         "flatten": nn.Flatten(), "dense": nn.Dense(3 * 64, 4, rng=rng)})
    net.size, net.channels = 10, 1
    picture = synthesize(net, "dense", 3, steps=30, values=(-1, 1), learning_rate=0.1, jitter=0,
                         rotation=0, scale=0)
    noise = synthesize(net, "dense", 3, steps=1, learning_rate=0, values=(-1, 1))
    assert picture.shape == (10, 10, 1) and np.abs(picture).max() <= 1 and np.abs(noise).max() < 0.2
    assert (
        strength(net, picture, "dense", 3, most=0) > strength(net, noise, "dense", 3, most=0) + 0.2
    )
    assert net.training and all(parameter.grad is None for parameter in net.parameters())


def test_the_same_seed_and_ctrl_c():
    net, _ = filters(2, 3)
    one, again, other = (synthesize(net, "relu", 0, 8, steps=4, rng=seed) for seed in (0, 0, 1))
    assert (one == again).all() and (one != other).any()

    def stop(step, height):
        if step == 3:
            raise KeyboardInterrupt

    assert (synthesize(net, "relu", 0, 8, steps=100, callback=stop) == one).all()


def test_sizes_and_values_of_numpy():
    net = nn.Sequential({"conv": nn.Conv2d(3, 2, 3, rng=0)})
    for values in ((np.float64(0), np.float64(9)), np.array([0.0, 9.0])):
        made = synthesize(net, "conv", 0, np.int64(8), steps=2, values=values)
        assert made.shape == (8, 8, 3) and made.dtype == np.float32
    with pytest.raises(ValueError, match="strength: a picture must be .* got shape \\(0, 8, 3\\)"):
        strength(net, made[:0], "conv", 0)


def test_strength_by_hand():
    net = nn.Sequential({"mean": nn.AveragePool(2), "relu": nn.ReLU()})
    picture = np.zeros((4, 4, 1), "float32")
    picture[:2, :2] = 1  # all of one window; moved by one along one axis, half of it
    assert strength(net, picture, "relu", 0, most=0) == 1
    found = strength(net, picture[::-1], "relu", 0, shifts=400, most=1)
    rows = [1, 1, 0.5]  # up, as it lies, down, where the border goes on
    assert found == pytest.approx(np.mean([max(r, 0.5) * c for r in rows for c in rows]), abs=0.2)


@pytest.mark.parametrize("options, error, words", [
    ({"layer": "relu9"}, ValueError, "layer 'relu9' is none of conv, relu"),
    ({"unit": 3}, ValueError, "layer 'relu' has the units 0 to 2, got 3"),
    ({"unit": -1}, ValueError, "layer 'relu' has the units 0 to 2, got -1"),
    ({"unit": "eye"}, TypeError, "unit must be one integer"),
    ({"size": 0}, ValueError, r"size\[0\] must be an integer ≥ 1"),
    ({"size": (4, 4, 4, 4)}, ValueError, "size must be of 1 to 3"),
    ({"steps": 0}, ValueError, "steps must be an integer ≥ 1"),
    ({"jitter": -1}, ValueError, "jitter must be in 0 ≤ jitter"),
    ({"values": (1, 1)}, ValueError, r"values must be \(least, greatest\)"),
    ({"net": nn.ReLU()}, TypeError, "net must be a nn.Sequential"),
])
def test_bad_input(options, error, words):
    arguments = {"net": filters(2, 3)[0], "layer": "relu", "unit": 0, "size": 8,
                 "steps": 1} | options
    with pytest.raises(error, match=f"^synthesize: {words}"):
        synthesize(**arguments)
    with pytest.raises(ValueError, match="^strength: layer 'relu' has the units 0 to 2, got 7"):
        strength(filters(2, 3)[0], np.zeros((8, 8, 3)), "relu", 7)
