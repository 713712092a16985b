"""Learning from one example: views of handwriting, the encoder, episodes and the examination."""
import json
from pathlib import Path
import shutil

import numpy as np
from PIL import Image
import pytest

from demos import one_shot
import minidl as md
from minidl.data.drawn_characters import drawn_characters
from minidl.data.handwriting import SYMMETRIES, Handwriting, Ink
from minidl.data.omniglot import Characters, Run
from minidl.models.characters import CharacterEncoder, character_encoder
from minidl.oneshot import (
    VIEWS,
    distances,
    draw_runs,
    encode_characters,
    episode_loss,
    examine,
    train,
)
from minidl.oneshot.episodes import _InTurn
from tests.test_demos import fails

IDENTITY = np.eye(2, 3)[None]


def test_the_identity_view_is_the_softened_picture():
    picture = np.full((1, 8, 8), 255, np.uint8)
    picture[0, 2:5, 3:6] = 0
    seen = Ink(picture, framed=False).view([0], 8, IDENTITY)[0, :, :, 0]
    assert seen.shape == (8, 8) and seen.dtype == np.float32
    assert np.allclose(seen[0], 255)
    assert np.allclose(seen[3], [255, 255, 170, 85, 0, 85, 170, 255])  # the mean of 3 × 3 pixels


def test_a_coarse_view_keeps_the_ink():
    rng = np.random.default_rng(0)
    pictures = np.where(rng.random((3, 105, 105)) < 0.1, 0, 255).astype(np.uint8)
    seen = Ink(pictures, framed=False).view(np.arange(3), 35, np.repeat(IDENTITY, 3, 0))
    blocks = pictures.reshape(3, 35, 3, 35, 3).mean((2, 4))                 # three pixels to one
    assert np.abs(seen[..., 0] - blocks).max() < 0.6


@pytest.mark.parametrize("number, expected", [
    (0, lambda p: p), (1, lambda p: np.rot90(p, 1)), (2, lambda p: np.rot90(p, 2)),
    (3, lambda p: np.rot90(p, 3)),
    (4, np.fliplr)])
def test_symmetries_are_exact(number, expected):
    pictures = np.random.default_rng(1).integers(0, 256, (1, 12, 12), dtype=np.uint8)
    ink = Ink(pictures, framed=False)
    maps = np.concatenate([SYMMETRIES[number], np.zeros((2, 1))], 1)[None]
    plain, seen = (ink.view([0], 12, m)[0, :, :, 0] for m in (IDENTITY, maps))
    turned = [expected(plain), np.rot90(expected(plain), 2)]  # the sense of a turn is a convention
    assert min(np.abs(seen - t).max() for t in turned) < 0.01
    flat = {
        tuple(np.rint(ink.view([0], 12, np.concatenate([s, np.zeros((2, 1))], 1)[None]).ravel()))
        for s in SYMMETRIES
    }
    assert len(flat) == 8


def test_outside_of_the_picture_is_paper():
    seen = Ink(np.zeros((1, 6, 6), np.uint8),
               framed=False).view([0], 6, np.array([[[1.0, 0, 1.5], [0, 1, 0]]]))[0, :, :, 0]
    assert (seen[4:] == 255).all() and (seen[0] < 255).all() and seen.dtype == np.float32


def test_frames():
    """A character is seen in the same way wherever and however large it was written."""
    pictures = np.full((4, 60, 80), 255, np.uint8)
    pictures[0, 10:30, 40:60] = 0                                           # a square,
    pictures[1, 25:43, 5:23] = 0                                            # a smaller one
    pictures[2, 20:40, 10] = 0  # a line; the last is empty
    seen = Ink(pictures).view(np.arange(4), 20, np.repeat(IDENTITY, 4, 0))[..., 0]
    assert seen.shape == (4, 20, 20) and (seen[3] == 255).all()
    for number in range(3):
        rows, columns = np.nonzero(seen[number] < 200)
        assert abs(rows.mean() - 9.5) < 0.6 and abs(columns.mean() - 9.5) < 0.6
    assert np.ptp(np.nonzero(seen[0] < 128)[0]) == np.ptp(np.nonzero(seen[1] < 128)[0]) == 15
    assert np.ptp(np.nonzero(seen[2] < 200)[1]) <= 3


def test_bends_push_the_ink():
    picture = np.full((1, 20, 20), 255, np.uint8)
    picture[0, :, 10] = 0
    bends = np.zeros((1, 20, 20, 2), np.float32)
    bends[..., 1] = 0.5  # what was 5 pixels further right comes here
    seen = Ink(picture, framed=False).view([0], 20, IDENTITY, bends)
    assert seen[0, 10, 3:8, 0].tolist() == [255, 170, 170, 170, 255]


def test_handwriting():
    characters = drawn_characters(1, 3, drawers=2, size=40, seed=0)
    ink, which, turns = Ink(characters.pictures), np.arange(6), SYMMETRIES[np.zeros(6, int)]
    still = Handwriting(0, 0, 0, 0, 0, 0)(ink, which, turns, 20, 0)
    assert np.allclose(still, ink.view(which, 20, np.repeat(IDENTITY, 6, 0)), atol=1e-3)
    for name in ("rotation", "zoom", "slant", "shift", "wobble", "pen"):
        settings = dict.fromkeys(("rotation", "zoom", "slant", "shift", "wobble", "pen"), 0.0)
        changed = Handwriting(**{**settings, name: 20.0 if name == "rotation"
                                 else 0.2})(ink, which, turns, 20, 0)
        assert np.abs(changed - still).max() > 5, name
        assert changed.min() >= 0 and changed.max() <= 255.01
    a, b, c = (Handwriting()(ink, which, turns, 20, seed) for seed in (3, 3, 4))
    assert (a == b).all() and (a != c).any() and a.dtype == np.float32 and a.shape == (6, 20, 20, 1)


@pytest.mark.parametrize("pictures", [np.zeros((2, 3), np.uint8), np.zeros((1, 3, 3)),
                                      np.zeros((1, 0, 3), np.uint8)])
def test_ink_of_something_else(pictures):
    with pytest.raises(ValueError, match="Ink: pictures must be uint8"):
        Ink(pictures)


def test_encoder(device):
    net = CharacterEncoder(16, (4, 5, 6), rng=0)
    z = net(md.tensor(np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 1)).astype("float32")))
    assert z.shape == (3, 2 * 2 * 6) and z.device == device
    assert np.allclose((z.numpy() ** 2).sum(1), 1, atol=1e-5)
    assert (net.size, net.channels) == (16, 1)
    blank = net.eval()(md.tensor(np.full((1, 16, 16, 1), 255, "float32"))).numpy()
    assert np.isfinite(blank).all()
    assert net(md.tensor(np.full((1, 16, 16, 1), 255, "uint8"))).dtype == np.float32


@pytest.mark.parametrize("arguments", [(7, (4, 4, 4)), (28, (4, 4))])
def test_encoder_without_room(arguments):
    with pytest.raises(ValueError, match="^CharacterEncoder: (size must be in 8|three)"):
        CharacterEncoder(*arguments, rng=0)


def test_episode_loss_is_the_plain_sum(device):
    """Against loops over every question and every set of examples."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4, 3, 5))
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    losses, right = [], []
    for j in range(3):
        for k in set(range(3)) - {j}:
            for c in range(4):
                logits = [7 * z[c, k] @ z[other, j] for other in range(4)]
                losses.append(np.log(np.sum(np.exp(logits))) - logits[c])
                right.append(np.argmax(logits) == c)
    loss, share = episode_loss(md.tensor(z), scale=7)
    assert np.isclose(loss.item(), np.mean(losses)) and np.isclose(share, np.mean(right), atol=1e-6)


def test_episode_loss_gradient():
    z = np.random.default_rng(1).standard_normal((3, 2, 4))
    assert md.testing.gradcheck(lambda z: episode_loss(z, 2.0)[0], z, order=2) < 1e-5


@pytest.mark.parametrize("shape", [(3, 4), (3, 1, 4)])
def test_episode_loss_needs_two_pictures(shape):
    with pytest.raises(ValueError, match="two pictures or more"):
        episode_loss(md.tensor(np.ones(shape, "float32")))


@pytest.fixture(scope="module")
def characters():
    return drawn_characters(2, 6, drawers=4, size=32, seed=0)


SMALL = {"classes": 8, "pictures": 2, "learning_rate": 1e-2}


def small_encoder(seed=0):
    return CharacterEncoder(16, (8, 8, 8), rng=seed)


def test_training_is_reproducible_on_every_device(device, characters):
    seen = []
    nets = [small_encoder() for _ in range(2)]
    for net in nets:
        history = train(net, characters, steps=3, seed=5, callback=seen.append, **SMALL)
    assert seen[:3] == seen[3:] == history and [step.number for step in history] == [1, 2, 3]
    assert all((a.numpy() == b.numpy()).all()
               for a, b in zip(nets[0].parameters(), nets[1].parameters()))
    assert not nets[0].training and nets[0]["conv1"].weight.device == device


def test_training_helps():
    """On alphabets that were never trained on."""
    learned, unseen = drawn_characters(3, 10, drawers=6, size=32,
                                       seed=0), drawn_characters(2, 10, size=32, seed=99)
    runs, net = draw_runs(unseen, 10, 10, 0), small_encoder()
    before = examine(net.eval(), runs, VIEWS[:1]).error
    history = train(net, learned, steps=200, seed=1, classes=16, learning_rate=1e-2)
    after = examine(net, runs, VIEWS[:1]).error
    assert np.mean([s.loss for s in history[-8:]]) < 0.6 * np.mean([s.loss for s in history[:8]])
    assert after < before - 0.1


def test_learning_rate_rises_and_falls(characters):
    rates = [step.learning_rate
             for step in train(small_encoder(), characters, steps=20, seed=0, **SMALL)]
    assert rates[0] < 0.01 and rates[-1] < 0.001 and max(rates) > 0.009 and np.argmax(rates) < 3


def test_episodes_depend_on_their_number_alone():
    """In whatever order they are asked for; and they are what one Generator draws in turn."""
    draw, rng = lambda rng: rng.normal(size=rng.integers(1, 5)).tolist(), np.random.default_rng(3)
    start = rng.bit_generator.state
    expected = [draw(rng) for _ in range(6)]
    rng.bit_generator.state = start
    episodes = _InTurn(draw, rng)
    assert [episodes(t) for t in (4, 0, 5, 5, 2, 1, 3)] == [
        expected[t] for t in (4, 0, 5, 5, 2, 1, 3)
    ]
    assert rng.bit_generator.state == start


def test_a_generator_goes_on_where_the_steps_ended(characters):
    """However many episodes were drawn ahead."""
    def stop(step):
        if step.number == 2:
            raise StopIteration

    rngs = [np.random.default_rng(1) for _ in range(3)]
    two = train(small_encoder(), characters, steps=5, seed=rngs[0], callback=stop, **SMALL)
    assert len(two) == 2
    train(small_encoder(), characters, steps=2, seed=rngs[1], **SMALL)
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state != rngs[2].bit_generator.state


def test_ctrl_c_ends_training(characters):
    def interrupt(step):
        raise KeyboardInterrupt

    net = small_encoder()
    with pytest.raises(KeyboardInterrupt):
        train(net, characters, steps=5, seed=0, callback=interrupt, **SMALL)
    assert not net.training                                         # as after its last step


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_training_that_diverges_says_so(characters):
    with pytest.raises(ValueError,
                       match=r"train: (the loss is nan at|.* not finite after) step \d+$"):
        train(small_encoder(), characters, steps=4, seed=0, **SMALL | {"learning_rate": 1e38})


@pytest.mark.parametrize("options, words", [
    ({"symmetries": 3}, "symmetries must be 1, 4"), ({"steps": 0}, "steps must be an integer ≥ 1"),
    ({"pictures": 1}, "pictures must be in 2 ≤"),
    ({"classes": 97}, r"2 to 96 classes \(12 characters × 8\)"),
    ({"pictures": 5}, "character01 has fewer than 5 pictures")])
def test_impossible_training(characters, options, words):
    with pytest.raises(ValueError, match=words):
        train(small_encoder(), characters, **{"steps": 1, **SMALL, **options})


def test_encodings_are_means_over_views(characters):
    net = small_encoder()
    single = [encode_characters(net, characters.pictures, [view]) for view in VIEWS]
    mean = np.mean(single, 0)
    assert np.allclose(encode_characters(net, characters.pictures),
                       mean / np.linalg.norm(mean, axis=1, keepdims=True),
                       atol=1e-5)
    assert net.training                                                     # its mode is put back
    net["conv1"].eval()
    with pytest.raises(ValueError):
        net.size = 0                                            # a size that no layer takes
        encode_characters(net, characters.pictures)
    net.size = 16
    assert net.training and not net["conv1"].training           # of each part, also after an error
    assert np.allclose(single[0][:3], encode_characters(net, characters.pictures[:3], VIEWS[:1]),
                       atol=1e-6)


def test_every_question_is_answered_on_its_own(characters):
    """No matching one to one: the answer to a question does not depend on the others."""
    net = small_encoder()
    examples, questions = characters.pictures[::4], characters.pictures[1::4]
    together = distances(net, examples, questions)
    alone = [distances(net, examples, questions[i:i + 1])[0] for i in range(len(questions))]
    assert together.shape == (12, 12) and np.allclose(together, alone, atol=1e-5)


def test_examination_counts_errors(characters):
    net, examples = small_encoder(), characters.pictures[::4]
    runs = {"right": Run(examples, examples, np.arange(12)),
            "wrong": Run(examples, examples[:4], np.array([0, 1, 2, 5]))}
    assert np.allclose(examine(net, runs).accuracies, [1, 0.75])


def test_drawn_runs(characters):
    runs = draw_runs(characters, 5, 4, 0)
    assert list(runs) == ["run01", "run02", "run03", "run04", "run05"]
    where = {picture.tobytes(): i for i, picture in enumerate(characters.pictures)}
    for number, run in enumerate(runs.values()):
        examples, tests = ([where[p.tobytes()] for p in pictures]
                           for pictures in (run.training, run.test))
        labels = characters.labels[examples]
        assert (labels[run.answers] == characters.labels[tests]).all() and len(set(labels)) == 4
        assert not set(examples) & set(tests) and set(labels // 6) == {number % 2}
    # fewer where there are fewer
    assert len(draw_runs(characters, 1, 20, 0)["run01"].training) == 6
    poor = Characters(characters.pictures[3:], characters.labels[3:], characters.names)
    with pytest.raises(ValueError, match=f"draw_runs: {poor.names[0]} has fewer than 2 pictures"):
        draw_runs(poor, 1, 4, 0)


def test_saved_and_loaded(tmp_path, characters):
    net = CharacterEncoder(rng=3)
    md.save(tmp_path / "net.npz", net)
    again = character_encoder(tmp_path / "net.npz")
    assert (encode_characters(again, characters.pictures[:2])
            == encode_characters(net, characters.pictures[:2])).all()
    md.save(tmp_path / "other.npz", small_encoder())
    with pytest.raises(md.WeightsError, match="other.npz: holds no encoder of characters"):
        character_encoder(tmp_path / "other.npz")


# ---- the demo ------------------------------------------------------------------------------------

def test_demo_on_invented_characters(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(one_shot, "CharacterEncoder",
                        lambda rng: CharacterEncoder(16, (4, 4, 4), rng=rng))
    monkeypatch.setattr(one_shot, "drawn_characters",
                        lambda a, c, seed: drawn_characters(a, c, 3, 32, seed))
    one_shot.main(["--steps", "2", "--output", str(tmp_path), "--json",
                   str(tmp_path / "figures.json"), "--seed", "3"])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["steps"] == 2 and figures["characters"] == 160
    assert len(figures["errors_percent"]) == 8
    assert np.isclose(figures["mean_error_percent"],
                      np.mean(list(figures["errors_percent"].values())))
    with Image.open(tmp_path / "one_shot.png") as picture:
        assert picture.width == 20 * one_shot.SIDE
        assert 4 * 3 * one_shot.SIDE < picture.height < 4 * (3 * one_shot.SIDE + 30)
    shown = capsys.readouterr().out
    assert "characters.npz" in shown and "run08" in shown and "all 8 runs" in shown
    assert (tmp_path / "characters.npz").exists()


def write_omniglot(folder, characters, run):
    """Characters and a run as Omniglot's folders."""
    for number, (picture, label) in enumerate(zip(characters.pictures, characters.labels)):
        place = folder / "background" / characters.names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number:04}.png")
    for part, stem in (("training", "class"), ("test", "item")):
        (folder / "runs" / "run01" / part).mkdir(parents=True)
        for i, picture in enumerate(getattr(run, part)):
            Image.fromarray(picture).save(folder / "runs" / "run01" / part / f"{stem}{i:02}.png")
    lines = [f"run01/test/item{i:02}.png run01/training/class{answer:02}.png\n"
             for i, answer in enumerate(run.answers)]
    (folder / "runs" / "run01" / "class_labels.txt").write_text("".join(lines))


def test_demo_trains_and_evaluates(tmp_path, characters, capsys):
    write_omniglot(tmp_path, drawn_characters(1, 10, drawers=3, size=32, seed=0),
                   draw_runs(characters, 1, 6, 0)["run01"])
    model = tmp_path / "models" / "characters.npz"
    common = ["--model", str(model), "--output", str(tmp_path / "out"), "--quiet", "--json",
              str(tmp_path / "figures.json")]
    one_shot.main(["train", "--background", str(tmp_path / "background"), "--steps", "1", *common])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["characters"] == 10 and figures["background"] == [str(tmp_path / "background")]
    assert model.exists()
    one_shot.main(["evaluate", "--runs", str(tmp_path / "runs"), *common])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures["errors_percent"]) == ["run01"]
    assert 0 <= figures["mean_error_percent"] <= 100
    said = capsys.readouterr().out
    assert said.startswith("all 1 runs: ") and said.count("\n") == 1         # --quiet: the answer


def test_demo_names_what_it_leaves_out(tmp_path, characters, capsys):
    write_omniglot(tmp_path, drawn_characters(1, 10, drawers=3, size=32, seed=0),
                   draw_runs(characters, 1, 6, 0)["run01"])
    shutil.copytree(tmp_path / "runs" / "run01", tmp_path / "runs" / "run02")
    damaged = next((tmp_path / "background").rglob("0003.png"))
    damaged.write_bytes(b"nothing")
    (damaged.parent / "strokes.txt").write_text("1 2")
    common = ["--model", str(tmp_path / "m.npz"), "--output", str(tmp_path), "--quiet",
              "--json", str(tmp_path / "figures.json")]
    train = ["train", "--background", str(tmp_path / "background"), "--steps", "1", *common]
    assert one_shot.main(train) == 1
    said = capsys.readouterr().err
    assert f"left out: {damaged} is not a usable picture" in said
    assert "strokes.txt is no picture by its ending" in said
    assert said.endswith("left out, as said above: 2; all else was used\n")
    assert len(json.loads((tmp_path / "figures.json").read_text())["left_out"]) == 2
    (tmp_path / "runs" / "run02" / "test" / "item00.png").write_bytes(b"nothing")
    assert one_shot.main(["evaluate", "--runs", str(tmp_path / "runs"), *common]) == 1
    assert "left out: run02: " in capsys.readouterr().err
    assert list(json.loads((tmp_path / "figures.json").read_text())["errors_percent"]) == ["run01"]


@pytest.mark.parametrize("arguments, words", [
    (["train", "--model", "m.npz"], "train needs --background"),
    (["train", "--background", "x.zip"], "train needs --model"),
    (["evaluate", "--model", "m.npz"], "evaluate needs --runs"),
    (["--runs", "x"], "--runs is not for invented characters"),
    (["evaluate", "--runs", "x", "--model", "m.npz", "--steps", 4], "--steps is not for evaluate"),
    (["--steps", 0], "--steps must be at least 1"), (["guess"], "guess"),
    (["train", "--background", "missing.zip", "--model", "m.npz"], "missing.zip"),
    (["evaluate", "--runs", Path(__file__).parent, "--model", "m.npz"], "holds no one-shot runs")])
def test_mistakes_are_one_line(capsys, tmp_path, arguments, words):
    assert words in fails(capsys, one_shot.main, *arguments, "--output", tmp_path, "--quiet")


def test_a_few_characters_are_too_few(tmp_path, capsys):
    few = Characters(np.full((2, 20, 20), 255, np.uint8), np.array([0, 0]), ["a/b"])
    write_omniglot(tmp_path, few, Run(few.pictures, few.pictures, np.array([0, 1])))
    message = fails(capsys, one_shot.main, "train", "--background", tmp_path / "background",
                    "--model", tmp_path / "m.npz",
                    "--output", tmp_path, "--quiet")
    assert "classes" in message and not (tmp_path / "m.npz").exists()
