"""The twelve steps: pages whose programs run, print what the page says, and draw its pictures."""
import contextlib
import io
import os
from pathlib import Path
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from minidl.files import cache_folder
from minidl.learn.steps import HERE, PAGES, program, run, title
from minidl.learn.steps.__main__ import main

ROOT = Path(__file__).parent.parent
EXERCISE = re.compile(r"python -m minidl\.learn show ([a-z0-9-]+)")
PICTURE = re.compile(r"!\[[^]]+\]\(images/([^)]+)\)")
NUMBER = re.compile(r"−?-?\d+(?:\.\d+)?(?:e-?\d+)?")
needs = {"09_digits": pytest.mark.skipif(not (cache_folder() / "mnist").exists() and not [
    *cache_folder().glob("*mnist_5k*")], reason="the digits are not cached")}
runs = [pytest.param(page, id=page.stem, marks=needs.get(page.stem, ())) for page in PAGES]


def text_of(page):
    return page.read_text(encoding="utf-8")


def printed_on(page):
    return re.search(r"^It prints:\n\n```\n(.*?)^```$", text_of(page), re.DOTALL | re.M)[1]


def exercises(page):
    return EXERCISE.findall(text_of(page))


def test_there_are_twelve():
    assert [int(page.name[:2]) for page in PAGES] == [*range(1, 13)]
    assert [title(page).split(".")[0] for page in PAGES] == [str(i) for i in range(1, 13)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_a_screen_a_program_a_picture_and_an_exercise(page):
    code, above = program(page)
    assert above <= 32 and code.count("\n") <= 40
    assert all(len(line) <= 100 for line in code.splitlines())
    assert exercises(page) and PICTURE.findall(text_of(page))
    for link in re.findall(r"\]\(([^)#]+)\)", text_of(page)):
        assert (HERE / link).exists(), link


def test_the_list_of_steps():
    rows = re.findall(r"^\| \[(\d+)\. [^]]*\]\((\w+\.md)\).*\| `([a-z0-9-]+)` \|$",
                      text_of(HERE / "README.md"), re.M)
    assert [(int(number), file) for number, file, _ in rows] == [
        (i, page.name) for i, page in enumerate(PAGES, 1)]
    assert [name for *_, name in rows] == [exercises(page)[0] for page in PAGES]


def test_every_exercise_is_there():
    path = pytest.importorskip("minidl.learn.path")
    known = {exercise.name for exercise in path.EXERCISES}
    assert {name for page in PAGES for name in exercises(page)} - known == set()


def alike(found, expected):
    """Equal words; numbers within a tenth, as training rounds differently on other machines."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", expected):
        return False
    pairs = zip(*(NUMBER.findall(text.replace("−", "-")) for text in (found, expected)))
    return all(abs(float(a) - float(b)) <= 0.02 + 0.1 * abs(float(b)) for a, b in pairs)


@pytest.mark.parametrize("page", runs)
def test_a_program_prints_and_draws_what_the_page_says(page, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run(page)
    assert alike(said.getvalue(), printed_on(page)), said.getvalue()
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == set(PICTURE.findall(text_of(page)))
    for name in drawn:
        if name.endswith(".svg"):
            assert words(tmp_path / name) == words(HERE / "images" / name)


def words(file):
    return [text.text for text in ElementTree.parse(file).iter() if text.tag.endswith("text")]


def test_what_differs_would_be_seen():
    assert alike("loss 0.50, 91.5% right\n", "loss 0.52, 90.1% right\n")
    assert not alike("loss 0.50\n", "loss 0.70\n") and not alike("loss 0.5\n", "loss: 0.5\n")


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and message.count("\n") == 1
    return message


def test_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main([])
    assert "2. The chain rule and the sweep    02_sweep.md" in capsys.readouterr().out
    main(["2"])
    assert "slope by the sweep: 8.0" in capsys.readouterr().out
    assert (tmp_path / "02_sweep.svg").exists()
    main(["2", "--copy", "mine.py"])
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True,
                          env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert "slope by the sweep: 8.0" in done.stdout, done.stderr
    assert "mine.py is there already" in fails(capsys, 2, "--copy", "mine.py")
    assert "13" in fails(capsys, 13) and "many" in fails(capsys, "many")
    assert "--copy needs" in fails(capsys, "--copy", "other.py")
    message = fails(capsys, 2, "--copy", "nowhere/x.py")
    assert "No such file or directory: nowhere" in message and "Errno" not in message


def test_a_picture_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "02_sweep.svg").mkdir()
    assert "02_sweep.svg" in fails(capsys, 2)


@pytest.mark.parametrize("number", [[], ["2"]])
def test_nobody_reads_what_is_printed(number, tmp_path):
    """`… | head -1`: no traceback, and the picture is drawn all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = subprocess.run([sys.executable, "-m", "minidl.learn.steps", *number], cwd=tmp_path,
                              stdout=pipe, stderr=subprocess.PIPE, text=True,
                              env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert done.stderr == "" and done.returncode == 0
    assert (tmp_path / "02_twice.svg").exists() is bool(number)


def test_a_traceback_shows_the_pages_line(tmp_path):
    page = tmp_path / "99_broken.md"
    page.write_text("# 99. Broken\n\n```python\nx = 1\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        run(page)
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == (page, 5)
