"""Training: it learns, the same every time, also when killed; it stops early, and says when it has
collapsed."""
import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minidl as md
from minidl import faces, nn
from minidl.data import Augmentation
from minidl.faces.training import Stage
from minidl.training import checkpoint as checkpoints

JITTER = Augmentation(shift=0.1, brightness=0.3, occlusion=0.2)


def people(count, pictures, seed, size=18):
    """Blobs: who it is decides where three of them are; noise and exposure differ.  uint8 (N, size,
    size, 1), labels."""
    who, rng = np.random.default_rng(100 + seed), np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    places = who.uniform(3, size - 3, (count, 3, 2))
    labels = np.repeat(np.arange(count), pictures)
    drawn = np.stack([sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 6) for a, b in places[person])
                      for person in labels])
    drawn = 40 + rng.uniform(60, 140, (len(labels), 1, 1)) * drawn + rng.normal(0, 12, drawn.shape)
    return drawn.clip(0, 255).astype("uint8")[..., None], labels


def encoder(seed=0, **options):
    return md.models.siamese_encoder(**{"size": 18, "border": 1, "widths": (6, 8), "features": 8,
                                        "seed": seed} | options)


SETTINGS = {"pretrain_steps": 8, "pretrain_batch": 16, "steps": 12, "people": 6, "per_person": 3,
            "every": 4,
            "augmentation": JITTER, "seed": 3}
SEEN, APART = people(14, 4, seed=1), people(6, 4, seed=2)


def state(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def assert_same_run(first, second):
    assert_same(state(first[0]), state(second[0]))
    assert [list(row) for row in first[1].history] == [list(row) for row in second[1].history]
    np.testing.assert_equal([list(row.values()) for row in first[1].history],
                            [list(r.values()) for r in second[1].history])
    assert (first[1].best_step, first[1].stopped, first[1].warnings) == (
        second[1].best_step,
        second[1].stopped,
        second[1].warnings,
    )


def trained(made=encoder, data=SEEN, **options):
    f = made()
    return f, faces.train(f, *data, **SETTINGS | options)


def test_it_learns_people_never_seen():
    f = encoder()
    before = faces.separation(faces.encode(f, APART[0]), APART[1])
    result = faces.train(
        f,
        *people(60, 5, seed=1),
        **SETTINGS
        | {
            "pretrain_steps": 60,
            "steps": 60,
            "every": 30,
            "pretrain_batch": 48,
            "people": 12,
            "learning_rate": 3e-3,
            "pretrain_learning_rate": 1e-2,
        },
    )
    after = faces.separation(faces.encode(f, APART[0]), APART[1])
    assert after > 0.9 and after > before + 0.05
    assert not f.training and all(p.grad is None for p in f.parameters())
    stages = [row["stage"] for row in result.history]
    assert stages == ["softmax"] * 2 + ["triplet"] * 2
    assert [row["step"] for row in result.history] == [30, 60, 90, 120]
    assert result.history[1]["loss"] < result.history[0]["loss"]
    assert math.isnan(result.history[0]["near"])
    assert result.history[3]["near"] < result.history[3]["far"]
    assert all(0 < row["spread"] <= 1
               for row in result.history) and math.isnan(result.history[0]["validation"])
    assert result.best_step == 120 and result.stopped == "" and result.warnings == []


@pytest.mark.parametrize("options", [
    {}, {"mining": "all"}, {"mining": "random", "form": "euclidean"}, {"mining": "batch_hard"},
    {"loss": "contrastive"},
    {"loss": "logistic"}, {"loss": "chi_square", "made": lambda: encoder(nonnegative=True)},
    {"augmentation": None},
    {"steps": 0}, {"pretrain_steps": 0}],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()
                                 if name != "made"))
def test_every_loss_and_strategy_trains_on_every_device(device, options):
    options = {"pretrain_steps": 1, "steps": 2, "every": 2} | options
    made = options.pop("made", encoder)
    f, result = trained(made, **options)
    assert_same(state(f), state(trained(made, **options)[0]))
    assert np.any(state(f)["layers.dense.weight"] != state(made())["layers.dense.weight"])
    assert all(np.isfinite(row["loss"]) and 0 <= row["active"] <= 1 for row in result.history)
    assert {p.device for p in f.parameters()} == {device}
    assert (result.head is not None) == (options.get("loss") in ("logistic", "chi_square"))


def test_no_steps_leave_the_encoder_as_it_was():
    f, result = trained(pretrain_steps=0, steps=0)
    assert_same(state(f), state(encoder()))
    assert result.history == [] and result.head is None


class Dropping(nn.Module):
    """An encoder with a generator of its own: its state belongs to a checkpoint."""

    def __init__(self):
        self.inner, self.drop = encoder(), nn.Dropout(0.3, rng=5)
        self.size, self.channels, self.features = 18, 1, 8

    def forward(self, x):
        return md.ops.normalize(self.drop(self.inner(x)))


@pytest.mark.parametrize("made, options", [
    (encoder, {}), (Dropping, {"mining": "random"}),
    (encoder, {"loss": "logistic", "pretrain_steps": 4})])
@pytest.mark.parametrize("killed_at", [1, 6, 8, 9, 15])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, made, options, killed_at):
    whole = trained(made, validation=APART, **options)

    def kill(step):
        if step.number == killed_at:
            raise RuntimeError("killed")

    path = tmp_path / "run.npz"
    with pytest.raises(RuntimeError, match="killed"):
        trained(made, validation=APART, checkpoint=path, callback=kill, **options)
    assert path.exists() == (killed_at >= 4)
    numbers = []
    again = trained(made, validation=APART, checkpoint=path,
                    callback=lambda step: numbers.append(step.number), **options)
    assert numbers[0] == killed_at // 4 * 4 + 1                     # from the last checkpoint on
    assert_same_run(whole, again)
    if again[1].head:
        assert_same(state(whole[1].head), state(again[1].head))
    taken = []
    finished = trained(made, validation=APART, checkpoint=path, callback=taken.append, **options)
    assert_same_run(whole, finished)
    assert not taken  # a finished run has no step left


@pytest.mark.parametrize("error, words", [
    (KeyboardInterrupt, "interrupted"), (StopIteration, "stopped by the callback")])
def test_a_run_that_the_callback_ends_loses_no_step(tmp_path, error, words):
    """The checkpoint is written between two steps, and the history's means are of all of them."""
    def interrupt(step):
        if step.number == number:
            raise error

    whole, path = trained(Dropping, validation=APART), tmp_path / "run.npz"
    for number in 1, 6, 8, 11:
        result = trained(Dropping, validation=APART, checkpoint=path, callback=interrupt)[1]
        assert result.stopped == words
        assert checkpoints.read(path)[1]["progress"]["t"] == number
    assert_same_run(whole, trained(Dropping, validation=APART, checkpoint=path))


def test_ctrl_c_ends_a_run_with_what_there_is():
    def interrupt(step):
        if step.number == 5:
            raise KeyboardInterrupt

    f, result = trained(callback=interrupt, validation=APART)
    assert result.stopped == "interrupted" and result.best_step == 4 and not f.training


def test_the_best_state_is_kept_and_patience_ends_the_run():
    scores, mixed = [], (APART[0], APART[1] % 3)  # two people under one name: never quite separated
    # a rate that destroys
    f, result = trained(validation=mixed, steps=60, every=2, patience=3, learning_rate=0.3,
                        callback=lambda step: scores.append(step.row["validation"]) if step.row
                        else None)
    assert result.stopped == "no better for 3 measurements" and len(scores) < 34
    assert result.best_step == 2 * (1 + int(np.argmax(scores)))
    assert faces.separation(faces.encode(f, mixed[0]), mixed[1]) == max(scores) > scores[-1]


def test_patience_is_counted_in_the_second_stage():
    """Nothing is learned at all, and so nothing is ever better."""
    still = {"learning_rate": 0.0, "pretrain_learning_rate": 0.0}
    result = trained(Flat, validation=APART, steps=20, every=2, patience=3, **still)[1]
    assert [row["stage"] for row in result.history] == ["softmax"] * 4 + ["triplet"] * 3
    assert result.best_step == 2 and result.stopped == "no better for 3 measurements"


class Flat(nn.Sequential):
    """A matrix on the pixels; without batch norm, whose statistics move although nothing is
    learned."""
    size, channels, features = 18, 1, 8

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Dense(324, 8, rng=0), nn.Normalize())


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    trained(checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="run.npz is of another run: margin was 0.2, is 0.3; go on "
                       "with what it was, name another file, or delete this one"):
        trained(checkpoint=path, margin=0.3)
    with pytest.raises(ValueError, match="another run: labels was"):
        trained(checkpoint=path, data=(SEEN[0], SEEN[1] // 2))
    with pytest.raises(ValueError, match="another run: validation was None, is"):
        trained(checkpoint=path, validation=APART)
    with pytest.raises(ValueError, match="another run: augmentation was another; encoder was "
                       "another; go on"):
        trained(lambda: encoder(widths=[4]), checkpoint=path,
                augmentation=md.data.Augmentation(flip=0.5))
    for about in {}, []:
        checkpoints.write(path, {}, about)
        with pytest.raises(md.WeightsError, match="not a checkpoint"):
            trained(checkpoint=path)
    md.save(path, encoder())
    with pytest.raises(md.WeightsError, match="not a checkpoint of a training run"):
        trained(checkpoint=path)
    path.write_bytes(before[:len(before) // 2])
    with pytest.raises(md.WeightsError, match="run.npz"):
        trained(checkpoint=path)


@pytest.mark.parametrize(
    "change",
    [
        {"t": "3"},
        {"recent": [{"loss": "1"}]},
        {"recent": [1.0]},
        {"t": -1},
        {"t": 10**9},
        {"t": 2.5},
        {"t": None},
        {"warnings": None},
        {"history": 3},
        {"history": [3]},
        {"more": 3},
        "encoder",
        "softmax head",
        "triplet optimizer0",
        "triplet monitor",
        "best",
        "another",
    ],
)
def test_a_checkpoint_with_wrong_values_is_refused(tmp_path, change):
    path = tmp_path / "run.npz"
    trained(checkpoint=path, validation=APART)
    parts, about = checkpoints.read(path)
    if isinstance(change, str):
        parts[change] = {"x": np.ones(3)}
    else:
        about["progress"] |= change
    checkpoints.write(path, parts, about)
    with pytest.raises(md.WeightsError, match="run.npz: does not fit the run that it names"):
        trained(checkpoint=path, validation=APART)


def test_kill_in_the_middle_of_a_checkpoint_leaves_one_that_loads(tmp_path):
    """A child writes checkpoints without end and is killed, again and again, at random moments."""
    path, rng = tmp_path / "run.npz", np.random.default_rng(0)
    program = ("import itertools, sys, numpy as np\nfrom minidl.training import checkpoint\n"
               "state = {'w': np.random.default_rng(0).random(200_000)}\n"
               "for i in itertools.count():\n"
               "    checkpoint.write(sys.argv[1], {'encoder': state},\n"
               "                     {'progress': {'t': i}, 'identity': {}, 'generators': {}})\n"
               "    if i == 0: print('first', flush=True)\n")
    seen = []
    for _ in range(int(os.environ.get("MINIDL_KILLS", 4))):
        child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE,
                                 cwd=Path(md.__file__).parents[1])
        child.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        parts, about = checkpoints.read(path)
        np.testing.assert_array_equal(parts["encoder"]["w"],
                                      np.random.default_rng(0).random(200_000))
        seen.append(about["progress"]["t"])
    assert len(set(seen)) > 1


def test_the_callback_sees_every_step():
    steps = []
    _, result = trained(callback=steps.append)
    assert [s.number for s in steps] == list(range(1, 21)) and {s.total for s in steps} == {20}
    assert [s.stage for s in steps] == ["softmax"] * 8 + ["triplet"] * 12
    assert [s.row for s in steps if s.row] == result.history
    rates = [s.learning_rate for s in steps]
    # each stage falls to nearly nothing
    assert max(rates[:8]) == pytest.approx(2e-3, rel=0.1) and rates[7] < 2e-4
    assert max(rates[8:]) == pytest.approx(3e-4, rel=0.1) and rates[19] < 3e-5
    assert steps[-1].measures.keys() == {"active", "near", "far", "spread"}


def test_the_learning_rate_warms_up_and_falls():
    stage = Stage("triplet", None, None, first=50, steps=200, peak=1.0, monitor=None)
    rates = [stage.learning_rate(t) for t in range(50, 250)]
    assert rates[:2] == pytest.approx([0.1, 0.2],
                                      rel=1e-3) and np.argmax(rates) == 9 and rates[9] > 0.99
    assert np.all(np.diff(rates[9:]) < 0) and rates[100] == pytest.approx(0.5) and rates[-1] < 1e-3


class Constant(nn.Module):
    """The collapsed encoder."""
    size, channels, features = 18, 1, 8

    def __init__(self):
        self.w = nn.Parameter(np.ones((1, 8), "float32"))

    def forward(self, x):
        return md.ops.normalize(ones(x) @ self.w)


def ones(x):
    return md.tensor(np.ones((x.shape[0], 1), "float32"), device=x.device)


def test_a_collapse_is_announced_once_with_its_remedy():
    warnings = []
    _, result = trained(Constant, pretrain_steps=0, steps=70, every=70, mining="batch_hard",
                        augmentation=None,
                        callback=lambda step: warnings.append((step.number, step.warning))
                        if step.warning else None)
    assert [number for number, _ in warnings] == [50] and result.warnings == [warnings[0][1]]
    assert result.history[0]["loss"] == pytest.approx(0.2)
    assert result.history[0]["spread"] == pytest.approx(0, abs=1e-6)
    for words in ("sat at the margin 0.2 for 50 steps", "nearly one point", "mining='semi_hard'",
                  "pretrain_steps"):
        assert words in warnings[0][1]
    assert "\n" not in warnings[0][1]


def test_the_monitor_is_quiet_where_it_should_be():
    for losses in ([0.08] * 80, [0.2, 0.5] * 40, [0.1, 0.3] * 40, [0.2] * 49,
                   np.linspace(0.3, 0.1, 80)):
        monitor = faces.CollapseMonitor(0.2)
        assert [monitor.look(loss, 0.9) for loss in losses] == [None] * len(losses)
    monitor = faces.CollapseMonitor(0.0, steps=5)                       # all negatives are farther
    assert [monitor.look(0.0, 0.9) for _ in range(9)] == [None] * 9
    assert faces.CollapseMonitor(0.2, steps=1).look(math.nan, 0.9) is None
    monitor = faces.CollapseMonitor(0.2, steps=5)
    said = [monitor.look(loss, 0.9) for loss in [0.7] + [0.201] * 9]
    assert [bool(words) for words in said] == [False] * 5 + [True] + [False] * 4
    assert "positives are as far away as negatives (spread 0.900)" in said[5]


@pytest.mark.parametrize("cut", [2, 4, 5, 7])
def test_the_monitor_goes_on_from_its_state(cut):
    whole, first, second = (faces.CollapseMonitor(0.2, steps=5) for _ in range(3))
    losses = [0.7] + [0.201] * 9
    said = [first.look(loss, 0.9) for loss in losses[:cut]]
    second.load_state_dict(first.state_dict())
    said += [second.look(loss, 0.9) for loss in losses[cut:]]
    assert said == [whole.look(loss, 0.9) for loss in losses]


def test_measures_by_hand():
    e = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = faces.measure(e, np.array([0.2, 0.4]), np.array([1.0]), np.array([0.0, 0.3]))
    assert found == {"active": 0.5, "near": pytest.approx(0.3), "far": 1.0,
                     "spread": pytest.approx(0.5)}
    nothing = faces.measure(e, *[np.zeros(0)] * 3)
    assert nothing["active"] == 0 and math.isnan(nothing["near"]) and math.isnan(nothing["far"])


def test_separation_by_counting():
    rng = np.random.default_rng(0)
    e, labels = rng.integers(-2, 3, (12, 2)).astype(float), rng.integers(0, 4, 12)
    similar = -((e[:, None] - e) ** 2).sum(-1)
    pairs = [(i, j) for j in range(12) for i in range(j)]
    like = [similar[p] for p in pairs if labels[p[0]] == labels[p[1]]]
    unlike = [similar[p] for p in pairs if labels[p[0]] != labels[p[1]]]
    expected = np.mean([(a > b) + 0.5 * (a == b) for a in like for b in unlike])
    assert faces.separation(e, labels) == pytest.approx(expected, abs=1e-12)
    for scaled, dtype in (20 * e + 100, "uint8"), (1000 * e, "float16"):    # their squares overflow
        assert faces.separation(scaled.astype(dtype), labels) == pytest.approx(expected, abs=1e-12)
    for alike in rng.standard_normal((9, 128)):                             # all in one point: ties
        assert faces.separation(np.tile(alike, (12, 1)), labels) == 0.5
    with pytest.raises(ValueError, match="N ≥ 1"):
        faces.separation(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="needs pairs of one person and pairs of two, got 0 and 3"):
        faces.separation(e[:3], [0, 1, 2])


def test_a_loss_that_is_not_finite_ends_the_run():
    broken = SEEN[0].astype("float32")
    broken[::5, 3:9, 3:9] = np.nan
    with pytest.raises(ValueError,
                       match="train: the loss is nan at step 1; lower the learning rate"):
        trained(data=(broken, SEEN[1]), augmentation=None)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("validation", [None, APART])
def test_a_run_that_diverges_says_so_and_leaves_no_checkpoint_of_it(tmp_path, validation):
    path = tmp_path / "run.npz"
    with pytest.raises(ValueError,
                       match=r"(not finite after|the loss is nan at) step \d+; lower the "
                       r"learning rate \(at most 1e\+38 here\)"):
        trained(validation=validation, checkpoint=path, pretrain_steps=0, learning_rate=1e38,
                every=1, augmentation=None)
    if path.exists():
        parts, _ = checkpoints.read(path)
        assert all(np.isfinite(value).all() for value in parts["encoder"].values())


def test_encodings_that_are_not_finite_end_the_run(tmp_path):
    """The weights are, but what the encoder makes of them in use is not."""
    class Overflowing(Flat):
        def forward(self, x):
            return super().forward(x) * (1 if self.training else math.inf)

    path = tmp_path / "run.npz"
    with pytest.raises(ValueError,
                       match="train: the run has diverged: encodings are not finite after "
                       r"step 4; lower the learning rate \(at most 0.002 here\)"):
        trained(Overflowing, validation=APART, checkpoint=path)
    assert not path.exists()


def test_training_refuses():
    x, labels = SEEN
    for options, words in [
        ({"loss": "hinge"},
         "loss must be one of triplet, contrastive, logistic, chi_square, got 'hinge'"),
        ({"mining": "hard"},
         "mining must be one of all, random, semi_hard, batch_hard, got 'hard'"),
        ({"form": "cosine"}, "train: form must be one of squared, euclidean, got 'cosine'"),
        ({"every": 0}, "every must be an integer ≥ 1"),
        ({"people": 15},
         "a batch needs 15 people with two pictures or more, and of 14 people 14 have"),
        ({"data": (x[:, :9], labels)},
         r"pictures must be \(N, 18, 18, 1\) for this encoder, with N labels, got"),
        ({"data": (x, labels[:5])}, r"got \(56, 18, 18, 1\) and \(5,\)"),
        ({"validation": (x[..., :0], labels)}, r"validation must be \(N, 18, 18, 1\)"),
        ({"validation": (x[:4], labels[:4])},
         "validation needs two pictures of somebody .* got 4 pictures of 1 people"),
        ({"validation": (x[::4], labels[::4])},
         "validation needs two pictures of somebody .* got 14 pictures of 14 people"),
    ]:
        with pytest.raises(ValueError, match=words):
            trained(**options)
    f = encoder()
    del f.features
    with pytest.raises(TypeError, match="train: encoder must be .* which has no features"):
        trained(lambda: f)
