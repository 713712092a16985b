"""Sums over axes that keep their digits, and what is made of sums: means and lengths.

A running sum of n numbers, one after the other, loses up to n units in the last place: after 2²⁴
ones, float32 does not grow any more.  NumPy adds up along the last axis in pairs of pairs, which
loses log n at most; but it runs down the first axis of a tall array.  There the rows are summed as
a product with a row of ones, which BLAS adds in blocks.

axes: a tuple of axes in increasing order; with keepdims they stay, with length 1.
"""
import math

import numpy as np

from minidl import backend
from minidl.kernels.fast.channels import add_up
from minidl.kernels.fast.product import matmul
from minidl.kernels.precision import accumulator, real

TALL = 256              # rows whose running sum would lose digits
FEW = 16                # rows that NumPy adds up fast
LARGE = 2 ** 17         # elements that are worth sharing between threads
BLOCK = 1024            # rows that BLAS adds up at once


def total(x, axes, keepdims=False):
    """Σ x over the axes, in the accumulator of x's type, in which whole numbers stay."""
    made = _total(x.astype(accumulator(x.dtype), copy=False), axes)
    made = made.astype(x.dtype, copy=False) if x.dtype.kind == "f" else made
    return made.reshape(kept_shape(x.shape, axes)) if keepdims else made


def mean(x, axes, keepdims=False, scratch=None):
    """(1/n) Σ x over the axes; n > 0.

    m = Σ x / n is rounded, and Σ (x − m) / n is what it is off by: so a mean of equal numbers is
    that number, exactly.  Of few x the first one is near enough to be m.  Where m is infinite, 0
    takes its place: ∞ − ∞ is no number.
    scratch: an array like x that may be written to, or x itself.
    """
    wide = x.astype(accumulator(real(x.dtype)), copy=False)
    xp, n = backend.of(x), math.prod(x.shape[a] for a in axes)
    kept = kept_shape(x.shape, axes)
    first = wide[tuple(slice(1) if i in axes else slice(None) for i in range(x.ndim))]
    near = first if n <= FEW else _total(wide, axes).reshape(kept) / n
    near = xp.where(xp.isfinite(near), near, 0)
    apart = xp.subtract(wide, near, out=scratch if wide is x else None)
    made = (near + _total(apart, axes).reshape(kept) / n).astype(real(x.dtype), copy=False)
    return made if keepdims else _dropped(made, axes)


def running(x, axis):
    """yᵢ = Σ_{j ≤ i} xⱼ along an axis.

    It cannot be added up in pairs, so float32 is added up in float64.
    """
    if x.dtype.char in "ef":
        return x.cumsum(axis, dtype="float64").astype(x.dtype)
    return x.cumsum(axis)


def length(x, axes, keepdims=False):
    """√Σ x² over the axes.

    x is first divided by a power of two near its largest entry, whose square may be too large for
    x's type, or too small.
    """
    xp, wide = backend.of(x), x.astype(accumulator(real(x.dtype)), copy=False)
    scale = _power_below(abs(wide).max(axes, keepdims=True), xp) if x.size else 1
    scaled = wide / scale
    root = xp.sqrt(_total(scaled * scaled, axes).reshape(kept_shape(x.shape, axes)))
    made = (root * scale).astype(real(x.dtype), copy=False)
    return made if keepdims else _dropped(made, axes)


def kept_shape(shape, axes):
    """The shape with length 1 along the axes, which broadcasts against the original."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _dropped(x, axes):
    """x without the axes, along which it has length 1."""
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _power_below(x, xp):
    """The largest power of two that is not above x; 1 where x is 0, infinite or NaN."""
    ordinary = xp.isfinite(x) & (x > 0)
    _, exponent = xp.frexp(xp.where(ordinary, x, 1))
    return xp.ldexp(xp.ones_like(x), exponent - 1)


def _total(x, axes):
    """Σ x over the axes, in x's own type."""
    if not axes:
        return x.copy()
    if x.size <= TALL:
        return x.sum(axes)
    first, last = axes[0], axes[-1] + 1
    rows = math.prod(x.shape[a] for a in axes)
    if x.dtype.char not in "fd" or rows <= TALL and (rows <= FEW or x.size <= LARGE):
        return x.sum(axes)
    if last - first > len(axes):                        # others in between: the last axes first
        gap = max(a for a in range(first, last) if a not in axes)
        partial = _total(x, tuple(a for a in axes if a > gap))
        return _total(partial, tuple(a for a in axes if a < gap))
    on_cpu = backend.of(x) is np
    if on_cpu and rows > TALL and not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)     # else NumPy follows the memory, which may be down the axis
    if last == x.ndim or not x.flags.c_contiguous:
        return x.sum(axes)
    before, after = x.shape[:first], x.shape[last:]
    items = x.reshape(math.prod(before), rows, math.prod(after))
    if len(items) == 1:
        return add_up(items[0]).reshape(before + after)
    return (_down(items) if on_cpu else items.sum(1)).reshape(before + after)


def _down(x):
    """Σ over the rows of each item (items, rows, C): in blocks, then over the blocks."""
    items, rows, channels = x.shape
    if rows <= TALL:
        return x.sum(1)
    blocks = rows // BLOCK
    whole = x[:, :blocks * BLOCK].reshape(items, blocks, BLOCK, channels)
    of_blocks = matmul(np.ones((1, BLOCK), x.dtype), whole)[:, :, 0]
    rest = matmul(np.ones((1, rows - blocks * BLOCK), x.dtype), x[:, blocks * BLOCK:])
    return _down(np.concatenate([of_blocks, rest], 1))
