"""The loop: draw a batch, take a step, note how it went, keep a checkpoint, and again."""
from collections.abc import Callable
import math
import os

import numpy as np

from minidl.data.batches import prefetch
from minidl.optim import Optimizer
from minidl.training import processes
from minidl.training.checkpoint import Checkpoint
from minidl.training.checks import function, of_kind, progress_of, whole
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
    parts: {name: what the steps change}: modules, optimisers, an EMA, …; see `Checkpoint`.  A
        checkpoint holds these, and needs one at least.
    schedule(t): the learning rate of step t, for all optimisers among the parts; there must be one.
        Without a schedule they keep their own, or `step` sets them.
    every: after so many steps each, and after step number `steps`,
        - the numbers in all parts are checked: they must be finite.  An infinity that was there
          when `run` began, as in an attention mask, may stay;
        - a row goes into `history`: {"step": t}, the means of what was measured since the row
          before, and what evaluate(loop) adds;
        - the checkpoint is written.
        It may be a function instead: every(t) is true where this is due after t steps.
    evaluate(loop): a dictionary for the row.  It may end the run for good: `loop.stopped = "why"`
        goes into the checkpoint, and `run` then takes no further step.
    monitor(loop): after every step; a line of warning (of a collapse, say), or None.
    callback(loop): after every step.  To end the run it may raise StopIteration or
        KeyboardInterrupt, or say why: `loop.stopped = "why"`.  Then the checkpoint is written
        first, and the next `run` goes on.  Ctrl-C ends it, too; in the middle of a step it leaves
        the last checkpoint, which is up to `every` steps old.
    checkpoint: a path.  Where that file exists, `run` goes on from there, to the same bits (on the
        same device, and number of threads).
    identity: the run's settings; a checkpoint with other ones is refused.
    owner: what errors begin with.
    Of several processes (`processes.py`) each takes the same steps, from the parts of the first; it
    alone reads and writes the checkpoint, and all end where one of them would.

    To read, in callbacks:
    t               steps taken
    measures        of the last one, {name: float}
    row             the new row of the history, on the steps where one is complete, else None
    warning         of the last step, or None
    history, warnings       all so far
    stopped         "" while it runs and at the regular end, else why it ended earlier

    Raises TypeError or ValueError for arguments that are none of these.
    """

    def __init__(self, step: Callable, batch: Callable, steps: int, *, parts: dict | None = None,
                 schedule: Callable[[int], float] | None = None,
                 every: int | Callable[[int], bool] = 100,
                 evaluate: Callable[["Loop"], dict] | None = None,
                 monitor: Callable[["Loop"], str | None] | None = None,
                 callback: Callable[["Loop"], object] | None = None,
                 checkpoint: str | os.PathLike | None = None, identity: dict | None = None,
                 ahead: int = 2, owner: str = "Loop"):
        self.owner, self.steps = owner, whole(owner, "steps", steps, 0)
        self.ahead = whole(owner, "ahead", ahead, 0)
        self.every = every if callable(every) else whole(owner, "every", every, 1)
        self.step = function(owner, "step", step)
        self.batch = function(owner, "batch", batch, "; write a function of the step, as lambda t: "
                              "x[np.random.default_rng([seed, t]).integers(len(x), size=64)]")
        self.schedule, self.evaluate, self.monitor, self.callback = (
            None if given is None else function(owner, name, given)
            for name, given in [("schedule", schedule), ("evaluate", evaluate),
                                ("monitor", monitor), ("callback", callback)])
        self.file = Checkpoint(checkpoint, parts, identity, owner)
        self.parts = self.file.parts
        if checkpoint is not None and not self.parts:
            raise ValueError(f"{owner}: a checkpoint holds the parts, and there are none; name "
                             "what the steps change, as parts={'net': net, 'adam': adam}")
        if self.schedule and not self.optimizers():
            raise ValueError(f"{owner}: schedule sets the learning rate of the optimisers among "
                             "the parts, and there is no optimiser among the parts")
        self.t, self.stopped = 0, ""
        self.measures: dict[str, float] = {}
        self.recent: list[dict] = []                        # the measures since the last row
        self.row: dict | None = None
        self.history: list[dict] = []
        self.warning: str | None = None
        self.warnings: list = []

    def run(self) -> list[dict]:
        """Take the steps that are left; returns the history.

        Raises Diverged (a ValueError) where a loss or a part is no longer finite, before such
        numbers reach the history or the checkpoint; OSError where that cannot be written; and what
        `Checkpoint.load` raises.
        """
        self.stopped = ""
        self.resume()
        if self.t < self.steps and not self.stopped and processes.is_first():
            self.file.try_to_write()
        self.infinite = [array for *_, array in self.file.not_finite()]
        try:
            for t, batch in self.batches_left():
                self.set_learning_rate(t)
                self.measures = self.take(t, batch)
                self.recent.append(self.measures)
                self.t = t + 1
                self.warning = self.warn()
                self.row = self.note() if self.row_is_due() else None
                self.call_back()
                if self.stopped:
                    break
        except KeyboardInterrupt:
            if processes.several():                     # the others are in the middle of a step
                raise
            self.stopped = "interrupted"
        return self.history

    def batches_left(self):
        """(t, batch) of all steps that are left."""
        left = range(0) if self.stopped else range(self.t, self.steps)
        drawn = ((t, self.draw(t)) for t in left)
        return prefetch(drawn, self.ahead) if self.ahead else drawn

    def draw(self, t):
        try:
            return self.batch(t)
        except StopIteration:
            raise ValueError(f"{self.owner}: batch(t) must give a batch for every t < "
                             f"{self.steps}, it raised StopIteration for {t}") from None

    def optimizers(self):
        return [part for part in self.parts.values() if isinstance(part, Optimizer)]

    def set_learning_rate(self, t):
        """Give the schedule's η to the optimisers."""
        if self.schedule:
            for optimizer in self.optimizers():
                optimizer.learning_rate = self.schedule(t)

    def take(self, t, batch):
        """Take a step; returns what it measured, {name: float}."""
        try:
            measured = self.step(t, batch)
        except Diverged as error:
            raise Diverged(f"{self.owner}: {error} at step {t + 1}", t + 1) from None
        try:
            named = measured if isinstance(measured, dict) else {"loss": measured}
            measures = {name: float(value) for name, value in named.items()}
        except (TypeError, ValueError):
            raise TypeError(f"{self.owner}: step must return its loss, one number, or a dictionary "
                            f"of numbers, got {measured!r}") from None
        loss = measures.get("loss", 0.0)
        if not math.isfinite(loss):                     # another measure may be NaN: of nothing
            raise Diverged(f"{self.owner}: the loss is {loss} at step {t + 1}", t + 1)
        return measures

    def warn(self):
        """The monitor's warning of the step, or None."""
        warning = of_kind(f"{self.owner}: monitor must return a line of warning or None",
                          self.monitor(self) if self.monitor else None, str, type(None))
        if warning:
            self.warnings.append(warning)
        return warning

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
            row |= of_kind(f"{self.owner}: evaluate must return a dictionary for the row",
                           self.evaluate(self), dict)
        self.history.append(row)
        self.recent = []
        self.agree_to_stop()
        self.save()
        return row

    def call_back(self):
        """Call the callback, between two steps: when it ends the run, none of them is lost."""
        for_good = self.stopped                         # by evaluate; only this goes into the file
        try:
            if self.callback:
                self.callback(self)
        except StopIteration:
            self.stopped = "stopped by the callback"
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        self.agree_to_stop()
        if self.stopped != for_good:
            why, self.stopped = self.stopped, for_good
            self.check_finite()
            self.save()
            self.stopped = why

    def agree_to_stop(self):
        """End all processes where one is to end."""
        of_kind(f"{self.owner}: stopped must say why, in text", self.stopped, str)
        self.stopped = processes.first_word(self.stopped)

    def check_finite(self):
        """Raise Diverged where a part holds numbers that are not finite, and were not so before."""
        for name, entry, array in self.file.not_finite():
            if not any(array.shape == before.shape
                       and (np.isfinite(array) | (array == before)).all()
                       for before in self.infinite):
                raise self.diverged(f"numbers in {name} ({entry})")

    def diverged(self, what):
        """The error to raise where something is not finite after the last step."""
        return Diverged(f"{self.owner}: the run has diverged: {what} are not finite after step "
                        f"{self.t}", self.t)

    def save(self) -> None:
        """Write the checkpoint."""
        if processes.is_first():
            self.file.save({name: getattr(self, name) for name in PROGRESS})

    def resume(self) -> None:
        """Take up the checkpoint, if there is one."""
        progress = processes.as_first(self.file.load() if processes.is_first() else None, self.file)
        if progress is not None:
            try:
                vars(self).update(progress_of(progress, PROGRESS, self.steps))
            except (TypeError, ValueError) as error:
                raise self.file.misfit(error) from None
