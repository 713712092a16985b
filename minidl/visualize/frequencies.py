"""A picture by its frequencies and by colours that vary independently.

Gradient ascent on pixels drowns in noise: each pixel is moved by its own gradient, whatever its
neighbours do.  So what is moved are the coefficients c of the picture's Fourier series, and

    x = B₁ (s ⊙ c) B₂ᵀ,        s = 1 / max(|f|, 1/n),   n the longest axis

Along an axis of m pixels the columns of B are the waves cos 2πkp/m and sin 2πkp/m of each whole k
up to m/2, divided by their lengths: B Bᵀ = I, and the picture goes on periodically.  f has k/m
along each axis, in waves a pixel.  With s, equal c make a picture whose spectrum falls as 1/|f|, as
that of photographs does.

The three colours of a pixel vary together, too, mostly between black and white.  With a root M of
the colours' covariance over photographs, M v has it, up to a factor, where the entries of v are
uncorrelated and of one variance.  And a sigmoid keeps every value between the least and the
greatest that the network may be shown.

Source: Olah, Mordvintsev and Schubert 2017, "Feature Visualization", whose M this is.
"""
import numpy as np

from minidl import ops
from minidl.tensor import tensor


def basis(n):
    """(B (n, n), its frequencies (n,) in waves a pixel): B's columns are orthonormal."""
    k = np.arange(n)
    f = (k + 1) // 2
    places = 2 * np.pi * f * np.arange(n)[:, None] / n
    waves = np.where(k % 2, np.cos(places), np.sin(places))
    waves[:, 0] = 1
    return waves / np.linalg.norm(waves, axis=0), f / n


def colour_root(channels):
    """Mᵀ (C, C), as pixels are rows: v Mᵀ.  The identity, where the channels are not three."""
    if channels != 3:
        return np.eye(channels)
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    return root.T / np.linalg.norm(root, axis=0).max()


class Series:
    """From coefficients c (*S, C) to a picture (*S, C), its values within low … high.

    sizes: S.  values: (low, high).  dtype, device: of c.
    """

    def __init__(self, sizes, channels, values, dtype="float32", device=None):
        found = [basis(n) for n in sizes]
        f = np.meshgrid(*(f for _, f in found), indexing="ij")
        scale = 1 / np.maximum(np.sqrt(sum(np.square(f))), 1 / max(sizes))
        constants = [scale[..., None], colour_root(channels), *(waves.T for waves, _ in found)]
        self.scale, self.root, *self.waves = (tensor(value, dtype=dtype, device=device)
                                              for value in constants)
        self.low, self.high = values

    def __call__(self, c):
        x = self.scale * c
        for axis, waves in enumerate(self.waves):
            x = ops.moveaxis(ops.moveaxis(x, axis, -1) @ waves, -1, axis)
        return self.low + (self.high - self.low) * ops.sigmoid(x @ self.root)
