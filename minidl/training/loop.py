"""The loop: draw a batch, take a step, note how it went, keep a checkpoint, and again."""
import numpy as np

from minidl import backend
from minidl.data.batches import prefetch
from minidl.optim import Optimizer
from minidl.tensor import Tensor, constant
from minidl.training.checkpoint import Checkpoint
from minidl.training.descent import Diverged

# what a checkpoint keeps of a Loop, beside its parts
PROGRESS = {"t": int, "recent": list, "history": list, "warnings": list, "stopped": str}


class Loop:
    """Steps t = 0, 1, …, steps − 1 of a training run.

    step(t, batch): takes step t (see `descend`), and returns what it measured: its loss, or a
        dictionary {name: number}.
    batch(t): the batch of step t.  It follows from t (and a seed) alone, as what is drawn from
        `np.random.default_rng([seed, t])` does.  So a thread can draw the next `ahead` of them
        during a step, several machines could share them out, and a run that was cut off goes on
        with those that would have come.
    parts: {name: what the steps change}: modules, optimisers, an EMA, …; see `Checkpoint`.
    schedule(t): the learning rate of step t, for all optimisers among the parts.  Without it they
        keep their own, or `step` sets them.
    every: after so many steps each, and after step number `steps`,
        - the numbers in all parts are looked at: they must be finite;
        - a row goes into `history`: {"step": t}, the means of what was measured since the row
          before, and what evaluate(loop) adds;
        - the checkpoint is written.
        It may be a function instead: every(t) is true where this is due after t steps.
    evaluate(loop): a dictionary for the row.  It may end the run for good: `loop.stopped = "why"`
        goes into the checkpoint, and `run` then takes no further step.
    monitor(loop): after every step; a line of warning (of a collapse, say), or None.
    callback(loop): after every step.  It may raise StopIteration or KeyboardInterrupt to end the run;
        then the checkpoint is written first.  Ctrl-C ends it, too; in the middle of a step it leaves
        the last checkpoint, which is up to `every` steps old.
    checkpoint: a path.  Where that file exists, `run` goes on from there, to the same bits (on the
        same device, and number of threads).
    identity: the run's settings; a checkpoint with other ones is refused.
    owner: what errors begin with.

    To read, in callbacks:
    t               steps taken
    measures        of the last one, {name: float}
    row             the new row of the history, on the steps where one is complete, else None
    warning         of the last step, or None
    history, warnings       all so far
    stopped         "" while it runs and at the regular end, else why it ended earlier

    Raises TypeError or ValueError for arguments that are none of these.
    """

    def __init__(self, step, batch, steps, *, parts=None, schedule=None, every=100, evaluate=None,
                 monitor=None, callback=None, checkpoint=None, identity=None, ahead=2,
                 owner="Loop"):
        self.owner, self.steps = owner, _whole(owner, "steps", steps, 0)
        self.ahead = _whole(owner, "ahead", ahead, 0)
        self.every = every if callable(every) else _whole(owner, "every", every, 1)
        self.step, self.batch = _function(owner, "step", step), _function(owner, "batch", batch)
        self.schedule, self.evaluate, self.monitor, self.callback = (
            None if function is None else _function(owner, name, function)
            for name, function in [("schedule", schedule), ("evaluate", evaluate),
                                   ("monitor", monitor), ("callback", callback)])
        self.file = Checkpoint(checkpoint, parts, identity, owner)
        self.parts = self.file.parts
        self.t, self.measures, self.row, self.warning = 0, {}, None, None
        self.recent = []                                    # the measures since the last row
        self.history, self.warnings, self.stopped = [], [], ""

    def run(self):
        """Take the steps that are left; returns the history.

        Raises Diverged (a ValueError) where a loss or a part is no longer finite, before such
        numbers reach the checkpoint; and what `Checkpoint.load` raises.
        """
        self.stopped = ""
        self.resume()
        try:
            for t, batch in self.batches_left():
                self.set_learning_rate(t)
                self.measures = self.take(t, batch)
                self.recent.append(self.measures)
                self.t = t + 1
                self.warning = self.monitor(self) if self.monitor else None
                if self.warning:
                    self.warnings.append(self.warning)
                self.row = self.note() if self.row_is_due() else None
                if self.callback:
                    self.call_back()
                if self.stopped:
                    break
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        return self.history

    def batches_left(self):
        """(t, batch) of all steps that are left."""
        left = range(0) if self.stopped else range(self.t, self.steps)
        drawn = ((t, self.batch(t)) for t in left)
        return prefetch(drawn, self.ahead) if self.ahead else drawn

    def set_learning_rate(self, t):
        """Give the schedule's η to the optimisers."""
        if self.schedule:
            for part in self.parts.values():
                if isinstance(part, Optimizer):
                    part.learning_rate = self.schedule(t)

    def take(self, t, batch):
        """Take a step; returns what it measured, {name: float}."""
        try:
            measured = self.step(t, batch)
        except Diverged as error:
            raise Diverged(f"{self.owner}: {error} at step {t + 1}", t + 1) from None
        try:
            measured = measured if isinstance(measured, dict) else {"loss": measured}
            return {name: float(value) for name, value in measured.items()}
        except (TypeError, ValueError):
            raise TypeError(f"{self.owner}: step must return its loss, one number, or a dictionary "
                            f"of numbers, got {measured!r}") from None

    def row_is_due(self):
        due = self.every(self.t) if callable(self.every) else self.t % self.every == 0
        return due or self.t == self.steps

    def note(self):
        """A row of the history, and the checkpoint."""
        self.check_finite()
        names = dict.fromkeys(name for measures in self.recent for name in measures)
        means = {name: float(np.mean([measures[name] for measures in self.recent
                                      if name in measures])) for name in names}
        row = {"step": self.t} | means
        if self.evaluate:
            row |= self.evaluate(self)
        self.history.append(row)
        self.recent = []
        self.save()
        return row

    def call_back(self):
        """Call the callback, between two steps: an interruption there loses none of them."""
        try:
            self.callback(self)
        except (StopIteration, KeyboardInterrupt) as stop:
            self.check_finite()
            self.save()
            if isinstance(stop, KeyboardInterrupt):
                raise
            self.stopped = "stopped by the callback"

    def check_finite(self):
        """Raise Diverged where a part holds numbers that are not finite."""
        for name, part in self.parts.items():
            for entry, value in part.state_dict().items():
                array = (value if isinstance(value, Tensor) else constant(value)).data
                if array.dtype.kind == "f" and not backend.of(array).isfinite(array).all():
                    raise self.diverged(f"numbers in {name} ({entry})")

    def diverged(self, what):
        """The error to raise where something is not finite after the last step."""
        return Diverged(f"{self.owner}: the run has diverged: {what} are not finite after step "
                        f"{self.t}", self.t)

    def save(self):
        """Write the checkpoint."""
        self.file.save({name: getattr(self, name) for name in PROGRESS})

    def resume(self):
        """Take up the checkpoint, if there is one."""
        progress = self.file.load()
        if progress is not None:
            try:
                _check_progress(progress, self.steps)
            except (TypeError, ValueError) as error:
                raise self.file.misfit(error) from None
            vars(self).update(progress)


def _check_progress(progress, steps):
    """Raise ValueError or TypeError for what `save` did not write."""
    if progress.keys() != PROGRESS.keys():
        raise ValueError(f"its progress has {', '.join(progress)}; expected {', '.join(PROGRESS)}")
    for name, kind in PROGRESS.items():
        if type(progress[name]) is not kind:
            raise TypeError(f"its {name} is {str(progress[name])[:40]!r}, expected {kind.__name__}")
    if not all(isinstance(row, dict) for row in progress["history"] + progress["recent"]):
        raise TypeError("its rows are no dictionaries")
    if not all(type(value) is float for row in progress["recent"] for value in row.values()):
        raise TypeError("its measures are no numbers")
    if not 0 <= progress["t"] <= steps:
        raise ValueError(f"its step {progress['t']} is none of {steps}")


def _whole(owner, name, value, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{owner}: {name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{owner}: {name} must be at least {least}, got {value}")
    return int(value)


def _function(owner, name, value):
    if not callable(value):
        raise TypeError(f"{owner}: {name} must be a function, got {type(value).__name__}")
    return value
