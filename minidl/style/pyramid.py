"""Coarse to fine: a picture painted small, then larger and larger, each time from the last one
enlarged.

What the costs ask of large shapes is found at small sizes, where an evaluation is cheap and a layer
sees a large part of the picture; the larger sizes add the finer strokes.
Source: Gatys et al. 2017 (scale control); sizes that grow by √2 from 128 as in
crowsonkb/style-transfer-pytorch.
"""
from dataclasses import dataclass
import math

import numpy as np

from minidl.data import resize

SMALLEST, GROWTH = 128, math.sqrt(2)
MARGIN = 8              # pixels, at each size


@dataclass(frozen=True)
class Scale:
    """size: pixels of the longer side; steps: evaluations of J at this size."""
    size: int
    steps: int


def plan(size, steps, scales=None):
    """The Scales from coarse to fine: sizes size/√2ⁱ, none below 128 (but for `size` itself).

    scales: how many of the finest are kept; None for all.
    steps: in all, dealt equally; what remains goes to the finest sizes.  Where there are fewer
        steps than sizes, the coarsest sizes are left out.

    >>> [(scale.size, scale.steps) for scale in plan(256, 100)]
    [(128, 33), (181, 33), (256, 34)]
    """
    count = 1 + max(0, math.floor(math.log(size / (SMALLEST - 0.5), GROWTH)))  # 127.5 is 128
    count = min(count, steps, count if scales is None else scales)
    each, rest = divmod(steps, count)
    return [Scale(round(size / GROWTH ** i), each + (i < rest)) for i in reversed(range(count))]


@dataclass(frozen=True)
class Frame:
    """A margin around a picture that is painted with it and cut off at the end.

    The network pads with zeros, and its poolings leave out the last rows of an odd number: what is
    painted along the border comes out paler, or is not painted.  With a margin this is outside of
    the picture.
    above, below, left, right: in pixels.
    """
    above: int = 0
    below: int = 0
    left: int = 0
    right: int = 0

    @classmethod
    def around(cls, shape, margin, multiple):
        """At least `margin` pixels on every side of (H, W, …), so that both sides become
        multiples of `multiple`."""
        widths = []
        for side in shape[:2]:
            more = -(-(side + 2 * margin) // multiple) * multiple - side
            widths += [more // 2, more - more // 2]
        return cls(*widths)

    def add(self, picture):
        """(H, W, …) with the margin, in which the picture is mirrored."""
        widths = [(self.above, self.below), (self.left, self.right)]
        if not any(map(any, widths)):
            return picture
        return np.pad(picture, widths + [(0, 0)] * (picture.ndim - 2), "reflect")

    def cut(self, picture):
        """(H, W, …) without the margin."""
        height, width = picture.shape[:2]
        return picture[self.above:height - self.below, self.left:width - self.right]


def enlarge(picture, shape, low=None, high=None):
    """(H, W) or (H, W, C) resampled to shape (H', W', …) with Lanczos' filter, and held to
    low..high."""
    if picture.shape[:2] == tuple(shape[:2]):
        return picture
    resized = resize(picture, tuple(shape[:2]))
    return resized if low is None and high is None else resized.clip(low, high)
