"""The nets that find faces and their landmarks: every layer, the kinds of weight files, and, where
the published weights are cached, the published numbers."""
import json
import shutil

import numpy as np
import pytest

import minidl as md
from minidl.faces.detection import decode_grid, decode_maps, map_anchors
from minidl.files import cache_folder
from minidl.models import (
    FaceLandmarks,
    SSDFaceDetector,
    TinyFaceDetector,
    face_landmarks,
    tiny_face_landmarks,
)
from minidl.models.face_api import Separable
from minidl.models.face_landmarks import SummingBlock
from minidl.models.ssd_face_detector import ReLU6
from minidl.testing import gradcheck
from minidl.weights import FACE_API, FILES, WeightsError

NETS = {"face_landmarks": 112, "tiny_face_landmarks": 112, "tiny_face_detector": 96,
        "ssd_face_detector": 512}
SSD_WIDTHS = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
EXTRA = [(1, 1024, 256), (3, 256, 512), (1, 512, 128), (3, 128, 256), (1, 256, 128), (3, 128, 256),
         (1, 256, 64),
         (3, 64, 128)]


def formula(n):
    y, x = np.mgrid[:n, :n]
    return np.stack([(y + x) % 256, 2 * x % 256, 3 * y % 256], -1)[None].astype("float32")


def separable(name, before, after):
    return {f"{name}/depthwise_filter": (3, 3, before, 1),
            f"{name}/pointwise_filter": (1, 1, before, after),
            f"{name}/bias": (after,)}


def shapes_of(network):
    """The arrays of the published file."""
    if network == "tiny_face_detector":
        widths = [16, 32, 64, 128, 256, 512]
        shapes = {"conv0/filters": (3, 3, 3, 16), "conv0/bias": (16,),
                  "conv8/filters": (1, 1, 512, 25), "conv8/bias": (25,)}
        for i in range(1, 6):
            shapes |= separable(f"conv{i}", widths[i - 1], widths[i])
        return shapes
    if "landmarks" in network:
        blocks, count = (3, 3) if "tiny" in network else (4, 4)
        widths = [32, 64, 128, 256][:blocks]
        shapes = {"dense0/conv0/filters": (3, 3, 3, 32), "dense0/conv0/bias": (32,),
                  "fc/weights": (widths[-1], 136),
                  "fc/bias": (136,)}
        for b, width in enumerate(widths):
            for i in range(b == 0, count):
                shapes |= separable(f"dense{b}/conv{i}", width if i else widths[b - 1], width)
        return shapes
    shapes, before = {"Output/extra_dim": (1, 5118, 4)}, 3
    for i, width in enumerate(SSD_WIDTHS):
        name = f"MobilenetV1/Conv2d_{i}_"
        shapes |= {name + "pointwise/weights": (1, 1, before, width) if i else (3, 3, 3, 32),
                   name + "pointwise/convolution_bn_offset": (width,)}
        if i:
            shapes[name + "depthwise/depthwise_weights"] = 3, 3, before, 1
            shapes |= {f"{name}depthwise/BatchNorm/{part}": (before,)
                       for part in ("gamma", "beta", "moving_mean", "moving_variance")}
        before = width
    for i, (k, before, after) in enumerate(EXTRA):
        shapes |= {f"Prediction/Conv2d_{i}_pointwise/weights": (k, k, before, after),
                   f"Prediction/Conv2d_{i}_pointwise/convolution_bn_offset": (after,)}
    for i, (width,
            anchors) in enumerate([(512, 3), (1024, 6), (512, 6), (256, 6), (256, 6), (128, 6)]):
        for part, numbers in ("BoxEncodingPredictor", 4), ("ClassPredictor", 3):
            key = f"Prediction/BoxPredictor_{i}/{part}/"
            shapes |= {key + "weights": (1, 1, width, anchors * numbers),
                       key + "biases": (anchors * numbers,)}
    return shapes


def drawn(name, shape, rng):
    if name.endswith("variance"):
        return rng.uniform(0.5, 2, shape).astype("float32")
    fan_in = np.prod(shape[:2]) * (1 if "depthwise" in name
                                   else shape[2]) if len(shape) == 4 else shape[0]
    spread = 0.2 if len(shape) == 1 else 1.4 / np.sqrt(fan_in)
    return (rng.standard_normal(shape) * spread + name.endswith("gamma")).astype("float32")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as face-api's model/: the right shapes, drawn numbers; and the arrays by network and
    name."""
    folder, rng, given = tmp_path_factory.mktemp("model"), np.random.default_rng(0), {}
    for network in NETS:
        given[network] = {name: drawn(name, shape, rng)
                          for name, shape in shapes_of(network).items()}
        (manifest, *_), (binary, *_) = FACE_API[network]
        entries = [{"name": name, "shape": list(array.shape), "dtype": "float32"}
                   for name, array in given[network].items()]
        (folder / manifest).write_text(json.dumps([{"paths": [binary], "weights": entries}]))
        (folder
         / binary).write_bytes(b"".join(array.tobytes() for array in given[network].values()))
    return folder, given


@pytest.fixture
def changed(published, tmp_path):
    """change(network, edit) → a folder in which that network's manifest was edited."""
    def change(network, edit):
        folder = tmp_path / "model"
        shutil.copytree(published[0], folder)
        manifest = folder / FILES[network]["name"]
        entries = json.loads(manifest.read_text())
        edit({entry["name"]: entry for entry in entries[0]["weights"]})
        manifest.write_text(json.dumps(entries))
        return folder
    return change


def make(network, weights):
    return getattr(md.models, network)(weights)


# PyTorch, from the file's arrays as they are

class Reference:
    """The layers of face-api in PyTorch: x (1, C, H, W), TensorFlow's padding "SAME" written
    out."""

    def __init__(self, arrays):
        self.torch = pytest.importorskip("torch")
        self.arrays = {name: self.torch.tensor(array) for name, array in arrays.items()}

    def pad(self, x, k, stride, value=0.0):
        widths = []
        for n in (x.shape[3], x.shape[2]):
            total = max((-(-n // stride) - 1) * stride + k - n, 0)
            widths += [total // 2, total - total // 2]
        return self.torch.nn.functional.pad(x, widths, value=value)

    def conv(self, x, w, b=None, stride=1, valid=False):
        w = self.arrays[w]
        x = x if valid else self.pad(x, w.shape[0], stride)
        return self.torch.nn.functional.conv2d(x, w.permute(3, 2, 0, 1), self.arrays.get(b), stride)

    def depthwise(self, x, w, stride=1):
        w = self.arrays[w]
        return self.torch.nn.functional.conv2d(self.pad(x, 3, stride), w.permute(2, 3, 0, 1), None,
                                               stride,
                                               groups=w.shape[2])

    def separable(self, x, name, stride=1):
        return self.conv(self.depthwise(x, name + "/depthwise_filter", stride),
                         name + "/pointwise_filter", name + "/bias")

    def tiny_face_detector(self, x):
        leaky = self.torch.nn.functional.leaky_relu
        x = (x - self.torch.tensor([117.001, 114.697, 97.404]).reshape(3, 1, 1)) / 255
        x = leaky(self.conv(x, "conv0/filters", "conv0/bias", valid=True), 0.1)
        for i in range(1, 6):
            x = self.torch.nn.functional.max_pool2d(self.pad(x, 2, 2, -np.inf), 2, 2)
            x = leaky(self.separable(x, f"conv{i}"), 0.1)
        x = self.torch.nn.functional.max_pool2d(self.pad(x, 2, 1, -np.inf), 2, 1)
        return [self.conv(x, "conv8/filters", "conv8/bias").permute(0, 2, 3, 1)]

    def face_landmarks(self, x, blocks=4, count=4):
        x = (x - self.torch.tensor([122.782, 117.001, 104.298]).reshape(3, 1, 1)) / 255
        for b in range(blocks):
            name = f"dense{b}/conv"
            y = (
                self.separable(x, name + "0", 2)
                if b
                else self.conv(x, name + "0/filters", name + "0/bias", 2)
            )
            total = y = self.torch.relu(y)
            for i in range(1, count):
                total = total + self.separable(y, f"{name}{i}")
                y = self.torch.relu(total)
            x = y
        return [(x.mean((2, 3)) @ self.arrays["fc/weights"]
                 + self.arrays["fc/bias"]).reshape(-1, 68, 2)]

    def tiny_face_landmarks(self, x):
        return self.face_landmarks(x, 3, 3)

    def ssd_face_detector(self, x):
        def pointwise(x, name, stride=1):
            return self.conv(x, name + "/weights", name + "/convolution_bn_offset",
                             stride).clip(0, 6)

        x, maps = pointwise(x / 127.5 - 1, "MobilenetV1/Conv2d_0_pointwise", 2), []
        for i in range(1, 14):
            name = f"MobilenetV1/Conv2d_{i}_"
            x = self.depthwise(x, name + "depthwise/depthwise_weights",
                               2 if i in (2, 4, 6, 12) else 1)
            gamma, beta, mean, variance = (
                self.arrays[f"{name}depthwise/BatchNorm/{part}"].reshape(-1, 1, 1)
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            x = ((x - mean) / self.torch.sqrt(variance + 0.001) * gamma + beta).clip(0, 6)
            x = pointwise(x, name + "pointwise")
            if i in (11, 13):
                maps.append(x)
        for i in range(8):
            x = pointwise(x, f"Prediction/Conv2d_{i}_pointwise", 1 + i % 2)
            if i % 2:
                maps.append(x)
        return [
            self.torch.cat(
                [
                    self.conv(
                        x,
                        f"Prediction/BoxPredictor_{k}/{part}/weights",
                        f"Prediction/BoxPredictor_{k}/{part}/biases",
                    )
                    .permute(0, 2, 3, 1)
                    .reshape(1, -1, numbers)
                    for k, x in enumerate(maps)
                ],
                1,
            )
            for part, numbers in (("BoxEncodingPredictor", 4), ("ClassPredictor", 3))
        ]


@pytest.mark.parametrize("network", NETS)
def test_equals_pytorch(published, network):
    reference = Reference(published[1][network])
    x = formula(NETS[network])
    expected = getattr(reference, network)(reference.torch.tensor(x.transpose(0, 3, 1, 2)))
    with md.no_grad():
        found = make(network, published[0])(x)
    for y, z in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        assert np.abs(z.numpy()).max() > 0.1 and np.ptp(z.numpy()) > 0.1
        np.testing.assert_allclose(y.numpy(), z.numpy(), atol=3e-5 * np.abs(z.numpy()).max())


# By hand

def test_separable_by_hand(device):
    layer = Separable(2, 1)
    layer.depthwise.weight = md.nn.Parameter(np.stack([np.eye(3), np.ones((3, 3))],
                                                      -1)[:, :, None].astype("float32"))
    layer.pointwise.weight = md.nn.Parameter(np.float32([[[[10], [1]]]]))
    layer.pointwise.bias = md.nn.Parameter(np.float32([0.5]))
    x = np.zeros((1, 3, 3, 2), "float32")
    x[0, :, :, 0], x[0, :, :, 1] = np.arange(9).reshape(3, 3), 1
    y = layer(md.tensor(x)).numpy()[0, :, :, 0]
    # the first channel's diagonal sums, with zeros around, ten times; the second's numbers of
    # neighbours; the bias
    diagonal = [[0 + 4, 1 + 5, 2], [3 + 7, 0 + 4 + 8, 1 + 5], [6, 3 + 7, 4 + 8]]
    np.testing.assert_array_equal(y, 10 * np.array(diagonal) + [[4, 6, 4], [6, 9, 6], [4, 6, 4]]
                                  + np.float32(0.5))


def test_a_summing_block_by_hand():
    """On single pixels all convolutions are numbers: y₀ = relu(x), y₁ = relu(y₀ + 2 y₀), y₂ =
    relu(y₀ + 2 y₀ − 5 y₁)."""
    block = SummingBlock(1, 1, 3)
    for conv, factor in zip(block.convs, (1, 2, -5)):
        middle = np.zeros((3, 3, 1, 1), "float32")
        middle[1, 1] = factor
        conv.depthwise.weight = md.nn.Parameter(middle)
        conv.pointwise.weight = md.nn.Parameter(np.ones((1, 1, 1, 1), "float32"))
        conv.pointwise.bias = md.nn.Parameter(np.float32([1 if factor == -5 else 0]))
    for x, expected in ((2.0, 0), (-3, 1), (0.05, 3 * 0.05 - 5 * 0.15 + 1)):
        np.testing.assert_allclose(block(md.tensor(np.full((1, 1, 1, 1), x, "float32"))).item(),
                                   expected, atol=1e-6)
    rng = np.random.default_rng(0)
    block = SummingBlock(2, 3, 3)
    for conv in block.convs:
        for layer in conv.depthwise, conv.pointwise:
            layer.weight = md.nn.Parameter(rng.standard_normal(layer.weight.shape))
        conv.pointwise.bias = md.nn.Parameter(rng.standard_normal(3))
    gradcheck(block, rng.standard_normal((1, 4, 5, 2)), order=2)


def test_relu6():
    np.testing.assert_array_equal(ReLU6()(md.tensor([-1.0, 0, 3, 6, 7])).numpy(), [0, 0, 3, 6, 6])
    gradcheck(ReLU6(), np.array([-1.0, 3, 5, 7]), order=2)


# As networks

@pytest.mark.parametrize("network", NETS)
def test_devices_shapes_and_gradients(published, network, device):
    net = make(network, published[0]).to(device)
    assert net.parameters() and not any(p.requires_grad for p in net.parameters())
    x = md.tensor(formula(NETS[network]), requires_grad=True)
    y = net(x)
    outputs = y if isinstance(y, tuple) else (y,)
    shapes = {"face_landmarks": [(1, 68, 2)], "tiny_face_landmarks": [(1, 68, 2)],
              "tiny_face_detector": [(1, 3, 3, 25)],
              "ssd_face_detector": [(1, 5118, 4), (1, 5118, 3)]}[network]
    assert [output.shape for output in outputs] == shapes and {
        output.device for output in outputs
    } == {device}
    if device == "cpu":
        md.ops.sum(outputs[0] * outputs[0]).backward()
        assert x.grad.shape == x.shape and abs(x.grad.numpy()).max() > 0


def test_named_layers(published):
    net = md.models.tiny_face_detector(published[0])
    assert isinstance(net, TinyFaceDetector) and net.names[:5] == [
        "mean",
        "conv0",
        "leaky0",
        "pool0",
        "conv1",
    ]
    with md.no_grad():
        sides = [y.shape[1]
                 for _, y in net.walk(formula(416), [f"leaky{i}" for i in range(6)] + ["pool5"])]
    assert sides == [414, 207, 104, 52, 26, 13, 13]
    net = face_landmarks(published[0])
    assert isinstance(net, FaceLandmarks)
    with md.no_grad():
        assert [y.shape for _, y in net.walk(formula(112), [f"block{b}" for b in range(4)])] == [
            (1, 56, 56, 32), (1, 28, 28, 64), (1, 14, 14, 128), (1, 7, 7, 256)]
        net = md.models.ssd_face_detector(published[0])
        assert isinstance(net, SSDFaceDetector)
        wanted = ["relu0", "depthwise_relu2", "relu11", "relu13", "extra_relu1", "extra_relu7"]
        assert [y.shape for _, y in net.trunk.walk(formula(512), wanted)] == [
            (1, 256, 256, 32), (1, 128, 128, 64), (1, 32, 32, 512), (1, 16, 16, 1024),
            (1, 8, 8, 512), (1, 1, 1, 128)]


@pytest.mark.parametrize("network", ["face_landmarks", "tiny_face_landmarks", "ssd_face_detector"])
def test_pictures_of_another_size(published, network):
    size = NETS[network]
    for shape in ((1, size, size, 1), (size, size, 3), (1, size - 1, size, 3)):
        with pytest.raises(ValueError, match=rf"\(N, {size}, {size}, 3\)"):
            make(network, published[0])(np.zeros(shape, "float32"))


@pytest.mark.parametrize("network", NETS)
def test_every_way_to_name_the_weights(published, network, tmp_path, monkeypatch):
    folder = published[0]
    (manifest, *_), (binary, *_) = FACE_API[network]
    first = make(network, folder)
    md.save(tmp_path / "own.npz", first)
    asked = []
    monkeypatch.setattr(md.weights, "fetch", lambda name: asked.append(name) or folder / manifest)
    for net in (make(network, str(folder / binary)), make(network, folder / manifest),
                make(network, tmp_path / "own.npz"),
                getattr(md.models, network)()):
        state = net.state_dict()
        assert not any(p.requires_grad for p in net.parameters())
        for name, value in first.state_dict().items():
            np.testing.assert_array_equal(state[name].numpy(), value.numpy())
    assert asked == [network]


@pytest.mark.parametrize("network", NETS)
def test_missing_files(published, network, tmp_path):
    (manifest, *_), (binary, *_) = FACE_API[network]
    with pytest.raises(FileNotFoundError, match=f"{network}: there is no {manifest} in"):
        make(network, tmp_path)
    with pytest.raises(FileNotFoundError):
        make(network, tmp_path / "nothing.npz")
    shutil.copy(published[0] / binary, tmp_path / binary)
    with pytest.raises(FileNotFoundError, match=f"needs {manifest} beside it"):
        make(network, tmp_path / binary)


def _rename(name):
    def edit(entries):
        entries[name]["name"] = "other"
    return edit


def _turn(name):
    def edit(entries):
        entries[name]["shape"].reverse()
    return edit


@pytest.mark.parametrize("network, edit, words", [
    ("tiny_face_detector", _rename("conv3/bias"), "'conv3/bias' is missing"),
    ("tiny_face_detector", _turn("conv0/filters"), "conv0.weight"),
    ("tiny_face_detector", _turn("conv2/depthwise_filter"), "conv2.depthwise.weight"),
    ("face_landmarks", _rename("dense2/conv3/pointwise_filter"),
     "'dense2/conv3/pointwise_filter' is missing"),
    ("face_landmarks", _turn("fc/weights"), "dense.weight"),
    ("tiny_face_landmarks", _turn("dense1/conv1/pointwise_filter"),
     "block1.convs.1.pointwise.weight"),
    ("ssd_face_detector", _rename("MobilenetV1/Conv2d_5_depthwise/BatchNorm/gamma"),
     "gamma' is missing"),
    ("ssd_face_detector", _rename("Prediction/BoxPredictor_3/ClassPredictor/biases"),
     "biases' is missing"),
    ("ssd_face_detector", _turn("Prediction/Conv2d_0_pointwise/weights"), "extra0.weight"),
])
def test_other_networks_are_refused(changed, network, edit, words):
    with pytest.raises(WeightsError, match=words) as caught:
        make(network, changed(network, edit))
    assert FILES[network]["name"] in str(caught.value) and network in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_one_networks_file_is_none_of_anothers(published, tmp_path):
    with pytest.raises(WeightsError, match="face_landmark_68_model.* is not a file of "
                                           "tiny_face_landmarks's weights"):
        tiny_face_landmarks(published[0] / FILES["face_landmarks"]["name"])
    md.save(tmp_path / "own.npz", tiny_face_landmarks(published[0]))
    with pytest.raises(WeightsError, match="own.npz"):
        face_landmarks(tmp_path / "own.npz")


@pytest.mark.parametrize("network, name, value, words", [
    ("face_landmarks", "fc/bias", np.nan, "NaN or infinite"),
    ("ssd_face_detector", "MobilenetV1/Conv2d_1_depthwise/BatchNorm/moving_variance", -0.5,
     "variance below 0"),
    ("ssd_face_detector", "Prediction/Conv2d_2_pointwise/weights", np.inf, "NaN or infinite")])
def test_numbers_that_are_none(published, tmp_path, network, name, value, words):
    arrays = {key: array.copy() for key, array in published[1][network].items()}
    arrays[name].flat[3] = value
    md.save(tmp_path / "bad.npz", arrays)
    with pytest.raises(WeightsError, match=words) as caught:
        make(network, tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


# The published weights

@pytest.fixture
def real():
    """The network of a name with its published weights."""
    def net(name):
        if not (cache_folder() / FILES[name]["name"]).exists():
            pytest.skip(f"{name} is not in the cache; md.weights.fetch brings it")
        return getattr(md.models, name)()
    with md.no_grad():
        yield net


def near(found, expected):
    """To 1e-4 of the largest value printed, or half of the last digit printed."""
    expected = np.array(expected.split() if isinstance(expected, str) else expected, float)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=0,
                               atol=max(1e-4 * abs(expected).max(), 5.1e-6))


@pytest.mark.parametrize("network, first, some, total", [
    ("face_landmarks",
     "0.29088 0.48961 0.39058 0.54446 0.43658 0.59005 0.50444 0.62455 0.55038 0.59180",
     "0.46472 0.55954 0.47203 0.56053 0.48818 0.42522 0.57837 0.48745", 69.4670),
    ("tiny_face_landmarks",
     "0.22738 0.45347 0.33470 0.54785 0.41978 0.58580 0.44106 0.66207 0.39351 0.73743",
     "0.55320 0.50100 0.36966 0.54449 0.66437 0.47448 0.63561 0.52817", 75.0430)])
def test_published_landmarks(real, network, first, some, total):
    points, = real(network)(formula(112)).numpy()
    near(points.ravel()[:10], first)
    near(points[[30, 36, 45, 67]], some)
    near(points.sum(), [total])


def test_published_grids(real):
    net = real("tiny_face_detector")
    raw, = net(formula(128)).numpy()
    near(raw[0, 0, :10], "0.24591 -0.00365 -0.05189 -0.32007 -7.53142 -0.49006 -0.53184 -0.18859 "
                         "-0.19978 -28.26375")
    near(raw[1, 2, 20:25], "-0.32539 2.48453 -0.15224 0.45344 -31.23194")
    near(raw[-1, -1, :5], "-2.52165 -1.64245 -0.19287 -0.43225 -9.63253")
    near(raw.sum(), [-1572.397])
    near(net(formula(224)).numpy().sum(), [-4495.146])
    raw, = net(formula(416)).numpy()
    near(raw[1, 2, 20:25], "1.21717 -0.85314 0.03643 0.38714 -19.02339")
    near(raw[-1, -1, :5], "-1.43988 -0.64900 -0.27441 -0.49971 -5.70329")
    near(raw.sum(), [-14478.53])
    _, scores = decode_grid(raw)
    assert scores.argmax() == (6 * 13 + 4) * 5 and scores.max() == pytest.approx(0.05081, abs=1e-5)


def test_published_maps(real):
    (codes,), (logits,) = (y.numpy() for y in real("ssd_face_detector")(formula(512)))
    near(codes[:2], "0.33463 0.78555 -2.98476 -4.15241 1.40205 0.09883 -3.11477 -0.53325")
    near(logits[:2], "4.86706 -4.71384 -17.886 7.20124 -6.65736 -13.70154")
    near(codes.sum(dtype="float64"), [-11724.86])
    near(logits.sum(dtype="float64"), [-61759.35])
    boxes, scores = decode_maps(codes, logits, map_anchors())
    near(boxes[:2], [0.00169, 0, 0.04527, 0.04650, 0, 0, 0.14554, 0.07338])     # cut at 0
    near(scores[:4], "0.00889 0.00128 0.00019 0.00791")
    near(scores.sum(), [15.205])
    near([scores.max(), *boxes[4388]], "0.04818 0.51180 0.68275 0.92769 0.98696")
    assert scores.argmax() == 4388
