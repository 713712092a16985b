"""The training room's loop: two players, stops, checkpoints, runs that go on to the same bits."""
import math
import os
from pathlib import Path
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import minidl as md
from minidl import nn, ops, optim
from minidl.training import EMA, Best, Checkpoint, Diverged, Loop, descend
from minidl.training import checkpoint as checkpoints

# ---- the Dirac GAN: the generator is a point θ, D(x) = ψ x, and all data are 0 ------------------

class Point(nn.Module):
    def __init__(self, value):
        self.value = nn.Parameter(value, dtype="float64")


class Stateless(Point):
    def state_dict(self):
        return [self.value]


def put(point, value):
    point.load_state_dict({"value": value})


class Dirac:
    """θ makes f(ψ θ) small, ψ makes it large, f(t) = −log(1 + e⁻ᵗ): near 0, θ' = −ψ/2 and ψ' = θ/2.

    R1 takes γ/2 (∂D/∂x)² = γ/2 ψ² from what ψ makes large: ψ' = θ/2 − γ ψ.
    Source: Mescheder, Geiger and Nowozin 2018.
    """

    def __init__(self, theta=0.0, psi=1.0, rate=0.1, gamma=0.0, make=optim.SGD, alternating=False):
        self.theta, self.psi, self.gamma = Point(theta), Point(psi), gamma
        self.down, self.up = make(self.theta.parameters(), rate), make(self.psi.parameters(), rate)
        self.alternating = alternating
        self.parts = {"generator": self.theta, "discriminator": self.psi,
                      "down": self.down, "up": self.up}

    def payoff(self):
        return -ops.softplus(-self.psi.value * self.theta.value)

    def penalty(self):
        x = md.tensor(0.0, requires_grad=True)
        slope, = md.grad(self.psi.value * x, x, create_graph=True)
        return self.gamma / 2 * slope * slope

    def step(self, t, noise):
        if self.alternating:
            first, = descend((self.payoff(), self.down))
            second, = descend((self.penalty() - self.payoff(), self.up))
            return {"generator": first, "discriminator": second}
        payoff = self.payoff() + noise * self.theta.value       # noise: of a batch
        return dict(zip(("generator", "discriminator"), descend(
            (payoff, self.down), (self.penalty() - payoff, self.up))))

    def place(self):
        return np.array([self.theta.value.item(), self.psi.value.item()])


def still(t):
    return 0.0


def noise(t):
    return np.random.default_rng([7, t]).normal(0, 0.1)


RATE = 0.1
CIRCLE = np.array([[1, -RATE / 2], [RATE / 2, 1]])          # the linearised step at 0, simultaneous


def test_two_players_turn_in_circles(device):
    """Each step turns by atan(η/2), and the radius grows by √(1 + η²/4): of second order only."""
    game = Dirac(psi=1e-6)
    Loop(game.step, still, 100, parts=game.parts).run()
    place = game.place()
    radius = np.linalg.norm(place)
    assert radius == pytest.approx(1e-6 * math.sqrt(1 + RATE ** 2 / 4) ** 100, rel=1e-5)
    np.testing.assert_allclose(place, np.linalg.matrix_power(CIRCLE, 100) @ [0, 1e-6], rtol=1e-5)
    assert radius > 1.1e-6


def test_r1_bends_the_circles_inwards(device):
    gamma, start = 0.3, [0.5e-6, 1e-6]
    game = Dirac(*start, gamma=gamma)
    Loop(game.step, still, 200, parts=game.parts).run()
    spiral = CIRCLE - [[0, 0], [0, RATE * gamma]]
    np.testing.assert_allclose(game.place(), np.linalg.matrix_power(spiral, 200) @ start, rtol=1e-4)
    assert np.linalg.norm(game.place()) < 0.1 * np.linalg.norm(start)
    assert np.iscomplex(np.linalg.eigvals(spiral)).all()        # it turns as it shrinks


def test_alternating_steps_are_two_calls(device):
    """ψ answers the θ that has moved: the product of two shears, whose determinant is 1."""
    game = Dirac(psi=1e-6, alternating=True)
    Loop(game.step, still, 50, parts=game.parts).run()
    shears = np.array([[1, 0], [RATE / 2, 1]]) @ [[1, -RATE / 2], [0, 1]]
    place = np.linalg.matrix_power(shears, 50) @ [0, 1e-6]
    np.testing.assert_allclose(game.place(), place, rtol=1e-5)


def finished(path=None, steps=12, callback=None, **options):
    """(game, loop) of a run with noise, momentum and averages."""
    game = Dirac(1.0, 1.0, gamma=0.1, make=optim.Adam)
    average = EMA(game.theta, 0.9, ramp=True)

    def step(t, batch):
        measures = game.step(t, batch)
        average.update()
        return measures

    loop = Loop(step, noise, steps, parts=game.parts | {"average": average}, every=5,
                checkpoint=path, callback=callback, **options)
    loop.run()
    return game, loop


def bits(loop):
    return {f"{name}/{entry}": md.tensor(value).numpy().tobytes()
            for name, part in loop.parts.items() for entry, value in part.state_dict().items()}


def raising(error, number):
    def callback(loop):
        if loop.t == number:
            raise error
    return callback


@pytest.mark.parametrize("error", [StopIteration, KeyboardInterrupt])
@pytest.mark.parametrize("number", range(1, 13))
def test_a_run_goes_on_from_every_step_to_the_same_bytes(tmp_path, error, number):
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    _, straight = finished(whole)
    _, loop = finished(cut, callback=raising(error, number))
    assert loop.stopped == ("interrupted" if error is KeyboardInterrupt
                            else "stopped by the callback")
    taken = []
    _, again = finished(cut, callback=lambda loop: taken.append(loop.t))
    assert taken == list(range(number + 1, 13)) and again.stopped == ""
    assert bits(again) == bits(straight) and again.history == straight.history
    assert cut.read_bytes() == whole.read_bytes()
    assert [row["step"] for row in again.history] == [5, 10, 12]


@pytest.mark.parametrize("number", [3, 6])
def test_ctrl_c_in_the_middle_of_a_step_leaves_the_checkpoint_before(tmp_path, number):
    game, path = Dirac(), tmp_path / "run.npz"

    def step(t, batch):
        if t + 1 == number:
            raise KeyboardInterrupt
        return game.step(t, batch)

    loop = Loop(step, noise, 9, parts=game.parts, every=2, checkpoint=path)
    loop.run()
    assert loop.stopped == "interrupted" and loop.t == number - 1
    assert Checkpoint(path, game.parts).load()["t"] == (number - 1) // 2 * 2


def test_without_a_file_run_goes_on_too():
    game = Dirac(make=optim.Adam)
    loop = Loop(game.step, noise, 9, parts=game.parts, callback=raising(StopIteration, 4))
    loop.run()
    assert (loop.t, loop.history, loop.stopped) == (4, [], "stopped by the callback")
    loop.run()
    assert (loop.t, loop.stopped) == (9, "") and len(loop.history) == 1
    other = Dirac(make=optim.Adam)
    Loop(other.step, noise, 9).run()
    assert (game.place() == other.place()).all()


CHILD = """
import sys
from tests.test_training_loop import finished
finished(sys.argv[1], steps=30, callback=lambda loop: print(loop.t, flush=True))
"""


def test_kill_at_any_moment_changes_no_bit(tmp_path):
    """A child is killed with -9, at other places each time, until one comes through."""
    path, whole, started = tmp_path / "run.npz", tmp_path / "whole.npz", []
    for lines in 7, 9, 1, 100:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE,
                                 text=True, cwd=Path(md.__file__).parents[1])
        started.append(int(child.stdout.readline()))
        for _ in range(lines - 1):
            if not child.stdout.readline():
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    finished(whole, steps=30)
    assert path.read_bytes() == whole.read_bytes() and started[0] == 1 and started[1] > 5


# ---- the loop ---------------------------------------------------------------------------------

def test_batches_depend_on_the_step_alone():
    asked, seen = [], []

    def batch(t):
        asked.append(t)
        return np.random.default_rng([3, t]).integers(1000)

    for ahead in 2, 0, 5:
        Loop(lambda t, x: seen.append((t, x)) or 0.0, batch, 20, ahead=ahead).run()
    assert seen[:20] == seen[20:40] == seen[40:]
    assert asked == [*range(20)] * 3
    assert [batch(t) for t in reversed(range(20))] == [x for _, x in seen[19::-1]]


def test_rows_are_means_and_everybody_is_told():
    events = []

    def evaluate(loop):
        events.append(("evaluate", loop.t))
        return {"score": 10 * loop.t}

    loop = Loop(lambda t, x: {"loss": x} | ({"rare": t} if t % 2 else {}), float, 7, every=3,
                evaluate=evaluate,
                monitor=lambda loop: f"odd {loop.t}" if loop.measures["loss"] == 4 else None,
                callback=lambda loop: events.append((loop.t, loop.row, loop.warning)))
    history = loop.run()
    assert history == [{"step": 3, "loss": 1.0, "rare": 1.0, "score": 30},
                       {"step": 6, "loss": 4.0, "rare": 4.0, "score": 60},
                       {"step": 7, "loss": 6.0, "score": 70}]
    assert events == [(1, None, None), (2, None, None), ("evaluate", 3), (3, history[0], None),
                      (4, None, None), (5, None, "odd 5"), ("evaluate", 6), (6, history[1], None),
                      ("evaluate", 7), (7, history[2], None)]
    assert loop.warnings == ["odd 5"]
    uneven = Loop(lambda t, x: x, float, 9, every=lambda t: t in (1, 4))
    assert [row["step"] for row in uneven.run()] == [1, 4, 9]
    assert Loop(lambda t, x: x, float, 0).run() == []


def test_evaluate_may_end_a_run_for_good(tmp_path):
    def evaluate(loop):
        if loop.t == 4:
            loop.stopped = "good enough"
        return {}

    taken = []
    for _ in range(2):
        loop = Loop(lambda t, x: taken.append(t) or 0.0, float, 9, every=2, evaluate=evaluate,
                    parts={"point": Point(1.0)}, checkpoint=tmp_path / "run.npz")
        loop.run()
        assert (loop.t, loop.stopped) == (4, "good enough") and taken == [0, 1, 2, 3]


def test_a_callback_may_say_why_it_ends_the_run(tmp_path):
    """The checkpoint is written first, and the run goes on from there."""
    def callback(loop):
        if loop.t == 3:
            loop.stopped = "enough for today"

    whole, path = tmp_path / "whole.npz", tmp_path / "run.npz"
    finished(whole)
    _, loop = finished(path, callback=callback)
    assert (loop.t, loop.stopped, loop.history) == (3, "enough for today", [])
    assert Checkpoint(path, loop.parts).load()["t"] == 3
    _, again = finished(path)
    assert (again.t, again.stopped) == (12, "") and path.read_bytes() == whole.read_bytes()


def test_the_schedule_is_for_all_optimisers():
    game, rates = Dirac(), []
    Loop(game.step, still, 3, parts=game.parts, schedule=lambda t: 0.5 ** t,
         callback=lambda loop: rates.append((game.down.learning_rate, game.up.learning_rate))).run()
    assert rates == [(1.0, 1.0), (0.5, 0.5), (0.25, 0.25)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_moves_nobody(tmp_path):
    game, path = Dirac(1.0, 1.0), tmp_path / "run.npz"
    places = []
    loop = Loop(game.step, lambda t: math.nan if t == 5 else 0.0, 9, parts=game.parts, every=2,
                checkpoint=path, callback=lambda loop: places.append(game.place()), owner="train")
    with pytest.raises(Diverged, match="^train: the loss of player 0 is nan at step 6$") as caught:
        loop.run()
    assert caught.value.step == 6 and isinstance(caught.value, ValueError)
    assert len(places) == 5 and (game.place() == places[4]).all()
    assert Checkpoint(path, game.parts).load()["t"] == 4 and (game.place() == places[3]).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_that_are_not_finite_never_reach_the_file(device, tmp_path):
    game, path = Dirac(1.0, 1.0), tmp_path / "run.npz"

    def step(t, batch):
        if t == 5:
            put(game.psi, math.inf)
        return 0.0

    for callback in None, raising(KeyboardInterrupt, 7):
        loop = Loop(step, still, 20, parts=game.parts, every=4, checkpoint=path, callback=callback)
        with pytest.raises(Diverged, match=r"^Loop: the run has diverged: numbers in discriminator "
                           r"\(value\) are not finite after step [78]$"):
            loop.run()
        assert Checkpoint(path, game.parts).load()["t"] == 4 and np.isfinite(game.place()).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_returned_loss_that_is_not_finite_is_not_noted(tmp_path, bad):
    """Another measure may be NaN: of nothing."""
    path, parts = tmp_path / "run.npz", {"point": Point(1.0)}
    for wrap in (lambda loss: loss), (lambda loss: {"near": math.nan, "loss": loss}):
        loop = Loop(lambda t, x, wrap=wrap: wrap(bad if t == 3 else 0.0), float, 9, parts=parts,
                    every=2, checkpoint=path)
        with pytest.raises(Diverged, match=f"^Loop: the loss is {bad} at step 4$") as caught:
            loop.run()
        assert caught.value.step == 4 and len(loop.history) == 1
        progress = Checkpoint(path, parts).load()
        assert progress["t"] == 2 and progress["recent"] == []
        path.unlink()


class Masked(Point):
    """With an attention mask."""

    def __init__(self):
        super().__init__([1.0, 2.0])
        self.mask = md.tensor([0.0, -math.inf, 0.0]).data


def test_an_infinity_of_the_start_may_stay(device, tmp_path):
    net, path = Masked(), tmp_path / "run.npz"
    average, best = EMA(net, 0.5), Best(net)
    down, changed = optim.Adam(net.parameters(), 0.1), []

    def step(t, x):
        loss, = descend((ops.square(net.value).sum(), down))
        average.update()
        best.look(-loss, t)
        if t + 1 in changed:
            put_into(net, changed[t + 1])
        return loss

    def put_into(net, mask):
        net.load_state_dict({"value": net.value, "mask": np.array(mask)})

    parts = {"net": net, "down": down, "average": average, "best": best}
    for steps in 3, 6:                                      # the second goes on from the file
        assert len(Loop(step, float, steps, parts=parts, every=1, checkpoint=path).run()) == steps
    for mask in [0.0, 0.0, -math.inf], [0.0, math.inf, 0.0], [0.0, math.nan, 0.0]:
        changed = {8: mask}
        put_into(net, [0.0, -math.inf, 0.0])
        with pytest.raises(Diverged, match=r"numbers in net \(mask\) are not finite after step 8"):
            Loop(step, float, 9, parts=parts, every=1, checkpoint=path).run()
    assert Checkpoint(path, parts).load()["t"] == 7


def test_a_checkpoint_that_cannot_be_written_is_noticed_before_the_first_step(tmp_path):
    taken, point = [], Point(1.0)
    (tmp_path / "file").write_text("")
    bad = [("none/run.npz", "there is no folder .*none"), ("~/run.npz", "there is no folder .*~"),
           ("file/run.npz", "there is no folder .*file"), (".", "directory|not a file")]
    if hasattr(os, "geteuid") and os.geteuid():             # root may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        bad.append(("closed/run.npz", "no file can be made in .*closed"))
    for name, words in bad:
        loop = Loop(lambda t, x: taken.append(t) or 0.0, float, 9, parts={"point": point},
                    checkpoint=f"{tmp_path}/{name}")
        with pytest.raises(OSError, match=words):
            loop.run()
    assert taken == []


def test_batches_that_end_too_early():
    few = iter([1.0, 2.0])
    for ahead in 0, 2:
        loop = Loop(lambda t, x: x, lambda t: next(few), 9, ahead=ahead)
        with pytest.raises(ValueError,
                           match=r"^Loop: batch\(t\) must give a batch for every t < 9, it "
                           f"raised StopIteration for {2 if ahead == 0 else 0}$"):
            loop.run()


def test_what_a_loop_is_given():
    assert md.training.Loop is Loop
    step = lambda t, x: 0.0
    for arguments, error, words in [
        (("x", float, 3), TypeError, "Loop: step must be a function, got str"),
        ((step, [1, 2], 3), TypeError, "Loop: batch must be a function, got list"),
        ((step, md.data.batches(np.ones((4, 2)), batch_size=2), 3), TypeError,
         r"got batches; write a function of the step, as lambda t: x\[np.random"),
        ((step, float, -1), ValueError, "Loop: steps must be at least 0, got -1"),
        ((step, float, 2.0), TypeError, "Loop: steps must be a whole number, got 2.0"),
    ]:
        with pytest.raises(error, match=words):
            Loop(*arguments)
    for options, error, words in [
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"every": True}, TypeError, "every must be a whole number, got True"),
        ({"callback": 3}, TypeError, "callback must be a function"),
        ({"ahead": -1}, ValueError, "ahead must be at least 0"),
        ({"parts": {"a/b": Point(1.0)}}, ValueError,
         "a part's name must be text without '/', got 'a/b'"),
        ({"parts": {"net": 3}}, TypeError,
         "part 'net' must have state_dict and load_state_dict, it is a int"),
        ({"parts": {"net": Stateless(1.0)}}, TypeError, r"state_dict\(\) of part 'net' must give a "
         "dictionary from names to arrays, got list"),
        ({"parts": [Point(1.0)]}, TypeError,
         "Loop: parts must be a dictionary from names to what the steps change, got list"),
        ({"parts": {"net": Point}}, TypeError, "Loop: part 'net' must have state_dict .* a type"),
        ({"parts": Point(1.0)}, TypeError, "Loop: parts must be a dictionary .* got Point"),
        ({"checkpoint": "run.npz"}, ValueError, "Loop: a checkpoint holds the parts, and there are "
         "none; name what the steps change, as parts="),
        ({"checkpoint": "run.npz", "parts": {}}, ValueError, "there are none"),
        ({"checkpoint": 3}, TypeError, "Loop: checkpoint must be a path, got int"),
        ({"schedule": float}, ValueError, "Loop: .* there is no optimiser among the parts"),
        ({"schedule": float, "parts": {"point": Point(1.0)}}, ValueError, "no optimiser among"),
        ({"identity": [3]}, TypeError, "Loop: identity must be a dictionary .*got list"),
        ({"identity": {"rate": object()}}, TypeError, "Loop: rate in identity is nothing that JSON "
         "can hold"),
        ({"identity": {"sizes": {(1, 2): 3}}}, TypeError, "Loop: sizes in identity is nothing"),
        ({"identity": {3: 1}}, TypeError, "Loop: names in identity must be text, got 3"),
        ({"identity": {"rate": math.nan}}, ValueError, "Loop: rate in identity must not hold NaN"),
        ({"identity": {"rates": [1.0, np.float32("nan")]}}, ValueError, "must not hold NaN"),
    ]:
        with pytest.raises(error, match=words):
            Loop(step, float, 3, **options)
    assert Loop(step, float, 3, identity={"bound": math.inf}).file.identity == {"bound": math.inf}
    for given in None, [("score", 1.0)]:
        with pytest.raises(TypeError, match="Loop: evaluate must return a dictionary for the row"):
            Loop(step, float, 3, evaluate=lambda loop, given=given: given).run()
    for given in 3, ["collapsed"], False:
        with pytest.raises(TypeError, match="Loop: monitor must return a line of warning or None"):
            Loop(step, float, 3, monitor=lambda loop, given=given: given).run()
    with pytest.raises(TypeError, match="Loop: stopped must say why, in text, got bool"):
        Loop(step, float, 3, evaluate=lambda loop: vars(loop).update(stopped=True) or {}).run()
    with pytest.raises(TypeError, match="Loop: stopped must say why, in text, got bool"):
        Loop(step, float, 3, callback=lambda loop: vars(loop).update(stopped=True)).run()
    for given in None, "low", [1.0, 2.0], {"loss": None}:
        words = "step must return its loss, one number, or a dictionary of numbers, got "
        with pytest.raises(TypeError, match=re.escape(f"{words}{given!r}")):
            Loop(lambda t, x, given=given: given, float, 1).run()
    assert Loop(lambda t, x: md.tensor(2.0), float, 1).run() == [{"step": 1, "loss": 2.0}]


# ---- checkpoints ------------------------------------------------------------------------------

def test_a_file_that_was_cut_off_anywhere_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    game, _ = finished(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    parts = game.parts | {"average": EMA(game.theta)}
    for length in [0, 1, 4, 30, len(whole) - 1, *rng.integers(0, len(whole), 60)]:
        path.write_bytes(whole[:length])
        before = game.place()
        with pytest.raises(md.WeightsError, match="run.npz"):
            Checkpoint(path, parts).load()
        assert (game.place() == before).all() and path.read_bytes() == whole[:length]
    path.write_bytes(whole)
    assert Checkpoint(path, parts).load()["t"] == 12


def test_a_damaged_byte_is_refused_or_changes_nothing(tmp_path):
    """The archive has a checksum for each entry; what lies between them says nothing of the run."""
    path, parts = tmp_path / "run.npz", {"net": Point(2.0)}
    Checkpoint(path, parts).save({"t": 1})
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1:])
        try:
            assert Checkpoint(path, parts).load() == {"t": 1}
        except md.WeightsError:
            refused += 1
        assert parts["net"].value.item() == 2
    assert refused > len(whole) / 7 / 2


def test_other_files_are_refused(tmp_path):
    path, part = tmp_path / "run.npz", Point(2.0)
    assert Checkpoint(path, {"net": part}).load() is None and checkpoints.read(path) is None
    md.save(path, part)
    with pytest.raises(md.WeightsError, match="run.npz: is a file of weights, but not a check"):
        Checkpoint(path, {"net": part}).load()
    path.write_text("something else")
    with pytest.raises(md.WeightsError, match="run.npz"):
        Checkpoint(path, {"net": part}).load()
    for about in [], {}, {"identity": 3, "progress": {}, "generators": {}}, "text":
        checkpoints.write(path, {}, about)
        with pytest.raises(md.WeightsError, match="not a checkpoint"):
            Checkpoint(path, {"net": part}).load()


def test_a_checkpoint_of_other_parts_changes_nothing(tmp_path):
    path, first, second = tmp_path / "run.npz", Point(1.0), Point(2.0)
    Checkpoint(path, {"first": first, "second": second}).save({})
    put(first, 11.0)
    put(second, 12.0)
    for parts in ({"first": first}, {"first": first, "second": nn.Dense(1, 1, rng=0)},
                  {"first": first, "second": second, "third": Point(0.0)},
                  {"first": first, "second": optim.SGD(second.parameters(), 0.1)},
                  {"first": first, "second": Best(second)}, {"first": first, "second": EMA(second)},
                  {"first": first, "second": nn.Dropout(rng=0)}):
        with pytest.raises(md.WeightsError, match="run.npz: does not fit the run that it names"):
            Checkpoint(path, parts).load()
        assert first.value.item() == 11 and second.value.item() == 12
    Checkpoint(path, {"second": second, "first": first}).load()
    assert first.value.item() == 1 and second.value.item() == 2


def test_a_run_of_other_settings_is_refused(tmp_path):
    path, part = tmp_path / "run.npz", Point(2.0)

    def asked(**identity):
        return Checkpoint(path, {"net": part}, identity)

    asked(margin=0.2, widths=(1, 2), text="x" * 50).save({"t": 3})
    assert asked(margin=np.float64(0.2), widths=np.array([1, 2]), text="x" * 50).load() == {"t": 3}
    asked().save({"score": np.float32(0.5), "place": md.tensor([1.0, 2.0])})
    assert asked().load() == {"score": 0.5, "place": [1.0, 2.0]}
    asked(margin=0.2, widths=(1, 2), text="x" * 50).save({})
    with pytest.raises(ValueError, match=r"Checkpoint: the checkpoint .*run.npz is of another run: "
                       r"margin was 0.2, is 0.3; widths was \[1, 2\], is None; text was another; "
                       r"more was None, is 1; go on with what it was, name another file, or delete "
                       "this one to begin anew"):
        asked(margin=0.3, text="y", more=1).load()


def test_a_failed_save_leaves_the_previous_file(tmp_path):
    class Broken(Point):
        def state_dict(self):
            return super().state_dict() | ({"bad": object()} if broken else {})

    path, part, broken = tmp_path / "run.npz", Broken(1.0), False
    Checkpoint(path, {"net": part}).save({"t": 1})
    before, broken = path.read_bytes(), True
    with pytest.raises(TypeError):
        Checkpoint(path, {"net": part}).save({"t": 2})
    broken = False
    with pytest.raises(TypeError, match="settings and progress are made of numbers.*got object"):
        Checkpoint(path, {"net": part}).save({"t": object()})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    assert Checkpoint(path, {"net": part}).load() == {"t": 1}


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_generators_of_every_kind_go_on(device, tmp_path, kind):
    def net():
        rng = np.random.Generator(getattr(np.random, kind)(5))
        return nn.Sequential(nn.Dropout(0.5, rng=rng), nn.Dense(40, 2, rng=rng),
                             nn.Dropout(0.5, rng=1))

    x, path, first, second = np.ones((3, 40), "float32"), tmp_path / "run.npz", net(), net()
    x = md.tensor(x)
    first(x), first(x)
    Checkpoint(path, {"net": first}).save({})
    expected = [first(x).numpy() for _ in range(3)]
    assert not np.array_equal(second(x).numpy(), expected[0])
    Checkpoint(path, {"net": second}).load()
    np.testing.assert_array_equal([second(x).numpy() for _ in range(3)], expected)
    states, about = checkpoints.read(path)
    about["generators"]["net"] = {}
    checkpoints.write(path, states, about)
    with pytest.raises(md.WeightsError, match="does not fit"):
        Checkpoint(path, {"net": second}).load()


def test_the_best_state_is_kept(device, tmp_path):
    part, path = Point(0.0), tmp_path / "run.npz"
    best = Best(part)
    assert best.state_dict() == {}
    best.restore()
    scores = [(1.0, True), (3.0, True), (3.0, False), (math.nan, False), (2.0, False)]
    for step, (score, better) in enumerate(scores):
        put(part, step + 1.0)
        assert best.look(score, step) == better
        Checkpoint(path, {"net": part, "best": best}).save({})
        other = Point(9.0)
        best, part = Best(other), other
        Checkpoint(path, {"net": other, "best": best}).load()
    assert (best.score, best.step, best.since, part.value.item()) == (3.0, 1, 3, 5.0)
    best.restore()
    assert part.value.item() == 2 and part.value.device == device
    with pytest.raises(ValueError, match="missing"):
        best.load_state_dict({"score": 1.0, "step": 1, "since": 0, "state.other": np.ones(2)})
    assert best.score == 3 and part.value.item() == 2
