"""Augmentation of signals (N, T, C) and volumes (N, D, H, W, C): what leaves the class as it is.

Of each example x of a batch, in its own way:

    y(p) = (1 + s) · x(flip(p) + shift) + noise

places p along every spatial axis.  Shifts are whole steps: nothing is interpolated, and noise keeps
its grain.
"""
from dataclasses import dataclass

import numpy as np

from ..backend import generator
from ..operands import integers, listed
from ..settings import bounded, numbers, whole


@dataclass(frozen=True)
class GridAugmentation:
    """augmentation(x, rng): every example of a batch (N, *S, C), changed at random; its dtype.

    shift   ± steps along each spatial axis, whole numbers, fewer than the axis has; where the
            example ends, its border repeats
    scale   the factor of all values is uniform in 1 ± scale
    flip    spatial axes, counted from 0, that are reversed with probability ½ each
    noise   standard deviation of added Gaussian noise, in units of x

    rng: a Generator or a seed.  What is 0 does not happen.
    Raises TypeError for a shift or an axis that is no integer, ValueError for settings out of
    range, an axis that x does not have, and for x that is no batch of floating-point examples of 1
    to 3 axes.

    >>> GridAugmentation(flip=(0,))(np.array([[[1.0], [2.0]]] * 2), rng=0)[..., 0]
    array([[1., 2.],
           [2., 1.]])
    """
    shift: int = 0
    scale: float = 0.0
    flip: tuple = ()
    noise: float = 0.0

    def __post_init__(self):
        whole("GridAugmentation", "0 ≤ shift < inf", self.shift)
        bounded("GridAugmentation", "0 ≤ scale ≤ 100", self.scale)
        bounded("GridAugmentation", "0 ≤ noise < inf", self.noise)
        flip = listed("GridAugmentation", "flip", self.flip, "axes")
        object.__setattr__(self, "flip", integers("GridAugmentation", "flip", flip))

    def __call__(self, x: np.ndarray, rng: np.random.Generator | int) -> np.ndarray:
        x, rng = numbers("GridAugmentation", "x", x, dtype=None), generator(rng)
        axes = x.ndim - 2
        if not 1 <= axes <= 3 or x.dtype.kind != "f":
            raise ValueError("GridAugmentation: x must be floating-point (N, T, C), (N, H, W, C) "
                             f"or (N, D, H, W, C), got {x.dtype} {x.shape}")
        if any(not 0 <= axis < axes for axis in self.flip):
            raise ValueError(f"GridAugmentation: flip={self.flip} are not among the axes 0 to "
                             f"{axes - 1} of x {x.shape}")
        if self.shift and self.shift >= min(x.shape[1:-1]):
            raise ValueError(f"GridAugmentation: shift={self.shift} leaves nothing of an axis of x "
                             f"{x.shape}")
        x = self.moved(x, rng)
        each = (len(x),) + (1,) * (axes + 1)
        if self.scale:
            x = x * rng.uniform(1 - self.scale, 1 + self.scale, each).astype(x.dtype)
        if self.noise:
            x = x + self.noise * rng.standard_normal(x.shape, np.float32).astype(x.dtype)
        return x

    def moved(self, x, rng):
        """x(flip(p) + shift): each example read at places that stay within its borders."""
        n, *sizes, _ = x.shape
        shifts = rng.integers(-self.shift, self.shift + 1, (n, len(sizes)))
        turned = (rng.random((n, len(sizes))) < 0.5) & np.isin(range(len(sizes)), self.flip)
        y = np.empty_like(x)
        for i in range(n):
            places = [np.clip(np.arange(size) + shift, 0, size - 1)[::-1 if turn else 1]
                      for size, shift, turn in zip(sizes, shifts[i], turned[i])]
            y[i] = x[i][np.ix_(*places)]
        return y
