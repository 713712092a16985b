"""Convolution in one dimension: which speaker says the vowels, from 25 moments of speech?

    python -m demos.signals                 nine speakers, by two spoken vowels
    python -m demos.signals --train A.ts --test B.ts        labelled series of your own
"""
from pathlib import Path
import sys

import numpy as np

from demos import dimensions
from demos.command_line import Stopwatch, run
from minidl import classification
from minidl.classification import Block, Recipe, Standard, signal_plots
from minidl.data import GridAugmentation, japanese_vowels, read_ts

VOWELS = Recipe(epochs=60, weight_decay=0.1, augmentation=GridAugmentation(shift=2, noise=0.1))
BLOCKS = [Block(64, 5), Block(128, 5), Block(64, 3)]
UNITS = 6               # whose strongest pieces are drawn


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    dimensions.main("signals", f"{__doc__}\n{dimensions.lecture(1)}", COMMANDS, arguments)


# ---- vowels -------------------------------------------------------------------------------------

def vowels_options(parser):
    add = parser.add_argument
    add("--train", type=Path, metavar="FILE", help="labelled series (.ts) to learn from")
    add("--test", type=Path, metavar="FILE", help="and others to be judged by")


def vowels(options):
    """Train on series, name the class of others, and draw what the network looks at."""
    watch = Stopwatch()
    train, test = _series(options)
    standard = Standard.of(train.values)
    x, asked = standard(train.values), standard(test.values)
    net = classification.convnet(1, x.shape[2], len(train.names), BLOCKS, rng=options.seed)
    recipe = VOWELS.with_epochs(options.epochs)
    dimensions.trained(net, x, train.labels, recipe, options)
    found = classification.scores(net, asked)
    nearest = classification.nearest_neighbour(x, train.labels, asked)
    figures = dimensions.judged(
        options, "vowels" if options.train is None else "series", test.labels, found, train.names,
        ("nearest neighbour", float((nearest == test.labels).mean())), watch)
    _draw(options, net, asked, test.labels, found, train.names, figures["task"])
    return figures | {"seconds": watch.seconds}


def _series(options):
    """(train, test), Series of the same classes, lengths and channels."""
    if (options.train is None) != (options.test is None):
        raise ValueError("--train and --test go together: one to learn from, one to be judged by")
    if options.train is None:
        train, test = japanese_vowels()
        return (each._replace(names=[f"speaker {name}" for name in each.names])
                for each in (train, test))
    train, test = read_ts(options.train), read_ts(options.test)
    (t, channels), (other, others) = train.values.shape[1:], test.values.shape[1:]
    if (t, channels) != (other, others):
        raise ValueError(f"--test {options.test}: holds series of {other} values of {others} "
                         f"channels, --train {options.train} of {t} values of {channels}")
    if train.names != test.names:
        raise ValueError(f"--test {options.test}: has the classes {', '.join(test.names)}, --train "
                         f"{options.train} has {', '.join(train.names)}")
    return train, test


def _draw(options, net, x, labels, found, names, task):
    """The signals, the pieces that excite units most, and the gradient over some."""
    first = [int(np.flatnonzero(labels == k)[0]) for k in np.unique(labels)]
    path, about = options.output, f"{task}, seed {options.seed}"
    signal_plots.signals(path / f"{task}_signals.png", [x[i] for i in first],
                         [names[labels[i]] for i in first], f"{task}: an example of each class")
    layer = f"relu{len(BLOCKS)}"
    units = np.random.default_rng(options.seed).permutation(BLOCKS[-1].filters)[:UNITS]
    signal_plots.pieces(path / f"{task}_pieces.png", net, list(x), layer, sorted(units.tolist()),
                        f"{about}: the nine pieces that make a unit most active",
                        [names[label] for label in labels])
    sure = [max(np.flatnonzero(labels == k), key=lambda i: found[i, labels[i]])
            for k in np.unique(labels)[:6]]
    signal_plots.gradients(path / f"{task}_gradient.png", net, x[sure], labels[sure],
                           [names[label] for label in labels[sure]],
                           f"{about}: what the score of its class hangs on, in the surest examples")


COMMANDS = {
    "vowels": (vowels, "Nine speakers say two vowels: who is it?", vowels_options),
}

if __name__ == "__main__":
    run(main)
