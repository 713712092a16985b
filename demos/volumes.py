"""Convolution in three dimensions: the 3-D ConvNet on a brain, and on a task made for volumes.

    python -m demos.volumes                 which tissue is in the middle of a noisy cube?
    python -m demos.volumes --t1 A.nii.gz --grey B.nii.gz --white C.nii.gz      of your own
    python -m demos.volumes tubes           tubes against balls: in 3-D, and in the middle slice
"""
from pathlib import Path
import sys

import numpy as np

from demos import dimensions
from demos.command_line import Stopwatch, answer, at_least, run, say
from minidl import classification
from minidl.classification import Block, Recipe, Standard, volume_plots
from minidl.data import GridAugmentation, mni_brain, read_brain, tubes_and_balls
from minidl.data.brain import TISSUES, balanced_places, patches
from minidl.data.drawn_tubes import SHAPES

SIZE = 16               # voxels of a side of what the networks see
NOISE = 40.0            # of 255: a fast scan's
TRAINING = ((0.085, 0.27), (0.525, 0.77))       # slabs, as shares of the height
HELD_OUT = (0.355, 0.44)
PATCHES, JUDGED = 6000, 3000
BLOCKS = [Block(8, 3, 2), Block(16, 3, 2), Block(32, 3)]
BRAIN = Recipe(epochs=6, augmentation=GridAugmentation(flip=(0, 1, 2)))
TUBES = Recipe(epochs=4, augmentation=GridAugmentation(shift=1, flip=(0, 1, 2)))
TRAINED = 1200          # tubes and balls
UNITS = 6               # whose strongest pieces are drawn


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    dimensions.main("volumes", f"{__doc__}\n{dimensions.lecture(3)}", COMMANDS, arguments)


# ---- brain --------------------------------------------------------------------------------------

def brain_options(parser):
    add = parser.add_argument
    add("--noise", type=at_least(0, float), default=NOISE, metavar="SD",
        help="standard deviation of the noise added to the scan, of 255")
    for name, what in (("t1", "a T1 scan"), ("grey", "how much of each voxel is grey matter"),
                       ("white", "how much is white matter")):
        add(f"--{name}", type=Path, metavar="FILE", help=f"{what} (NIfTI-1, uint8)")


def brain(options):
    """Train on two slabs of the brain, be judged on a third between them, and map a slice of it."""
    watch, found = Stopwatch(), _brain(options)
    rng = np.random.default_rng([options.seed, 6])
    scan = found.t1 + options.noise * rng.standard_normal(found.t1.shape, np.float32)
    (slabs, held), scan = _slabs(found.t1.shape[2]), scan.astype(np.float32)
    places, labels = balanced_places(found.tissue, slabs, PATCHES, SIZE, rng)
    asked, truth = balanced_places(found.tissue, [held], JUDGED, SIZE, rng)
    cuts = classification.best_thresholds(scan[tuple(places.T)], labels, len(TISSUES))
    guessed = np.searchsorted(cuts, scan[tuple(asked.T)], side="right")
    x = patches(scan, places, SIZE)
    standard = Standard.of(x)
    net = classification.convnet(3, 1, len(TISSUES), BLOCKS, size=SIZE, rng=options.seed)
    dimensions.trained(net, standard(x), labels, BRAIN.with_epochs(options.epochs), options)
    x = standard(patches(scan, asked, SIZE))
    scores = classification.scores(net, x)
    figures = dimensions.judged(
        options, "brain", truth, scores, TISSUES, ("two thresholds on the voxel in the middle",
        guessed == truth), watch, groups=_blocks(asked))
    _sheets(options, "brain", net, x, truth, TISSUES)
    return figures | {"noise": options.noise, "thresholds": cuts.tolist(),
                      "slice_accuracy": _map(options, net, found, scan, standard, held)}


def _brain(options):
    given = [options.t1, options.grey, options.white]
    if all(each is None for each in given):
        return mni_brain()
    if any(each is None for each in given):
        raise ValueError("--t1, --grey and --white go together: a scan, and its maps")
    return read_brain(*given)


def _slabs(height):
    """([(low, high), …] for training, (low, high) held out); no cube of the one reaches into a cube
    of the other."""
    *training, held = ([int(share * height) for share in slab] for slab in (*TRAINING, HELD_OUT))
    if min(held[0] - training[0][1], training[1][0] - held[1]) < SIZE - 1:
        raise ValueError(f"the volume has {height} slices; cubes of {SIZE} in slabs of their own "
                         "need 180 or more")
    return training, held


def _blocks(places):
    """Which region of 16³ voxels each place lies in: cubes there overlap."""
    return np.unique(places // SIZE, axis=0, return_inverse=True)[1].ravel()


def _map(options, net, found, scan, standard, held):
    """Every voxel of the slab's middle slice, as the network sees it; its share of right ones."""
    z = sum(held) // 2
    truth = found.tissue[:, :, z].astype(int)
    half = SIZE // 2
    inside = np.zeros(truth.shape, bool)
    inside[half:-half, half:-half] = True
    truth[~inside] = -1
    where = np.argwhere(truth >= 0)
    places = np.concatenate([where, np.full((len(where), 1), z)], 1)
    said = np.concatenate([classification.scores(net, standard(patches(scan, part, SIZE))).argmax(1)
                           for part in np.array_split(places, -(-len(places) // 2048))])
    answers = np.full(truth.shape, -1)
    answers[tuple(where.T)] = said
    volume_plots.maps(options.output / "brain_map.png", scan[:, :, z], truth, answers, TISSUES,
                      f"brain, seed {options.seed}: slice {z}, of a slab that was held out")
    right = float((said == truth[tuple(where.T)]).mean())
    answer(f"all {len(where):,} voxels of slice {z}: {right:.1%} right")
    return right


# ---- tubes --------------------------------------------------------------------------------------

def tubes_options(parser):
    parser.add_argument("--noise", type=at_least(0, float), default=0.5, metavar="SD",
                        help="standard deviation of the noise, of the shapes' value")


def tubes(options):
    """The same network in three dimensions, and in two on the middle slice."""
    watch = Stopwatch()
    (x, labels), (asked, truth) = (
        tubes_and_balls(count, SIZE, options.noise, np.random.default_rng([options.seed, which]))
        for which, count in ((7, TRAINED), (8, JUDGED)))
    recipe, middle = TUBES.with_epochs(options.epochs), SIZE // 2
    flat = Recipe(**vars(recipe) | {"augmentation": GridAugmentation(shift=1, flip=(0, 1))})
    net = classification.convnet(3, 1, len(SHAPES), BLOCKS, size=SIZE, rng=options.seed)
    dimensions.trained(net, x, labels, recipe, options, "in three dimensions")
    flat_net = classification.convnet(2, 1, len(SHAPES), BLOCKS, size=SIZE, rng=options.seed)
    dimensions.trained(flat_net, x[:, middle], labels, flat, options, "in the middle slice")
    of_slice = classification.scores(flat_net, asked[:, middle]).argmax(1)
    figures = dimensions.judged(
        options, "tubes", truth, classification.scores(net, asked), SHAPES,
        ("the same network on the middle slice", of_slice == truth), watch)
    _sheets(options, "tubes", net, asked, truth, SHAPES)
    return figures | {"noise": options.noise}


# ---- what they draw -----------------------------------------------------------------------------

def _sheets(options, task, net, x, labels, names, layer="relu2"):
    """Examples of each class, and the sub-volumes that excite units most."""
    rows = [(name, [("", x[i, ..., 0]) for i in np.flatnonzero(labels == k)[:8]])
            for k, name in enumerate(names)]
    volume_plots.examples(options.output / f"{task}_volumes.png", rows,
                          f"{task}: cubes of {SIZE} voxels, as three slices through the middle")
    units = classification.active_units(net, x, layer, UNITS, options.seed)
    few = slice(0, len(x), max(1, len(x) // 500))
    volume_plots.pieces(
        options.output / f"{task}_pieces.png", net, list(x[few]), layer, units,
        f"{task}, seed {options.seed}: the nine pieces that make a unit most active",
        [names[label] for label in labels[few]])
    say(options, f"look at {options.output}/{task}_*.png")


COMMANDS = {
    "brain": (brain, "Which tissue of the MNI brain is in the middle of a cube, in noise?",
              brain_options),
    "tubes": (tubes, "Tubes against balls of the same cross-section, in noise; drawn.",
              tubes_options),
}

if __name__ == "__main__":
    run(main)
