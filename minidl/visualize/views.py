"""A picture moved, turned and scaled a little, with a gradient: what is seen once may be noise.

    y(p) = x(A p + t)        places p from the middle, A a rotation times a factor, t a shift

Between the pixels x is interpolated linearly along each axis, and beyond its borders it goes on
periodically.  With q the whole part of a place and r its rest, over the 2ⁿ corners k ∈ {0, 1}ⁿ

    y(p) = Σ_k  w_k x(q + k),        w_k = ∏_axes (r where k = 1, 1 − r where k = 0)

It is linear in x: the gradient of `index` adds ȳ(p) w_k at q + k.
"""
import itertools

import numpy as np

from minidl.tensor import tensor


def view(x, matrix, shift):
    """y (*S, C) of a Tensor x (*S, C); matrix A (n, n), shift t (n,) in pixels."""
    sizes = x.shape[:-1]
    middle = (np.array(sizes) - 1) / 2
    places = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1) - middle
    places = places @ np.transpose(matrix) + shift + middle                     # (*S, n)
    whole = np.floor(places)
    rest = places - whole
    y = 0
    for corner in itertools.product((0, 1), repeat=len(sizes)):
        w = np.prod(np.where(corner, rest, 1 - rest), axis=-1)[..., None]
        at = (whole + corner).astype(int) % sizes
        y = y + tensor(w, dtype=x.dtype, device=x.device) * x[
            tuple(tensor(at[..., axis], device=x.device) for axis in range(len(sizes)))]
    return y


def draw_view(rng, axes, jitter, rotation, scale):
    """(A, t): a factor between 1/(1 + scale) and 1 + scale, an angle within ± rotation degrees in
    the plane of two axes, and a shift of at most `jitter` pixels along each."""
    matrix = np.eye(axes) * (1 + scale) ** rng.uniform(-1, 1)
    if axes > 1:
        plane = rng.permutation(axes)[:2]
        angle = np.radians(rotation) * rng.uniform(-1, 1)
        turn = np.eye(axes)
        turn[np.ix_(plane, plane)] = [[np.cos(angle), -np.sin(angle)],
                                      [np.sin(angle), np.cos(angle)]]
        matrix = matrix @ turn
    return matrix, rng.uniform(-jitter, jitter, axes)
