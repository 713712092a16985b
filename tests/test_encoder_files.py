"""Files of encoders: what is said of wrong ones, and that nothing is made of them first."""
import json
import tracemalloc

import numpy as np
import pytest

import minidl as md
from minidl import models
from minidl.models import character_encoder, face_resnet, load_encoder, save_encoder, vgg

SETTINGS = {
    "size": 8,
    "channels": 1,
    "border": 0,
    "widths": [2],
    "features": 3,
    "nonnegative": False,
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "encoder.npz"
    save_encoder(path, models.siamese_encoder(size=8, border=0, widths=(2,), features=3))
    return path


def refused(path, words, load=load_encoder):
    """Loading raises one WeightsError that names the file, and takes less than 20 MB to do so."""
    tracemalloc.start()
    try:
        with pytest.raises(md.WeightsError, match=words) as caught:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert path.name in message and "\n" not in message and len(message) < 600


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"widths": [4000, 4000]}, "its settings name 2 widths|is missing|has shape"),
        (
            {"widths": [4000]},
            r"layers.conv1.weight has shape \(3, 3, 1, 2\), its settings ask for \(3, 3, 1, 4000\)",
        ),
        (
            {"features": 10**8},
            r"layers.dense.weight has shape \(32, 3\), its settings ask for \(32, 100000000\)",
        ),
        ({"size": 10**300, "border": 0}, "layers.dense.weight has shape|size must be below"),
        ({"widths": [2] * 10**5}, "name 100,000 widths"),
        ({"size": 10**9 + 8, "border": 5 * 10**8}, "would see the middle 8"),
        ({"channels": 10**9}, "layers.conv1.weight has shape"),
        ({"widths": [0]}, "must be an integer ≥ 1"),
        ({"widths": [2.0]}, "whole numbers"),
        ({"widths": [[2]]}, "whole numbers"),
        ({"widths": "22"}, "kinds"),
        ({"widths": []}, "widths must name"),
        ({"size": 8.5}, "whole numbers"),
        ({"size": None}, "whole numbers"),
        ({"size": float("nan")}, "whole numbers"),
        ({"border": 0.5}, "whole numbers"),
        ({"channels": True}, "whole numbers"),
        ({"border": -8}, "border must be in 0 ≤ border"),
        ({"nonnegative": 3}, "kinds"),
        ({"depth": 3}, "unexpected keyword"),
        ({"seed": 3}, "unexpected keyword"),
    ],
)
def test_settings_are_compared_with_the_arrays_first(path, settings, words):
    md.save(path, md.load(path) | {"siamese_encoder": np.array(json.dumps(SETTINGS | settings))})
    refused(path, words)


@pytest.mark.parametrize(
    "notes, words",
    [
        ('{"threshold": Infinity}', "threshold must be a distance"),
        ('{"threshold": 1e999}', "threshold must be"),
        ('{"threshold": NaN}', "threshold must be"),
        ('{"threshold": "0.5"}', "threshold must be"),
        ('{"threshold": true}', "threshold must be"),
        ('{"threshold": -1}', "threshold must be"),
        ('{"threshold": null}', "threshold must be"),
        ("[]", "expected a dictionary in JSON, got a list"),
        ("[" * 10**5, "does not describe"),
        ("", "does not describe"),
        ("1" * 5000, "does not describe"),
    ],
)
def test_wrong_notes(path, notes, words):
    md.save(path, md.load(path) | {"notes": np.array(notes)})
    refused(path, words)


@pytest.mark.parametrize(
    "change, words",
    [
        (
            {"layers.dense.weight": np.full((32, 3), np.nan)},
            "96 of the 96 numbers in 'layers.dense.weight' are NaN or infinite",
        ),
        ({"layers.norm.shift": np.float32([0, np.inf, 1])}, "NaN or infinite"),
        (
            {"layers.dense.weight": np.full((32, 3), 1e300)},
            "96 of the 96 numbers in 'layers.dense.weight' are NaN or infinite",
        ),
        ({"layers.dense.weight": np.full((32, 3), "x")},
         "its array 'layers.dense.weight' holds str"),
        ({"layers.dense.weight": np.zeros((32, 3), complex)},
         "its array 'layers.dense.weight' holds complex128"),
        (
            {"layers.norm.running_variance": np.float32([1, -1, 1])},
            "'layers.norm.running_variance' holds a variance below 0",
        ),
        ({"more": np.ones(3)}, "more is unexpected"),
    ],
)
def test_wrong_arrays(path, change, words):
    md.save(path, md.load(path) | change)
    refused(path, words)


@pytest.mark.parametrize("settings", [
    {"size": np.int64(8)}, {"widths": np.array([2])}, {"widths": iter([2])}, {"nonnegative": 1},
    {"features": np.int32(3)}, {"border": np.int8(0)}, {"channels": np.uint8(1)}])
def test_settings_of_every_kind_come_back(tmp_path, settings):
    encoder = models.siamese_encoder(**{"size": 8, "border": 0, "widths": (2,), "features": 3}
                                     | settings)
    save_encoder(tmp_path / "encoder.npz", encoder)
    assert load_encoder(tmp_path / "encoder.npz").settings == encoder.settings


def test_notes_that_json_cannot_hold(path):
    encoder, before = load_encoder(path), path.read_bytes()
    with pytest.raises(ValueError, match="save_encoder: notes .'threshold'. must be what JSON"):
        save_encoder(path, encoder, threshold=float("inf"))
    with pytest.raises(TypeError, match="save_encoder: notes .'seen'. must be what JSON can hold"):
        save_encoder(path, encoder, seen={"Ann"})
    assert path.read_bytes() == before


def test_an_encoder_of_faces_is_none_of_characters(path):
    refused(
        path, "holds no encoder of characters: some of its arrays are no numbers", character_encoder
    )
    net = models.CharacterEncoder(rng=0)
    md.save(path, {name: np.full(value.shape, np.nan) for name, value in net.state_dict().items()})
    refused(path, "are NaN or infinite", character_encoder)


@pytest.mark.parametrize(
    "array, words",
    [
        (np.array(["x"]), "holds str"),
        (np.array([1j]), "holds complex128"),
        (np.array([1, np.inf]), "1 of the 2 numbers in 'fc' are NaN or infinite"),
    ],
)
def test_the_published_networks_want_finite_numbers(array, words):
    for read in (lambda arrays: face_resnet.read_filters(arrays, "file"),
                 lambda arrays: vgg.read_blocks(arrays, "vgg19", "file")):
        with pytest.raises(md.WeightsError, match=f"file: .*{words}"):
            read({"fc": array})
