"""What demos.gan learns from: data sets with a name, or a folder of the user's own."""
from collections import namedtuple
from pathlib import Path

import numpy as np

from minidl.data import (
    drawn_characters,
    drawn_faces,
    emoji,
    fashion_mnist,
    mnist,
    read_pictures,
    resize,
)

CLOTHES = ("T-shirt trousers pullover dress coat sandal shirt sneaker bag boot").split()
CHARACTERS, DRAWERS = 10, 400
FACES = 4000
HELD_OUT = 0.1                  # of the pictures, where there is no test set

Source = namedtuple("Source", "train train_labels test test_labels names left_out")
"""Pictures uint8 (N, size, size, C), labels int64 (N,) or None; names of the classes."""


def read_source(name, size, seed, labelled=True):
    """The Source of that name, or of a folder, at that size; without classes unless `labelled`."""
    if name in SOURCES:
        source = SOURCES[name](size, seed)
        unlabelled = source._replace(train_labels=None, test_labels=None, names=[])
        return source if labelled else unlabelled
    if Path(name).is_dir():
        return _folder(Path(name), size, seed, labelled)
    raise ValueError(f"--data: {name!r} is none of {', '.join(SOURCES)}, and no folder")


def _idx(data, size, names):
    train, test = (_sized(images, size) for images in (data.train_images, data.test_images))
    return Source(train, data.train_labels, test, data.test_labels, names, ())


def _sized(images, size):
    """Pictures (N, 28, 28) with a frame of their own black, or resampled; (N, size, size, 1)."""
    room = size - images.shape[1]
    if 0 <= room <= 8:
        before = room // 2
        images = np.pad(images, ((0, 0), (before, room - before), (before, room - before)))
    else:
        images = np.stack([resize(image, (size, size)) for image in images])
    return images[..., None]


def _characters(size, seed):
    drawn = drawn_characters(1, CHARACTERS, DRAWERS, seed=seed)
    pictures = 255 - np.stack([resize(each, (size, size)) for each in drawn.pictures])
    return _split(pictures[..., None], drawn.labels, [name.split("/")[-1] for name in drawn.names],
                  seed)


def _folder(path, size, seed, labelled):
    found = read_pictures(path, size)
    if len(found.pictures) < 2:
        raise ValueError(f"{path}: one picture is no distribution to learn; give many, some "
                         "hundreds at least")
    labels, names = (found.labels, found.names) if labelled else (None, [])
    if labels is not None:
        counts = np.bincount(labels)
        if len(counts) < 2:
            raise ValueError(f"{path}: all pictures are of one class, {names[0]!r}; give two or "
                             "more, or --no-labels")
        if counts.min() < 2:
            raise ValueError(f"{path}: class {names[counts.argmin()]!r} has one picture, which "
                             "would be learned by heart; give it more, leave it out, or "
                             "--no-labels")
    return _split(found.pictures, labels, names, seed)._replace(left_out=found.left_out)


def _split(pictures, labels, names, seed):
    """A tenth is held out, of each class its own; at least one picture of each stays."""
    rng, everything = np.random.default_rng([seed, 6]), np.arange(len(pictures))
    groups = [everything] if labels is None else [
        np.flatnonzero(labels == k) for k in range(len(names))]
    held = np.concatenate([rng.permutation(group)[:max(1, round(HELD_OUT * len(group)))]
                           for group in groups])
    kept = np.setdiff1d(everything, held)
    train, test = ((pictures[which], None if labels is None else labels[which])
                   for which in (kept, held))
    return Source(*train, *test, names, ())


SOURCES = {
    "digits": lambda size, seed: _idx(mnist(), size, [str(k) for k in range(10)]),
    "clothes": lambda size, seed: _idx(fashion_mnist(), size, CLOTHES),
    "characters": _characters,
    "emoji": lambda size, seed: _split(emoji(size), None, [], seed),
    "faces": lambda size, seed: _split(drawn_faces(FACES, 1, size, seed)[0], None, [], seed),
}
