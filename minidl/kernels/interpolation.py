"""Linear interpolation along one axis of an array, and its adjoint.

Element i of the m is taken at the position (i + ½)·n/m − ½ among the n (pixel centres; held at the
borders).  It has the neighbours l and r = l + 1, and lies tᵢ beyond l:

    yᵢ = (1 − tᵢ) x[l] + tᵢ x[r]

It is not written as a matrix product with a row of n weights for each i: there an infinite x would
reach all y, as 0 · ∞ is no number.
"""
import numpy as np

from minidl import backend
from minidl.kernels.precision import accumulated


@accumulated(arrays=1)
def interpolate(x, m, axis):
    """y of length m along the axis.  Between equal numbers lies that number, exactly."""
    xp, n = backend.of(x), x.shape[axis]
    before, after, t = _neighbours(n, m)
    left, right = (xp.take(x, backend.move(i, backend.device_of(x)), axis)
                   for i in (before, after))
    t = _along(t, x, axis)
    with np.errstate(over="ignore", invalid="ignore"):  # ∞ − ∞ is no number
        y = right - left
        y *= t
        y += left                                       # left + t (right − left)
        if xp.isfinite(y).all():
            return y
        between = xp.where(t == 0, left, (1 - t) * left + t * right)    # 0 · ∞ is no number
    return xp.where(xp.isfinite(y), y, between)


@accumulated(arrays=1)
def interpolate_back(u, n, axis):
    """x̄ of length n along the axis:  x̄[l] += (1 − tᵢ) uᵢ,  x̄[r] += tᵢ uᵢ  for every i.

    Several i share a neighbour: first the first of each is added, then the second, and so on.
    """
    xp, device = backend.of(u), backend.device_of(u)
    before, after, t = _neighbours(n, u.shape[axis])
    u, t = xp.moveaxis(u, axis, 0), _along(t, u, 0)
    x = xp.zeros((n, *u.shape[1:]), u.dtype)
    for target, share in (before, (1 - t) * u), (after, t * u):
        turn = np.arange(len(target)) - np.searchsorted(target, target)     # they come in order
        for k in range(turn.max() + 1):
            these = np.flatnonzero(turn == k)
            x[backend.move(target[these], device)] += share[backend.move(these, device)]
    return xp.moveaxis(x, 0, axis)


def _neighbours(n, m):
    """For each of m positions among n elements: l, r and t.

    A position is ((2i + 1) n − m) / 2m, a fraction of whole numbers.  Where it is an element, that
    is both neighbours.
    """
    position = np.clip((2 * np.arange(m) + 1) * n - m, 0, 2 * m * (n - 1))
    before, beyond = np.divmod(position, 2 * m)
    return before, before + (beyond > 0), beyond / (2 * m)


def _along(t, x, axis):
    """A vector of weights on x's device, which broadcasts along that axis of x."""
    t = t.astype(x.dtype) if x.dtype.kind == "f" else t
    return backend.move(t, backend.device_of(x)).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
