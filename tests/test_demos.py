"""The command lines as a user meets them: what they write, and that every mistake is one line and
exit code 2."""
import json
import os
from pathlib import Path
import subprocess
import sys

from PIL import Image
import pytest

from demos import command_line, style_transfer
from demos.command_line import run
from minidl.data import read_metadata
from minidl.files import cache_folder
from minidl.weights import FILES

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "demos" / "images"


def fails(capsys, main, *arguments):
    """The one line on stderr of a call that must end with exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        run(main, [str(a) for a in arguments])
    message = capsys.readouterr().err
    assert stopped.value.code == 2, message
    assert message.count("\n") == 1 and "Traceback" not in message
    return message


@pytest.mark.parametrize("arguments, words", [
    (["--steps", "many"], "--steps"), (["--steps", 0], "steps"), (["--size", 3], "size"),
    (["--optimizer", "magic"], "magic"),
    (["--content", "missing.jpg"], "missing.jpg"), (["--device", "abacus"], "abacus"),
    (["--style", ROOT], ROOT.name),
    (["--content", ROOT / "setup.cfg"], "setup.cfg"), (["--noise-ratio", 0.5], "noise_ratio"),
    (["--alpha", -1], "content_weight"),
    (["--style-layer-weights", 1], "--style-layer-weights"),
    (["--style-layer-weights", 1, 1, 1, 1, 1], "add up to 1"),
    (["--style-layer", "relu9_1"], "relu9_1"), (["--weights", "missing.pt"], "missing.pt"),
    (["--save-every", -1], "--save-every"),
    (["--style", IMAGES / "great_wave.jpg", "--style", IMAGES / "scream.jpg", "--mask",
      IMAGES / "scream.jpg"],
     "got 2 styles and 1 mask:"),
    (["--mask", IMAGES / "great_wave.jpg"], "a mask needs the picture's aspect ratio"),
    (["--style", IMAGES / "great_wave.jpg", "--style", IMAGES / "scream.jpg", "--blend", 0.5, 0.6],
     "add up to 1"),
    (["--look", "wild"], "light, balanced, strong"),
    (["--look", "balanced", "--alpha", 5], "look is a share"),
    (["--look", "1.5"], "0 < look < 1"), (["--style-scale", 0], "style_scale"),
    (["--scales", 0], "scales"),
    (["--margin", -1], "margin"), (["--depth", 12], "--depth"),
    (["--state-every", -1], "--state-every"),
    (["--style-layers", "relu1_1", "relu1_1"], "style_layers names 'relu1_1' twice"),
    (["--resume", "missing.npz"], "missing.npz"),
    (["--resume", ROOT / "setup.cfg"], "not a usable state"),
    (["--like", IMAGES / "gradient_check.png"], "no settings of style transfer"),
    (["--like", IMAGES / "chelsea.jpg"], "chelsea.jpg"),
    (["--weights", ROOT / "setup.cfg"], "setup.cfg"), (["--nonsense"], "--nonsense"),
    (["--init", "grey"], "grey"),
])
def test_mistakes_are_one_line(capsys, tmp_path, arguments, words):
    pytest.importorskip("matplotlib")                   # which is asked for before files are read
    assert words in fails(capsys, style_transfer.main, "--output", tmp_path, "--quiet", *arguments)


def test_an_output_that_is_a_file(capsys, tmp_path):
    (tmp_path / "taken").write_text("x")
    assert "taken" in fails(capsys, style_transfer.main, "--output", tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "x"


def test_an_output_that_cannot_be_written_shows_before_the_work(capsys, monkeypatch, tmp_path):
    def refused(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(command_line.tempfile, "TemporaryFile", refused)
    said = fails(capsys, style_transfer.main, "--output", tmp_path)
    assert f"{tmp_path}: nothing can be written in this folder (Permission denied)" in said


def test_a_library_that_is_missing_is_named(capsys):
    def main(arguments):
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    assert fails(capsys, main) == "No module named 'matplotlib': pip install matplotlib\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_terminal_can_show_it(encoding):
    """What an encoding lacks is spelt, and what would move the cursor is escaped."""
    program = ("from demos.command_line import answer, run; "
               "run(lambda _: answer('τ 0.5 ≤ λ', 'Zoë \\x1b[2J 雪'))")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                          env=os.environ | {"PYTHONIOENCODING": encoding})
    said = done.stdout.decode(encoding).split("\n")
    assert done.returncode == 0 and not done.stderr
    assert said[0].strip() == ("τ 0.5 ≤ λ" if encoding == "utf-8" else "tau 0.5 <= lambda")
    name = r"Zo\xeb" if encoding == "ascii" else "Zoë"
    snow = "雪" if encoding == "utf-8" else r"\u96ea"
    assert said[1].strip() == rf"{name} \x1b[2J {snow}"


@pytest.mark.parametrize("name", ["style_transfer", "gradient_check", "one_shot", "faces",
                                  "visualize", "gan", "signals", "volumes"])
def test_help(name):
    shown = subprocess.run([sys.executable, "-m", f"demos.{name}", "--help"], cwd=ROOT,
                           capture_output=True, text=True)
    assert shown.returncode == 0
    for option in ("--device", "--seed", "--output", "--quiet", "--json"):
        assert option in shown.stdout


needs_vgg = pytest.mark.skipif(not (cache_folder() / FILES["vgg19"]["name"]).exists(),
                               reason="VGG-19's weights are not cached")


@needs_vgg
def test_style_transfer_from_end_to_end(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    Image.new("RGB", (60, 30), "orange").save(tmp_path / "wide picture.png")
    out = tmp_path / "out"
    style_transfer.main(["--content", str(tmp_path / "wide picture.png"), "--size", "48", "--steps",
                         "4",
                         "--save-every", "2", "--output", str(out), "--seed", "3", "--state-every",
                         "3",
                         "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["evaluations"] == len(figures["history"]) == 4
    assert figures["J"] == min(costs["J"] for costs in figures["history"])
    written = {file.name for file in out.iterdir()}
    assert written == {"picture.png", "strip.png", "costs.png", "step_0002.png", "step_0004.png",
                       "progress.html",
                       "state.npz"}
    with Image.open(out / "picture.png") as picture:
        assert picture.size == (48, 24)
    page = (out / "progress.html").read_text()
    assert "wide picture" in page and "style relu5_1" in page and "<svg" in page
    assert "http-equiv" not in page
    settings = json.loads(read_metadata(out / "picture.png")["settings"])
    assert settings["seed"] == 3 and settings["steps"] == 4
    assert "wide picture.png" in settings["content"]
    # the picture tells how it was made, and the state goes on to the same end
    style_transfer.main(["--like", str(out / "picture.png"), "--output", str(tmp_path / "again"),
                         "--quiet"])
    assert (tmp_path / "again" / "picture.png").read_bytes() == (out / "picture.png").read_bytes()
    style_transfer.main(["--like", str(out / "picture.png"), "--output", str(tmp_path / "rest"),
                         "--quiet",
                         "--resume", str(out / "state.npz"), "--json", str(tmp_path / "rest.json")])
    rest = json.loads((tmp_path / "rest.json").read_text())
    assert rest["history"][:3] == figures["history"][:3] and rest["evaluations"] == 4
    shown = capsys.readouterr()
    assert "picture.png" in shown.out and "J_style" in shown.err


@needs_vgg
def test_styles_in_regions_in_sixteen_bits_and_a_preview(tmp_path):
    pytest.importorskip("matplotlib")
    Image.new("RGB", (40, 40), "orange").save(tmp_path / "content.png")
    for name, box in ("left", (0, 0, 20, 40)), ("right", (20, 0, 40, 40)):
        mask = Image.new("L", (40, 40))
        mask.paste(255, box)
        mask.save(tmp_path / f"{name}.png")
    common = ["--content", str(tmp_path / "content.png"), "--quiet", "--steps", "2", "--size", "32",
              "--style", str(IMAGES / "scream.jpg"), "--style", str(IMAGES / "great_wave.jpg"),
              "--mask", str(tmp_path / "left.png"), "--mask", str(tmp_path / "right.png"),
              "--colors", "match"]
    style_transfer.main([*common, "--output", str(tmp_path / "out"), "--format", "tif", "--depth",
                         "16"])
    with Image.open(tmp_path / "out" / "picture.tif") as picture:
        assert picture.size == (32, 32) and picture.tag_v2[258] == (16, 16, 16)
    style_transfer.main([*common, "--output", str(tmp_path / "grid"), "--preview"])
    with Image.open(tmp_path / "grid" / "preview.png") as grid:
        assert grid.size == (3 * (32 + 6), 3 * (32 + 6 + 16))
