"""demos.signals and demos.volumes as a user meets them, on data too small to learn from."""
import json

import numpy as np
import pytest
from test_demos import fails
from test_nifti import described, written

from demos import signals, volumes
from minidl.data import Exercises, load_image
from minidl.data.brain import Brain

pytest.importorskip("matplotlib")
FIELDS = {"task", "accuracy", "interval", "baseline", "seed", "predictions"}


def call(main, tmp_path, *arguments):
    """The figures of a command."""
    path = tmp_path / "figures.json"
    main([*map(str, arguments), "--epochs", "1", "--output", str(tmp_path / "out"), "--json",
          str(path), "--quiet"])
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def check(figures, tmp_path, task, pictures):
    """What --json promises, and that another program finds the same in the predictions."""
    assert FIELDS <= figures.keys() and figures["task"] == task and figures["seed"] == 0
    with np.load(figures["predictions"]) as found:
        right = found["labels"] == found["answers"]
        assert right.mean() == figures["accuracy"] and len(right) == figures["examples"]
        assert (found["scores"].argmax(1) == found["answers"]).all()
        assert found["names"].tolist() == figures["names"]
    low, high = figures["interval"]
    assert 0 <= low <= figures["accuracy"] <= high <= 1 and 0 <= figures["baseline"] <= 1
    for name in pictures:
        picture = load_image(tmp_path / "out" / f"{task}_{name}.png")
        assert min(picture.shape[:2]) > 60 and picture.std() > 5


def series(path, count=12, length=13, channels=2, names="a b", seed=0):
    rng = np.random.default_rng(seed)
    lines = ["@classLabel true " + names, "@data"]
    for i in range(count):
        rows = [",".join(f"{v:.3f}" for v in rng.normal(i % 2, 1, length)) for _ in range(channels)]
        lines.append(":".join([*rows, names.split()[i % 2]]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("length", [13, 5])
def test_series_of_ones_own(tmp_path, length):
    figures = call(signals.main, tmp_path, "--train", series(tmp_path / "a.ts", length=length),
                   "--test", series(tmp_path / "b.ts", length=length, seed=1))
    check(figures, tmp_path, "series", ["signals", "pieces", "gradient", "confusion"])


def test_the_watch_judges_everybody_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(4), 2)
    exercises = Exercises([rng.normal(size=(450, 6)).astype("float32") for _ in people],
                          np.arange(8) % 2, ["pendulum", "row"], people, people < 2)
    monkeypatch.setattr(signals, "watch_exercises", lambda: exercises)
    figures = call(signals.main, tmp_path, "watch", "--folds", 2)
    check(figures, tmp_path, "watch", ["signals", "pieces", "gradient", "confusion"])
    assert figures["examples"] == 16 and len(figures["people"]) == 4
    assert 0 <= figures["recordings_accuracy"] <= 1


def test_beats_and_a_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "TRAINED", 16)
    monkeypatch.setattr(signals, "JUDGED", 12)
    t = np.arange(0, 7, 1 / 250)
    np.savetxt(tmp_path / "ecg.csv", np.exp(-((t % 0.8 - 0.4) / 0.012) ** 2))
    figures = call(signals.main, tmp_path, "beats", "--ecg", tmp_path / "ecg.csv", "--hertz", 250)
    check(figures, tmp_path, "beats", ["signals", "pieces", "gradient", "confusion", "real"])
    assert len(figures["real"]["ecg.csv"]) == 7
    assert {beat["says"] for beat in figures["real"]["ecg.csv"]} <= set(figures["names"])


def test_the_brain(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    tissue = rng.integers(0, 3, (22, 22, 190)).astype(np.int8)
    brain = Brain((60 + 60 * tissue).astype(np.uint8), tissue)
    monkeypatch.setattr(volumes, "mni_brain", lambda: brain)
    monkeypatch.setattr(volumes, "PATCHES", 48)
    monkeypatch.setattr(volumes, "JUDGED", 30)
    figures = call(volumes.main, tmp_path, "--noise", 1)
    check(figures, tmp_path, "brain", ["volumes", "pieces", "map", "confusion"])
    assert figures["baseline"] == 1 and 0 <= figures["slice_accuracy"] <= 1    # hardly any noise


def test_tubes(tmp_path, monkeypatch):
    monkeypatch.setattr(volumes, "TRAINED", 32)
    monkeypatch.setattr(volumes, "JUDGED", 20)
    figures = call(volumes.main, tmp_path, "tubes")
    check(figures, tmp_path, "tubes", ["volumes", "pieces", "confusion"])


def test_slabs_of_the_brain_share_no_voxel():
    (below, above), held = volumes._slabs(189)
    half = volumes.SIZE // 2
    assert below[1] - 1 + half <= held[0] - half and held[1] - 1 + half <= above[0] - half


@pytest.mark.parametrize("main, arguments, words", [
    (signals.main, ["speech"], "'speech' is none of vowels, watch, beats"),
    (signals.main, ["--epochs", 0], "--epochs"),
    (signals.main, ["--train", "a.ts"], "--train and --test go together"),
    (signals.main, ["--train", "a.ts", "--test", "b.ts"], "a.ts"),
    (signals.main, ["beats", "--hertz", 100], "--ecg and --hertz go together"),
    (signals.main, ["beats", "--ecg", "none.csv", "--hertz", 100], "none.csv"),
    (volumes.main, ["heart"], "'heart' is none of brain, tubes"),
    (volumes.main, ["--t1", "a.nii"], "--t1, --grey and --white go together"),
    (volumes.main, ["tubes", "--noise", -1], "--noise"),
])
def test_mistakes_are_one_line(capsys, tmp_path, main, arguments, words):
    assert words in fails(capsys, main, *arguments, "--output", tmp_path)


def test_data_that_do_not_go_together(capsys, tmp_path):
    one = series(tmp_path / "a.ts")
    for other, words in ((series(tmp_path / "b.ts", length=12), "of 12 values of 2 channels"),
                         (series(tmp_path / "c.ts", channels=3), "of 13 values of 3 channels"),
                         (series(tmp_path / "d.ts", names="a c"), "has the classes a, c")):
        assert words in fails(capsys, signals.main, "--train", one, "--test", other, "--output",
                              tmp_path / "out")
    short = series(tmp_path / "e.ts", length=4)
    assert "sees 5 at once" in fails(capsys, signals.main, "--train", short, "--test", short,
                                     "--output", tmp_path / "out")
    cut = tmp_path / "cut.ts"
    cut.write_text(one.read_text()[:-9])
    assert "cut.ts, line 14" in fails(capsys, signals.main, "--train", cut, "--test", one,
                                      "--output", tmp_path / "out")
    t = np.arange(0, 7, 1 / 250)
    np.savetxt(tmp_path / "ecg.csv", np.exp(-((t % 0.8 - 0.4) / 0.012) ** 2))
    said = fails(capsys, signals.main, "beats", "--ecg", tmp_path / "ecg.csv", "--hertz", 2500,
                 "--output", tmp_path / "out")
    assert "is 0.7 seconds long at 2500 moments a second" in said
    flat = written(tmp_path, described(np.ones((4, 4, 4), "uint8"), code=128))
    said = fails(capsys, volumes.main, "--t1", flat, "--grey", flat, "--white", flat, "--output",
                 tmp_path / "out")
    assert "expected numbers" in said
    small = [written(tmp_path, described(np.full((20, 20, 40), value, "uint8")), f"{value}.nii")
             for value in (90, 60)]
    assert "one of the tissues" in fails(capsys, volumes.main, "--t1", small[0], "--grey", small[1],
                                         "--white", small[1], "--output", tmp_path / "out")


@pytest.mark.parametrize("main, sizes", [(signals.main, ["(10, 16)", "(6, 32)"]),
                                         (volumes.main, ["(10, 10, 10, 16)", "(6, 6, 6, 32)"])])
def test_help_holds_the_lectures_sizes(capsys, main, sizes):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0 and all(size in shown for size in sizes) and "--json" in shown
