"""Training an encoder so that pictures of one person come near each other, and those of two people do not.

    encoder = md.models.siamese_encoder(seed=0)
    result = train(encoder, pictures, labels, checkpoint="run.npz", validation=(v, w))
"""
from dataclasses import dataclass, field
import hashlib
import math
import re

import numpy as np

from minidl.data.augmentation import FACES
from minidl.data.batches import prefetch
from minidl.faces import checkpoint as checkpoints
from minidl.faces.encoding import encode
from minidl.faces.evaluation import auc
from minidl.faces.monitor import CollapseMonitor
from minidl.faces.objectives import Naming, objective
from minidl.faces.sampling import PeopleSampler, PictureSampler
from minidl.optim import AdamW
from minidl.tensor import Tensor


@dataclass(frozen=True)
class Step:
    """One step, for a callback: its number from 1 of `total`, the stage ("softmax" or the loss's name), the loss, the
    learning rate, and measures {"active", "near", "far", "spread"} (see `monitor.measure`).  row: the new row of the history
    on the steps where one is complete, else None.  warning: one line, or None."""
    number: int
    total: int
    stage: str
    loss: float
    learning_rate: float
    measures: dict
    row: dict | None = None
    warning: str | None = None


@dataclass
class Result:
    """history: rows {"step", "stage", "loss", "active", "near", "far", "spread", "learning_rate", "validation"}, means over
    the steps since the row before; validation: see `separation`, NaN without.  best_step: whose state the encoder has.
    head: what was learned beside the encoder (a pair head), or None.  warnings: of the collapse monitor.
    stopped: "" at the regular end, else why it came earlier."""
    history: list = field(default_factory=list)
    best_step: int = 0
    head: object = None
    warnings: list = field(default_factory=list)
    stopped: str = ""


def train(encoder, pictures, labels, *, steps=600, loss="triplet", form="squared", margin=0.2, mining="semi_hard",
          people=32, per_person=4, learning_rate=3e-4, pretrain_steps=1200, pretrain_batch=128, pretrain_learning_rate=2e-3,
          pretrain_scale=16.0, pretrain_margin=0.1, weight_decay=0.05, augmentation=FACES, validation=None, every=100,
          patience=None, checkpoint=None, seed=0, callback=None):
    """Train `encoder` in place, on pictures (N, size, size, channels), pixels in 0..255, of people `labels` (N,).

    First `pretrain_steps` by softmax over the people, on single pictures of all of them (those with one picture too), with
    scale and margin of a CosineClassifier; then `steps` by
    loss: "triplet" on triplets chosen by `mining` ("all", "random", "semi_hard", "batch_hard") with the distance `form`;
        "contrastive", "logistic" (|f − f'|) or "chi_square" on hard pairs; in batches of `people` × `per_person` pictures.
    Optimiser: AdamW; only matrices and filters decay.  In each stage the learning rate warms up to its value during the
    first 5 % of the steps, and falls to 0 along half a cosine.
    augmentation: called with (pictures, a Generator), or None.
    validation: (pictures, labels) of people kept apart.  Every `every` steps it is measured how well the encoder separates
        them; in the end the encoder has the state that did best, and with `patience` the second stage ends when so many
        measurements in a row brought nothing better.
    checkpoint: a file written every `every` steps.  Where it exists, the run goes on from there to the same numbers, bit for
        bit (on the same device, and number of threads).
    callback(Step): after every step; it may raise StopIteration to end the run, as Ctrl-C does.
        Where it raises KeyboardInterrupt, the checkpoint is written first; Ctrl-C in the middle of
        a step leaves the one before.
    Raises ValueError for settings or pictures that do not fit, a checkpoint of other settings or
    pictures, or a loss, weights or encodings that are no longer finite, before they reach the
    checkpoint; WeightsError for a checkpoint that cannot be read.
    """
    settings = {name: value for name, value in locals().items()
                if name not in ("encoder", "pictures", "labels", "validation", "checkpoint", "callback")}
    pictures = _checked("pictures", encoder, pictures, labels)
    if validation is not None:
        validation = _checked("validation", encoder, *validation), np.asarray(validation[1])
        several = np.unique(validation[1], return_counts=True)[1]
        if len(several) < 2 or several.max() < 2:
            raise ValueError("train: validation needs two pictures of somebody and one of somebody else, got "
                             f"{len(validation[1])} pictures of {len(several)} people")
    if every < 1 or steps < 0 or pretrain_steps < 0:
        raise ValueError(f"train: every must be at least 1 and steps not negative, got {every}, {steps}, {pretrain_steps}")
    _, who = np.unique(labels, return_inverse=True)
    run = _Run(encoder, pictures, who, _stages(encoder, who, **settings), settings, validation, checkpoint, callback)
    try:
        run.resume()
        run.go()
    except (StopIteration, KeyboardInterrupt) as stop:
        run.result.stopped = "interrupted" if isinstance(stop, KeyboardInterrupt) else "stopped by the callback"
    return run.finish()


@dataclass
class Stage:
    """A stretch of steps, first … first + steps − 1, with an objective, its batches, and its peak learning rate."""
    name: str
    objective: object
    sampler: object
    first: int
    steps: int
    peak: float
    monitor: CollapseMonitor | None

    def learning_rate(self, t):
        """η at step t, counted over all stages: a warm-up of 5 %, then half a cosine down to 0."""
        done = t - self.first
        warm = min(1.0, (done + 1) / max(1, 0.05 * self.steps))
        return self.peak * warm * 0.5 * (1 + math.cos(math.pi * done / self.steps))


def _stages(encoder, who, *, steps, loss, form, margin, mining, people, per_person, learning_rate, pretrain_steps,
            pretrain_batch, pretrain_learning_rate, pretrain_scale, pretrain_margin, seed, **rest):
    """The stages that the settings of `train` ask for."""
    stages = []
    if pretrain_steps:
        start = np.random.default_rng([seed, 0, 3])
        naming = Naming(encoder.features, who.max() + 1, pretrain_scale, pretrain_margin, start)
        stages.append(Stage("softmax", naming, PictureSampler(who, pretrain_batch, seed), 0, pretrain_steps,
                            pretrain_learning_rate, None))
    if steps:
        goal = objective(loss, encoder.features, form=form, margin=margin, mining=mining)
        monitor = CollapseMonitor(margin) if loss == "triplet" else None
        stages.append(Stage(loss, goal, PeopleSampler(who, people, per_person, seed), pretrain_steps, steps, learning_rate,
                            monitor))
    return stages


# of what a checkpoint keeps beside the arrays
KINDS = {"t": int, "since": int, "best_step": int, "best_score": float, "rows": list,
         "history": list, "warnings": list, "stopped": str}
MEASURED = {"loss", "learning_rate", "active", "near", "far", "spread"}         # at each step


class _Run:
    """A run of `train`: what changes from step to step, and the loop."""

    def __init__(self, encoder, pictures, who, stages, settings, validation, checkpoint, callback):
        self.encoder, self.pictures, self.who, self.stages = encoder, pictures, who, stages
        self.settings, self.validation, self.checkpoint, self.callback = settings, validation, checkpoint, callback
        self.device = encoder.parameters()[0].device
        self.total = sum(stage.steps for stage in stages)
        self.result = Result()
        self.t, self.best, self.best_score, self.since = 0, None, -math.inf, 0
        self.rows = []                  # what the steps since the last row of the history measured
        self.optimizers = []

    def go(self):
        """All steps that are left."""
        for stage in self.stages:
            if self.t < stage.first + stage.steps and not self.result.stopped:
                if not self.optimizers or self.t == stage.first:
                    self.enter(stage)
                self.work(stage)

    def enter(self, stage):
        """New optimisers for the encoder and the stage's head: one for what decays, one for what does not."""
        if stage.objective.head is not None:
            stage.objective.head.to(self.device)
            self.result.head = stage.objective.head if stage.name != "softmax" else None
        parameters = [p for module in (self.encoder, stage.objective.head) if module is not None
                      for p in module.parameters()]
        matrices, vectors = ([p for p in parameters if (p.ndim > 1) == wanted] for wanted in (True, False))
        self.optimizers = [AdamW(kind, stage.peak, weight_decay=decay)
                           for kind, decay in ((matrices, self.settings["weight_decay"]), (vectors, 0.0)) if kind]

    def work(self, stage):
        """The steps of a stage that are left."""
        self.encoder.train()
        for t, x, people in prefetch(self.batches(stage, self.t)):
            row = self.step(stage, t, x, people)
            self.rows.append(row)
            self.t = t + 1
            full = self.t % self.settings["every"] == 0 or self.t == stage.first + stage.steps
            warning = stage.monitor.look(row["loss"], row["spread"]) if stage.monitor else None
            if warning:
                self.result.warnings.append(warning)
            if full:
                self.note(stage)
            if self.callback is not None:
                measures = {name: row[name] for name in ("active", "near", "far", "spread")}
                self.tell(stage, Step(
                    self.t, self.total, stage.name, row["loss"], row["learning_rate"], measures,
                    self.result.history[-1] if full else None, warning))
            if full and self.result.stopped:
                return

    def tell(self, stage, step):
        """Call the callback, between two steps: an interruption there loses none of them."""
        try:
            self.callback(step)
        except KeyboardInterrupt:
            if self.checkpoint is not None:
                self.check_finite(stage)
                self.save(stage)
            raise

    def batches(self, stage, first):
        """(t, pictures, people) of every step from `first` on.  What is random in step t follows from the seed and t."""
        augmentation, seed = self.settings["augmentation"], self.settings["seed"]
        for t in range(first, stage.first + stage.steps):
            chosen = stage.sampler[t]
            x = self.pictures[chosen]
            if augmentation is not None:
                x = augmentation(x, np.random.default_rng([seed, t, 1]))
            yield t, np.asarray(x, np.float32), self.who[chosen]

    def step(self, stage, t, x, people):
        """One step down; returns its loss, learning rate and measures."""
        rate = stage.learning_rate(t)
        embeddings = self.encoder(Tensor(x, device=self.device))
        loss, measures = stage.objective(embeddings, people, np.random.default_rng([self.settings["seed"], t, 2]))
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"train: the loss is {value} at step {t + 1}; lower the learning rate "
                             f"(at most {stage.peak:g} here), or look for pixels that are not "
                             "numbers")
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.learning_rate = rate
            optimizer.step()
        return {"loss": value, "learning_rate": rate, **measures}

    def check_finite(self, stage):
        """Raise ValueError where the run has diverged, before such weights reach the checkpoint."""
        for part in (self.encoder, stage.objective.head, *self.optimizers):
            values = () if part is None else part.state_dict().values()
            arrays = (value.numpy() if isinstance(value, Tensor) else value for value in values)
            if not all(np.isfinite(array).all() for array in arrays):
                self.diverged(stage, "weights or their moments")

    def diverged(self, stage, what):
        raise ValueError(f"train: the run has diverged: {what} are not finite after step {self.t}; "
                         f"lower the learning rate (at most {stage.peak:g} here)") from None

    def encodings(self, stage):
        """Of the validation pictures."""
        try:
            return encode(self.encoder, self.validation[0])
        except ValueError:              # which fit the encoder, as was checked at the start
            self.diverged(stage, "encodings")

    def note(self, stage):
        """A row of the history, the validation, and the checkpoint."""
        self.check_finite(stage)
        rows = self.rows
        row = {name: float(np.mean([r[name] for r in rows])) for name in rows[0]}
        row |= {"step": self.t, "stage": stage.name, "learning_rate": rows[-1]["learning_rate"], "validation": math.nan}
        if self.validation is not None:
            row["validation"] = separation(self.encodings(stage), self.validation[1])
            if row["validation"] > self.best_score:
                self.best, self.best_score, self.since = self.encoder.state_dict(), row["validation"], 0
                self.result.best_step = self.t
            elif stage.name != "softmax":
                self.since += 1
                if self.settings["patience"] is not None and self.since >= self.settings["patience"]:
                    self.result.stopped = f"no better for {self.since} measurements"
        self.result.history.append(row)
        self.rows = []
        if self.checkpoint is not None:
            self.save(stage)

    def save(self, stage):
        """Write the checkpoint."""
        parts = {"encoder": self.encoder.state_dict(), "generators": checkpoints.generators(self.encoder),
                 "best": self.best or {}}
        if stage.objective.head is not None:
            parts["head"] = stage.objective.head.state_dict()
        parts |= {f"optimizer{i}": optimizer.state_dict() for i, optimizer in enumerate(self.optimizers)}
        r, monitor = self.result, stage.monitor
        checkpoints.save(self.checkpoint, parts, {
            "run": self.identity(), "t": self.t, "stage": stage.name, "best_score": self.best_score, "since": self.since,
            "rows": self.rows, "best_step": r.best_step, "history": r.history,
            "warnings": r.warnings, "stopped": r.stopped,
            "monitor": [list(monitor.losses), monitor.warned] if monitor else None})

    def resume(self):
        """Take up the checkpoint, if there is one."""
        found = checkpoints.load(self.checkpoint) if self.checkpoint is not None else None
        if found is None:
            return
        parts, progress = found
        if missing := {"run", "stage", *KINDS} - set(progress):
            raise checkpoints.WeightsError(f"{self.checkpoint}: is not a checkpoint of this kind of run: it lacks "
                                           f"{', '.join(sorted(missing))}")
        own = self.identity()
        was = progress["run"] if isinstance(progress["run"], dict) else {}
        if other := [_change(name, was.get(name), own.get(name)) for name in was | own
                     if was.get(name) != own.get(name)]:
            raise ValueError(f"train: the checkpoint {self.checkpoint} is of another run: {'; '.join(other)}; go on with "
                             "what it was, name another file, or delete this one to begin anew")
        stage = next((s for s in self.stages if s.name == progress["stage"]), None)
        if stage is None:
            raise ValueError(f"train: the checkpoint {self.checkpoint} is in an unknown stage, {progress['stage']!r}")
        try:
            self.take_up(stage, parts, progress)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise checkpoints.WeightsError(
                f"{self.checkpoint}: does not fit the run that it names: "
                f"{type(error).__name__}: {str(error)[:200]}"
            ) from None

    def take_up(self, stage, parts, progress):
        """Set everything to what a checkpoint says."""
        for name, kind in KINDS.items():
            if type(progress[name]) is not kind:
                raise ValueError(
                    f"its {name} is {str(progress[name])[:40]!r}, expected {kind.__name__}"
                )
        if not all(isinstance(row, dict) and set(row) == MEASURED and all(
                isinstance(value, (int, float)) for value in row.values())
                for row in progress["rows"]):
            raise ValueError("its rows do not measure " + ", ".join(sorted(MEASURED)))
        if not 0 <= progress["t"] <= self.total:
            raise ValueError(f"its step {progress['t']} is none of {self.total}")
        self.enter(stage)
        if parts.get("best"):                           # whether it fits shows now, not at the end
            self.encoder.load_state_dict(parts["best"])
        self.encoder.load_state_dict(parts["encoder"])
        checkpoints.restore_generators(self.encoder, parts.get("generators", {}))
        if stage.objective.head is not None:
            stage.objective.head.load_state_dict(parts["head"])
        for i, optimizer in enumerate(self.optimizers):
            optimizer.load_state_dict(parts[f"optimizer{i}"])
        if stage.monitor:
            losses, stage.monitor.warned = progress["monitor"]
            stage.monitor.losses.extend(losses)
        self.t, self.best, self.rows = progress["t"], parts.get("best"), progress["rows"]
        self.best_score, self.since = progress["best_score"], progress["since"]
        self.result = Result(progress["history"], progress["best_step"], self.result.head, progress["warnings"],
                             progress["stopped"])

    def identity(self):
        """What a run depends on, as text: its settings, and digests of its pictures and of who is on them."""
        digests = {"pictures": self.pictures, "labels": self.who}
        if self.validation is not None:
            digests |= {"validation": self.validation[0], "validation labels": self.validation[1]}
        settings = {name: re.sub(" at 0x[0-9a-f]+", "", repr(value)) for name, value in self.settings.items()}
        return settings | {"encoder": repr(self.encoder)} | {
            name: hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:16] for name, array in digests.items()}

    def finish(self):
        """The encoder in its best state, or its last one where nothing was measured, ready for use."""
        if self.best:
            self.encoder.load_state_dict(self.best)
        else:
            self.result.best_step = self.t
        self.encoder.zero_grad()
        self.encoder.eval()
        return self.result


def _change(name, was, own):
    """One line on a setting that differs: what it was and is, where that is short."""
    if max(len(str(was)), len(str(own))) > 40:
        return f"{name} was another"
    return f"{name} was {was}, is {own}"


def separation(embeddings, labels):
    """The probability that two pictures of one person are nearer than two of different people: the area under the ROC over
    all pairs, ½ by chance, 1 if perfect.

    embeddings (N, D) and labels (N,), on the host.  Raises ValueError without pairs of both kinds.
    """
    labels, (i, j) = np.asarray(labels), np.triu_indices(len(labels), 1)
    squares = np.sum(embeddings * embeddings, 1)
    return auc((squares[:, None] + squares - 2 * (embeddings @ embeddings.T))[i, j], labels[i] == labels[j])


def _checked(what, encoder, pictures, labels):
    """The pictures as an array; raises ValueError unless they fit the encoder and the labels."""
    pictures, size, channels = np.asarray(pictures), encoder.size, encoder.channels
    if pictures.ndim != 4 or pictures.shape[1:] != (size, size, channels) or np.shape(labels) != pictures.shape[:1]:
        raise ValueError(f"train: {what} must be (N, {size}, {size}, {channels}) for this encoder, with N labels, got "
                         f"{pictures.shape} and {np.shape(labels)}")
    return pictures
