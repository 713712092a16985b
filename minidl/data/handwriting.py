"""Handwriting seen otherwise: the same characters as another hand might have written them."""
from dataclasses import dataclass
import math

import numpy as np

from ..backend import generator
from ..settings import numbers

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])      # by 90°, of points (y, x)
MIRROR = np.array([[1.0, 0.0], [0.0, -1.0]])    # left to right
SYMMETRIES = np.stack([np.linalg.matrix_power(TURN, k) @ m for m in (np.eye(2), MIRROR)
                       for k in range(4)])
"""The eight maps of a square onto itself, (8, 2, 2): four turns, then the same of the mirror
image."""


class Ink:
    """Pictures (N, H, W), uint8, dark ink on white, from which views of any size are taken by
    `view`.

    framed: each character is seen through the square around its ink, a quarter larger and at least
    a third of the picture wide, so that it is in the middle and fills the view however it was
    written; otherwise the whole picture is seen.
    """

    def __init__(self, pictures, framed=True):
        pictures = numbers("Ink", "pictures", pictures, dtype=None)
        if pictures.ndim != 3 or 0 in pictures.shape or pictures.dtype != np.uint8:
            raise ValueError(f"Ink: pictures must be uint8 (N, H, W), got {pictures.dtype} "
                             f"{pictures.shape}")
        sides = np.array(pictures.shape[1:])
        self.softened = _softened(pictures)  # (N, H + 4, W + 4), with paper around
        # of the frames, in pixels, (y, x)
        self.middles = np.broadcast_to(sides / 2, (len(pictures), 2))
        self.halves = np.broadcast_to(sides / 2, (len(pictures), 2))  # half of the frames' sides
        if framed:
            first, last = _ink_borders(pictures)
            longest = np.maximum(1.25 * (last - first).max(axis=1, keepdims=True), min(sides) / 3)
            self.middles, self.halves = (first + last) / 2, np.repeat(longest / 2, 2, axis=1)

    def view(self, which, size, maps, bends=None):
        """Pictures `which` (M,) through `maps` (M, 2, 3): float32 (M, size, size, 1), in 0..255.

        maps: [A | t] from a place p of the view to A p + t in the frame, both (y, x), from −1 to 1
        between the borders; bends (M, size, size, 2), if given, are added to p before.
        Interpolated linearly; outside of the picture is paper.
        """
        steps = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
        grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)
        places = np.broadcast_to(grid, (len(which), *grid.shape)) if bends is None else grid + bends
        maps = maps.astype(np.float32)
        places = places.reshape(len(which), size * size, 2) @ maps[:, :, :2].swapaxes(1, 2)
        places = places + maps[:, None, :, 2]
        places = (self.middles[which, None] + self.halves[which, None] * places).astype(np.float32)
        return self._sample(which, places).reshape(len(which), size, size, 1)

    def _sample(self, which, places):
        """Linear interpolation between the four pixels around each place (M, P, 2), in pixels, from
        a flat array."""
        rows, columns = self.softened.shape[1:]
        y = np.clip(places[..., 0] + 1.5, 0, rows - 1)
        x = np.clip(places[..., 1] + 1.5, 0, columns - 1)
        top = np.minimum(y.astype(np.int32), rows - 2)
        left = np.minimum(x.astype(np.int32), columns - 2)
        y, x = np.subtract(y, top, dtype=np.float32), np.subtract(x, left, dtype=np.float32)
        first = np.asarray(which, np.int64)[:, None] * (rows * columns) + top * columns + left
        flat = self.softened.reshape(-1)
        corners = [flat[first + shift].astype(np.float32) for shift in (0, 1, columns, columns + 1)]
        upper, lower = corners[0] + x * (corners[1]
                                         - corners[0]), corners[2] + x * (corners[3] - corners[2])
        return upper + y * (lower - upper)


def _ink_borders(pictures):
    """((N, 2), (N, 2)): the pixel (y, x) where the ink begins and the one after its end; 0 and H, W
    where there is none."""
    borders = []
    for axis, side in ((2, pictures.shape[1]), (1, pictures.shape[2])):
        dark = (pictures < 128).any(axis=axis)                                  # (N, side)
        borders.append((dark.argmax(axis=1), side - dark[:, ::-1].argmax(axis=1)))
    return np.stack(borders, axis=-1)


def _softened(pictures):
    """The mean of each pixel's 3 × 3 neighbourhood, so that no thin stroke falls between the places
    of a coarse view."""
    padded = np.pad(pictures, ((0, 0), (3, 3), (3, 3)), constant_values=255).astype(np.uint16)
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return ((rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4) // 9).astype(np.uint8)


@dataclass(frozen=True)
class Handwriting:
    """How much one hand differs from another: what is 0 does not happen, the rest is drawn
    uniformly from

    rotation     ± degrees
    zoom         factors from 1/(1 + zoom) to 1 + zoom, of height and width each
    slant        ± how far the top leans, as a share of the height
    shift        ± share of half the side
    wobble       standard deviation of smooth bends, as a share of half the side
    pen          the exponent γ of the ink's blackness, from 1/(1 + pen) to 1 + pen: thicker and
                 thinner strokes
    """
    rotation: float = 17.0
    zoom: float = 0.28
    slant: float = 0.3
    shift: float = 0.12
    wobble: float = 0.04
    pen: float = 0.35

    def maps(self, n, rng):
        """(n, 2, 3) random maps for `Ink.view`."""
        angle = math.radians(self.rotation) * rng.uniform(-1, 1, n)
        height, width = (1 + self.zoom) ** rng.uniform(-1, 1, (2, n))
        slant, cos, sin = self.slant * rng.uniform(-1, 1, n), np.cos(angle), np.sin(angle)
        rotation = np.stack([cos, -sin, sin, cos], -1).reshape(n, 2, 2)
        stretch = np.stack([height, np.zeros(n), slant, width], -1).reshape(n, 2, 2)
        return np.concatenate([rotation @ stretch, self.shift * rng.uniform(-1, 1, (n, 2, 1))], -1)

    def bends(self, n, size, rng, knots=5):
        """(n, size, size, 2) smooth displacements: random ones at knots × knots places, blended by
        Gaussian weights."""
        distance = np.linspace(0, knots - 1, size)[:, None] - np.arange(knots)
        blend = np.exp(-distance**2)
        blend = (blend / blend.sum(1, keepdims=True)).astype(np.float32)  # (size, knots)
        pushes = self.wobble * rng.standard_normal((n, 2, knots, knots), np.float32)
        return np.moveaxis(blend @ pushes @ blend.T, 1, -1)

    def __call__(self, ink, which, symmetries, size, rng):
        """Random views of pictures `which` (M,) of an Ink, each first turned by its symmetry (M, 2,
        2), in 0..255."""
        rng, n = generator(rng), len(which)
        maps = symmetries @ self.maps(n, rng)
        pictures = ink.view(which, size, maps, self.bends(n, size, rng) if self.wobble else None)
        if self.pen:
            gamma = (1 + self.pen) ** rng.uniform(-1, 1, (n, 1, 1, 1))
            pictures = 255 - 255 * (1 - pictures / 255) ** gamma.astype(np.float32)
        return pictures
