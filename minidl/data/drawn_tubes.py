"""Tubes and balls: a task made for three dimensions.

A slice through the middle of a ball is a disc; a slice across a tube is a disc, too.  In noise a
slice hardly tells which it was, the volume does: "vessel or nodule" in a scan of a lung.
"""
import numpy as np

from ..backend import generator
from ..operands import check_sizes
from ..settings import bounded, whole
from .images import check_memory

SHAPES = ["ball", "tube"]
SOFT = 0.7              # voxels over which a border fades
NARROW, WIDE = 1.8, 3.0     # radii, in voxels


def tubes_and_balls(count: int, size: int = 16, noise: float = 0.5,
                    seed: np.random.Generator | int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(volumes float32 (count, size, size, size, 1), labels int64 (count,)): half of SHAPES each,
    with the value 1 in a field of 0, in Gaussian noise.

    A tube runs across the slices, up to 0.9 radians aslant, through a place near the middle, where
    a ball has its centre; both have radii of 1.8 to 3 voxels.
    seed: a numpy Generator or an integer.  Raises ValueError for fewer than one, sizes below 8,
    noise below 0.
    """
    check_sizes("tubes_and_balls", count=count)
    size = whole("tubes_and_balls", "8 ≤ size < inf", size)
    noise = bounded("tubes_and_balls", "0 ≤ noise < inf", noise)
    check_memory("tubes_and_balls", count, size, size, size, 4)
    rng = generator(seed)
    labels = rng.permutation(np.arange(count) % 2)
    volumes = np.stack([_shape(label, size, rng) for label in labels]).astype(np.float32)
    volumes += noise * rng.standard_normal(volumes.shape, np.float32)
    return volumes[..., None], labels


def _shape(tube, size, rng):
    """(size, size, size): 1 inside, 0 outside."""
    centre = (size - 1) / 2 + rng.uniform(-1.5, 1.5, 3)
    radius = rng.uniform(NARROW, WIDE)
    p = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), -1) - centre
    if tube:                                            # the distance from its axis alone counts
        lean, turn = rng.uniform(0, 0.9), rng.uniform(0, 2 * np.pi)
        axis = np.array([np.cos(lean), np.sin(lean) * np.cos(turn), np.sin(lean) * np.sin(turn)])
        p = p - (p @ axis)[..., None] * axis
    distance = np.sqrt((p ** 2).sum(-1))
    return np.clip((radius - distance) / SOFT + 0.5, 0, 1)
