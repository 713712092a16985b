"""Pooling over windows, and its adjoints, for arrays of any device.

Everything goes through `_seen`, the view (*K, N, *P, C) whose entry at an offset k of the window
is another element of x at every place.  It is copied, a strip of places at a time, into planes,
one for each offset, that stay in the cache and lie without gaps: what is then done with all planes
together are few long operations.  Strips are shared between threads.
"""
import math

import numpy as np

from minidl import backend
from minidl.kernels.fast.selection import keep_here
from minidl.kernels.fast.views import move, pad, windows
from minidl.kernels.precision import lowest, real
from minidl.kernels.sums import mean
from minidl.parallel.memory import empty
from minidl.parallel.threads import parallel_for, workspace


def max_pool(x, g, find=False):
    """y[n, p, c] = max_k x[n, s·p + k − pad, c], and the switches if it should find them.

    A switch is 1 + the offset in the window, its number in C order, where x first is y; a NaN is
    the maximum.  It never names the padding, not even where all of x in the window is −∞.
    """
    least = lowest(x.dtype)
    xp, seen, size = backend.of(x), _seen(_padded(x, g, least), g), math.prod(g.kernel)
    y = empty(x.shape[:1] + g.output + x.shape[-1:], x.dtype, xp)
    switches = xp.empty(y.shape, "uint8" if size < 256 else "int32") if find else None
    outside = _outside(x, g) if find and any(g.padding) else None

    def fill(strip):
        planes, best = _planes(seen, strip), y[strip].ravel()   # a view: a strip is one stretch
        xp.max(planes, axis=0, out=best)
        if find:
            found = switches[strip].ravel()
            if xp is np:
                _find(planes, best, found)
            else:
                found[...] = planes.argmax(0) + 1
            if outside is not None and (best == least).any():
                padding = _planes(outside, strip, "outside")
                first = ((planes != best) | padding).argmin(0) + 1
                found[...] = xp.where(best == least, first, found)

    parallel_for(fill, y, others=size)
    return y, switches


def _find(planes, best, found):
    """found = 1 + the number of planes before the first that is best: 1 + m₀ (1 + m₁ (1 + m₂ …)),

    where mₖ says that plane k is neither that nor NaN.  NumPy's argmax takes five times as long.
    """
    planes = planes[:-1]
    missing = np.not_equal(planes, best, out=workspace(np, "missing", planes.shape, bool))
    if np.isnan(best).any():
        missing &= planes == planes
    found[...] = 1
    for here in missing[::-1].view("uint8"):
        found *= here
        found += 1


def _outside(x, g):
    """What is `_seen` of the padding: true there, and false in x."""
    xp = backend.of(x)
    inside = xp.zeros((1, *x.shape[1:-1], 1), bool)
    padded = _padded(inside, g, True)
    return _seen(xp.broadcast_to(padded, x.shape[:1] + padded.shape[1:-1] + x.shape[-1:]), g)


def select(x, switch, g):
    """y[n, p, c] = x at the offset that the switch names."""
    xp, seen = backend.of(x), _seen(_padded(x, g, 0), g)
    y = empty(switch.shape, x.dtype, xp)

    def fill(strip):
        planes = _planes(seen, strip)
        kept = keep_here(planes, _named(switch[strip], g))
        xp.sum(kept, axis=0, dtype=y.dtype, out=y[strip].ravel())

    parallel_for(fill, y, others=math.prod(g.kernel))
    return y


def unpool(u, switch, g):
    """The adjoint of select: u added at the offset that the switch names, zeros elsewhere."""
    xp = backend.of(u)

    def kept(strip):
        named = _named(switch[strip], g)
        planes = workspace(xp, "planes", named.shape, u.dtype)
        return keep_here(u[strip].reshape(1, -1), named, out=planes)

    return _fold(u, g, kept)


def _named(switch, g):
    """For each offset of the window, whether the switch names it: (|K|, …)."""
    xp, size = backend.of(switch), math.prod(g.kernel)
    offsets = xp.arange(1, size + 1, dtype=switch.dtype)[:, None]
    named = workspace(xp, "named", (size, switch.size), bool)
    return xp.equal(switch.reshape(1, -1), offsets, out=named)


def window_mean(x, g):
    """y[n, p, c] = (1/|K|) Σ_k x[n, s·p + k − pad, c], padded with zeros; by `sums.mean`."""
    xp, seen = backend.of(x), _seen(_padded(x, g, 0), g)
    y = empty(x.shape[:1] + g.output + x.shape[-1:], real(x.dtype), xp)

    def fill(strip):
        planes = _planes(seen, strip)
        y[strip].ravel()[...] = mean(planes, (0,), scratch=planes)

    parallel_for(fill, y, others=math.prod(g.kernel))
    return y


def spread(u, g):
    """The adjoint of window_mean: u[n, p, c] / |K| added to every element of its window."""
    xp, size = backend.of(u), math.prod(g.kernel)

    def shares(strip):
        each = u[strip].reshape(1, -1)
        return xp.broadcast_to(each / size, (size, each.size))

    return _fold(u, g, shares)


def _fold(u, g, contributions):
    """Zeros of x's shape, and contributions(strip), a plane for each offset, where they belong.

    Where the windows tile the picture, nothing is added up: it is what stands there.
    """
    xp = backend.of(u)
    covered = tuple(k * p for k, p in zip(g.kernel, g.output))
    tiling = g.kernel == g.stride and g.sizes == covered and not any(g.padding)
    sizes = tuple(n + 2 * p for n, p in zip(g.sizes, g.padding))
    out = empty(u.shape[:1] + sizes + u.shape[-1:], u.dtype, xp)
    if not tiling:
        out[...] = 0
    seen = _seen(out, g)

    def fill(strip):
        places = seen[(slice(None),) * len(g.kernel) + strip]
        planes = contributions(strip).reshape(places.shape)
        if tiling:
            move(planes, places)
        else:
            for offset in np.ndindex(*g.kernel):
                part = places[offset]
                part += planes[offset]

    parallel_for(fill, u, whole_images=g.stride[0] < g.kernel[0], others=math.prod(g.kernel))
    return out[(slice(None),) + tuple(slice(p, p + n) for n, p in zip(g.sizes, g.padding))]


def _seen(x, g):
    """View (*K, N, *P, C) of a padded array: what stands at each offset, at every place."""
    axes = len(g.kernel)
    view = windows(x, g.kernel, g.stride, g.dilation)                   # (N, *P, *K, C)
    return view.transpose(*range(axes + 1, 2 * axes + 1), *range(axes + 1), -1)


def _planes(seen, strip, name="planes"):
    """What is seen in a strip of places, copied into the workspace of that name: (|K|, …)."""
    part = seen[(slice(None),) * ((seen.ndim - 2) // 2) + strip]
    planes = workspace(backend.of(seen), name, part.shape, seen.dtype)
    move(part, planes)
    return planes.reshape(math.prod(part.shape[:(seen.ndim - 2) // 2]), -1)


def _padded(x, g, value):
    return pad(x, [(p, p) for p in g.padding], value)
