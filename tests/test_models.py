"""VGG: its layers and stopping, the three kinds of weight files, and, where its weights are cached,
the published ones."""
import numpy as np
import pytest

import minidl as md
from minidl import ops, style
from minidl.files import cache_folder
from minidl.models import VGG, vgg19
from minidl.models.vgg import CAFFE_MEAN, CHANNELS, CONVOLUTIONS, layer_names, read_blocks
from minidl.testing import gradcheck
from minidl.weights import FILES, WeightsError

NAMES = [f"{b}_{i}" for b, count in enumerate(CONVOLUTIONS["vgg19"], 1)
         for i in range(1, count + 1)]
# where torchvision's Sequential has VGG-19's convolutions
TORCHVISION = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


def small_net(pooling="max", channels=4):
    drawn, filters, previous = np.random.default_rng(0), [], 3
    for _ in range(3):
        filters.append((drawn.standard_normal((3, 3, previous, channels)).astype("float32"),
                        drawn.standard_normal(channels).astype("float32")))
        previous = channels
    return VGG([filters[:2], filters[2:]], (1.0, 2.0, 3.0), pooling)


def test_layers_by_hand(device):
    net, x = small_net(), md.tensor(np.random.default_rng(1).uniform(0, 9, (2, 6, 4, 3)),
                                    dtype="float32")
    seen = net(x, ["conv1_1", "relu1_2", "pool1", "relu2_1"])

    def conv(x, name):
        return ops.conv(x, net[name].weight, net[name].bias, padding=1)

    conv1 = conv(x - [1.0, 2.0, 3.0], "conv1_1")
    relu2 = ops.relu(conv(ops.relu(conv1), "conv1_2"))
    pool1 = ops.max_pool(relu2, 2)
    expected = {"conv1_1": conv1, "relu1_2": relu2, "pool1": pool1,
                "relu2_1": ops.relu(conv(pool1, "conv2_1"))}
    assert seen.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(seen[name].numpy(), value.numpy(), rtol=1e-4, atol=1e-3)


def test_nothing_is_computed_below_the_deepest_layer():
    net = small_net()
    net["conv1_2"].forward = None   # calling it would raise
    assert net(np.zeros((1, 4, 4, 3)), "relu1_1").keys() == {"relu1_1"}


def test_weights_are_frozen_but_pixels_are_not():
    net, x = small_net("average"), md.tensor(np.ones((1, 4, 4, 3)), dtype="float32",
                                             requires_grad=True)
    assert not any(p.requires_grad for p in net.parameters())
    net(x, ["relu2_1"])["relu2_1"].sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_gradient_of_the_pixels(pooling):
    net = small_net(pooling)
    x = np.random.default_rng(2).uniform(0, 9, (1, 4, 6, 3))
    gradcheck(lambda x: net(x, ["relu1_1", "relu2_1"])["relu2_1"], x, order=2)


@pytest.mark.parametrize("x, layers, words", [
    (np.zeros((1, 4, 4, 3)), ["relu7_1"], "relu7_1"), (np.zeros((1, 4, 4, 3)), [], "layers"),
    (np.zeros((4, 4, 3)), ["relu1_1"],
     r"vgg: x must be \(N, H, W, 3\), RGB in 0..255, got shape \(4, 4, 3\)"),
    (np.zeros((1, 1, 4, 3)), ["relu1_1", "relu2_1"],
     r"vgg: a picture of 1 × 4 pixels is too small: .* at least 2 × 2"),
])
def test_wrong_calls(x, layers, words):
    with pytest.raises(ValueError, match=words):
        small_net()(x, layers)
    with pytest.raises(ValueError, match="pooling"):
        small_net("median")


def fabricated(value=0):
    """Arrays of VGG-19's shapes that take no memory: (filters (O, C, 3, 3), bias (O,)) by name."""
    previous, made = 3, {}
    for name in NAMES:
        out = CHANNELS[int(name[0]) - 1]
        made[name] = np.broadcast_to(np.float32(value),
                                     (out, previous, 3, 3)), np.zeros(out, "float32")
        previous = out
    return made


def test_kinds_of_files_agree():
    """One network written down in each kind of file sees the same."""
    drawn = np.random.default_rng(3)
    first = drawn.integers(0, 256, (64, 3, 3, 3)).astype("uint8")       # (out, in BGR, 3, 3)
    table = np.linspace(-1, 1, 256, dtype="float32")
    eight_bit, torchvision, own = {}, {}, {"layers.mean.mean": np.float32(CAFFE_MEAN)}
    for number, (name, (w, b)) in zip(TORCHVISION, fabricated().items()):
        w_q = first if name == "1_1" else np.broadcast_to(np.uint8(0), w.shape)
        eight_bit |= {f"block{name[0]}_conv{name[2]}_{part}": array
                      for part, array in (("W_q", w_q), ("W_table", table), ("b", b))}
        rgb = table[w_q][:, ::-1] if name == "1_1" else w
        deviation = np.float32([0.229, 0.224, 0.225])[:, None, None] * 255 if name == "1_1" else 1
        torchvision |= {f"features.{number}.weight": rgb * deviation, f"features.{number}.bias": b}
        own |= {f"layers.conv{name}.weight": rgb.transpose(2, 3, 1, 0),
                f"layers.conv{name}.bias": b}
    expected = table[first].transpose(2, 3, 1, 0)[:, :, ::-1]
    for arrays in (eight_bit, torchvision, own):
        blocks, mean = read_blocks(arrays, "vgg19", "file")
        np.testing.assert_allclose(blocks[0][0][0], expected, rtol=1e-6)
        assert tuple(map(len, blocks)) == CONVOLUTIONS["vgg19"]
        assert blocks[4][3][0].shape == (3, 3, 512, 512)
        assert tuple(mean) == pytest.approx(CAFFE_MEAN if arrays is not torchvision
                                            else (123.675, 116.28, 103.53), rel=1e-6)


def test_a_place_in_the_table_is_a_byte(tmp_path):
    arrays = {}
    for name, (w, b) in fabricated().items():
        key = f"block{name[0]}_conv{name[2]}"
        arrays |= {
            key + "_W_q": np.broadcast_to(np.uint8(0), w.shape),
            key + "_W_table": np.zeros(256),
            key + "_b": b,
        }
    read_blocks(arrays, "vgg19", "some.bin")
    for wrong in ({"block1_conv1_W_q": np.full((64, 3, 3, 3), -1)},
                  {"block1_conv1_W_table": np.zeros((256, 1))},
                  {"block1_conv1_W_table": np.zeros(0)}):
        with pytest.raises(WeightsError, match="some.bin: is not a file of vgg19's weights"):
            read_blocks(arrays | wrong, "vgg19", "some.bin")


@pytest.mark.parametrize("change, words", [
    (lambda a: a.pop("layers.conv3_2.weight"), "conv3_2.weight"),
    (lambda a: a.pop("layers.mean.mean"), "mean"),
    (lambda a: a.update({"layers.conv2_1.weight": np.zeros((3, 3, 3, 3))}), "conv2_1"),
    (lambda a: a.clear(), "vgg19"),
    (lambda a: a.update({"layers.conv3_5.weight": np.zeros((3, 3, 256, 256))}),
     "17 convolutions, vgg19 has 16"),
    (lambda a: a.update({"layers.mean.mean": np.zeros(2)}), "mean has shape"),
])
def test_incomplete_weights(change, words):
    arrays = {"layers.mean.mean": np.float32(CAFFE_MEAN)}
    for name, (w, b) in fabricated().items():
        arrays |= {f"layers.conv{name}.weight": w.transpose(2, 3, 1, 0),
                   f"layers.conv{name}.bias": b}
    change(arrays)
    with pytest.raises(WeightsError, match=f"some.pt: .*{words}"):
        read_blocks(arrays, "vgg19", "some.pt")


@pytest.fixture(scope="module")
def real_net():
    path = cache_folder() / FILES["vgg19"]["name"]
    if not path.exists():
        pytest.skip("VGG-19's weights are not cached; md.weights.fetch('vgg19') brings them")
    return vgg19(path)


def test_layer_names(real_net):
    assert real_net.names == ["mean", *layer_names("vgg19")]


def test_published_vector(real_net):
    """Means over a 32 × 32 picture, computed once from the published file by an independent
    program."""
    y, x = np.mgrid[:32, :32]
    picture = np.stack([8 * x, 8 * y, 4 * (x + y)], -1) % 256
    means = {"relu1_1": 27.71822, "relu2_1": 135.63921, "relu3_1": 206.95735, "relu4_1": 954.86542,
             "relu4_2": 639.97156,
             "relu5_1": 123.59465}
    seen = real_net(md.tensor(picture[None], dtype="float32"), list(means))
    for name, mean in means.items():
        assert seen[name].numpy().mean(dtype="float64") == pytest.approx(mean, rel=1e-6)
    assert seen["relu4_2"].numpy()[0, 0, 0, 0] == pytest.approx(634.67218, rel=1e-5)


def test_pixel_gradient_of_style_transfer(real_net):
    """J to relu3_1 on 24 × 24 pixels in float64, against central differences."""
    drawn = np.random.default_rng(4)
    content, painting, generated = (drawn.uniform(0, 255, (1, 24, 24, 3)) for _ in range(3))
    objective = style.Objective(real_net, md.tensor(content), md.tensor(painting),
                                content_layers=["relu2_2"],
                                style_layers=["relu1_1", "relu2_1", "relu3_1"],
                                content_weight=100.0, style_weight=1.0)
    x = md.tensor(generated, requires_grad=True)
    gradient, = md.grad(objective(x)["J"], x)

    def cost(picture):
        return objective(md.tensor(picture))["J"].item()

    pixels = np.eye(generated.size)[drawn.choice(generated.size, 10, replace=False)]
    for direction in [*pixels, *drawn.standard_normal((2, generated.size))]:
        direction = direction.reshape(generated.shape)
        slope = (gradient.numpy() * direction).sum()
        # a long step may carry a unit over the kink of its ReLU, a short one drowns in rounding:
        # one of three is neither
        errors = [abs((cost(generated + h * direction) - cost(generated - h * direction)) / (2 * h)
                      / slope - 1)
                  for h in (1e-2, 1e-3, 1e-5)]
        assert min(errors) < 1e-6


def test_every_layer_equals_pytorchs(real_net):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = np.random.default_rng(5).uniform(0, 255, (1, 48, 64, 3)).astype("float32")
    seen = real_net(x, layer_names("vgg19"))
    t = torch.tensor((x - real_net["mean"].mean).transpose(0, 3, 1, 2).copy())
    for name in seen:
        if name.startswith("conv"):
            layer = real_net[name]
            w = torch.tensor(layer.weight.numpy().transpose(3, 2, 0, 1).copy())
            b = torch.tensor(layer.bias.numpy())
            t = functional.conv2d(t, w, b, padding=1)
        else:
            t = functional.relu(t) if name.startswith("relu") else functional.max_pool2d(t, 2)
        expected = t.numpy().transpose(0, 2, 3, 1)
        assert np.abs(seen[name].numpy() - expected).max() <= 1e-4 * np.abs(expected).max(), name
