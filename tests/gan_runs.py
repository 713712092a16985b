"""The smallest pictures, networks and runs, for the tests of GANs."""

import numpy as np

from minidl.gan import Discriminator, Generator, PictureRecipe, Training

rng = np.random.default_rng
SIZE, CLASSES = 8, 3


def bars(n=60, size=SIZE, channels=1):
    """Pictures of three classes: bright above, in the middle, below; (uint8, labels)."""
    labels = np.arange(n) % CLASSES
    x = rng(0).integers(0, 60, (n, size, size, channels)).astype(np.uint8)
    third = size // CLASSES
    for i, label in enumerate(labels):
        x[i, third * label : third * (label + 1)] += 180
    return x, labels


def nets(classes=CLASSES, size=SIZE, channels=1, seed=0, **options):
    generator = rng(seed)
    return (
        Generator(size, channels, 4, classes, 4, rng=generator),
        Discriminator(size, channels, classes, 4, rng=generator, **options),
    )


def run(steps=6, path=None, callback=None, recipe=None, labels=True, **options):
    x, y = bars()
    g, d = nets(CLASSES if labels else 0)
    shown = rng(3).standard_normal((6, 4), "float32"), np.arange(6) % 3 if labels else None
    made = Training(
        g,
        d,
        x,
        y if labels else None,
        recipe or PictureRecipe(steps=steps, batch=6, lazy=2),
        checkpoint=path,
        every=2,
        pages=3,
        shown=shown,
        **options,
    )
    made.run(callback)
    return made
