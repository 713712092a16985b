"""Learn to recognise handwritten characters from ONE example each.

    python -m demos.one_shot
    python -m demos.one_shot train --background images_background_small1.zip --model characters.npz
    python -m demos.one_shot evaluate --runs all_runs --model characters.npz

The first line invents alphabets, learns from some of them, and is then examined on others that it
has never seen: twenty new characters, one example of each, to which does this one belong?  The
others do the same with Omniglot's files.
"""
from pathlib import Path

import numpy as np

from demos.command_line import (
    Parser,
    Stopwatch,
    answer,
    progress,
    run,
    say,
    start,
    warn,
    write_json,
)
import minidl as md
from minidl.data import captioned, resize, save_image
from minidl.data.drawn_characters import drawn_characters
from minidl.data.omniglot import read_characters, read_runs
from minidl.models.characters import CharacterEncoder, character_encoder
from minidl.oneshot import distances, draw_runs, one_shot, train

STEPS, QUICK_STEPS = 1500, 200
BLACK, GREY, RIGHT, WRONG = (np.array(colour) for colour in (
    (0, 0, 0), (150, 150, 150), (20, 120, 60), (200, 30, 40)))
SIDE = 56                       # pixels of a character in the picture


def main(arguments=None):
    options = _options(arguments)
    start(options, together=options.action != "evaluate")
    if options.action == "evaluate":
        runs, encoder, figures = read_runs(options.runs), character_encoder(options.model), {}
        figures["model"], left_out = str(options.model), runs.left_out
    else:
        background, runs = _characters(options)
        left_out = background.left_out
        encoder, figures = _train(background, options)
        options.model.parent.mkdir(parents=True, exist_ok=True)
        md.save(options.model, encoder)
        say(options, options.model)
    if runs:
        figures |= _examine(encoder, runs, options)
    write_json(options.json, {**figures, "seed": options.seed, "left_out": list(left_out)})
    if left_out:
        warn(*(f"left out: {line}" for line in left_out),
             f"left out, as said above: {len(left_out):,}; all else was used")
        return 1


def _options(arguments):
    parser = Parser("one_shot", "Learn to recognise handwritten characters from one example each.")
    add = parser.add_argument
    add("action", nargs="?", choices=["train", "evaluate"],
        help="neither: both, on characters invented by a generator")
    add("--background", nargs="+", type=Path, metavar="ZIP|FOLDER",
        help="train: alphabets, alphabet/character/NAME.png")
    add("--runs", type=Path, metavar="FOLDER", help="evaluate: one-shot runs in Omniglot's format")
    add("--model", type=Path, metavar="FILE",
        help="where train writes and evaluate reads the encoder (.npz)")
    add("--steps", type=int,
        help=f"episodes to train for (default: {STEPS}; {QUICK_STEPS} on invented characters)")
    options = parser.parse_args(arguments)
    needs = {"train": ("background", "model"), "evaluate": ("runs", "model"),
             None: ()}[options.action]
    for name in ("background", "runs", "model", "steps"):
        given = getattr(options, name) is not None
        if name in needs and not given:
            parser.error(f"{options.action} needs --{name}")
        trains = name == "steps" and options.action != "evaluate"
        if given and name not in (*needs, "model") and not trains:
            parser.error(f"--{name} is not for "
                         + (options.action or "invented characters; say train or evaluate first"))
    if options.steps is None:
        options.steps = STEPS if options.action else QUICK_STEPS
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    options.model = options.model or options.output / "characters.npz"
    return options


def _characters(options):
    """(what to learn from, runs to be examined by or None)."""
    if options.action == "train":
        return read_characters(*options.background), None
    learned, unseen = np.random.default_rng(options.seed).spawn(2)
    runs = draw_runs(drawn_characters(4, 20, seed=unseen), 8, 20, options.seed)
    return drawn_characters(8, 20, seed=learned), runs


def _train(background, options):
    rng, watch = np.random.default_rng(options.seed), Stopwatch()
    encoder, recent = CharacterEncoder(rng=rng), []
    bar = progress(options.steps, "training", options.quiet)

    def follow(step):
        recent[:] = [*recent[-99:], step]
        bar.set_postfix_str(f"loss {_mean(recent, 'loss'):.3f}, {_mean(recent, 'accuracy'):.0%} "
                            "right")
        bar.update()

    train(encoder, background, steps=options.steps, seed=rng, callback=follow)
    bar.close()
    return encoder, {"background": [str(path) for path in options.background or ["invented"]],
                     "steps": options.steps,
                     "characters": len(background.names), "pictures": len(background.pictures),
                     "training_seconds": watch.seconds, "loss": _mean(recent, "loss"),
                     "training_accuracy": _mean(recent, "accuracy")}


def _mean(steps, name):
    return float(np.mean([getattr(step, name) for step in steps]))


def _examine(encoder, runs, options):
    watch = Stopwatch()
    found = {name: distances(encoder, asked.training, asked.test) for name, asked in runs.items()}
    result = one_shot(*((found[name], runs[name].answers) for name in runs))
    seconds, path = watch.seconds, options.output / "one_shot.png"
    errors = {name: 100 * float(1 - accuracy) for name, accuracy in zip(runs, result.accuracies)}
    low, high = (100 * (1 - share) for share in reversed(result.interval))
    save_image(path,
               _sheet(runs, {name: found[name].argmin(axis=1) for name in runs}, list(runs)[:4]))
    say(options, *(f"{name}: {error:.1f} % wrong" for name, error in errors.items()))
    chance = 100 - 100 / len(next(iter(runs.values())).training)
    answer(f"all {len(errors)} runs: {100 * result.error:.2f} % wrong (95 % interval {low:.1f} to "
           f"{high:.1f}; by chance: {chance:.0f} %)")
    say(options, path)
    return {"errors_percent": errors, "mean_error_percent": 100 * result.error,
            "interval_percent": [low, high],
            "examination_seconds": seconds}


def _sheet(runs, found, names):
    """Some runs as a picture, one below the other."""
    blocks = []
    for name in names:
        answers = runs[name].answers
        wrong = int(np.sum(found[name] != answers))
        said = "what was asked" + (", and what a wrong one was taken for" if wrong else "")
        blocks.append(captioned(_rows(runs[name], found[name]), f"{name}: one example of each, "
                                f"{said} ({wrong} of {len(answers)} wrong)"))
    width = max(block.shape[1] for block in blocks)
    return np.concatenate([np.pad(block, ((0, 0), (0, width - block.shape[1]), (0, 0)),
                                  constant_values=255) for block in blocks])


def _rows(examination, found):
    """Rows of pictures: the examples; below each the first test picture of that character, green
    where it was found and red where not; and where any is red, below it the example that it was
    taken for."""
    rows = np.full((3, len(examination.training), SIDE, SIDE, 3), 255, np.uint8)
    any_wrong = False
    for place, example in enumerate(examination.training):
        rows[0, place] = _tinted(example, BLACK)
        for i in np.flatnonzero(examination.answers == place)[:1]:
            right = found[i] == place
            rows[1, place] = _tinted(examination.test[i], RIGHT if right else WRONG)
            if not right:
                rows[2, place], any_wrong = _tinted(examination.training[found[i]], GREY), True
    rows = rows if any_wrong else rows[:2]
    return rows.transpose(0, 2, 1, 3, 4).reshape(len(rows) * SIDE, -1, 3)


def _tinted(picture, colour):
    """A character (H, W) with its ink in a colour: uint8 (SIDE, SIDE, 3)."""
    paper = resize(picture, (SIDE, SIDE))[..., None] / 255
    return (255 * paper + colour * (1 - paper)).astype(np.uint8)


if __name__ == "__main__":
    run(main)
