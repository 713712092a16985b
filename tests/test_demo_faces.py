"""demos.faces as a user meets it: the whole story, each command on its results, and what is said to
mistakes."""
from concurrent.futures import ThreadPoolExecutor
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
from PIL import Image
import pytest

from demos import faces, faces_evaluation, faces_gallery, faces_training
from demos.command_line import run
import minidl as md
from minidl.data import read_people, write_drawn_faces
from minidl.data.pairs import pairs_of, write_pairs
from minidl.faces import Gallery, Match, training
from minidl.files import cache_folder
from minidl.weights import FILES
from tests.test_demos import ROOT, fails

pytest.importorskip("matplotlib")
SMALL = ["--size", "24", "--pretrain-steps", "4", "--steps", "4", "--every", "2", "--people", "4"]
PLOTS = {"augmentation", "training", "roc", "distances", "pairs", "cmc", "map", "faces",
         "astronaut"}


def call(*arguments):
    """The figures of a command."""
    path = Path(arguments[arguments.index("--output") + 1]) / "figures.json"
    faces.main([*map(str, arguments), "--json", str(path), "--quiet"])
    return json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        for settings in faces_training.ENCODER, faces_training.DRAWN_ENCODER:
            patch.setitem(settings, "widths", [4, 8])
            patch.setitem(settings, "features", 16)
        patch.setattr(faces, "DRAWN_PICTURES", 3)
        yield


@pytest.fixture(scope="module")
def story(tmp_path_factory, small):
    """The folder of what `python -m demos.faces` wrote, and its figures."""
    folder = tmp_path_factory.mktemp("story")
    return folder, call("--drawn", "40", "--output", folder, *SMALL)


@pytest.fixture
def known(story):
    """The story's options for later commands: its encoder and people, and an output folder."""
    folder, _ = story
    return ["--model", folder / "encoder.npz", "--output", folder / "later"], folder / "people_40_0"


@pytest.fixture(scope="module")
def att(tmp_path_factory):
    """Eight people as AT&T's faces are kept: s1/1.pgm …"""
    folder = tmp_path_factory.mktemp("att")
    write_drawn_faces(folder / "drawn", 8, 3, 40, seed=5)
    for number, place in enumerate(sorted((folder / "drawn").iterdir()), 1):
        (folder / "att" / f"s{number}").mkdir(parents=True)
        for i, picture in enumerate(sorted(place.iterdir()), 1):
            Image.open(picture).convert("L").save(folder / "att" / f"s{number}" / f"{i}.pgm")
    return folder / "att"


def test_the_story(story, known):
    folder, figures = story
    assert {path.stem for path in folder.glob("*.png")} == PLOTS
    training, evaluation = figures["training"], figures["evaluation"]
    assert (training["people"], training["validation_people"],
            training["people_kept_apart"]) == (26, 6, 8)
    assert training["steps"] == 8 and [row["step"] for row in training["history"]] == [2, 4, 6, 8]
    assert evaluation["pictures"] == 24 and evaluation["pairs"] == 48
    assert evaluation["recognition"]["people"] == 8
    answers = figures["answers"]
    seen = set(md.models.load_encoder(folder / "encoder.npz").notes["seen"])
    assert len(seen) == 32 and not seen & {*answers["enrolled"],
                                           *(name for name, *_ in answers["identified"])}
    assert not list(folder.glob("*checkpoint*"))
    with Image.open(folder / "faces.png") as picture:
        assert picture.width > 500


def test_the_story_on_photographs(att, tmp_path, capsys):
    """AT&T's layout, with pairs that are kept out of training."""
    people = read_people(att).only({"s1", "s2"})
    write_pairs(tmp_path / "pairs.csv", pairs_of(people, 12, 0), att)
    faces.main(["--data", str(att), "--pairs", str(tmp_path / "pairs.csv"), "--output",
                str(tmp_path), *SMALL])
    notes = md.models.load_encoder(tmp_path / "encoder.npz").notes
    assert notes["seen"] == [f"s{i}" for i in range(3, 9)]
    said = capsys.readouterr()
    assert "verification, 12 pairs, 6 of one person" in said.out
    assert "recognition, one picture each of 2" in said.out
    assert "training: 100%" in said.err and "warning" not in said.err


def test_verify_and_identify(story, known, tmp_path, capsys):
    common, people = known
    gallery = tmp_path / "new folder" / "gallery.npz"
    names = story[1]["answers"]["enrolled"]
    pictures = {name: sorted((people / name).iterdir()) for name in names}
    for name in names:
        assert call("enroll", "--gallery", gallery, name, *pictures[name], *common)["enrolled"] == 3
    found = call("identify", "--gallery", gallery, people / names[0], pictures[names[1]][1],
                 *common)
    assert [answer["name"] for answer in found["answers"]] == [names[0]] * 3 + [names[1]]
    assert all(answer["distance"] < 1e-5 < answer["runner_up_distance"]
               for answer in found["answers"])
    said = call("verify", "--gallery", gallery, names[0], pictures[names[0]][0], *common)["answers"]
    assert said[0]["accepted"] and said[0]["claimed"] == names[0]

    capsys.readouterr()
    options = ["--gallery", str(gallery), *map(str, common)]
    faces.main(["verify", names[0], str(pictures[names[1]][0]), *options])
    faces.main(["rename", names[0], "Somebody else", *options])
    faces.main(["remove", names[1], *options])
    faces.main(["list", *options])
    said = capsys.readouterr().out
    assert names[0] in said.splitlines()[0] and ("no, not" in said or "yes," in said)
    assert "     3  Somebody else" in said and f"3  {names[1]}" not in said
    assert f"3  {names[0]}" not in said


def test_a_drawn_answer_has_the_digits_that_decide():
    near = Match("Ann", "Ann", 0.069, "Bob", 0.9, 0.072)
    far = Match(None, "Ann", 0.074, "Bob", 0.9, 0.072)
    assert faces_gallery._label(near) == "Ann\n0.069 ≤ 0.072"
    assert faces_gallery._label(far) == "not recognized\nAnn? 0.074 > 0.072"


def test_somebody_unknown(known, tmp_path, capsys):
    common, people = known
    gallery, (first, second, *_) = tmp_path / "g.npz", sorted(people.iterdir())
    call("enroll", "--gallery", gallery, first.name, first / f"{first.name}_0001.jpg", *common)
    names = call("list", "--gallery", gallery, *common)
    assert names["people"] == {first.name: 1} and names["threshold"] > 0
    loaded = md.load(gallery)
    md.save(gallery, loaded | {"threshold": np.float64(0)})
    capsys.readouterr()
    faces.main(["identify", "--gallery", str(gallery), str(second), *map(str, common)])
    assert capsys.readouterr().out.count(f"not recognized (nearest {first.name} ") == 3
    answer = call("identify", "--gallery", gallery, second, *common)["answers"][0]
    assert answer["name"] is None and answer["nearest"] == first.name
    # infinity is not JSON
    assert answer["runner_up"] is None and answer["runner_up_distance"] is None


def test_a_folder_is_enrolled_and_calibrated(known, tmp_path):
    common, people = known
    gallery = tmp_path / "g.npz"
    figures = call("enroll", "--gallery", gallery, "--data", people, "--most", "1", *common)
    assert figures["enrolled"] == figures["people"] == 40
    assert not figures["calibrated"]
    figures = call("calibrate", "--gallery", gallery, "--data", people, "--far", "0.99", *common)
    assert figures["false_accept_rate"] == 0.99 and figures["pictures_enrolled"] == 40
    measured = figures["impostors"]
    assert measured["people"] == 8 and measured["pairs"] == 24 * 21 // 2                # the unseen
    assert figures["same_pairs"] == 24
    listed = call("list", "--gallery", gallery, *common)
    assert listed["calibrated"]
    assert listed["threshold"] == figures["threshold"] != figures["threshold_before"]
    first = next(people.iterdir())
    call("enroll", "--gallery", gallery, "One more", *first.iterdir(), *common)
    assert call("list", "--gallery", gallery, *common)["threshold"] < figures["threshold"]
    everybody = read_people(people)
    write_pairs(tmp_path / "pairs.csv", pairs_of(everybody, 80, 0), people)
    figures = call("calibrate", "--gallery", gallery, "--data", people,
                   "--pairs", tmp_path / "pairs.csv", *common)
    assert figures["impostors"]["pairs"] == 40
    write_pairs(tmp_path / "few.csv", pairs_of(everybody, 20, 0), people)
    few = call("calibrate", "--gallery", gallery, "--data", people, "--pairs", tmp_path / "few.csv",
               *common)
    assert few["impostors"]["pairs"] == 10 and few["calibrated"] and few["same_pairs"] == 10
    assert figures["false_accept_rate"] == 0.99                                 # as stated before


def test_what_is_not_calibrated_says_so(known, tmp_path, capsys):
    common, people = known
    options = ["--gallery", str(tmp_path / "g.npz"), *map(str, common)]
    first = next(people.iterdir())
    picture = str(first / f"{first.name}_0001.jpg")
    for command in (["enroll", "Ann", picture], ["identify", picture],
                    ["verify", "Ann", picture], ["list"]):
        for quiet in [], ["--quiet"]:
            faces.main([*command, *options, *quiet])
            said = capsys.readouterr().err.splitlines()
            assert said[-1].startswith("not calibrated: τ ")
            assert " is for pairs, not for a gallery" in said[-1]
            assert all(line.startswith("left out: ") for line in said[:-1])
    assert not call("list", *options)["calibrated"]
    faces.main(["calibrate", "--data", str(people), *options])
    said = capsys.readouterr()
    assert "1.0% of strangers are given a name" in said.out
    assert "the right person refused" in said.out
    faces.main(["identify", picture, *options])
    assert "not calibrated" not in capsys.readouterr().err
    faces.main(["enroll", "--data", str(people), *options])
    assert "not calibrated" not in capsys.readouterr().err
    gallery = md.load(tmp_path / "g.npz")
    md.save(tmp_path / "g.npz", gallery | {"impostors": gallery["impostors"] * [[1], [3]]})
    faces.main(["list", *options])
    said = capsys.readouterr()
    assert said.err.startswith("not calibrated: τ") and "those enrolled come nearer" in said.err
    assert "%" not in said.out                                      # no rate is promised
    found = call("identify", picture, *options)
    assert not found["calibrated"] and found["answers"][0]["false_accept_rate"] is None


def test_face128_says_by_what_it_goes(tmp_path, att, capsys):
    """Where its weights are in the cache."""
    if not (cache_folder() / FILES["face128"]["name"]).exists():
        pytest.skip("face128 is not in the cache; fetch it with md.weights.fetch")
    options = ["--gallery", str(tmp_path / "g.npz"), "--output", str(tmp_path), "--whole"]
    picture = str(att / "s1" / "1.pgm")
    for command in (["enroll", "Ann", picture], ["identify", picture],
                    ["verify", "Ann", picture], ["list"]):
        figures = call(*command, *options)
        said = capsys.readouterr().err
        assert said.startswith("not calibrated: τ 0.583 goes by 1,000 people in press photographs")
        assert said.endswith("`calibrate` on pictures like yours\n") and said.count("\n") == 1
        assert not figures["calibrated"]
    faces.main(["list", *options])
    assert "%" not in capsys.readouterr().out


def test_a_gallery_remembers_how_its_pictures_were_cut(known, tmp_path, capsys):
    common, people = known
    options = ["--gallery", tmp_path / "g.npz", *common]
    first = next(people.iterdir())
    picture = first / f"{first.name}_0001.jpg"
    call("enroll", "Ann", picture, *options, "--crop", "0.5")
    for more in [], ["--crop", "0.5"]:
        answer, = call("identify", picture, *options, *more)["answers"]
        assert answer["distance"] < 1e-5
    capsys.readouterr()
    for command in ["identify", picture], ["enroll", "Bob", picture], ["verify", "Ann", picture]:
        said = fails(capsys, faces.main, *command, *options, "--crop", "0.9")
        assert "g.npz was made with --crop 0.5, here it is 0.9" in said
    assert call("list", *options)["people"] == {"Ann": 1}


def test_the_same_picture_again(known, tmp_path, capsys):
    common, people = known
    options = ["--gallery", str(tmp_path / "g.npz"), *map(str, common)]
    first, second = sorted(people.iterdir())[:2]
    faces.main(["enroll", "Ann", str(first), *options])
    faces.main(["enroll", " Ann ", str(first), *options])
    assert "pictures added: 0 (3 were there already); people in it: 1" in capsys.readouterr().out
    picture = str(first / f"{first.name}_0001.jpg")
    assert faces.main(["enroll", "Bob", picture, str(second), *options]) == 1
    said = capsys.readouterr()
    assert f"left out: {picture}: it is enrolled as Ann" in said.err
    assert "pictures added: 3;" in said.out
    assert call("list", *options)["people"] == {"Ann": 3, "Bob": 3}
    faces.main(["rename", "Bob", " Cid", *options])
    assert "g.npz: Bob is now Cid" in capsys.readouterr().out
    faces.main(["remove", "Cid", *options])
    assert "g.npz: Cid is forgotten, pictures: 3; people left in it: 1" in capsys.readouterr().out


def test_nothing_is_changed_where_the_figures_cannot_be_written(known, tmp_path, capsys):
    common, people = known
    (tmp_path / "taken").mkdir()
    said = fails(capsys, faces.main, "enroll", "Ann", next(people.iterdir()), "--gallery",
                 tmp_path / "g.npz", *common, "--json", tmp_path / "taken")
    assert "taken is not a file" in said and not (tmp_path / "g.npz").exists()


def test_an_empty_folder_is_named_and_the_rest_goes_on(known, tmp_path, capsys):
    common, people = known
    (tmp_path / "empty").mkdir()
    options = ["--gallery", str(tmp_path / "g.npz"), *map(str, common)]
    first = next(people.iterdir())
    odd = tmp_path / "a\nb\x1b[2J.jpg"
    shutil.copy(first / f"{first.name}_0001.jpg", odd)
    assert faces.main(["enroll", "Ann", str(first), str(tmp_path / "empty"), *options]) == 1
    said = capsys.readouterr().err
    assert f"left out: {tmp_path}/empty: there are no pictures in the folder" in said
    faces.main(["identify", str(odd), *options])
    assert capsys.readouterr().out.startswith(f"'{tmp_path}/a\\nb\\x1b[2J.jpg': Ann (0.000")


def test_all_pictures_that_cannot_be_used_are_named(known, tmp_path, capsys):
    common, _ = known
    os.mkfifo(tmp_path / "pipe.jpg")
    said = fails(capsys, faces.main, "enroll", "Ann", tmp_path / "pipe.jpg", tmp_path / "none.jpg",
                 "--gallery", tmp_path / "g.npz", *common)
    assert said == (f"none of 2 pictures can be used: {tmp_path}/pipe.jpg: is a pipe or a device, "
                    f"expected a file; {tmp_path}/none.jpg: No such file or directory\n")


@pytest.mark.parametrize("command", [["identify"], ["verify", "Ann"]])
@pytest.mark.parametrize("missing", ["none.jpg", "empty"])
def test_the_figures_of_a_question_that_no_picture_asks(known, tmp_path, capsys, command, missing):
    """It ends with exit code 2, as it must; and the file says that there is no answer, and why."""
    common, people = known
    (tmp_path / "empty").mkdir()
    options = ["--gallery", tmp_path / "g.npz", "--json", tmp_path / "f.json", *common]
    faces.main(["enroll", "Ann", *map(str, [next(people.iterdir()), *options])])
    capsys.readouterr()
    said = fails(capsys, faces.main, *command, tmp_path / missing, *options)
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["answers"] == [] and missing in said
    assert [Path(one["picture"]).name for one in figures["skipped"]] == [missing]


def test_nobody_reads_on(story):
    """`… list | head -1`, with a reader who has gone."""
    folder, _ = story
    command = [sys.executable, "-m", "demos.faces", "list", "--gallery",
               str(folder / "gallery.npz"),
               "--model", str(folder / "encoder.npz"), "--output", str(folder / "later")]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.returncode == 141 and "Errno" not in done.stderr and "Traceback" not in done.stderr


def test_a_damaged_picture_is_left_out_and_the_rest_goes_on(att, tmp_path, capsys, story):
    folder = tmp_path / "people"
    shutil.copytree(att, folder)
    damaged = [folder / "s8" / "2.pgm", folder / "s3" / "1.pgm"]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:200])
    (folder / "s1" / "notes.txt").write_text("x")
    named = {str(path) for path in (*damaged, folder / "s1" / "notes.txt")}
    model, gallery, common = tmp_path / "m.npz", tmp_path / "g.npz", ["--output", tmp_path]

    def partly(*arguments, out=named):
        with pytest.raises(SystemExit) as stopped:
            run(faces.main, [*map(str, arguments), "--json", str(tmp_path / "f.json"), "--quiet"])
        said = capsys.readouterr().err
        assert stopped.value.code == 1
        assert f"left out, as said above: {len(out)}; all else was used" in said
        figures = json.loads((tmp_path / "f.json").read_text())
        assert {one["picture"] for one in figures["skipped"]} == out
        assert all(f"left out: {path}: " in said for path in out)
        return figures

    trained_on = {str(folder / "s1" / "notes.txt"), str(damaged[0])}        # s3 is kept apart
    partly("train", "--data", folder, "--model", model, *SMALL, *common, out=trained_on)
    assert len(md.models.load_encoder(model).notes["seen"]) == 6
    enrolled = partly("enroll", "--gallery", gallery, "--data", folder, "--model", model, *common)
    assert enrolled["enrolled"] == 22 and enrolled["people"] == 8
    answers = partly("identify", "--gallery", gallery, "--model", model, folder / "s8",
                     folder / "s2" / "1.pgm", *common, out={str(damaged[0])})["answers"]
    assert [(Path(answer["picture"]).name, answer["nearest"]) for answer in answers] == [
        ("1.pgm", "s8"), ("3.pgm", "s8"), ("1.pgm", "s2")]
    answers = partly("verify", "--gallery", gallery, "--model", model, "s8", folder / "s8", *common,
                     out={str(damaged[0])})["answers"]
    assert len(answers) == 2
    pairs = pairs_of(read_people(folder).only({"s8", "s3", "s2"}), 18, 0)
    write_pairs(tmp_path / "pairs.csv", pairs, folder)
    figures = partly("evaluate", "--data", folder, "--model", model, "--pairs",
                     tmp_path / "pairs.csv", *common, out={str(path) for path in damaged})
    whole = [not {a, b} & {*damaged} for a, b in zip(pairs.a, pairs.b)]
    assert figures["pictures"] == 7 and figures["pairs"] == sum(whole) < len(whole)
    # a picture that was only in a pair with a damaged one is looked at, and is nobody's pair
    lost = whole.index(False)
    lonely = ({pairs.a[lost], pairs.b[lost]} - {*damaged}).pop()
    kept = [i for i, (a, b) in enumerate(zip(pairs.a, pairs.b))
            if i == lost or whole[i] and lonely not in (a, b)]
    write_pairs(tmp_path / "pairs.csv", pairs.take(kept), folder)
    figures = partly("evaluate", "--data", folder, "--model", model, "--pairs",
                     tmp_path / "pairs.csv", *common,
                     out={str(path) for path in damaged if path in (pairs.a[lost], pairs.b[lost])})
    assert figures["pairs"] == len(kept) - 1


def test_two_enrol_into_one_gallery_at_once(known, tmp_path):
    common, people = known
    gallery, places = tmp_path / "g.npz", sorted(people.iterdir())[:4]

    def enroll(place):
        arguments = ["enroll", "--gallery", gallery, place.name, place, *common, "--quiet"]
        faces.main([str(argument) for argument in arguments])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(enroll, places))
    people = call("list", "--gallery", gallery, *common)["people"]
    assert people == {place.name: 3 for place in places}


def test_evaluate_asks_people_who_were_not_seen(story, known, tmp_path, capsys, monkeypatch):
    # which takes seconds, and the story has tested
    monkeypatch.setattr(faces_evaluation, "_draw", lambda *_: None)
    folder, figures = story
    common, people = known
    again = call("evaluate", "--data", people, *common)
    judged = again["judged"]
    assert judged["different_pairs"] + judged["same_pairs"] == again["pairs"]
    assert "unaligned" not in again
    low, high = judged["false_accept_interval"]
    # 8 people are too few
    assert low <= judged["false_accept_rate"] <= high and again["open_set"] is None
    assert again["accuracy"] == figures["evaluation"]["accuracy"]
    assert again["auc"] == figures["evaluation"]["auc"]
    everybody = read_people(people)
    write_pairs(tmp_path / "all.csv", pairs_of(everybody, 40, 0), people)
    call("evaluate", "--data", people, "--pairs", tmp_path / "all.csv", *common)
    assert "names that were seen in training" in capsys.readouterr().err
    # in one folder: names say nothing, pairs are still judged
    for i, path in enumerate(everybody.paths[:6]):
        (tmp_path / "flat" / "x").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "flat" / "x" / f"{i}.jpg")
    (tmp_path / "flat.csv").write_text(
        "image_a,image_b,same\nx/0.jpg,x/1.jpg,1\nx/0.jpg,x/3.jpg,0\nx/3.jpg,x/4.jpg,1\n"
        "x/1.jpg,x/4.jpg,0\n")
    figures = call("evaluate", "--data", tmp_path / "flat", "--pairs", tmp_path / "flat.csv",
                   *common)
    assert figures["pairs"] == 4 and "recognition" not in figures


def test_the_story_says_once_who_is_asked(story, known, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(faces_evaluation, "_draw", lambda *_: None)
    monkeypatch.setattr(faces, "train", lambda *_: {})      # the story has trained
    folder, people = story[0], known[1]
    faces.main(["--data", str(people), "--model", str(folder / "encoder.npz"),
                "--output", str(tmp_path)])
    said = capsys.readouterr().out
    assert said.count("were not seen in training") == 1
    assert said.index("were not seen in training") < said.index("verification")


def test_an_interrupted_training_goes_on_to_the_same_numbers(att, tmp_path, monkeypatch, capsys):
    def command(name, *more):
        return ["train", "--data", str(att), "--model", str(tmp_path / name), "--output",
                str(tmp_path), *SMALL, *more]

    faces.main(command("whole.npz"))
    counted = faces_training._Follow.__call__

    def interrupt(self, step):
        counted(self, step)
        if step.number == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(faces_training._Follow, "__call__", interrupt)
    with pytest.raises(SystemExit) as stopped:
        run(faces.main, command("cut.npz"))
    said = capsys.readouterr().err
    assert stopped.value.code == 130 and "the same command goes on after step 5, from" in said
    assert "cut.npz is written at the end" in said
    assert (tmp_path / "cut.checkpoint.npz").exists() and not (tmp_path / "cut.npz").exists()
    monkeypatch.setattr(faces_training._Follow, "__call__", counted)
    assert "margin was 0.2, is 0.3" in fails(capsys, faces.main,
                                             *command("cut.npz", "--margin", "0.3", "--quiet"))
    faces.main(command("cut.npz"))
    said = capsys.readouterr()
    assert "training from step 5" in said.err and "best after" in said.out
    assert (tmp_path / "cut.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not (tmp_path / "cut.checkpoint.npz").exists()


@pytest.fixture
def ctrl_c():
    """The key's own effect, also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_before_the_first_checkpoint_leaves_the_model_that_was_there(
        att, tmp_path, capsys, monkeypatch, ctrl_c):
    """The key itself, twice in a step: nothing is kept.  Once: that step ends first."""
    model, stepped = tmp_path / "m.npz", training.descend
    model.write_bytes(b"what was there")

    def pressed(times):
        def step(*players):
            for _ in range(times):                      # to this thread: two at once are two
                signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            return stepped(*players)
        return step

    command = ["train", "--data", str(att), "--model", str(model), "--output", str(tmp_path),
               *SMALL, "--every", "100"]
    for times, words in ((2, "nothing is kept of the run; the same command begins anew"),
                         (1, "goes on after step 1, from")):
        monkeypatch.setattr(training, "descend", pressed(times))
        with pytest.raises(SystemExit) as stopped:
            run(faces.main, command)
        said = capsys.readouterr().err
        assert stopped.value.code == 130 and words in said and "m.npz is as it was before" in said
        assert model.read_bytes() == b"what was there"
    monkeypatch.setattr(training, "descend", stepped)
    faces.main(command)
    assert "training from step 1" in capsys.readouterr().err
    assert md.models.load_encoder(model).notes["seen"]


def test_a_run_that_diverges_is_one_line(att, tmp_path, capsys, recwarn):
    said = fails(capsys, faces.main, "train", "--data", att, "--model", tmp_path / "m.npz",
                 "--output", tmp_path, *SMALL, "--learning-rate", "1e30", "--pretrain-steps", "0",
                 "--quiet")
    assert "diverged" in said and "lower the learning rate (at most 1e+30 here)" in said
    assert not recwarn.list and not (tmp_path / "m.npz").exists()
    assert not list(tmp_path.glob("*checkpoint*"))


def test_more_people_in_a_batch_than_there_are(att, tmp_path, capsys):
    faces.main(["train", "--data", str(att), "--model", str(tmp_path / "m.npz"), "--output",
                str(tmp_path), *SMALL, "--people", "1000", "--quiet"])
    assert "--people 1,000: a batch holds 4;" in capsys.readouterr().err


def test_as_many_steps_as_fit(att, tmp_path, monkeypatch):
    """A run of a hundredth of a minute, cut off and gone on with: its steps are those that were
    chosen first."""
    common = ["train", "--data", att, "--model", tmp_path / "m.npz", "--output", tmp_path, "--size",
              "24", "--people", "4",
              "--every", "5", "--minutes", "0.02", "--pretrain-steps", "1500", "--no-augmentation",
              "--loss", "chi_square"]
    counted, total = faces_training._Follow.__call__, []

    def stop(self, step):
        total.append(step.total)
        counted(self, step)
        if step.number == 5 and len(total) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(faces_training._Follow, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        call(*common)
    figures = call(*common)
    assert len(set(total)) == 1 and figures["recipe"]["augmentation"] == "None"
    ratio = int(figures["recipe"]["pretrain_steps"]) / int(figures["recipe"]["steps"])
    assert ratio == pytest.approx(1500 / faces_training.RECIPE["steps"], rel=0.3)


PICTURE = str(Path(faces.__file__).parent / "images" / "astronaut.jpg")


@pytest.mark.parametrize("arguments, words", [
    (["tarin"], "no command 'tarin'; there are train, evaluate, enroll"),
    (["--seed", -1], "--seed must not be negative"),
    (["train", "--data", "x"], "--model"),
    (["train", "--data", "x", "--model", "face128"], "writes an .npz file"),
    (["train", "--data", "{bad}/single", "--model", "m.npz"], "nobody has a second picture"),
    (["train", "--data", "{bad}/few", "--model", "m.npz"],
     "3 people have a second picture, training needs 6"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}", "Ann", "{bad}/damaged/s8"],
     "none of 3 pictures can be used"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}", "Ann\n", PICTURE],
     "a name must be printable text"),
    (["identify", "--gallery", "{gallery}", "--model", "{model}", "{bad}/damaged/s8/2.pgm"],
     "damaged/s8/2.pgm: is not a"),
    (["identify", "--gallery", "{bad}/infinite.npz", "--model", "{model}", PICTURE],
     "threshold must be in 0 ≤ threshold < inf, got inf"),
    (["calibrate", "--gallery", "{gallery}", "--model", "{model}", "--data", "{people}", "--far",
      "0"], "got 0"),
    (["calibrate", "--gallery", "{gallery}", "--model", "{model}", "--data", "{bad}/single"],
     "pictures of 2 people make 1 couples of two people; at least 5"),
    (["remove", "--gallery", "{bad}/none/g.npz", "--model", "{model}", "Ann"], "`enroll` makes"),
    (["train", "--data", "{bad}/few", "--model", "m.npz", "--steps", 0, "--pretrain-steps", 0],
     "nothing to train"),
    (["train", "--data", "x", "--model", "m.npz", "--apart", 2],
     "--apart: must be above 0, and below 1, got 2"),
    (["train", "--data", "x", "--model", "m.npz", "--apart", 1],
     "--apart: must be above 0, and below 1, got 1"),
    (["identify", "--gallery", "g.npz", "x", "--crop", 0],
     "--crop: must be above 0, and at most 1, got 0"),
    (["calibrate", "--gallery", "g.npz", "--data", "x", "--far", "1e-300"],
     "--far: must be from 1e-06, and below 1"),
    (["evaluate", "--data", "{people}", "--pairs", "{bad}/pipe", "--model", "{model}"],
     "pipe is a pipe"),
    (["identify", "--gallery", "{bad}/pipe", "--model", "{model}", PICTURE], "pipe is a pipe"),
    (["evaluate", "--data", "{people}", "--model", "{bad}/pipe"], "pipe is a pipe"),
    (["train", "--data", "{people}", "--model", "m.npz", "--checkpoint", "{bad}/pipe", "--quiet",
      *SMALL], "pipe is a pipe"),
    (["list", "--gallery", "{gallery}", "--json", "{bad}/pipe"], "pipe is not a file"),
    (["list", "--gallery", "{gallery}", "--json", "{bad}/none"], "none is not a file"),
    (["list", "--gallery", "{gallery}", "--json", "-"], "--json - is not a file"),
    (["identify", "--gallery", "{gallery}", "--model", "{model}", "no\x1b[2J.jpg"],
     r"no\x1b[2J.jpg"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}", "  ", PICTURE],
     "a name must be printable text"),
    (["train", "--data", "{bad}/few", "--model", "m.npz", "--exclude-pairs", "no.csv"], "no.csv"),
    (["--data", "{bad}/single"], "nobody has a second picture"),
    (["evaluate", "--data", "{bad}/few", "--model", "{bad}/no.npz"], "no.npz"),
    (["evaluate", "--data", "{bad}/few", "--model", PICTURE], "astronaut.jpg"),
    (["evaluate", "--data", "{bad}/few", "--model", "{bad}/notes.npz"],
     "notes.npz: does not describe a Siamese encoder"),
    (["evaluate", "--data", "{bad}/single", "--model", "{model}"],
     "0 of its 2 people have a second picture"),
    (["evaluate", "--data", "{people}", "--pairs", "no.csv", "--model", "{model}"], "no.csv"),
    (["evaluate", "--data", "{people}", "--pairs", PICTURE, "--model", "{model}"],
     "astronaut.jpg, line 1"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}"],
     "a NAME and one PICTURE or more, or else --data"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}", "Ann", "no.jpg"], "no.jpg"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}", "Ann", "{bad}/none"],
     "no pictures in the folder"),
    (["enroll", "--gallery", "g.npz", "--model", "{model}", "--data", "{bad}/few", "--most", "0"],
     "must be above 0"),
    (["identify", "--gallery", "no.npz", "--model", "{model}", PICTURE],
     "there is no gallery no.npz"),
    (["identify", "--gallery", "{model}", "--model", "{model}", PICTURE], "is not a gallery"),
    (["identify", "--gallery", "{bad}/other.npz", "--model", "{model}", PICTURE],
     "made with another encoder"),
    (["verify", "--gallery", "{gallery}", "--model", "{model}", "Nobody", PICTURE],
     "'Nobody' is not enrolled"),
    (["rename", "--gallery", "{gallery}", "--model", "{model}", "Nobody", "Somebody"],
     "'Nobody' is not enrolled"),
    (["calibrate", "--gallery", "{gallery}", "--model", "{model}", "--data", "x", "--far", "3"],
     "--far: must be from 1e-06, and below 1, got 3"),
])
def test_mistakes_are_one_line(capsys, tmp_path, story, att, arguments, words):
    """{bad}/… are folders made wrong, {model}, {people} and {gallery} the story's."""
    bad = tmp_path / "bad"
    for folder, people in ("single", 2), ("few", 3), ("damaged", 8):
        for i in range(9 - people, 9):
            shutil.copytree(att / f"s{i}", bad / folder / f"s{i}")
    (bad / "none").mkdir()
    os.mkfifo(bad / "pipe")
    for path in bad.glob("single/*/[23].pgm"):
        path.unlink()
    for number, content in enumerate((b"P5 0 0 255\n", b"", b"P5 40 40 255\n" + bytes(200)), 1):
        (bad / "damaged" / "s8" / f"{number}.pgm").write_bytes(content)
    gallery = md.load(story[0] / "gallery.npz")
    md.save(bad / "infinite.npz", gallery | {"threshold": np.float64(np.inf)})
    md.save(bad / "other.npz", gallery | {"fingerprint": np.array("0" * 64)})
    md.save(bad / "notes.npz",
            md.load(story[0] / "encoder.npz") | {"notes": np.array('{"threshold": [1]}')})
    places = {"bad": bad, "model": story[0] / "encoder.npz", "people": story[0] / "people_40_0",
              "gallery": story[0] / "gallery.npz"}
    arguments = [str(a).format(**places) for a in arguments]
    message = fails(capsys, faces.main, *arguments, "--output", tmp_path)
    assert words in message
    assert "is a pipe" not in message or message.count("pipe") == 2         # the path comes once


def test_without_matplotlib(capsys, tmp_path, monkeypatch, att):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install matplotlib" in fails(capsys, faces.main, "train", "--data", att, "--model",
                                             "m.npz",
                                                  "--output", tmp_path)


def test_face128_without_npm(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    said = fails(capsys, faces.main, "enroll", "--gallery", "g.npz", "Ann", PICTURE)
    assert "npm" in said and "face128(weights=PATH)" in said and "MINIDL_CACHE" in said


def test_a_question_without_an_answer_fetches_nothing(capsys, tmp_path, monkeypatch):
    """No gallery, nobody of that name: said before any encoder is looked for, and no folder is
    made."""
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    gallery = Gallery(md.models.siamese_encoder(24, widths=[4], features=8, seed=0),
                      encoder_file="face128")
    gallery.enroll_encodings(["Ann", "Bob"], np.eye(2, 8))
    gallery.save("g.npz")
    options = ["--gallery", "g.npz"]
    assert "there is no gallery" in fails(capsys, faces.main, "verify", "--gallery", "no", "Ann",
                                          "x")
    assert "'Eve' is not enrolled" in fails(capsys, faces.main, "verify", *options, "Eve", PICTURE)
    faces.main(["list", *options, "--quiet"])
    assert capsys.readouterr().out == "     1  Ann\n     1  Bob\n"
    faces.main(["rename", "Bob", "Cid", *options])
    faces.main(["remove", "Ann", *options, "--json", "f.json"])
    assert json.loads(Path("f.json").read_text())["model"] == "face128"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.json", "g.npz"]
    faces.main(["remove", "Cid", *options])
    assert "nobody is enrolled" in fails(capsys, faces.main, "verify", *options, "Ann", PICTURE)


def test_a_gallery_remembers_its_encoder_and_verify_answers_by_its_exit_code(
        story, tmp_path, capsys):
    """Moved together, gallery and encoder find each other again."""
    folder, figures = story
    for name in "gallery.npz", "encoder.npz":
        shutil.copy(folder / name, tmp_path / name)
    options = ["--gallery", str(tmp_path / "gallery.npz"), "--quiet"]
    first, second, *_ = figures["answers"]["enrolled"]
    people = folder / "people_40_0"
    own, other = sorted(map(str, (people / first).iterdir())), str(people / second)
    same = next(path for path in own
                if not faces.main(["verify", first, path, *options]))       # that which is enrolled
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"{same}: yes, {first} (0.000")  # --quiet keeps the answer
    loaded = md.load(tmp_path / "gallery.npz")
    md.save(tmp_path / "gallery.npz", loaded | {"threshold": np.float64(1e-4)})
    assert not faces.main(["verify", first, same, *options])
    assert faces.main(["verify", first, other, *options]) == 1
    assert "no, not" in capsys.readouterr().out
    (tmp_path / "encoder.npz").rename(tmp_path / "elsewhere.npz")
    said = fails(capsys, faces.main, "verify", first, same, *options)
    assert "which is not there; --model says where it is now" in said
    options += ["--model", str(tmp_path / "elsewhere.npz")]
    assert not faces.main(["verify", first, same, *options])
