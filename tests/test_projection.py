"""Back to the pixels: the three rules of ReLU, that they reach every one, and what holds for
each."""
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.visualize import deconvnet, project, projection, receptive_fields, top_patches

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device

RULES = "gradient", "deconvnet", "guided"


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class Residual(nn.Module):
    """y = relu(x + c₂(relu(c₁(x)))): one ReLU fused, one only called, neither a layer of the
    network."""

    def __init__(self, channels, rng):
        self.conv1 = nn.ConvReLU(channels, channels, 3, padding=1, rng=rng, dtype="float64")
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, rng=rng, dtype="float64")

    def forward(self, x):
        return ops.relu(x + self.conv2(self.conv1(x)))


def small_net():
    """ReLUs as a layer, fused, behind overlapping pooling, and inside of a layer."""
    rng = np.random.default_rng(0)
    return nn.Sequential({
        "conv1": nn.Conv2d(2, 4, 3, padding=1, rng=rng, dtype="float64"), "relu1": nn.ReLU(),
        "pool1": nn.MaxPool(3, 2),
        ("conv2", "relu2"): nn.ConvReLU(4, 5, 3, padding=1, rng=rng, dtype="float64"),
        "residual": Residual(5, rng), "conv3": nn.Conv2d(5, 3, 2, rng=rng, dtype="float64")})


def by_hand(net, x, s, rule):
    """D(s) from conv3, one step after the other."""
    rules = {"gradient": lambda g, y: g * (y > 0), "deconvnet": lambda g, y: np.maximum(g, 0),
             "guided": lambda g, y: np.maximum(g, 0) * (y > 0)}
    back = lambda g, layer, shape, padding=1: ops.conv_input(
        md.tensor(g), layer.weight, shape, padding=padding
    ).numpy()
    y = {name: value.numpy() for name, value in net(md.tensor(x[None]), layers=net.names).items()}
    residual, conv2 = net["residual"], net["conv2"]
    first = residual.conv1(md.tensor(y["relu2"])).numpy()
    size = y["relu2"].shape[1:3]
    g = back(s[None], net["conv3"], size, 0)
    g = rules[rule](g, y["residual"])
    g = g + back(rules[rule](back(g, residual.conv2, size), first), residual.conv1, size)
    g = back(rules[rule](g, y["relu2"]), conv2, size)
    pooled, switches = ops.max_pool_with_switches(md.tensor(y["relu1"]), 3, 2)
    g = rules[rule](ops.unpool(md.tensor(g), switches).numpy(), y["relu1"])
    return back(g, net["conv1"], x.shape[:2])[0]


@pytest.mark.parametrize("rule", RULES)
def test_every_relu_goes_by_the_rule(rule):
    net, x = small_net(), drawn(13, 11, 2)
    s = drawn(*net(md.tensor(x[None])).shape[1:], seed=1)
    expected = by_hand(net, x, s, rule)
    np.testing.assert_allclose(project(net, x, "conv3", s, rule), expected, rtol=1e-9, atol=1e-12)
    others = [project(net, x, "conv3", s, other) for other in RULES if other != rule]
    assert all(np.abs(other - expected).max() > 1e-3 for other in others)
    np.testing.assert_allclose(project(net, x, "conv3", 3 * s, rule), 3 * expected, rtol=1e-9,
                               atol=1e-12)


def test_the_vector_of_springenberg():
    x = [[1, -1, 5], [2, -5, -7], [-3, 2, 4]]
    s = [[-2, 3, -1], [6, -3, 1], [2, -1, 3]]
    expected = {"gradient": [[-2, 0, -1], [6, 0, 0], [0, -1, 3]],
                "deconvnet": [[0, 3, 0], [6, 0, 1], [2, 0, 3]],
                "guided": [[0, 0, 0], [6, 0, 0], [0, 0, 3]]}
    net = nn.Sequential({"relu": nn.ReLU()})
    picture, s = np.array(x, "float32")[..., None], np.array(s, "float32")[..., None]
    for rule, values in expected.items():
        assert project(net, picture, "relu", s, rule)[..., 0].tolist() == values
    assert set(expected) == set(projection.RULES)


def test_gradient_is_what_grad_gives():
    net, x = small_net(), drawn(9, 9, 2)
    t = md.tensor(x[None], requires_grad=True)
    for layer in net.names:
        a = net(t, layer)[layer]
        s = drawn(*a.shape[1:], seed=2)
        expected = md.grad(a, t, md.tensor(s[None]))[0].numpy()[0]
        np.testing.assert_allclose(project(net, x, layer, s, "gradient"), expected, rtol=1e-12,
                                   atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_without_relus_it_is_the_transposed_jacobian(rule):
    rng, x, v = np.random.default_rng(0), drawn(11, 12, 2), drawn(11, 12, 2, seed=1)
    linear = nn.Sequential({
        "conv1": nn.Conv2d(2, 4, 3, 2, padding=1, rng=rng, dtype="float64"),
        "norm": nn.BatchNorm(4, dtype="float64"),
        "pool": nn.AveragePool(3, 1),
        "conv2": nn.Conv2d(4, 3, 2, dilation=2, rng=rng, dtype="float64")})
    linear["norm"].running_variance = md.tensor([0.5, 2.0, 3.0, 0.1]).data
    a, b = (linear.eval()(md.tensor(z[None])).numpy()[0] for z in (x, x + v))
    s = drawn(*a.shape, seed=2)
    assert np.vdot(b - a, s) == pytest.approx(np.vdot(v, project(linear, x, "conv2", s, rule)),
                                              rel=1e-10)
    # maxima scale with x where there is no bias: J x is the output itself
    maxima = nn.Sequential({"conv": nn.Conv2d(2, 4, 3, bias=False, rng=rng, dtype="float64"),
                            "pool": nn.MaxPool(3, 2, 1)})
    a = maxima(md.tensor(x[None])).numpy()[0]
    s = drawn(*a.shape, seed=3)
    assert np.vdot(a, s) == pytest.approx(np.vdot(x, project(maxima, x, "pool", s, rule)),
                                          rel=1e-10)


def test_overlapping_windows_add():
    net = nn.Sequential({"pool": nn.MaxPool(3, 2)})
    x = np.array([0, 1, 9, 2, 3, 0, 8], "float32")[:, None]         # the 9 wins in two windows
    assert project(net, x, "pool", np.array([[1], [10], [100]],
                                            "float32"))[:, 0].tolist() == [0, 0, 11, 0, 0, 0, 100]


@pytest.mark.parametrize("rule", RULES)
def test_one_activation(rule):
    """What one unit made of its box: nothing outside; and it scales with the activation."""
    net, x = small_net(), drawn(17, 16, 2)
    a = net(md.tensor(x[None]), "relu2")["relu2"].numpy()[0]
    field = receptive_fields(net)["relu2"]
    for unit in range(a.shape[-1]):
        position = np.unravel_index(a[..., unit].argmax(), a.shape[:-1])
        found = deconvnet(net, x, "relu2", unit, position, rule)
        s = np.zeros_like(a)
        s[(*position, unit)] = 1
        np.testing.assert_allclose(found, a[(*position, unit)] * project(net, x, "relu2", s, rule),
                                   rtol=1e-9, atol=1e-12)
        reached = np.argwhere(found.any(-1))
        assert found.shape == x.shape and len(reached)
        for places, (low, high) in zip(reached.T, field.box(position)):
            assert low <= places.min() and places.max() < high


def test_signals_volumes_and_scores():
    rng = np.random.default_rng(0)
    for ndim, conv in (1, nn.Conv1d), (3, nn.Conv3d):
        net = nn.Sequential({"conv": conv(1, 2, 3, rng=rng), "relu": nn.ReLU(),
                             "pool": nn.MaxPool(2),
                             "flatten": nn.Flatten(), "dense": nn.Dense(2 * 2 ** ndim, 4, rng=rng)})
        x = drawn(*(6,) * ndim, 1).astype("float32")
        patch = top_patches(net, [x], "pool", [1]).patches[1][0]
        found = deconvnet(net, x, "pool", 1, patch.position)
        assert found.shape == x.shape and found.dtype == np.float32 and found.any()
        assert deconvnet(net, x, "dense", 3, ()).shape == x.shape
    assert deconvnet(net, (9 * abs(x)).astype("uint8"), "conv", 0, (0, 0, 0)).dtype == np.float32


def test_the_network_is_left_as_it_was():
    net, x = small_net(), drawn(9, 9, 2)
    for parameter in net.parameters():
        parameter.grad = None
    t = md.tensor(x[None], requires_grad=True)
    a = net(t)
    before = md.grad(a, t, a)[0].numpy()
    with md.no_grad():
        deconvnet(net, x, "conv3", 0, (0, 0))
    assert (md.grad(a, t, a)[0].numpy() == before).all() and net.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_what_was_made_before_keeps_its_rule():
    """A weight that was computed from others, through a ReLU, has a graph which belongs to somebody
    else."""
    w = md.tensor(drawn(3, 2), requires_grad=True)
    weight = ops.relu(w)

    class Product(nn.Module):
        def forward(self, x):
            return ops.relu(x @ weight)

    net = nn.Sequential({"product": Product()})
    before = md.grad(weight, w, md.tensor(np.full((3, 2), -1.0)))[0].numpy()
    assert before.any() and project(net, drawn(5, 3), "product", np.ones((5, 2))).any()
    assert (md.grad(weight, w, md.tensor(np.full((3, 2), -1.0)))[0].numpy() == before).all()


@pytest.mark.parametrize("options, error, words", [
    ({"layer": "relu9"}, ValueError, "layer 'relu9' is none of conv1, "),
    ({"unit": 4}, ValueError,
     r"layer 'relu1' has the units 0 to 3 at the places \(9, 9\), got unit 4 at \(0, 0\)"),
    ({"position": (0, 9)}, ValueError, r"layer 'relu1' has the units .*, got unit 0 at \(0, 9\)"),
    ({"position": (-1, 0)}, ValueError, "layer 'relu1' has"),
    ({"position": 3}, ValueError, "layer 'relu1' has"),
    ({"position": "middle"}, TypeError, "position must be an integer or several"),
    ({"rule": "magic"}, ValueError, "rule must be one of gradient, deconvnet, guided, got 'magic'"),
    ({"net": nn.ReLU()}, TypeError,
     "net must be a nn.Sequential, whose layers have names, got ReLU"),
    ({"picture": np.zeros(3)}, ValueError, r"a picture must be \(H, W, C\), .* got shape \(3,\)"),
    ({"picture": None}, TypeError, "picture must be a Tensor or an array, got NoneType"),
])
def test_bad_input(options, error, words):
    arguments = {"net": small_net(), "picture": drawn(9, 9, 2), "layer": "relu1", "unit": 0,
                 "position": (0, 0)}
    with pytest.raises(error, match=f"^deconvnet: {words}"):
        deconvnet(**arguments | options)
    with pytest.raises(ValueError, match=r"^project: signal has shape \(9, 9\), layer 'relu1' "
                                         r"gives \(9, 9, 4\)"):
        project(small_net(), drawn(9, 9, 2), "relu1", np.zeros((9, 9)))
