"""Training an encoder so that pictures of one person come near each other, and those of two people
do not.

    encoder = md.models.siamese_encoder(seed=0)
    result = train(encoder, pictures, labels, checkpoint="run.npz", validation=(v, w))
"""
from dataclasses import dataclass, field
import hashlib
import math
import re

import numpy as np

from minidl.data.augmentation import FACES
from minidl.faces.encoding import check_encoder, encode
from minidl.faces.evaluation import auc
from minidl.faces.monitor import CollapseMonitor
from minidl.faces.objectives import Naming, objective
from minidl.faces.sampling import PeopleSampler, PictureSampler
from minidl.operands import check_sizes
from minidl.optim import AdamW
from minidl.settings import bounded, callback_of, check_seed, having, labels_of, numbers, whole
from minidl.tensor import Tensor
from minidl.training import Best, Diverged, Loop, descend, jointly, schedules


@dataclass(frozen=True)
class Step:
    """One step, for a callback: its number from 1 of `total`, the stage ("softmax" or the loss's
    name), the loss, the learning rate, and measures {"active", "near", "far", "spread"} (see
    `monitor.measure`).  row: the new row of the history on the steps where one is complete, else
    None.  warning: one line, or None."""
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
    """history: rows {"step", "stage", "loss", "active", "near", "far", "spread", "learning_rate",
    "validation"}, means over the steps since the row before; validation: see `separation`, NaN
    without.  best_step: whose state the encoder has.
    head: what was learned beside the encoder (a pair head), or None.  warnings: of the collapse
        monitor.
    stopped: "" at the regular end, else why it came earlier."""
    history: list = field(default_factory=list)
    best_step: int = 0
    head: object = None
    warnings: list = field(default_factory=list)
    stopped: str = ""


def train(encoder, pictures, labels, *, steps=600, loss="triplet", form="squared", margin=0.2,
          mining="semi_hard", people=32, per_person=4, learning_rate=3e-4, pretrain_steps=1200,
          pretrain_batch=128, pretrain_learning_rate=2e-3, pretrain_scale=16.0, pretrain_margin=0.1,
          weight_decay=0.05, augmentation=FACES, validation=None, every=100, patience=None,
          checkpoint=None, seed=0, callback=None):
    """Train `encoder` in place, on pictures (N, size, size, channels), pixels in 0..255, of people
    `labels` (N,).

    First `pretrain_steps` by softmax over the people, on single pictures of all of them (those with
    one picture too), with scale and margin of a CosineClassifier; then `steps` by
    loss: "triplet" on triplets chosen by `mining` ("all", "random", "semi_hard", "batch_hard") with
        the distance `form`; "contrastive", "logistic" (|f − f'|) or "chi_square" on hard pairs; in
        batches of `people` × `per_person` pictures.
    Optimiser: AdamW; only matrices and filters decay.  In each stage the learning rate warms up to
    its value during the first 5 % of the steps, and falls to 0 along half a cosine.
    augmentation: called with (pictures, a Generator), or None.
    validation: (pictures, labels) of people kept apart.  Every `every` steps it is measured how
        well the encoder separates them; in the end the encoder has the state that did best, and
        with `patience` the second stage ends when so many measurements in a row brought nothing
        better.
    checkpoint: a file written every `every` steps.  Where it exists, the run goes on from there to
        the same numbers, bit for bit (on the same device, and number of threads).
    callback(Step): after every step.  It may raise StopIteration or KeyboardInterrupt to end the
        run; then the checkpoint is written first.  Ctrl-C ends it, too; in the middle of a step it
        leaves the last checkpoint.
    Raises ValueError for settings or pictures that do not fit, a checkpoint of other settings or
    pictures, or a loss, weights or encodings that are no longer finite, before they reach the
    checkpoint; WeightsError for a checkpoint that cannot be read.
    """
    settings = {name: value for name, value in locals().items()
                if name not in ("encoder", "pictures", "labels", "validation", "checkpoint",
                                "callback")}
    check_encoder("train", encoder)
    having("train", "encoder", encoder, "a Module with size, channels and features", "features")
    pictures, labels = _checked("pictures", encoder, pictures, labels)
    check_sizes("train", people=people, per_person=per_person, pretrain_batch=pretrain_batch,
                every=every)
    for name, value in ("steps", steps), ("pretrain_steps", pretrain_steps):
        whole("train", f"0 ≤ {name} < inf", value)
    for name in "learning_rate", "pretrain_learning_rate", "weight_decay", "margin":
        bounded("train", f"0 ≤ {name} < inf", settings[name])
    if patience is not None:
        whole("train", "1 ≤ patience < inf", patience)
    check_seed("train", seed)
    callback_of("train", callback, "of a Step")
    callback_of("train", augmentation, "(pictures, rng)", "augmentation")
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise TypeError("train: validation must be (pictures, labels) or None, got "
                            f"{type(validation).__name__}")
        validation = _checked("validation", encoder, *validation)
        several = np.unique(validation[1], return_counts=True)[1]
        if len(several) < 2 or several.max() < 2:
            raise ValueError("train: validation needs two pictures of somebody and one of "
                             f"somebody else, got {len(validation[1])} pictures of {len(several)} "
                             "people")
    _, who = np.unique(labels, return_inverse=True)
    run = _Run(encoder, pictures, who, settings, validation, callback)
    loop = Loop(run.step, run.batch, run.stages[-1].last if run.stages else 0, parts=run.parts(),
                schedule=run.learning_rate if run.stages else None, every=run.is_due,
                evaluate=run.evaluate, monitor=run.look,
                callback=run.tell if callback else None, checkpoint=checkpoint,
                identity=run.identity(), owner="train")
    encoder.train()
    try:
        loop.run()
    except Diverged as error:
        peak = run.stage(error.step - 1).peak
        raise ValueError(f"{error}; lower the learning rate (at most {peak:g} here), or look for "
                         "pixels that are not numbers") from None
    run.best.restore()
    encoder.zero_grad()
    encoder.eval()
    return Result(loop.history, run.best.step or loop.t, run.head(loop.t), loop.warnings,
                  loop.stopped)


@dataclass
class Stage:
    """Steps first … last − 1: an objective, its batches, its optimisers, its peak learning rate."""
    name: str
    objective: object
    sampler: object
    first: int
    steps: int
    peak: float
    monitor: CollapseMonitor | None
    optimizers: list = field(default_factory=list)

    @property
    def last(self):
        return self.first + self.steps

    def learning_rate(self, t):
        """η at step t, counted over all stages: a warm-up of 5 %, then half a cosine down to 0."""
        return self.peak * schedules.warm_up_cosine(t - self.first, self.steps, 0.05)

    def make_optimizers(self, encoder, weight_decay):
        """For encoder and head: one for what decays, matrices and filters, one for what does
        not."""
        modules = [encoder]
        if self.objective.head is not None:
            modules.append(self.objective.head.to(encoder.parameters()[0].device))
        parameters = [p for module in modules for p in module.parameters()]
        matrices, vectors = ([p for p in parameters if (p.ndim > 1) == wanted]
                             for wanted in (True, False))
        self.optimizers = [AdamW(kind, self.peak, weight_decay=decay)
                           for kind, decay in ((matrices, weight_decay), (vectors, 0.0)) if kind]


def _stages(encoder, who, *, steps, loss, form, margin, mining, people, per_person, learning_rate,
            pretrain_steps, pretrain_batch, pretrain_learning_rate, pretrain_scale, pretrain_margin,
            seed, **rest):
    """The stages that the settings of `train` ask for."""
    stages = []
    if pretrain_steps:
        start = np.random.default_rng([seed, 0, 3])
        naming = Naming(encoder.features, who.max() + 1, pretrain_scale, pretrain_margin, start)
        stages.append(Stage("softmax", naming, PictureSampler(who, pretrain_batch, seed), 0,
                            pretrain_steps, pretrain_learning_rate, None))
    if steps:
        goal = objective(loss, encoder.features, form=form, margin=margin, mining=mining)
        monitor = CollapseMonitor(margin) if loss == "triplet" else None
        stages.append(Stage(loss, goal, PeopleSampler(who, people, per_person, seed),
                            pretrain_steps, steps, learning_rate,
                            monitor))
    return stages


class _Run:
    """What `train` gives the loop."""

    def __init__(self, encoder, pictures, who, settings, validation, callback):
        self.encoder, self.pictures, self.who, self.settings = encoder, pictures, who, settings
        self.validation, self.callback, self.best = validation, callback, Best(encoder)
        self.stages = _stages(encoder, who, **settings)
        for stage in self.stages:
            stage.make_optimizers(encoder, settings["weight_decay"])

    def stage(self, t):
        """The stage in which step t is."""
        return next(stage for stage in self.stages if t < stage.last)

    def learning_rate(self, t):
        return self.stage(t).learning_rate(t)

    def batch(self, t):
        """(pictures, people) of step t.  What is random in it follows from the seed and t."""
        augmentation, chosen = self.settings["augmentation"], self.stage(t).sampler[t]
        x = self.pictures[chosen]
        if augmentation is not None:
            x = augmentation(x, np.random.default_rng([self.settings["seed"], t, 1]))
        return np.asarray(x, np.float32), self.who[chosen]

    def step(self, t, batch):
        """One step down; returns its loss, learning rate and measures."""
        stage, (x, people) = self.stage(t), batch
        embeddings = jointly(self.encoder, Tensor(x, device=self.encoder.parameters()[0].device))
        rng = np.random.default_rng([self.settings["seed"], t, 2])
        loss, measures = stage.objective(embeddings, people, rng)
        value, = descend((loss, *stage.optimizers))
        return {"loss": value, "learning_rate": stage.optimizers[0].learning_rate, **measures}

    def is_due(self, t):
        """Whether a row of the history is complete after t steps."""
        return t % self.settings["every"] == 0 or any(t == stage.last for stage in self.stages)

    def look(self, loop):
        """The collapse monitor's warning."""
        monitor = self.stage(loop.t - 1).monitor
        return monitor.look(loop.measures["loss"], loop.measures["spread"]) if monitor else None

    def evaluate(self, loop):
        """For the history: the stage, η, and how well the encoder separates the people kept
        apart."""
        stage, patience, score = self.stage(loop.t - 1), self.settings["patience"], math.nan
        if self.validation is not None:
            try:
                encodings = encode(self.encoder, self.validation[0])
            except ValueError:          # the pictures fit the encoder, as was checked at the start
                raise loop.diverged("encodings") from None
            score = separation(encodings, self.validation[1])
            better = self.best.look(score, loop.t)
            if stage.name == "softmax":
                self.best.since = 0     # patience is counted in the second stage
            elif not better and patience is not None and self.best.since >= patience:
                loop.stopped = f"no better for {self.best.since} measurements"
        return {"stage": stage.name, "learning_rate": loop.measures["learning_rate"],
                "validation": score}

    def tell(self, loop):
        """Call the callback."""
        measures = {name: loop.measures[name] for name in ("active", "near", "far", "spread")}
        self.callback(Step(loop.t, loop.steps, self.stage(loop.t - 1).name, loop.measures["loss"],
                           loop.measures["learning_rate"], measures, loop.row, loop.warning))

    def parts(self):
        """All that the steps change, by name."""
        parts = {"encoder": self.encoder, "best": self.best}
        for stage in self.stages:
            own = {"head": stage.objective.head, "monitor": stage.monitor}
            own |= {f"optimizer{i}": optimizer for i, optimizer in enumerate(stage.optimizers)}
            parts |= {f"{stage.name} {name}": part for name, part in own.items()
                      if part is not None}
        return parts

    def identity(self):
        """What a run depends on, as text: its settings, and digests of its pictures and of who is
        on them."""
        digests = {"pictures": self.pictures, "labels": self.who}
        if self.validation is not None:
            digests |= {"validation": self.validation[0], "validation labels": self.validation[1]}
        settings = {name: re.sub(" at 0x[0-9a-f]+", "", repr(value))
                    for name, value in self.settings.items()}
        return settings | {"encoder": repr(self.encoder)} | {
            name: hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:16]
            for name, array in digests.items()}

    def head(self, t):
        """What was learned beside the encoder in the second stage, after t steps."""
        stage = self.stage(t - 1) if t else None
        return stage.objective.head if stage and stage.name != "softmax" else None


def separation(embeddings, labels):
    """The probability that two pictures of one person are nearer than two of different people: the
    area under the ROC over all pairs, ½ by chance, 1 if perfect.

    embeddings (N, D) and labels (N,), on the host.  Raises ValueError without pairs of both kinds.
    """
    from scipy.spatial.distance import pdist
    embeddings = numbers("separation", "embeddings", embeddings, "(N, D)")
    labels = labels_of("separation", labels)
    if len(labels) != len(embeddings):
        raise ValueError(f"separation: {len(embeddings)} embeddings need as many labels, got "
                         f"{len(labels)}")
    i, j = np.triu_indices(len(labels), 1)          # in pdist's order
    return auc(pdist(embeddings) if len(labels) else [], labels[i] == labels[j])


def _checked(what, encoder, pictures, labels):
    """Both as arrays; raises ValueError unless they fit the encoder and each other."""
    pictures, size, channels = (numbers("train", what, pictures, dtype=None), encoder.size,
                                encoder.channels)
    labels = labels_of("train", labels)
    fits = pictures.ndim == 4 and pictures.shape[1:] == (size, size, channels)
    if not fits or labels.shape != pictures.shape[:1]:
        raise ValueError(f"train: {what} must be (N, {size}, {size}, {channels}) for this encoder, "
                         f"with N labels, got {pictures.shape} and {labels.shape}")
    return pictures, labels
