"""demos.visualize as a user meets it: sheets, figures, the cache, and mistakes in one line."""
import json

import numpy as np
from PIL import Image
import pytest
from test_demos import fails

from demos import visualize, visualize_model
import minidl as md
from minidl.data import load_image, save_image
from minidl.models import CharacterEncoder, save_encoder, siamese_encoder
from minidl.models.siamese import load_encoder
from minidl.visualize import top_patches


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place with its own cache, an encoder, and seven pictures, of which one is none."""
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(visualize_model, "EVERY", 3)
    save_encoder(tmp_path / "encoder.npz",
                 siamese_encoder(20, 3, border=2, widths=(3, 4), features=5))
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        save_image(tmp_path / "pictures" / f"{i}.png",
                   rng.integers(0, 256, (20, 20 + i, 3)).astype("uint8"))
    (tmp_path / "pictures" / "bad.png").write_bytes(b"no picture")
    return tmp_path


def run(folder, *arguments, model="encoder.npz", data=True, command=None):
    data = ["--data", folder / "pictures"] if data else []
    given = [*([command] if command else []), "--model", folder / model, *data, "--output",
             folder / "out",
             "--json", folder / "figures.json", *arguments]
    assert visualize.main([str(argument) for argument in given]) == (1 if data else None)
    return json.loads((folder / "figures.json").read_text())


def test_patches_as_figures(folder, capsys):
    figures = run(folder, "--layer", "relu2", "--units", 3, 1, command="patches")
    assert [one["unit"] for one in figures["units"]] == [3, 1] and figures["pictures"] == 6
    line, = figures["skipped"]
    assert line.startswith(f"{folder / 'pictures' / 'bad.png'} is not a usable picture")
    said = capsys.readouterr().err
    assert f"left out: {line}\n" in said and "left out: 1 of 7 pictures" in said
    net = load_encoder(folder / "encoder.npz")
    subject = visualize_model.Subject(str(folder / "encoder.npz"), folder / "pictures")
    pictures = [(name, subject.read(name)) for name in subject.names if "bad" not in name]
    expected = top_patches(net, pictures, "relu2", [3, 1])
    for one in figures["units"]:
        patches = expected.patches[one["unit"]]
        assert one["patches"] == [{"activation": patch.activation, "picture": patch.name,
                                   "row": patch.position[0],
                                   "column": patch.position[1],
                                   "box": [list(side) for side in patch.box]}
                                  for patch in patches]
        assert all(patch["activation"] >= other["activation"]
                   for patch, other in zip(one["patches"], one["patches"][1:]))
    assert (folder / "out" / "patches.png").exists()
    every = run(folder, "--layer", "relu2", command="patches")["units"]
    assert [one["unit"] for one in every] == [0, 1, 2, 3]
    assert every[3]["patches"] == figures["units"][0]["patches"]


def test_the_sheet_and_the_cache(folder, monkeypatch, capsys):
    figures = run(folder, "--count", 2, "--steps", 3)
    assert [one["layer"]
            for one in figures["units"]] == ["relu1"] * 2 + ["relu2"] * 2 + ["relu3"] * 2
    assert 0 <= figures["share_at_least_real"] <= 1 and figures["median_ratio"] > 0
    for one in figures["units"]:
        saved = load_image(folder / "out" / f"{one['layer']}_{one['unit']:04}.png")
        assert saved.shape == (20, 20, 3)
        assert one["ratio"] == one["synthetic"] / one["patches"][0]["activation"]
        for patch in one["patches"]:
            assert all(0 <= low < high <= 20 for low, high in patch["box"])
    assert {one["rule"] for one in figures["drawn_anew"]} == {"deconvnet", "guided", "gradient"}
    assert "rank correlation of the projections by deconvnet: " in capsys.readouterr().out
    with Image.open(folder / "out" / "sheet.png") as sheet:
        assert sheet.size[0] > 900 and sheet.size[1] > 700
    assert (folder / "out" / "drawn_anew.png").exists()
    monkeypatch.setattr(visualize_model, "top_patches", None)           # all is in the cache
    again = run(folder, "--count", 2, "--steps", 3, "--quiet")
    assert again | {"seconds": 0, "units": 0} == figures | {"seconds": 0, "units": 0}
    said = capsys.readouterr().out.splitlines()             # the answer, and no names of files
    assert len(said) == 4 and all(" rank correlation " in line or " real patch: " in line
                                  for line in said)


def test_interrupted_and_gone_on_with(folder, monkeypatch, capsys):
    taken = []

    def stopped(*arguments, callback, **options):
        def count(number):
            taken.append(number)
            if number == 4:
                raise KeyboardInterrupt
            callback(number)
        return top_patches(*arguments, callback=count, **options)

    monkeypatch.setattr(visualize_model, "top_patches", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(folder, "--layer", "relu1", command="patches")
    assert taken == [1, 2, 3, 4]
    resumed = run(folder, "--layer", "relu1", command="patches")
    assert taken == [1, 2, 3, 4, 5, 6, 7]
    monkeypatch.setattr(visualize_model, "top_patches", top_patches)
    for path in (folder / "cache" / "visualize").iterdir():
        path.write_text("damaged")
    assert run(folder, "--layer", "relu1", command="patches")["units"] == resumed["units"]


def test_units_and_dreams(folder, capsys):
    figures = run(folder, "--layer", "relu3", "--units", 1, "--steps", 2, "--padding",
                  command="units")
    assert [(one["layer"], one["unit"]) for one in figures["units"]] == [("relu3", 1)]
    assert (folder / "out" / "units.png").exists()
    figures = run(folder, "--layer", "dense", "--units", 4, "--steps", 2, command="dream",
                  data=False)
    assert [(one["layer"], one["unit"]) for one in figures["units"]] == [("dense", 4)]
    assert (folder / "out" / "dense_0004.png").exists() and (folder / "out" / "dream.png").exists()


def test_an_encoder_of_characters(folder):
    md.save(folder / "characters.npz", CharacterEncoder(rng=0))
    figures = run(folder, "--quick", "--layer", "relu1", "--count", 1, "--steps", 2, "--quiet",
                  model="characters.npz",
                  data=False, command="units")
    assert len(figures["units"]) == 1 and figures["pictures"] == 32
    assert load_image(folder / "out"
                      / f"relu1_{figures['units'][0]['unit']:04}.png").shape == (28, 28, 3)


def test_pictures_are_reduced_only_when_asked(folder):
    subject = visualize_model.Subject(str(folder / "encoder.npz"), folder / "pictures")
    assert subject.read(subject.names[5]).shape == (20, 20, 3)  # the size that the encoder takes

    class Any(visualize_model.Subject):
        fixed = None

    name = str(folder / "pictures" / "5.png")
    assert Any(str(folder / "encoder.npz"), folder / "pictures").read(name).shape == (20, 25, 3)
    assert Any(str(folder / "encoder.npz"), folder / "pictures",
               size=10).read(name).shape == (8, 10, 3)


@pytest.mark.parametrize("arguments, words", [
    (["--layer", "relu9"], "--layer relu9 is none of light, conv1"),
    (["--layer", "dense"], "--layer dense: its units see more than a window"),
    (["--layer", "relu1", "--units", 99], "--units 99: layer relu1 has the units 0 to 2"),
    (["--count", 0], "above 0"),
    (["--data", "missing"], "--data missing is no folder"),
    (["--model", "missing.npz"], "--model missing.npz: there is no such file"),
    (["--units", "edges"], "--units"), (["--nonsense"], "--nonsense"),
])
def test_mistakes_are_one_line(folder, capsys, arguments, words):
    given = ["patches", "--model", folder / "encoder.npz", "--data", folder / "pictures",
             "--output", folder / "out",
             "--quiet"]
    assert words in fails(capsys, visualize.main, *given, *arguments)


def test_more_mistakes(folder, capsys):
    (folder / "empty").mkdir()
    (folder / "other.npz").write_bytes(b"nothing")
    tiny = folder / "tiny"
    tiny.mkdir()
    (tiny / "bad.png").write_bytes(b"no picture")
    given = ["--model", folder / "encoder.npz", "--output", folder / "out", "--quiet"]
    assert "there are no pictures in this folder" in fails(
        capsys, visualize.main, *given, "--data", folder / "empty"
    )
    assert "none of the 1 pictures can be used" in fails(
        capsys, visualize.main, *given, "--data", tiny
    )
    assert "no network of these was found in it" in fails(
        capsys, visualize.main, "--model", folder / "other.npz", "--output", folder / "out"
    )
    assert "--units 7: layer relu1 has the units 0 to 2" in fails(
        capsys, visualize.main, "dream", *given, "--layer", "relu1", "--units", 7, "--steps", 1)
