"""Convolution in one dimension: the 1-D ConvNet on speech, on movements, on heartbeats.

    python -m demos.signals                 nine speakers say two vowels: who is it?
    python -m demos.signals --train A.ts --test B.ts        labelled series of your own
    python -m demos.signals watch           which exercise does a wrist do?  People held out
    python -m demos.signals beats           drawn heartbeats; then real ones, as they are
    python -m demos.signals beats --ecg FILE --hertz RATE   and your own
"""
from pathlib import Path
import sys

import numpy as np

from demos import dimensions
from demos.command_line import Stopwatch, above, answer, run, say
from minidl import classification, visualize
from minidl.classification import Block, Recipe, Standard, signal_plots
from minidl.data import (
    GridAugmentation,
    drawn_beats,
    find_beats,
    japanese_vowels,
    levelled,
    read_ecg,
    read_ts,
    recorded_ecgs,
    watch_exercises,
    windows,
)
from minidl.data.drawn_beats import HERTZ as BEAT_HERTZ
from minidl.data.watch import CHANNELS
from minidl.data.watch import HERTZ as WATCH_HERTZ

UNITS = 6               # whose strongest pieces are drawn
VOWELS = (Recipe(epochs=60, augmentation=GridAugmentation(shift=2, noise=0.1)),
          [Block(64, 5), Block(128, 5), Block(64, 3)])
WATCH = (Recipe(epochs=6, batch=64, augmentation=GridAugmentation(scale=0.1, noise=0.1)),
         [Block(32, 5, 2), Block(64, 5, 2), Block(64, 3)])
WINDOW, HOP, EVERY, FOLDS = 200, 50, 2, 5       # moments of the watch; every second is kept
BEATS = (Recipe(epochs=8, augmentation=GridAugmentation(shift=4, noise=0.05)),
         [Block(16, 7, 2), Block(32, 5, 2), Block(64, 5, 2), Block(64, 3, 2)])
TRAINED, JUDGED = 2400, 2000                    # drawn beats


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    dimensions.main("signals", f"{__doc__}\n{dimensions.lecture(1)}", COMMANDS, arguments)


# ---- vowels -------------------------------------------------------------------------------------

def vowels_options(parser):
    add = parser.add_argument
    add("--train", type=Path, metavar="FILE", help="labelled series (.ts) to learn from")
    add("--test", type=Path, metavar="FILE", help="and others to be judged by")


def vowels(options):
    """Learn from series, name the class of others, and draw what the network looks at."""
    watch, (train, test) = Stopwatch(), _series(options)
    task, (recipe, blocks) = "vowels" if options.train is None else "series", VOWELS
    standard = Standard.of(train.values)
    x, asked = standard(train.values), standard(test.values)
    net = classification.convnet(1, x.shape[2], len(train.names), blocks, dropout=0.5,
                                 rng=options.seed)
    dimensions.trained(net, x, train.labels, recipe.with_epochs(options.epochs), options)
    found = classification.scores(net, asked)
    nearest = classification.nearest_neighbour(x, train.labels, asked)
    figures = dimensions.judged(options, task, test.labels, found, train.names,
                                ("nearest neighbour", nearest == test.labels), watch)
    _draw(options, task, net, _deepest(net, x.shape[1]), asked, test.labels, found, train.names)
    return figures


def _deepest(net, length):
    """The last ReLU whose units see no more than a signal is long."""
    return [name for name, field in visualize.receptive_fields(net).items()
            if name.startswith("relu") and field.size <= length][-1]


def _series(options):
    """(train, test), Series of the same classes, lengths and channels."""
    if (options.train is None) != (options.test is None):
        raise ValueError("--train and --test go together: one to learn from, one to be judged by")
    if options.train is None:
        return (each._replace(names=[f"speaker {name}" for name in each.names])
                for each in japanese_vowels())
    train, test = read_ts(options.train), read_ts(options.test)
    (t, channels), (other, others) = train.values.shape[1:], test.values.shape[1:]
    if (t, channels) != (other, others):
        raise ValueError(f"--test {options.test}: holds series of {other} values of {others} "
                         f"channels, --train {options.train} of {t} values of {channels}")
    if t < VOWELS[1][0].kernel_size:
        raise ValueError(f"--train {options.train}: holds series of {t} values; the network's "
                         f"first layer sees {VOWELS[1][0].kernel_size} at once")
    if train.names != test.names:
        raise ValueError(f"--test {options.test}: has the classes {', '.join(test.names)}, --train "
                         f"{options.train} has {', '.join(train.names)}")
    return train, test


# ---- watch --------------------------------------------------------------------------------------

def watch_options(parser):
    parser.add_argument("--folds", type=above(1), default=FOLDS, metavar="N",
                        help="groups of the ten people: each is judged by a network that was "
                             "trained on the others")


def watch(options):
    """Each group of people is held out once; all of them are judged."""
    watch, exercises, (recipe, blocks) = Stopwatch(), watch_exercises(), WATCH
    people = np.random.default_rng([options.seed, 3]).permutation(np.unique(exercises.people))
    if options.folds > len(people):
        raise ValueError(f"--folds: there are {len(people)} people, got {options.folds} folds")
    recipe, parts = recipe.with_epochs(options.epochs), []
    for number, held in enumerate(np.array_split(people, options.folds), 1):
        held_out = np.isin(exercises.people, held)
        (x, labels, _), (asked, truth, of) = (_windows(exercises, which, hop) for which, hop in
                                              ((~held_out, HOP), (held_out, WINDOW)))
        standard = Standard.of(x)
        x, asked = standard(x), standard(asked)
        net = classification.convnet(1, x.shape[2], len(exercises.names), blocks, rng=options.seed)
        dimensions.trained(net, x, labels, recipe, options, f"fold {number} of {options.folds}")
        nearest = classification.nearest_neighbour(x, labels, asked)
        parts.append((classification.scores(net, asked), truth, of, nearest == truth))
    found, truth, of, nearest = map(np.concatenate, zip(*parts))
    whose = exercises.people[of]
    figures = dimensions.judged(options, "watch", truth, found, exercises.names,
                                ("nearest neighbour", nearest), watch, whose)
    _draw(options, "watch", net, f"relu{len(blocks)}", asked, parts[-1][1], parts[-1][0],
          exercises.names, CHANNELS, WATCH_HERTZ / EVERY)
    return figures | _of_recordings(exercises, found, of, whose, truth)


def _windows(exercises, which, hop):
    """(x (N, 100, 6), labels, of which recording) of some recordings: four seconds each."""
    chosen = np.flatnonzero(which)
    x, of = windows([exercises.recordings[i] for i in chosen], WINDOW, hop)
    x = x.reshape(len(x), WINDOW // EVERY, EVERY, x.shape[2]).mean(2)
    return x, exercises.labels[chosen[of]], chosen[of]


def _of_recordings(exercises, found, of, whose, truth):
    """Figures: of whole recordings, by the sum of their windows' scores, and of each person."""
    sums = np.zeros((len(exercises.labels), found.shape[1]))
    np.add.at(sums, of, found)
    judged = np.isin(np.arange(len(sums)), of)
    recordings = float((sums.argmax(1) == exercises.labels)[judged].mean())
    right = found.argmax(1) == truth
    answer(f"whole recordings, by the sum of their windows' scores: {recordings:.1%} of "
           f"{judged.sum()} right")
    return {"recordings_accuracy": recordings, "people": {
        int(person): float(right[whose == person].mean()) for person in np.unique(whose)}}


# ---- beats --------------------------------------------------------------------------------------

def beats_options(parser):
    add = parser.add_argument
    add("--ecg", type=Path, metavar="FILE",
        help="an electrocardiogram to show the network, a number a line or .npz (default: two "
             "pieces out of public packages)")
    add("--hertz", type=above(0, float), metavar="RATE", help="its moments a second")


def beats(options):
    """Learn from drawn beats, be judged by others, and show what it says of real ones."""
    watch, (recipe, blocks) = Stopwatch(), BEATS
    if (options.ecg is None) != (options.hertz is None):
        raise ValueError("--ecg and --hertz go together: a file, and its moments a second")
    recordings = recorded_ecgs() if options.ecg is None else [read_ecg(options.ecg, options.hertz)]
    real = [find_beats(each) for each in recordings]
    train, test = (drawn_beats(count, np.random.default_rng([options.seed, which]))
                   for which, count in ((4, TRAINED), (5, JUDGED)))
    x, asked = levelled(train.values), levelled(test.values)
    net = classification.convnet(1, 1, len(train.names), blocks, size=x.shape[1], rng=options.seed)
    dimensions.trained(net, x, train.labels, recipe.with_epochs(options.epochs), options)
    found = classification.scores(net, asked)
    nearest = classification.nearest_neighbour(x, train.labels, asked)
    figures = dimensions.judged(options, "beats", test.labels, found, train.names,
                                ("nearest neighbour", nearest == test.labels), watch)
    _draw(options, "beats", net, f"relu{len(blocks) - 1}", asked, test.labels, found, train.names,
          hertz=BEAT_HERTZ)
    said = [[train.names[k] for k in classification.scores(net, levelled(values)).argmax(1)]
            for values, _ in real]
    signal_plots.recordings(options.output / "beats_real.png", recordings,
                            [seconds for _, seconds in real], said, "real recordings, and what the "
                            "network says that learned from drawn beats; not scored")
    for recording, words in zip(recordings, said):
        answer(f"{recording.name}: " + ", ".join(
            f"{words.count(kind)} {kind}" for kind in train.names if kind in words))
    return figures | {"real": {recording.name: [
        {"seconds": float(second), "says": word} for second, word in zip(seconds, words)]
        for recording, (_, seconds), words in zip(recordings, real, said)}}


# ---- what they draw -----------------------------------------------------------------------------

def _draw(options, task, net, layer, x, labels, found, names, channels=(), hertz=None):
    """The signals, the pieces that excite units most, and the gradient over some."""
    path, about = options.output, f"{task}, seed {options.seed}"
    classes = np.unique(labels)
    first = [int(np.flatnonzero(labels == k)[0]) for k in classes]
    signal_plots.signals(path / f"{task}_signals.png", [x[i] for i in first],
                         [names[labels[i]] for i in first], f"{task}: an example of each class",
                         channels, hertz)
    units = classification.active_units(net, x, layer, UNITS, options.seed)
    signal_plots.pieces(path / f"{task}_pieces.png", net, list(x), layer, units,
                        f"{about}: the nine pieces that make a unit most active",
                        [names[label] for label in labels], hertz, channels)
    sure = [max(np.flatnonzero(labels == k), key=lambda i: found[i, labels[i]])
            for k in classes[:6]]
    signal_plots.gradients(path / f"{task}_gradient.png", net, x[sure], labels[sure],
                           [names[label] for label in labels[sure]],
                           f"{about}: what the score of its class hangs on, in the surest examples",
                           channels, hertz)
    say(options, f"look at {path}/{task}_*.png")


COMMANDS = {
    "vowels": (vowels, "Nine speakers say two vowels: who is it?", vowels_options),
    "watch": (watch, "Six channels of a watch, ten people, seven exercises: which is it?",
              watch_options),
    "beats": (beats, "Heartbeats of four kinds, drawn by a generator; and what the network then "
                     "says of recorded ones.", beats_options),
}

if __name__ == "__main__":
    run(main)
