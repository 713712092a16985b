"""The lecture's map: every name on it is there; and the two claims that are measured."""
import importlib
import json
import re

import numpy as np
import pytest

from demos import lecture
from demos.command_line import run
import minidl as md
from minidl.files import cache_folder
from minidl.learn.steps import HERE
from minidl.weights import FILES

PAGE = (HERE / "LECTURE.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines() if line.startswith("| ") and "`md." in line]
FUNCTION = re.compile(r"\[`md\.([\w.]+)`\]\(([\w./]+)\)")
COMMAND = re.compile(r"`python -m (demos\.\w+) ?([\w-]*)( [^`]*)?`")
IDEAS = ["verification", "recognition", "one shot", "similarity", "Siamese network", "triplet loss",
         "choosing triplets", "verification as classification", "style transfer",
         "what ConvNets learn", "content cost", "Gram matrix", "style cost", "1-D", "3-D",
         "two players"]


def test_every_idea_has_a_row():
    assert {len(row) for row in ROWS} == {5}
    assert set(IDEAS) - {row[0] for row in ROWS} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_function_and_demo_is_there(row):
    found = md
    names, file = FUNCTION.fullmatch(row[2]).groups()
    for name in names.split("."):
        found = getattr(found, name)
    assert callable(found) and found.__doc__
    assert re.search(rf"^ *(def|class) {name}\b", (HERE / file).read_text(encoding="utf-8"), re.M)
    if row[4]:
        module, command, _ = COMMAND.fullmatch(row[4]).groups()
        demo = importlib.import_module(module)
        assert callable(demo.main) and command in demo.__doc__


@pytest.mark.parametrize("row", [row for row in ROWS if "demos.faces" in row[4]],
                         ids=lambda row: row[0])
def test_a_command_lacks_no_argument(row, tmp_path, monkeypatch, capsys):
    """As it is printed it asks for what FILE and FOLDER stand for, and for nothing else."""
    monkeypatch.chdir(tmp_path)
    _, command, options = COMMAND.fullmatch(row[4]).groups()
    with pytest.raises(SystemExit) as stopped:
        run(importlib.import_module("demos.faces").main, [command, *options.split(), "--quiet"])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and ("FILE" in message or "FOLDER" in message), message


def test_every_exercise_is_there():
    path = pytest.importorskip("minidl.learn.path")
    assert {row[3].strip("`") for row in ROWS} - {each.name for each in path.EXERCISES} == set()


def test_softmax_and_distance_are_compared(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    run(lecture.main, ["softmax", "--people", "2", "3", "--examples", "1", "2", "--others", "16",
                       "--steps", "4", "--quiet", "--output", str(tmp_path), "--json",
                       str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert [(row["people"], row["examples"], row["asked"]) for row in found["rows"]] == [
        (2, 1, 8), (2, 2, 8), (3, 1, 12), (3, 2, 12)]
    for row in found["rows"]:
        for name in ("softmax", "distance"):
            low, high = row[f"{name}_interval"]
            assert 0 <= low <= row[name] <= high <= 1
    assert capsys.readouterr().out.count("one person more") == 4
    assert (tmp_path / "softmax.png").stat().st_size > 5000


needs_vgg = pytest.mark.skipif(not (cache_folder() / FILES["vgg19"]["name"]).exists(),
                               reason="VGG-19's weights are not cached")


@needs_vgg
def test_upside_down(tmp_path, capsys):
    run(lecture.main, ["upside-down", "--size", "64", "--json", str(tmp_path / "found.json"),
                       "--output", str(tmp_path)])
    costs = json.loads((tmp_path / "found.json").read_text())["costs"]
    turned, noise = costs["activations turned"], costs["noise"]
    assert turned["style"] < 1e-9 * noise["style"] and turned["content"] > 0.1 * noise["content"]
    assert costs["picture turned"]["style"] > 1e-6 * noise["style"]


def test_turned_activations_have_style_cost_0():
    a = np.random.default_rng(0).random((1, 6, 5, 3))
    assert md.style.style_cost(a, a[:, ::-1].copy()).item() < 1e-25
    assert md.style.content_cost(a, a[:, ::-1].copy()).item() > 0.01


@pytest.mark.parametrize("command", [[], ["softmax"], ["upside-down"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(lecture.main, [*command, "--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    assert all(
        option in shown for option in ("--device", "--seed", "--output", "--quiet", "--json")
    )


@pytest.mark.parametrize("arguments, words", [
    ([], "required: softmax | upside-down"), (["hardmax"], "hardmax"),
    (["softmax", "--examples", "8"], "below 8"),
    (["softmax", "--people", "1"], "above 1"), (["upside-down", "--picture", "missing.jpg"],
                                                "missing.jpg")])
def test_mistakes_are_one_line(arguments, words, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        run(lecture.main, [*arguments, *(["--output", str(tmp_path)] if arguments else [])])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and words in message and message.count("\n") == 1
