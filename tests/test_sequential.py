"""Networks of named layers: what they are asked for, their parts, their geometry, layers of given
weights."""
import weakref

import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.models.face_resnet import BLOCKS

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def drawn(*shape, seed=0, **options):
    return md.tensor(np.random.default_rng(seed).standard_normal(shape), **options)


def small_net(**options):
    """Five layers under seven names."""
    rng, options = np.random.default_rng(0), {"padding": 1, "dtype": "float64", **options}
    return nn.Sequential({
        "conv1": nn.Conv2d(3, 4, 3, rng=rng, **options), "relu1": nn.ReLU(), "pool1": nn.MaxPool(2),
        ("conv2", "relu2"): nn.ConvReLU(4, 5, 3, rng=rng, **options),
        ("conv3", "relu3"): nn.ConvReLU(5, 2, 3, rng=rng, **options)})


def face_net():
    """A face ResNet that knows no face."""
    rng, previous, filters = np.random.default_rng(0), 32, {"conv32_down": (7, 7, 3, 32)}
    for name, (channels, _) in BLOCKS.items():
        filters |= {f"{name}.conv1": (3, 3, previous, channels),
                    f"{name}.conv2": (3, 3, channels, channels)}
        previous = channels
    filters = {name: (rng.standard_normal(shape, "float32") / shape[0] / shape[2] ** 0.5,
                      np.zeros(shape[3:], "float32"))
               for name, shape in filters.items()}
    return md.models.FaceResNet(filters, rng.standard_normal((256, 128), "float32"))


NAMES = ["conv1", "relu1", "pool1", "conv2", "relu2", "conv3", "relu3"]


def by_hand(net, x):
    """Every output of small_net, {name: Tensor}."""
    seen = {}
    for name in NAMES:
        if name.startswith("conv"):
            x = ops.conv(x, net[name].weight, net[name].bias, padding=1)
        else:
            x = ops.max_pool(x, 2) if name == "pool1" else ops.relu(x)
        seen[name] = x
    return seen


def test_names_and_states():
    net = small_net()
    assert net.names == NAMES and len(net) == 5
    assert nn.Sequential(nn.ReLU(), nn.Tanh()).names == ["0", "1"]
    assert list(net.state_dict())[:3] == ["layers.conv1.weight", "layers.conv1.bias",
                                          "layers.conv2.weight"]
    assert "layers.conv2: ConvReLU(4, 5, 3, padding=1)" in repr(net)
    other = small_net().load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other[-1].weight.numpy(), net["relu3"].weight.numpy())


def test_every_output_by_name():
    net, x = small_net(), drawn(2, 4, 6, 3, requires_grad=True)
    expected = by_hand(net, x)
    for asked in ["relu3"], NAMES, ("pool1", "conv2"), iter(["conv3", "relu2", "conv3"]), "relu1":
        asked = asked if isinstance(asked, str) else list(asked)
        seen = net(x, layers=asked)
        assert list(seen) == [name for name in NAMES if name in asked]  # in the network's order
        for name, value in seen.items():
            np.testing.assert_array_equal(value.numpy(), expected[name].numpy())
            cotangent = drawn(*value.shape, seed=1)
            for one, other in zip(md.grad(value, [x, net[0].weight], cotangent),
                                  md.grad(expected[name], [x, net[0].weight], cotangent)):
                np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(net(x).numpy(), expected["relu3"].numpy())


class Watch(nn.Module):
    """x + 1, in a list of weak references to all that came out."""

    def __init__(self, seen):
        self.seen = lambda: seen

    def forward(self, x):
        y = x + 1
        self.seen().append(weakref.ref(y))
        return y


def test_it_computes_no_further_and_keeps_nothing():
    seen = []
    net = nn.Sequential({name: Watch(seen) for name in "abcdef"})
    with md.no_grad():
        found = net(md.tensor([1.0]), ["b", "d"])
        assert [y() is not None for y in seen] == [False, True, False, True]
        assert found["d"].item() == 5
        walk = net.walk(md.tensor([1.0]), ["b", "e"])
        seen.clear()
        name, b = next(walk)
        assert (name, b.item(), len(seen)) == ("b", 3, 2)  # the deeper ones are not there yet
        del b
        name, e = next(walk)
        assert [y() is not None for y in seen] == [False] * 4 + [True] and next(walk, None) is None


def test_parts_are_the_same_layers():
    net, x = small_net(), drawn(1, 4, 4, 3)
    assert net["pool1"] is net[2] and net["relu2"] is net[3] and type(net["conv2"]) is nn.Conv2d
    cut = net[2:4]
    assert cut.names == ["pool1", "conv2", "relu2"] and cut[0] is net[2] and cut[1] is net[3]
    for name in NAMES:
        head, tail = net.part(upto=name), net.part(after=name)
        assert head.names + tail.names == NAMES
        np.testing.assert_array_equal(head(x).numpy(), net(x, name)[name].numpy())
        np.testing.assert_allclose(tail(head(x)).numpy(), net(x).numpy(), rtol=1e-12)
    middle = net.part("relu1", "conv3")
    assert middle.names == ["pool1", "conv2", "relu2", "conv3"]
    assert middle[-1].weight is net["conv3"].weight
    assert type(middle[-1]) is nn.Conv2d and net.part("conv2", "conv2").names == []
    assert net.part().names == NAMES
    with pytest.raises(ValueError, match="Sequential: part: 'relu1' comes before 'conv2'"):
        net.part("conv2", "relu1")


def test_geometry():
    net = small_net(padding=(1, 0), dilation=2)
    assert net.geometry() == [
        ("conv1", "Conv2d", 3, 1, (1, 0), 2), ("relu1", "ReLU", 1, 1, 0, 1),
        ("pool1", "MaxPool", 2, 2, 0, 1),
        ("conv2", "Conv2d", 3, 1, (1, 0), 2), ("relu2", "ReLU", 1, 1, 0, 1),
        ("conv3", "Conv2d", 3, 1, (1, 0), 2), ("relu3", "ReLU", 1, 1, 0, 1)]
    for layer in nn.BatchNorm(2), nn.Dense(2, 2,
                                           rng=0), nn.Softmax(), nn.Dropout(rng=0), nn.LeakyReLU():
        assert nn.Sequential(layer).geometry()[0][2:] == (1, 1, 0, 1)
    for layer in (
        nn.Flatten(),
        nn.GlobalMaxPool(),
        nn.Softmax(0),
        nn.ConvTranspose1d(1, 1, 3, rng=0),
        nn.Sequential(),
    ):
        assert nn.Sequential(layer).geometry()[0][2:] == (None,) * 4
    assert nn.Sequential(nn.AveragePool((3, 2),
                                        padding=1)).geometry()[0][2:] == ((3, 2), (3, 2), 1, 1)
    assert nn.Sequential(nn.ConvReLU(1, 1, 5, rng=0)).geometry()[0][1:] == ("ConvReLU", 5, 1, 0, 1)


def test_receptive_fields_follow_from_the_geometry():
    """The pixels that a gradient reaches are those that the recurrence of size, jump and start
    names."""
    ones = lambda shape, rng: np.ones(shape)
    net = nn.Sequential({
        "conv1": nn.Conv2d(1, 1, 3, padding=1, stride=2, initializer=ones, rng=0),
        "pool1": nn.AveragePool(2),
        ("conv2", "relu2"): nn.ConvReLU(1, 1, 2, dilation=2, padding=1, initializer=ones, rng=0)})
    x = md.tensor(np.ones((1, 40, 40, 1)), dtype="float32", requires_grad=True)
    size, jump, start = 1, 1, 0
    for name, _, kernel, stride, padding, dilation in net.geometry():
        size, start = size + dilation * (kernel - 1) * jump, start - padding * jump
        jump *= stride
        for place in 2, 3:
            y = net(x, name)[name]
            reached = np.flatnonzero(md.grad(y[0, place, place, 0], x)[0].numpy().any((0, 2, 3)))
            first = start + place * jump
            assert (reached[0], reached[-1]) == (first, first + size - 1)


@pytest.mark.parametrize("layers, error, words", [
    ({1: nn.ReLU()}, TypeError, r"name must be a text, or several a tuple of texts, got \(1,\)"),
    ({(): nn.ReLU()}, TypeError, r"got \(\)"), ({"": nn.ReLU()}, TypeError, "name must be a text"),
    ({"a": ops.relu}, TypeError, "layer a must be a Module, got <function relu"),
    ({"a": nn.ReLU}, TypeError, r"write ReLU\(…\)"),
    ([nn.ReLU()], TypeError, r"got \[ReLU\(\)\]; write Sequential\(\*layers\)"),
    ({"a": nn.ReLU(), ("b", "a"): nn.ConvReLU(1, 1, 1, rng=0)}, ValueError,
     "another layer has a name of b, a"),
    ({("a", "a"): nn.ConvReLU(1, 1, 1, rng=0)}, ValueError, "another layer has a name of a, a"),
    ({("a", "b"): nn.ReLU()}, ValueError, r"a, b are 2 names, but ReLU\(\) is 1 layers in one"),
    ({("a", "b", "c"): nn.ConvReLU(1, 1, 1, rng=0)}, ValueError,
     r"3 names, but ConvReLU\(1, 1, 1\) is 2 layers in one"),
])
def test_what_is_no_network(layers, error, words):
    with pytest.raises(error, match=f"^Sequential: .*{words}"):
        nn.Sequential(layers)


@pytest.mark.parametrize("ask, error, words", [
    (lambda net, x: net(x, ["relu1", "relu9"]), ValueError,
     r"layers \['relu9'\] are not among conv1, relu1, pool1, conv2, relu2, conv3, relu3"),
    (lambda net, x: net(x, []), ValueError, r"layers \[\] are not among conv1"),
    (lambda net, x: net(x, layers=3), TypeError, "layers must be names, got 3"),
    (lambda net, x: net.walk(x, "relu0"), ValueError, r"layers \['relu0'\]"),  # before it is walked
    (lambda net, x: net.walk(x, [["relu1"]]), ValueError, r"layers \[\['relu1'\]\]"),
    (lambda net, x: net["relu0"], ValueError, r"layer \['relu0'\] are not among"),
    (lambda net, x: net[7], IndexError, "position 7 is out of range for 5 layers"),
    (lambda net, x: net[-8], IndexError, "position -8 is out of range for 5 layers"),
    (lambda net, x: net[1.0], TypeError, "the position of a layer must be one integer, got 1.0"),
    (lambda net, x: net.part(after="relu0"), ValueError, r"after \['relu0'\]"),
    (lambda net, x: net.part(upto=2), ValueError, r"upto \[2\]"),
    (lambda net, x: nn.Sequential()(x, "a"), ValueError,
     r"layers \['a'\] are not among its layers, for it has none"),
])
def test_what_a_network_has_not(ask, error, words):
    with pytest.raises(error, match=f"^Sequential: {words}"):
        ask(small_net(), drawn(1, 4, 4, 3))


@pytest.mark.parametrize("make, asked", [
    (lambda: md.models.siamese_encoder(20, widths=(4, 6), features=8, border=2),
     ["light", "relu2", "norm"]),
    (lambda: md.models.siamese_encoder(20, widths=(4,), features=8, nonnegative=True),
     ["conv1", "relu", "unit_length"]),
    (lambda: md.models.CharacterEncoder(16, (4, 5, 6), rng=0),
     ["darkness", "pool3", "norm3", "unit_length"]),
    (face_net, ["mean", "conv32_down", "pool", "conv64_down", "conv256_down_out", "dense"])])
def test_the_encoders_are_such_networks(make, asked):
    net = make().eval()
    x = md.tensor(np.random.default_rng(0).uniform(0, 255, (1, net.size, net.size, net.channels)),
                  dtype="float32")
    with md.no_grad():
        seen = net(x, layers=asked)
        assert list(seen) == asked and set(asked) <= set(net.names)
        np.testing.assert_array_equal(seen[asked[-1]].numpy() if asked[-1] == net.names[-1]
                                      else net(x).numpy(),
                                      net.part(after=asked[0])(seen[asked[0]]).numpy())
    names = {name.split(".")[-1] for name in net.state_dict()}
    assert names <= {"weight", "bias", "scale", "shift", "running_mean", "running_variance", "mean"}
    assert net.geometry()[0].kind in ("Light", "Darkness", "Centred")


# ---- layers of given weights

@pytest.mark.parametrize("name, settings, options", [
    ("Dense", (3, 2), {}), ("Dense", (3, 2), {"bias": False}),
    ("Conv1d", (4, 6, 3), {"stride": 2, "groups": 2}),
    ("Conv2d", (3, 2, (3, 2)), {"padding": 1}),
    ("Conv3d", (1, 2, 2), {"bias": False, "dtype": "float64"}),
    ("ConvReLU", (2, 3, 3), {"dilation": 2}),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "groups": 2}),
    ("ConvTranspose2d", (3, 2, 4), {"stride": 2, "output_padding": 1, "padding": 1})])
def test_a_layer_of_given_weights(name, settings, options, device):
    layer = getattr(nn, name)(*settings, rng=0, **options)
    options = getattr(layer, "movement", dict)()
    if hasattr(layer, "output_padding"):
        options["output_padding"] = layer.output_padding
    arrays = layer.weight.numpy(), None if layer.bias is None else layer.bias.numpy()
    copied, shared = (type(layer).from_weights(*pair, **options)
                      for pair in (arrays, (layer.weight, layer.bias)))
    assert repr(copied) == repr(shared) == repr(layer) and copied.weight.dtype == layer.weight.dtype
    assert shared.weight is layer.weight and shared.bias is layer.bias
    arrays[0][...] = 0                                              # of the caller, who may do so
    assert copied.weight.requires_grad and copied.weight.device == device
    shape = {2: (5, layer.weight.shape[0])}.get(layer.weight.ndim) or (
        2, *(7,) * layer.dimensions, layer.in_channels)
    x = drawn(*shape, dtype="float32")
    np.testing.assert_array_equal(copied(x).numpy(), layer(x).numpy())
    assert [name for name, _ in copied.named_parameters()] == [
        name for name, _ in layer.named_parameters()
    ]


@pytest.mark.parametrize("make, error, words", [
    (lambda: nn.Conv2d.from_weights(np.ones((3, 3, 4))), ValueError,
     r"Conv2d: weight must be \(\*K, C/groups, O\) with 2 sizes K, got shape \(3, 3, 4\)"),
    (lambda: nn.ConvTranspose1d.from_weights(np.ones((3, 4))), ValueError,
     r"weight must be \(\*K, O/groups, C\)"),
    (lambda: nn.Conv1d.from_weights(np.ones((3, 2, 4)), np.ones(2)), ValueError,
     r"Conv1d: bias must have one entry for each of the 4 channels that weight \(3, 2, 4\) gives, "
     r"got shape \(2,\)"),
    (lambda: nn.Conv1d.from_weights(np.ones((3, 2, 4)), groups=3), ValueError,
     "groups=3 must divide"),
    (lambda: nn.Conv1d.from_weights(np.ones((3, 2, 4)), groups="two"), ValueError,
     "Conv1d: groups must be an integer"),
    (lambda: nn.Conv1d.from_weights(np.ones((3, 0, 4))), ValueError,
     "Conv1d: in_channels must be an integer ≥ 1, got 0"),
    (lambda: nn.ConvReLU.from_weights(np.ones((1, 1, 1, 1), int)), TypeError,
     "ConvReLU: weight must hold floating-point numbers, got int64"),
    (lambda: nn.Conv2d.from_weights("weights"), TypeError,
     "Conv2d: weight must be an array or a Parameter, got str"),
    (lambda: nn.Dense.from_weights(np.ones(3)), ValueError,
     r"Dense: weight must be \(in, out\), got shape \(3,\)"),
    (lambda: nn.Dense.from_weights(np.ones((3, 2)), np.ones(3)), ValueError,
     "Dense: bias must have one entry .* 2 columns"),
])
def test_weights_that_make_no_layer(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_names_are_asked_for_in_python():
    net = nn.Sequential({("conv", "relu"): nn.ConvReLU(3, 2, 3, rng=0), "pool": nn.MaxPool(2)})
    assert "conv" in net and "relu" in net and "pool" in net and "conv2" not in net
    x = md.tensor(np.random.default_rng(0).standard_normal((1, 8, 8, 3), "float32"))
    for name in ("conv", "relu"):
        np.testing.assert_array_equal(net[name](x).numpy(), net(x, layers=[name])[name].numpy())
    assert net["conv"].weight is net["relu"].weight


@pytest.mark.parametrize("options, words", [
    ({"dtype": "float64"}, "dtype is given by the weight"),
    ({"rng": 1}, "rng is given by the weight"),
    ({"kernel_size": 3}, "kernel_size is given")])
def test_given_weights_decide(options, words):
    with pytest.raises(TypeError, match=words):
        nn.Conv2d.from_weights(np.ones((3, 3, 2, 4), "float32"), **options)


def test_given_weights_have_one_type():
    with pytest.raises(ValueError, match="one dtype, got float32 and float64"):
        nn.Conv2d.from_weights(np.ones((3, 3, 2, 4), "float32"), np.zeros(4))
