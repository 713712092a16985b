"""demos.gan as a user meets it: what it writes, kills, mistakes in one line."""

import json
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from test_demos import fails

from demos import gan, gan_data
from demos.command_line import run
from minidl.data import save_image
from minidl.gan import report

ROOT = Path(__file__).parent.parent
rng = np.random.default_rng
pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The smallest of everything that is measured."""
    for name, value in (("LEARNED", 40), ("STEPS", 4)):
        monkeypatch.setattr(report, name, value)


def folders(path, classes=2, each=6, size=(12, 20)):
    for k in range(classes):
        (path / f"class{k}").mkdir(parents=True)
        for i in range(each):
            picture = rng([k, i]).integers(0, 80, (*size, 3)).astype(np.uint8)
            picture[:, :, k % 3] += 170
            save_image(path / f"class{k}" / f"{i}.png", picture)
    return path


def train(tmp_path, *more, data=None):
    data = data or folders(tmp_path / "data")
    arguments = [
        "train",
        "--data",
        data,
        "--size",
        8,
        "--steps",
        5,
        "--batch",
        4,
        "--width",
        4,
        "--every",
        2,
        "--output",
        tmp_path / "out",
        "--json",
        tmp_path / "f.json",
        "--quiet",
        *more,
    ]
    code = gan.main([str(each) for each in arguments])
    return code, json.loads((tmp_path / "f.json").read_text())


# ---- train, sample ------------------------------------------------------------------------------


def test_labelled_folders_of_many_sizes(tmp_path):
    data = folders(tmp_path / "data")
    save_image(data / "class0" / "wide.jpg", rng(9).integers(0, 256, (30, 90, 3)).astype(np.uint8))
    code, figures = train(tmp_path, data=data)
    assert code is None and figures["classes"] == ["class0", "class1"] and figures["pictures"] == 11
    assert {"gan_test", "gan_train", "judge_accuracy"} <= figures.keys() and figures["seconds"] > 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "grid.png",
        "album.png",
        "walks.png",
        "neighbours.png",
        "curves.png",
        "training.gif",
        "generator.npz",
    }
    gan.main(
        [
            "sample",
            "--model",
            figures["model"],
            "--count",
            "7",
            "--output",
            str(tmp_path / "s"),
            "--quiet",
        ]
    )
    with np.load(tmp_path / "s" / "samples.npz") as made:
        assert made["pictures"].shape == (7, 8, 8, 3) and made["labels"].tolist() == [
            0,
            1,
            0,
            1,
            0,
            1,
            0,
        ]
    gan.main(
        [
            "sample",
            "--model",
            figures["model"],
            "--count",
            "3",
            "--label",
            "class1",
            "--output",
            str(tmp_path / "s"),
            "--quiet",
        ]
    )
    with np.load(tmp_path / "s" / "samples.npz") as made:
        assert made["labels"].tolist() == [1, 1, 1]


def test_pictures_without_labels_and_one_that_is_damaged(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for i in range(12):
        save_image(data / f"{i}.png", rng(i).integers(0, 256, (9, 9), dtype=np.uint8))
    (data / "bad.png").write_bytes(b"\x89PNG no picture")
    code, figures = train(tmp_path, "--augment", "translation", "cutout", data=data)
    assert code == 1 and len(figures["left_out"]) == 1 and figures["classes"] == []
    said = capsys.readouterr().err
    assert "bad.png" in said and "all else was used" in said
    gan.main(
        [
            "sample",
            "--model",
            figures["model"],
            "--count",
            "2",
            "--output",
            str(tmp_path / "s"),
            "--quiet",
        ]
    )
    with np.load(tmp_path / "s" / "samples.npz") as made:
        assert made["pictures"].shape == (2, 8, 8, 1) and made["labels"].tolist() == [-1, -1]


@pytest.mark.parametrize("more, words", [
    ([], "two classifiers of 4 steps each measure what was learned: about 1 min on one"),
    (["--no-labels"], "generated pictures are compared with pictures held out"),
    (["--no-measures"], None)])
def test_the_first_line_says_what_will_be_measured(tmp_path, capsys, more, words):
    gan.main(["train", "--data", str(folders(tmp_path / "data")), "--size", "8", "--steps", "1",
              "--batch", "4", "--width", "4", "--output", str(tmp_path / "out"), *more])
    first = capsys.readouterr().out.splitlines()[0]
    if words is None:
        assert "after training" not in first
    else:
        assert first.startswith(f"after training, {words}")
        assert first.endswith("; --no-measures leaves this out")


def test_minutes_become_steps(tmp_path):
    _, figures = train(tmp_path, "--minutes", "0.004", "--no-measures")
    assert 1 <= figures["recipe"]["steps"] < 500 and "gan_test" not in figures


@pytest.mark.parametrize("name, channels, classes", [("characters", 1, 10), ("faces", 3, 0)])
def test_drawn_data(monkeypatch, name, channels, classes):
    monkeypatch.setattr(gan_data, "DRAWERS", 4)
    monkeypatch.setattr(gan_data, "FACES", 12)
    source = gan_data.read_source(name, 16, 0)
    assert source.train.shape[1:] == source.test.shape[1:] == (16, 16, channels)
    assert source.train.dtype == np.uint8 and len(source.names) == classes
    assert gan_data.read_source(name, 16, 0, labelled=False).train_labels is None


def test_mnist_in_another_size():
    images = rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    assert (gan_data._sized(images, 32)[:, 2:30, 2:30, 0] == images).all()
    assert (
        gan_data._sized(images, 16).shape == (3, 16, 16, 1)
        and gan_data._sized(images, 28).shape[1] == 28
    )


# ---- kills --------------------------------------------------------------------------------------


def command(tmp_path, name):
    return [
        sys.executable,
        "-m",
        "demos.gan",
        "train",
        "--data",
        str(tmp_path / "data"),
        "--size",
        "8",
        "--steps",
        "60",
        "--batch",
        "4",
        "--width",
        "4",
        "--every",
        "5",
        "--no-measures",
        "--quiet",
        "--output",
        str(tmp_path / name),
    ]


def test_kill_9_changes_no_byte(tmp_path):
    """Killed at random moments, and once more run to its end: the model is the same file."""
    folders(tmp_path / "data")
    subprocess.run(command(tmp_path, "whole"), cwd=ROOT, check=True)
    model, moments = tmp_path / "cut" / "generator.npz", rng(0)
    checkpoint, kills = model.with_suffix(".checkpoint.npz"), 0
    while kills < 3:
        child = subprocess.Popen(command(tmp_path, "cut"), cwd=ROOT)
        while child.poll() is None and not checkpoint.exists():
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
        if model.exists():
            break
    subprocess.run(command(tmp_path, "cut"), cwd=ROOT, check=True)
    assert model.read_bytes() == (tmp_path / "whole" / "generator.npz").read_bytes()
    assert not checkpoint.exists()


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["lab", "--data", "circle"], "'circle' is none of ring"),
        (["lab", "--data", ROOT / "setup.cfg"], "setup.cfg"),
        (["lab", "--steps", 0], "--steps"),
        (["lab", "--game", "chess"], "chess"),
        (["lab", "--gamma", -1], "--gamma"),
        (["train", "--data", "nothing"], "'nothing' is none of digits"),
        (["train", "--size", 30], "28, 32, 48 or 64"),
        (["train", "--model", "model.pt"], ".npz"),
        (["train", "--augment", "blur"], "blur"),
        (["sample"], "--model"),
        (["sample", "--model", "missing.npz"], "missing.npz"),
        (["sample", "--model", ROOT / "setup.cfg"], "setup.cfg"),
        (["play"], "play"),
        ([], "required: lab | train | sample"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setitem(gan_data.SOURCES, "digits", gan_data.SOURCES["characters"])
    monkeypatch.setattr(gan_data, "DRAWERS", 4)
    rest = ["--output", tmp_path] if arguments else []
    assert words in fails(capsys, gan.main, *arguments, *rest)


def one(path, classes, each):
    return folders(path, classes, each)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: path.mkdir(), "holds no pictures"),
        (
            lambda path: save_image(path / "a.png", np.zeros((9, 9), np.uint8))
            if not path.mkdir()
            else 0,
            "one picture is no",
        ),
        (lambda path: folders(path, 1, 4), "all pictures are of one class, 'class0'"),
        (
            lambda path: [
                folders(path, 2, 4),
                folders(path / "x", 1, 1),
                save_image(path / "lonely.png", np.zeros((9, 9), np.uint8)),
            ],
            "pictures and folders of pictures",
        ),
        (
            lambda path: [
                folders(path, 2, 4),
                (path / "single").mkdir(),
                save_image(path / "single" / "a.png", np.zeros((9, 9), np.uint8)),
            ],
            "class 'single' has one picture",
        ),
        (
            lambda path: [path.mkdir(), (path / "a.png").write_bytes(b"no")],
            "no picture that can be read",
        ),
    ],
)
def test_data_that_teach_nothing(capsys, tmp_path, make, words):
    make(tmp_path / "data")
    said = fails(
        capsys,
        gan.main,
        "train",
        "--data",
        tmp_path / "data",
        "--size",
        8,
        "--output",
        tmp_path / "out",
    )
    assert words in said


def test_a_label_that_does_not_exist(capsys, tmp_path):
    _, figures = train(tmp_path, "--no-measures")
    said = fails(
        capsys,
        gan.main,
        "sample",
        "--model",
        figures["model"],
        "--label",
        "cat",
        "--output",
        tmp_path,
    )
    assert "'cat' is none of class0, class1" in said


def test_another_size_in_the_middle_of_a_run(capsys, tmp_path):
    """The checkpoint of a run is of its size, data and settings."""
    folders(tmp_path / "data")
    child = subprocess.Popen(command(tmp_path, "out"), cwd=ROOT)
    while child.poll() is None and not (tmp_path / "out" / "generator.checkpoint.npz").exists():
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    if (tmp_path / "out" / "generator.npz").exists():
        pytest.skip("it was ready before it could be killed")
    said = fails(capsys, gan.main, *command(tmp_path, "out")[3:], "--size", 16)
    assert "is of another run" in said


def test_help():
    for words in ([], ["lab"], ["train"], ["sample"]):
        shown = subprocess.run(
            [sys.executable, "-m", "demos.gan", *words, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0 and "--json" in shown.stdout
        assert ("minutes on one core" in shown.stdout) == (words in (["lab"], ["train"]))


def test_interruption_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    from minidl.gan import Training

    real = Training.step

    def step(self, t, batch):
        if t == 3:
            raise KeyboardInterrupt
        return real(self, t, batch)

    monkeypatch.setattr(Training, "step", step)
    folders(tmp_path / "data")
    with pytest.raises(SystemExit) as stopped:
        run(gan.main, command(tmp_path, "out")[3:])
    assert stopped.value.code == 130 and "goes on from" in capsys.readouterr().err
    assert not (tmp_path / "out" / "generator.npz").exists()
