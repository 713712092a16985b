"""The command `train` of demos.faces: an encoder from a folder of people."""
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
import inspect
from pathlib import Path
import signal
import statistics
import threading
import time
import warnings

import numpy as np

from demos.command_line import Stopwatch, progress, warn
from demos.company import of_first
from demos.faces_options import counting_of, whole_of
from minidl import faces
from minidl.data import (
    Augmentation,
    balanced_pairs,
    captioned,
    contact_sheet,
    read_pairs,
    read_people,
    save_image,
)
from minidl.faces.choosing import one_face
from minidl.faces.model import read_prepared
from minidl.faces.splitting import split_for_training
from minidl.models import Mirrored, save_encoder, siamese_encoder
from minidl.plots import check_matplotlib, learning_curves
from minidl.training import checkpoint


def _defaults(function, names):
    """What a function takes where nothing else is said."""
    parameters = inspect.signature(function).parameters
    return {name: parameters[name].default for name in names.split()}


ENCODER = _defaults(siamese_encoder, "size channels border widths features")
RECIPE = _defaults(faces.train, "steps loss form margin mining people per_person learning_rate "
                                "augmentation every patience "
                                "pretrain_steps pretrain_batch pretrain_learning_rate")

DRAWN_ENCODER = {"size": 56, "channels": 3, "border": 2, "widths": [16, 32, 64], "features": 64}
DRAWN_RECIPE = RECIPE | {
    "pretrain_steps": 400, "pretrain_batch": 64, "steps": 200, "learning_rate": 3e-4, "people": 16,
    "every": 50,
    "patience": 5,
    "augmentation": Augmentation(flip=0.5, rotation=10, zoom=0.1, stretch=0.05, shift=0.05,
                                 brightness=0.3, light=0.2,
                                 occlusion=0.2)}

LEAST_MEASURED = 15             # people, to say how near others come
SHEET = 800                     # pixels that a sheet of augmented pictures is wide, about


def train(options, encoder_settings=ENCODER, recipe=RECIPE):
    """Train as the options say, write the model and pictures of how it went, and return the
    figures."""
    check_matplotlib()
    encoder_settings, recipe = (_chosen(settings, options)
                                for settings in (encoder_settings, recipe))
    if options.no_augmentation:
        recipe["augmentation"] = None
    if recipe["steps"] + recipe["pretrain_steps"] == 0:
        raise ValueError("--steps and --pretrain-steps are both 0: there is nothing to train")
    encoder = siamese_encoder(**encoder_settings, nonnegative=recipe["loss"] == "chi_square",
                              seed=options.seed)
    parts, crop = _parts(options), 1.0 if options.crop is None else options.crop
    pictures, validation = (_read(parts, part, encoder, crop, options)
                            for part in ("training", "validation"))
    parts.training.check_trainable()
    with_second = parts.training.with_second
    if getattr(options, "people", 0) > with_second:
        warn(f"--people {options.people:,}: a batch holds {with_second:,}; no more of the people "
             "to learn from have a second picture")
    recipe["people"] = min(recipe["people"], with_second)
    _show_augmentation(recipe["augmentation"], pictures, options)

    model = Path(options.model)
    path = options.checkpoint or model.with_suffix(".checkpoint.npz")
    for file in model, path:
        file.parent.mkdir(parents=True, exist_ok=True)
    work = partial(faces.train, pictures=pictures, labels=parts.training.labels, seed=options.seed,
                   validation=(validation, parts.validation.labels))
    if options.minutes:
        recipe |= _steps_that_fit(options.minutes, path, encoder, work, recipe)
    watch, processor = Stopwatch(), time.process_time()
    with (closing(_Follow(options.quiet)) as follow, _noting_ctrl_c(follow),
          warnings.catch_warnings()):
        warnings.simplefilter("ignore", RuntimeWarning)     # a run that diverges says so itself
        result = work(encoder, **recipe, checkpoint=path, callback=follow)
    if result.stopped == "interrupted":
        _say_how_to_go_on(path, model)
        raise KeyboardInterrupt
    times = {"training_seconds": watch.seconds,
             "training_processor_seconds": time.process_time() - processor}
    notes = _notes(encoder, validation, parts.validation.labels, options.seed)
    seen = sorted(parts.training.names + parts.validation.names)
    save_encoder(model, encoder, crop=crop, seen=seen, aligned=options.align, **notes)
    path.unlink(missing_ok=True)
    _draw_history(result.history, options.output / "training.png")
    return _figures(parts, encoder, recipe, result) | times | {"threshold": notes["threshold"]}


@contextmanager
def _noting_ctrl_c(follow):
    """Inside the block Ctrl-C waits for the end of the step, where all is whole; a second one does
    not wait.  Where Ctrl-C is ignored, or somebody else's, it stays so; only the main thread may
    set it."""
    def note(*_):
        if follow.interrupted:
            raise KeyboardInterrupt
        follow.interrupted = True

    if threading.current_thread() is not threading.main_thread() \
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _say_how_to_go_on(path, model):
    """After an interruption, which leaves the model's file as it was."""
    found = checkpoint.read(path)
    kept = ("nothing is kept of the run; the same command begins anew" if found is None else
            f"the same command goes on after step {found[1]['progress']['t']:,}, from {path}")
    file = f"{model} is as it was before" if model.exists() else f"{model} is written at the end"
    warn(f"{kept}; {file}")


def _figures(parts, encoder, recipe, result):
    return {"people": len(parts.training.names), "pictures": len(parts.training.paths),
            "validation_people": len(parts.validation.names), "people_kept_apart": parts.kept,
            "steps": result.history[-1]["step"], "best_step": result.best_step,
            "stopped": result.stopped,
            "warnings": result.warnings,
            "validation_auc": max(row["validation"] for row in result.history),
            "encoder": encoder.settings,
            "recipe": {name: str(value) for name, value in recipe.items()},
            "history": result.history}


def _chosen(settings, options):
    """The settings, with those that the command line gives."""
    return settings | {name: value for name, value in vars(options).items() if name in settings}


def _read(parts, part, encoder, crop, options):
    """The pictures of a part, which keeps those that can be read."""
    people = getattr(parts, part)
    pictures, used = read_prepared(people.paths, encoder.size, encoder.channels, crop,
                                   options.left_out, _find_one(options), counting_of(options))
    setattr(parts, part, people.take(used))
    return pictures


def _find_one(options):
    """With --align, a function from a picture to the one face in it; else None."""
    if not options.align:
        return None
    return lambda picture: one_face(faces.find(picture, options.detector, whole=whole_of(options),
                                               smallest=options.smallest))


def _parts(options):
    """Who is learned from, and who not."""
    people = read_people(options.data)
    options.left_out += people.left_out
    pairs = options.exclude_pairs and read_pairs(options.exclude_pairs, options.data)
    return split_for_training(people, options.seed, options.apart, pairs or None)


def _steps_that_fit(minutes, path, encoder, work, recipe):
    """The numbers of steps, in the recipe's proportion, that take so many minutes by the time that
    a few of each kind take; where there is a checkpoint at `path`, those of its run."""
    names = {"pretrain_steps": "softmax", "steps": recipe["loss"]}
    found = of_first(checkpoint.read(path))
    if found is not None:
        return {name: int(found[1]["identity"][name]) for name in names}
    few, moments = 6, {stage: [] for stage in names.values()}
    untrained, watch = encoder.state_dict(), Stopwatch()
    short = {name: few for name in names if recipe[name]} | {"validation": None}
    tried = work(encoder, **recipe | short,
                 callback=lambda step: moments[step.stage].append(watch.seconds))
    if tried.stopped:
        raise KeyboardInterrupt
    encoder.load_state_dict(untrained)
    whole = sum(recipe[name] * statistics.median(np.diff(moments[stage]))
                for name, stage in names.items() if recipe[name])
    share = (0.9 * 60 * minutes - watch.seconds) / whole            # a tenth is for validation
    return of_first({name: max(1, int(share * recipe[name])) for name in names if recipe[name]})


class _Follow:
    """Shows how a run goes on: a bar with the time left, and warnings."""

    def __init__(self, quiet):
        self.quiet, self.bar, self.score, self.interrupted = quiet, None, "", False

    def __call__(self, step):
        if self.bar is None:
            done = step.number - 1
            self.bar = progress(step.total - done,
                                f"training from step {done}" if done else "training", self.quiet)
        if step.row:
            self.score = f", validation {step.row['validation']:.1%}"
        self.bar.set_postfix_str(f"{step.stage} loss {step.loss:.3f}{self.score}")
        self.bar.update()
        if step.warning:
            warn(f"\nwarning: {step.warning}")
        if self.interrupted:
            raise KeyboardInterrupt

    def close(self):
        if self.bar is not None:
            self.bar.close()


def _notes(encoder, pictures, labels, seed):
    """What a gallery will need, from the validation people: the τ that judges most pairs rightly,
    and how near other people come, where there are enough to say."""
    encodings = faces.encode(Mirrored(encoder), pictures)
    a, b, same = balanced_pairs(labels, 4000, seed)
    distances = np.linalg.norm(encodings[a] - encodings[b], axis=1)
    notes = {"threshold": faces.best_threshold(distances, same)}
    if len(set(labels.tolist())) >= LEAST_MEASURED:
        notes["impostors"] = asdict(faces.Impostors.measure(encodings, labels))
    return notes


def _show_augmentation(augmentation, pictures, options):
    """A contact sheet: some pictures, and below each what training makes of it."""
    rng = np.random.default_rng(options.seed)
    chosen = pictures[rng.choice(len(pictures), min(8, len(pictures)), replace=False)]
    seen = [chosen]
    if augmentation is not None:
        seen += [augmentation(chosen, rng) for _ in range(5)]
    sheet = contact_sheet(np.concatenate(seen), len(chosen))
    factor = max(1, round(SHEET / sheet.shape[1]))
    sheet = np.broadcast_to(sheet, (*sheet.shape[:2], 3)).repeat(factor, 0).repeat(factor, 1)
    said = ("They are not augmented." if augmentation is None else
            "Below each, five times what training makes of it.")
    save_image(options.output / "augmentation.png",
               captioned(sheet, f"Augmentation. First row: pictures as they are. {said}"))


def _draw_history(history, path):
    """Learning curves: one panel for each loss, since they have scales of their own, then what both
    stages share."""
    shown = {"active": "active", "spread": "spread", "near": "one person", "far": "two people"}
    rows = [{"step": row["step"], "validation": row["validation"],
             f"{row['stage']} loss": row["loss"]}
            | {name: row[key] for key, name in shown.items() if row["stage"] != "softmax"}
            for row in history]
    panels = {name: [name] for name in dict.fromkeys(f"{row['stage']} loss" for row in history)}
    panels |= {"share active; spread": ["active", "spread"],
               "mean distance\nof the chosen": ["one person", "two people"],
               "area under the ROC,\nvalidation people": ["validation"]}
    learning_curves(path, rows, panels)
