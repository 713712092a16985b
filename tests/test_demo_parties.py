"""demos.faces on photographs with several faces, one, or none.  Where the networks are in the
cache."""
import json
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from demos import faces
import minidl as md
from minidl.data import load_image, save_image, write_drawn_faces
from minidl.faces import model as face_model
from minidl.files import cache_folder
from minidl.packages import FetchError
from minidl.weights import FILES
from tests.test_demos import fails

pytest.importorskip("matplotlib")
if not all((cache_folder() / FILES[name]["name"]).exists()
           for name in ("face128", "ssd_face_detector", "face_landmarks")):
    pytest.skip("the face networks are not in the cache; fetch them with md.weights.fetch",
                allow_module_level=True)
IMAGES = Path(faces.__file__).parent / "images"
ASTRONAUT, PAINTING = IMAGES / "astronaut.jpg", IMAGES / "starry_night.jpg"
ENTRY = {"picture", "box", "score", "name", "nearest", "distance", "runner_up",
         "runner_up_distance", "threshold",
         "false_accept_rate"}


def call(*arguments):
    """(exit code, figures) of a command."""
    path = Path(arguments[arguments.index("--output") + 1]) / "figures.json"
    code = faces.main([*map(str, arguments), "--json", str(path), "--quiet"])
    return code, json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def party(tmp_path_factory):
    """Two faces side by side: the astronaut's, and her mirror image, darker."""
    picture = load_image(ASTRONAUT)[:, 100:400]
    path = tmp_path_factory.mktemp("party") / "party.png"
    save_image(path, np.concatenate([picture, 0.6 * picture[:, ::-1].astype("float32")], 1))
    return path


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    options = ["--gallery", folder / "g.npz", "--output", folder]
    code, figures = call("enroll", "Eileen", ASTRONAUT, *options)
    face, = figures["faces"]
    assert code is None and figures["enrolled"] == 1 and face["name"] == "Eileen"
    assert face["score"] > 0.9
    assert face["box"] == pytest.approx([181, 71.1, 264.7, 175.7], abs=1)
    return folder / "g.npz"


def test_everybody_in_a_picture(gallery, party, tmp_path, capsys):
    code, figures = call("identify", party, "--gallery", gallery, "--output", tmp_path)
    assert code is None and figures["skipped"] == []
    answers = sorted(figures["answers"], key=lambda answer: answer["box"][0])
    assert [answer["name"] for answer in answers] == ["Eileen"] * 2
    for answer, middle in zip(answers, (123, 475)):
        assert set(answer) == ENTRY and answer["picture"] == str(party)
        assert (answer["box"][0] + answer["box"][2]) / 2 == pytest.approx(middle, abs=6)
        assert answer["distance"] < 0.3 < answer["threshold"]
    drawn, = figures["pictures"]
    assert drawn == str(tmp_path / "party_faces.png") and Image.open(drawn).size == (800, 683)
    capsys.readouterr()
    faces.main(["identify", str(party), "--gallery", str(gallery), "--output", str(tmp_path)])
    said = capsys.readouterr().out
    assert f"{party}, face at 123,12" in said and f"drawn: {drawn}" in said


def test_nobody_in_a_picture(gallery, party, tmp_path, capsys):
    code, figures = call("identify", PAINTING, party, "--gallery", gallery, "--output", tmp_path)
    assert code == 1 and len(figures["answers"]) == 2
    skipped, = figures["skipped"]
    assert skipped["picture"] == str(PAINTING)
    assert skipped["reason"].startswith("no face was found in it")
    capsys.readouterr()
    for command in ["enroll", "Vincent"], ["identify"], ["verify", "Eileen"]:
        said = fails(capsys, faces.main, *command, PAINTING, "--gallery", gallery, "--output",
                     tmp_path)
        assert "starry_night.jpg: no face was found in it" in said and "--whole" in said


def test_two_where_one_is_wanted(gallery, party, tmp_path, capsys):
    options = ["--gallery", gallery, "--output", tmp_path]
    for command in ["enroll", "Ann"], ["verify", "Eileen"]:
        said = fails(capsys, faces.main, *command, party, *options)
        assert "2 faces were found in it, and one is wanted; one at " in said and "--at" in said
    new = ["--gallery", tmp_path / "new.npz", "--output", tmp_path]
    _, figures = call("enroll", "Ann", party, "--at", "480,120", *new)
    assert figures["faces"][0]["box"][0] > 400
    _, figures = call("enroll", "Bea", party, "--at", "120,130", *new)
    assert figures["people"] == 2
    _, figures = call("verify", "Bea", party, "--at", "120,130", *new)
    answer, = figures["answers"]
    assert answer["accepted"] and answer["distance"] < 1e-5 and answer["claimed"] == "Bea"
    assert answer["runner_up"] == "Ann"
    capsys.readouterr()
    assert "no face was found at 5,5; one at" in fails(capsys, faces.main, "enroll", "Cid", party,
                                                       "--at", "5,5", *new)
    assert "--at is a place in one PICTURE, got 2" in fails(
        capsys, faces.main, "verify", "Bea", party, ASTRONAUT, "--at", "5,5", *new)
    assert "--at: invalid point value: 'left'" in fails(
        capsys, faces.main, "enroll", "C", party, "--at", "left", *new
    )


def test_close_crops_and_photographs_of_one_face(gallery, tmp_path):
    """A picture that the face fills is one, on its side by EXIF too."""
    face = md.faces.find(load_image(ASTRONAUT))[0]
    save_image(tmp_path / "close.png", face.chip(112))
    Image.open(ASTRONAUT).rotate(90, expand=True).save(tmp_path / "side.jpg", exif=_turned(6),
                                                       quality=95)
    _, figures = call("identify", tmp_path / "close.png", tmp_path / "side.jpg", "--gallery",
                      gallery, "--output", tmp_path)
    assert [answer["name"] for answer in figures["answers"]] == ["Eileen"] * 2
    _, whole = call("identify", tmp_path / "close.png", "--whole", "--gallery", gallery, "--output",
                    tmp_path)
    answer, = whole["answers"]
    assert answer["name"] == "Eileen" and answer["score"] is None
    assert answer["box"] == [0, 0, 112, 112]


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_folder_of_people_leaves_out_who_is_not_alone(party, tmp_path):
    for name, path in ("Ann", ASTRONAUT), ("Bea", party):
        (tmp_path / "people" / name).mkdir(parents=True)
        save_image(tmp_path / "people" / name / "1.png", load_image(path))
    code, figures = call("enroll", "--data", tmp_path / "people", "--gallery", tmp_path / "g.npz",
                         "--output", tmp_path)
    skipped, = figures["skipped"]
    assert code == 1 and figures["people"] == 1 and "2 faces were found in it" in skipped["reason"]


def test_aligned_and_unaligned_are_not_mixed(gallery, tmp_path, capsys):
    options = ["--output", tmp_path, "--gallery"]
    call("enroll", "Ann", ASTRONAUT, "--no-align", *options, tmp_path / "u.npz")
    _, figures = call("identify", ASTRONAUT, "--no-align", *options, tmp_path / "u.npz")
    answer, = figures["answers"]
    assert answer["name"] == "Ann" and answer["score"] is None and answer["box"] == [0, 0, 512, 512]
    capsys.readouterr()
    said = fails(capsys, faces.main, "identify", ASTRONAUT, *options, tmp_path / "u.npz")
    assert "u.npz was made with this encoder without alignment: " in said
    assert ("or enroll again; --model and --no-align say which encoder, here face128, "
            "aligned") in said
    said = fails(capsys, faces.main, "identify", ASTRONAUT, "--no-align", *options, gallery)
    assert "g.npz was made with this encoder with alignment: " in said
    assert "here face128, not aligned" in said


def test_an_encoder_of_aligned_faces(tmp_path, capsys):
    """It is trained on chips, and shown chips later, also in galleries; its file says so."""
    write_drawn_faces(tmp_path / "people", 8, 3, 40, seed=5)
    options = ["--output", tmp_path, "--whole"]
    call("train", "--align", "--data", tmp_path / "people", "--model", tmp_path / "m.npz", "--size",
         "24", "--steps", "2",
         "--pretrain-steps", "2", "--every", "2", "--people", "4", *options)
    assert md.models.load_encoder(tmp_path / "m.npz").notes["aligned"] is True
    picture = next((tmp_path / "people").glob("*/*.jpg"))
    options += ["--model", tmp_path / "m.npz", "--gallery", tmp_path / "g.npz"]
    call("enroll", "Ann", picture, *options)
    _, figures = call("identify", picture, *options)
    assert figures["answers"][0]["distance"] < 1e-5
    model = face_model.Model(tmp_path / "m.npz", whole=True)
    face, = model.see(picture)
    expected = md.faces.encode(model.encoder, [face.chip(24)], align=False)
    np.testing.assert_allclose(md.faces.Gallery.load(tmp_path / "g.npz", model.encoder).encodings,
                               expected, atol=1e-5)
    capsys.readouterr()
    assert "without alignment" not in fails(
        capsys, faces.main, "identify", picture, *options, "--no-align")


def test_evaluation_beside_unaligned(tmp_path, capsys):
    """Of a folder of real faces: chips of one, moved and lit in ways that make twelve people of
    her."""
    face, = md.faces.find(load_image(ASTRONAUT))
    chip = face.chip(112)
    for i in range(12):
        for j in range(2):
            path = tmp_path / "people" / f"p{i:02}" / f"{j}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, np.roll(chip * (0.5 + 0.04 * i), j, 1))
    faces.main(["evaluate", "--data", str(tmp_path / "people"), "--whole", "--count", "24",
                "--output", str(tmp_path),
                "--json", str(tmp_path / "f.json")])
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["pairs"] == figures["unaligned"]["pairs"] == 24
    assert figures["judged"]["false_accepts"] == 12
    assert [(row["enrolled"], row["rule"]) for row in figures["open_set"]] == [
        (1, "pairs"), (1, "following"), (2, "pairs"), (2, "following")]
    assert all(row["strangers_named"] == 1 for row in figures["open_set"])
    said = capsys.readouterr().out
    assert "without alignment, whole pictures as they are:" in said and "1 − (1 − FAR)^K" in said


def test_networks_that_cannot_be_fetched_are_no_pictures_fault(
    gallery, tmp_path, capsys, monkeypatch
):
    def fetch(*_, **__):
        raise FetchError("no network")

    monkeypatch.setattr(face_model, "find", fetch)
    assert fails(capsys, faces.main, "identify", ASTRONAUT, ASTRONAUT, "--gallery", gallery,
                 "--output",
                 tmp_path) == "no network\n"
