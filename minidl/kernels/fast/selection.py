"""Selecting, rectifying and adding: one pass over memory, in threads where there is much to do."""
from minidl import backend
from minidl.parallel.memory import empty
from minidl.parallel.threads import parallel_for, workspace

MUCH = 2 ** 16      # elements that are worth sharing


def relu(x):
    """max(x, 0)"""
    return _elementwise(rectify, x)


def add(a, b):
    """a + b, with threads where both are large and of one shape and dtype."""
    if a.size < MUCH or type(a) is not type(b) or a.dtype != b.dtype or a.shape != b.shape:
        return a + b
    return _elementwise(lambda a, b, out: backend.of(a).add(a, b, out=out), a, b)


def add_transpose(x):
    """x + xᵀ of the last two axes.  The CPU reads columns from a copy with padded rows."""
    xp = backend.of(x)
    if xp is not backend.CPU.module:
        return x + x.swapaxes(-1, -2)
    padded = workspace(xp, "padded", x.shape, x.dtype, pitched=True)
    padded[...] = x
    return x + padded.swapaxes(-1, -2)


def keep(u, mask):
    """u where the mask holds, and 0 elsewhere, also where u is infinite or NaN."""
    return _elementwise(keep_here, u, mask)


def keep_positive(u, y):
    """u where y > 0, and 0 elsewhere."""
    if u.size < MUCH:
        return keep_here(u, y > 0)

    def keep(u, y, out):
        xp = backend.of(y)
        return keep_here(u, xp.greater(y, 0, out=workspace(xp, "mask", y.shape, bool)), out)

    return _elementwise(keep, u, y)


def leak(u, y, slope):
    """u where y > 0, and slope · u elsewhere."""
    if u.ndim == 0:                                     # which has no rows to share
        return leak(u[None], y[None], slope)[0]

    def bend(u, y, out):
        xp = backend.of(y)
        less = xp.multiply(u, u.dtype.type(slope), out=workspace(xp, "leaked", u.shape, u.dtype))
        return choose_here(u, xp.greater(y, 0, out=workspace(xp, "mask", y.shape, bool)), less, out)

    return _elementwise(bend, u, y)


def rectify(x, out=None):
    """`relu` in one piece."""
    return backend.of(x).maximum(x, x.dtype.type(0), out=out)


def keep_here(u, mask, out=None):
    """`keep` in one piece: the bits of u, as an integer, times one or zero.

    NumPy's `where` takes a branch for every element, ten times slower where the mask is irregular.
    """
    xp, bits = backend.of(u), _bits(u)
    if bits is None:
        kept = xp.where(mask, u, 0)
        return kept if out is None else xp.add(kept, 0, out=out)
    out = None if out is None else out.view(bits)
    return xp.multiply(u.view(bits), mask, out=out).view(u.dtype)


def choose_here(a, mask, b, out=None):
    """a where the mask holds, else b: the bits of b, and turned those in which a differs."""
    xp, bits = backend.of(a), _bits(a)
    if bits is None:
        return xp.add(xp.where(mask, a, b), 0, out=out)
    turned = xp.bitwise_xor(a.view(bits), b.view(bits), out=None if out is None else out.view(bits))
    turned *= mask
    turned ^= b.view(bits)
    return turned.view(a.dtype)


def _bits(x):
    """The integers as wide as x's elements; None for long doubles and complex numbers."""
    return f"int{8 * x.dtype.itemsize}" if x.dtype.itemsize <= 8 else None


def _elementwise(function, first, *others):
    """function(first, *others, out) of arrays of one shape, in strips; or once, with out=None."""
    if first.size < MUCH or first.ndim < 2 or any(x.shape != first.shape for x in others):
        return function(first, *others, None)
    result = empty(first.shape, first.dtype, backend.of(first))

    def fill(strip):
        function(first[strip], *(x[strip] for x in others), result[strip])

    parallel_for(fill, result)
    return result
