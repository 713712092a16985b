"""What demos.signals and demos.volumes share: their commands, a training under a bar, figures."""
import time

import numpy as np

from demos.command_line import (
    Parser,
    above,
    answer,
    counting,
    say,
    start,
    write_json,
)
from minidl import classification, nn, weights
from minidl.classification import plots
from minidl.plots import check_matplotlib
from minidl.training import Diverged


def main(name, description, commands, arguments):
    """Run the command that the arguments name, by default the first.

    commands: {name: (options → figures, how it is described, its options)}
    """
    chosen = arguments[0] if arguments and arguments[0] in commands else None
    command, words, add = commands[chosen or next(iter(commands))]
    parser = Parser(f"{name} {chosen}" if chosen else name, words if chosen else description)
    if chosen is None and arguments and not arguments[0].startswith("-"):
        parser.error(f"{arguments[0]!r} is none of {', '.join(commands)}")
    parser.add_argument("--epochs", type=above(0), metavar="N",
                        help="how often each example is seen (default: as measured on the page)")
    add(parser)
    options = parser.parse_args(arguments[1:] if chosen else arguments)
    start(options)
    check_matplotlib()
    figures = command(options)
    write_json(options.json, figures | {"processor_seconds": time.process_time()})


def lecture(axes):
    """The lecture's sizes for --help, as minidl computes them."""
    table = nn.summary(classification.lecture_net(axes, rng=0), (14,) * axes + (1,))
    return ("The lecture's sizes, by minidl's nn.summary; without padding a side of n becomes "
            f"n - 5 + 1:\n\n{table}\n")


def trained(net, x, labels, recipe, options, what="training"):
    """Train a network under a bar of progress; returns the history of its loss."""
    steps = recipe.steps(len(x))
    with counting(steps, what, options.quiet) as bar:
        def follow(loop):
            bar.update()
            if loop.row:
                bar.set_postfix_str(f"cross-entropy {loop.row['loss']:.3f}")

        try:
            loop = classification.train(net, x, labels, recipe, seed=options.seed, callback=follow)
        except Diverged as error:
            raise ValueError(f"{error}; fewer or other data?") from None
    if loop.stopped == "interrupted":
        raise KeyboardInterrupt
    return loop.history


def judged(options, task, labels, found, names, baseline, watch, groups=None):
    """Say how good the scores found (N, classes) are, draw the table, write the predictions;
    returns the figures for --json.

    baseline: (what it is, which of its answers are right); watch: a Stopwatch, since the start.
    groups: whose each example is, see `classification.interval`.
    """
    answers = found.argmax(1)
    right = answers == labels
    low, high = classification.interval(right, groups)
    path = options.output / f"{task}_predictions.npz"
    plots.confusion_table(
        options.output / f"{task}_confusion.png", labels, answers, names,
        f"{task}, seed {options.seed}: {right.mean():.1%} of {len(right):,} right")
    weights.save(path, {"labels": labels, "answers": answers, "scores": found,
                        "names": np.array(names)})
    answer(f"{task}: {right.mean():.1%} of {len(right):,} right (95 % interval {low:.1%} to "
           f"{high:.1%}); {baseline[0]}: {baseline[1].mean():.1%}")
    say(options, f"{watch.seconds:.0f} seconds")
    return {"task": task, "accuracy": float(right.mean()), "interval": [low, high],
            "examples": len(right), "baseline": float(baseline[1].mean()),
            "baseline_is": baseline[0],
            "seed": options.seed, "predictions": str(path), "names": list(names),
            "seconds": watch.seconds}

