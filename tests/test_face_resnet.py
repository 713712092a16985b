"""The face ResNet: every layer, the kinds of weight files, and, where its weights are cached, the
published vector."""
import json
import shutil
import tracemalloc

import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.files import cache_folder
from minidl.models import face128
from minidl.models.face_resnet import BLOCKS, MEAN, FaceResNet, Residual, add_padded
from minidl.testing import gradcheck

MANIFEST = md.weights.FILES["face128"]["name"]
UNITS = {"conv32_down": (7, 7, 3, 32)}
for before, (name, (channels, _)) in zip([32, *(c for c, _ in BLOCKS.values())], BLOCKS.items()):
    UNITS |= {f"{name}/conv1": (3, 3, before, channels),
              f"{name}/conv2": (3, 3, channels, channels)}
PARTS = ("conv/filters", "conv/bias", "scale/weights", "scale/biases")


def picture():
    y, x = np.mgrid[:150, :150]
    return np.stack([(y + x) % 256, 2 * x % 256, 3 * y % 256], -1)[None].astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder as face-api's model/: the right shapes, drawn numbers, and their arrays by name."""
    folder, rng = tmp_path_factory.mktemp("model"), np.random.default_rng(0)
    entries, content, arrays = [], [], {}

    def add(name, shape, scale, smallest, plain=False):
        q = rng.integers(0, 256, shape).astype("u1")
        arrays[name] = (q * scale + smallest).astype("float32")
        content.append(arrays[name].astype("<f4").tobytes() if plain else q.tobytes())
        entries.append({"name": name, "shape": list(shape), "dtype": "float32"})
        if not plain:
            entries[-1]["quantization"] = {"dtype": "uint8", "scale": scale, "min": smallest}

    for unit, shape in UNITS.items():
        spread = 2 / 256 / np.sqrt(np.prod(shape[:3]))
        add(f"{unit}/conv/filters", shape, spread, -127 * spread, plain=unit.startswith("conv64_1"))
        add(f"{unit}/conv/bias", shape[3:], 1e-3, -0.1)
        add(f"{unit}/scale/weights", shape[3:], 4e-3, 0.7)
        add(f"{unit}/scale/biases", shape[3:], 1e-3, -0.1)
    add("fc", (256, 128), 1e-3, -0.128)
    (folder / MANIFEST).write_text(json.dumps([{"paths": ["face_recognition_model.bin"],
                                                "weights": entries}]))
    (folder / "face_recognition_model.bin").write_bytes(b"".join(content))
    return folder, arrays


@pytest.fixture
def copy(model, tmp_path):
    """(a copy of the folder, a function that changes its manifest)."""
    folder = tmp_path / "model"
    shutil.copytree(model[0], folder)

    def change(edit):
        manifest = json.loads((folder / MANIFEST).read_text())
        edit(manifest[0])
        (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder, change


@pytest.fixture(scope="module")
def real_net():
    if not (cache_folder() / MANIFEST).exists():
        pytest.skip("face128's weights are not cached; md.weights.fetch('face128') brings them")
    return face128()


def test_published_vector(real_net):
    """Computed once from the published file by an independent program."""
    encoding = real_net(picture()).numpy()[0]
    np.testing.assert_allclose(encoding[:6], [-.05165, .10139, .01356, -.04998, -.08846, -.06967],
                               atol=1e-4)
    assert np.linalg.norm(encoding) == pytest.approx(1.31724, abs=1e-4)


def test_equals_pytorch(model):
    """Batch normalisation and all, from the arrays of the file as they are."""
    torch = pytest.importorskip("torch")
    functional, (folder, arrays) = torch.nn.functional, model
    arrays = {name: torch.tensor(array) for name, array in arrays.items()}

    def unit(x, name, **options):
        w, b, scale, shift = (arrays[f"{name}/{part}"] for part in PARTS)
        return functional.conv2d(x, w.permute(3, 2, 0, 1), b,
                                 **options) * scale[:, None, None] + shift[:, None, None]

    x = torch.tensor(((picture() - np.float32(MEAN)) / 255).transpose(0, 3, 1, 2))
    x = functional.max_pool2d(torch.relu(unit(x, "conv32_down", stride=2)), 3, 2)
    sides = []
    for name in BLOCKS:
        down = "down" in name
        y = torch.relu(unit(x, name + "/conv1", stride=2) if down
                       else unit(x, name + "/conv1", padding=1))
        y = unit(y, name + "/conv2", padding=1)
        if down:
            x = functional.avg_pool2d(x, 2)
            y = functional.pad(y, [0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]])
            x = functional.pad(x, [0, 0, 0, 0, 0, y.shape[1] - x.shape[1]])
            sides.append(x.shape[2])
        x = torch.relu(x + y)
    expected = (x.mean((2, 3)) @ arrays["fc"]).numpy()
    found = face128(folder)(picture()).numpy()
    assert sides == [17, 8, 4, 2] and np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_a_halving_block_by_hand(device):
    """One 4×4 picture of one channel: 1 place from the convolutions, 2×2 from the shortcut, which
    lacks a channel."""
    first, second = np.zeros((3, 3, 1, 2), "float32"), np.zeros((3, 3, 2, 2), "float32")
    first[1, 1, 0], second[1, 1] = [1, -1], [[2, 0], [0, 3]]
    block = Residual((first, np.float32([0.5, 0.5])), (second, np.float32([0, -1])), halves=True)
    x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    y = block(md.tensor(x)).numpy()
    # conv1 sees x[1, 1] = 5: (5.5, −4.5), relu: (5.5, 0); conv2: (11, −1); means of the quarters
    # 2.5, 4.5, 10.5, 12.5
    np.testing.assert_array_equal(y[0, :, :, 0], [[13.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(y[0, :, :, 1], np.zeros((2, 2)))


def test_add_padded(device):
    x, y = np.ones((1, 2, 2, 3)), np.ones((1, 1, 1, 4))
    total = add_padded(md.tensor(x), md.tensor(y)).numpy()
    assert total.shape == (1, 2, 2, 4)
    np.testing.assert_array_equal(total[0, 0, 0], [2, 2, 2, 1])
    np.testing.assert_array_equal(total[0, 1, 1], [1, 1, 1, 0])
    gradcheck(add_padded, x, y, order=2)


def test_devices_shapes_and_gradients(model, device):
    net = face128(model[0]).to(device)
    assert (net.size, net.channels) == (150,
                                        3) and not any(p.requires_grad for p in net.parameters())
    x = md.tensor(np.concatenate([picture(), 255 - picture()]), requires_grad=True)
    encodings = net(x)
    assert encodings.shape == (2,
                               128) and encodings.dtype == "float32" and encodings.device == device
    encodings.sum().backward()
    assert x.grad.shape == x.shape and abs(x.grad.numpy()).max() > 0
    for shape in ((2, 150, 150, 1), (150, 150, 3), (1, 149, 150, 3)):
        with pytest.raises(ValueError, match=r"\(N, 150, 150, 3\)"):
            net(np.zeros(shape))


def test_every_way_to_name_the_weights(model, tmp_path):
    folder, arrays = model
    found = [face128(path) for path in (folder, str(folder), folder / "face_recognition_model.bin",
                                        folder / MANIFEST)]
    md.save(tmp_path / "own.npz", found[0])
    for net in [*found, face128(tmp_path / "own.npz")]:
        for name, value in found[0].state_dict().items():
            np.testing.assert_array_equal(net.state_dict()[name].numpy(), value.numpy())
    w, b, scale, shift = (arrays[f"conv64_1/conv2/{part}"] for part in PARTS)
    np.testing.assert_array_equal(found[0]["conv64_1"].conv2.weight.numpy(), w * scale)
    np.testing.assert_array_equal(found[0]["conv64_1"].conv2.bias.numpy(), b * scale + shift)
    assert isinstance(found[0], FaceResNet)
    assert ops.sum(found[0]["dense"].weight).item() == pytest.approx(arrays["fc"].sum(), rel=1e-3)


def test_fetched_weights(model, monkeypatch):
    asked = []
    monkeypatch.setattr(md.weights, "fetch", lambda name: asked.append(name) or model[0] / MANIFEST)
    assert face128().size == 150 and asked == ["face128"]


def test_missing_files(copy, tmp_path):
    folder, _ = copy
    with pytest.raises(FileNotFoundError,
                       match="no face_recognition_model-weights_manifest.json in"):
        face128(tmp_path)
    with pytest.raises(FileNotFoundError):
        face128(tmp_path / "nothing.npz")
    (folder / MANIFEST).rename(tmp_path / "elsewhere.json")
    with pytest.raises(FileNotFoundError,
                       match="needs face_recognition_model-weights_manifest.json beside it"):
        face128(folder / "face_recognition_model.bin")
    with pytest.raises(md.WeightsError,
                       match="elsewhere.json: its file face_recognition_model.bin is missing"):
        face128(tmp_path / "elsewhere.json")


def _rename(manifest):
    manifest["weights"][5]["name"] = "other"


def _narrow(manifest):
    manifest["weights"][0]["shape"] = [7, 7, 32, 3]


def _narrow_scale(manifest):
    manifest["weights"][2]["shape"] = [16, 2]


def _turn(manifest):
    manifest["weights"][-1]["shape"] = [128, 256]


@pytest.mark.parametrize("edit, words", [
    (_rename, "is missing"), (_narrow, "conv32_down has filters"),
    (_narrow_scale, r"scale \(16, 2\)"),
    (_turn, "dense layer has shape")])
def test_other_networks_are_refused(copy, edit, words):
    folder, change = copy
    change(edit)
    with pytest.raises(md.WeightsError, match=words) as caught:
        face128(folder)
    assert MANIFEST in str(caught.value) or "conv32_down has" in str(caught.value)


def test_another_networks_npz_is_refused(model, tmp_path):
    net = face128(model[0])
    net["conv32_1"].conv1.weight = md.nn.Parameter(np.zeros((3, 3, 16, 32), "float32"))
    md.save(tmp_path / "other.npz", net)
    with pytest.raises(md.WeightsError, match="conv32_1.conv1 has filters"):
        face128(tmp_path / "other.npz")


# TensorFlow.js' manifests

def load(tmp_path, manifest, **contents):
    (tmp_path / "m.json").write_bytes(manifest if isinstance(manifest, bytes)
                                      else json.dumps(manifest).encode())
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return md.weights.load(tmp_path / "m.json")


def entry(name="x", shape=(2,), dtype="float32", **more):
    return {"name": name, "shape": list(shape), "dtype": dtype, **more}


def test_manifest_of_two_groups_and_split_files(tmp_path):
    x, i, q = np.float32([1, 2]), np.int32([[3], [-4]]), np.uint16([0, 65535, 7])
    stored = x.astype("<f4").tobytes() + i.astype("<i4").tobytes()
    arrays = load(tmp_path, [
        {"paths": ["a", "b"], "weights": [entry("x"), entry("i", (2, 1), "int32")]},
        {"paths": ["c"],
         "weights": [entry("q", (3,), quantization={"dtype": "uint16", "scale": 0.5, "min": -1})]},
    ], a=stored[:5], b=stored[5:], c=q.astype("<u2").tobytes())
    np.testing.assert_array_equal(arrays["x"], x)
    np.testing.assert_array_equal(arrays["i"], i)
    np.testing.assert_array_equal(arrays["q"], q * 0.5 - 1)
    assert [a.dtype for a in arrays.values()] == ["float32", "int32", "float32"]
    assert all(a.flags.writeable and a.dtype.isnative for a in arrays.values())


@pytest.mark.parametrize(
    "manifest, words",
    [
        (b'[{"paths": ["a"], ', "damaged or cut off"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" + b" " * (4 << 20), "longer"),
        ([1], "lacks 'paths'"),
        ([{"paths": []}], "lacks"),
        ([{"paths": ["../a"], "weights": []}], "refused"),
        ([{"paths": ["/etc/passwd"], "weights": []}], "refused"),
        ([{"paths": [".."], "weights": []}], "refused"),
        ([{"paths": [7], "weights": []}], "refused"),
        ([{"paths": ["none"], "weights": []}], "none is missing"),
        ([{"paths": ["\x1b[2J"], "weights": []}], r"its file \\x1b\[2J is missing"),
        ([{"paths": ["\ud800"], "weights": []}], r"its file \\ud800 is missing"),
        ([{"paths": ["n" * 300], "weights": []}], "nnn is missing"),
        (
            [{"paths": ["a"], "weights": [entry(shape=(3,))]}],
            "take 12 bytes, the files beside it have 8",
        ),
        ([{"paths": ["a"], "weights": [entry(shape=(-2,))]}], "of known shape"),
        ([{"paths": ["a"], "weights": [entry(shape=(10**30,))]}], "of known shape"),
        ([{"paths": ["a"], "weights": [entry(dtype="string")]}], "expected float32 or int32"),
        (
            [{"paths": ["a"], "weights": [entry(quantization={"dtype": "float16"})]}],
            "expected uint8 or uint16",
        ),
        ([{"paths": ["a"], "weights": [{"name": "x"}]}], "damaged"),
        ([{"paths": ["a"], "weights": 3}], "lacks"),
        (
            [{"paths": ["a"], "weights": [entry(shape=(8,), quantization={"dtype": "uint8"})]}],
            "scale",
        ),
        ([{"paths": ["a"] * 3000, "weights": []}], "its file a comes twice"),
        ([{"paths": ["a"], "weights": [entry()]}] * 2, "its file a comes twice"),
        (
            [{"paths": ["a"], "weights": [entry(shape=(1,)), entry(shape=(1,))]}],
            "its array 'x' comes twice",
        ),
        (
            [{"paths": ["a"], "weights": [entry(shape=[2**62] * 40 + [0])]}],
            "files beside it have 8",
        ),
        ([{"paths": ["a"], "weights": [entry(shape=[1] * 65)]}], "of known shape"),
        ([{"paths": "a", "weights": []}], "lacks"),
        (
            [
                {
                    "paths": ["a"],
                    "weights": [
                        entry(shape=(8,), quantization={"dtype": "uint8", "scale": 1e300, "min": 0})
                    ],
                }
            ],
            "no numbers of float32",
        ),
        (
            b'[{"paths": ["a"], "weights": [{"name": "x", "shape": [8], "quantization": '
            b'{"dtype": "uint8", "scale": NaN, "min": 0}}]}]',
            "no numbers of float32",
        ),
    ],
)
def test_damaged_and_hostile_manifests(tmp_path, manifest, words):
    tracemalloc.start()
    with pytest.raises(md.WeightsError, match=words) as caught:
        load(tmp_path, manifest, a=bytes(8))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
