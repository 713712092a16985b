"""Pooling over windows, and its adjoints, for arrays of any device.

Everything goes through `windows`, the view (N, *P, *K, C) of what each place sees.  For one offset k of the window the
slice view[…, k, :] holds a different element of x at every place, so a loop over the few offsets does whole-array work,
and adding into such a slice never adds twice to one element.  The loop runs over one strip of places after another, so
that what it goes through again and again stays in the cache, and strips are shared between threads.  What is looked at
more than once is copied into planes first, one for each offset: there it lies without gaps.
"""
import math

from minidl import backend
from minidl.kernels.geometry import move, pad, windows
from minidl.kernels.memory import empty
from minidl.kernels.selection import keep_here
from minidl.kernels.workers import everywhere, workspace


def max_pool(x, g, find=False):
    """y[n, p, c] = max_k x[n, s·p + k − pad, c], padded with −∞;  and if it should find them, the switches, else None.

    A switch is the offset in the window, its number in C order, where x first is y.  It is the number of offsets up to
    which x has been neither y nor NaN, which is the maximum where there is one.
    """
    xp, slices = backend.of(x), _slices(_padded(x, g, -math.inf), g)
    y = empty(slices[0].shape, x.dtype, xp)
    switches = xp.empty(y.shape, "uint8" if len(slices) <= 256 else "int32") if find else None

    def fill(strip):
        best = y[strip]
        planes = workspace(xp, "planes", (len(slices),) + best.shape, x.dtype)
        for plane, part in zip(planes, slices):
            move(part[strip], plane)
        best[...] = planes[0]
        for plane in planes[1:]:
            xp.maximum(best, plane, out=best)
        if find:
            found = switches[strip]
            missing, other = (workspace(xp, name, best.shape, bool) for name in ("missing", "other"))
            found[...], missing[...] = 0, True
            for plane in planes[:-1]:
                missing &= xp.not_equal(plane, best, out=other)
                missing &= xp.equal(plane, plane, out=other)
                found += missing.view("uint8")

    everywhere(fill, y, budget=2 ** 21 // len(slices))
    return y, switches


def select(x, switch, g):
    """y[n, p, c] = x at the offset that the switch names."""
    slices = _slices(_padded(x, g, 0), g)
    y = backend.of(x).zeros(switch.shape, x.dtype)

    def fill(strip):
        for k, candidate in enumerate(slices):
            part = y[strip]
            part += keep_here(candidate[strip], _is(switch[strip], k))

    everywhere(fill, y)
    return y


def unpool(u, switch, g):
    """The adjoint of select: u[n, p, c] added at the offset that the switch names, zeros elsewhere."""
    xp = backend.of(u)

    def kept(strip, k):
        part = u[strip]
        return keep_here(part, _is(switch[strip], k), out=workspace(xp, "plane", part.shape, u.dtype))

    return _fold(u, g, kept)


def _is(switch, k):
    xp = backend.of(switch)
    return xp.equal(switch, k, out=workspace(xp, "mask", switch.shape, bool))


def window_sum(x, g):
    """y[n, p, c] = Σ_k x[n, s·p + k − pad, c], padded with zeros."""
    first, *others = _slices(_padded(x, g, 0), g)
    y = empty(first.shape, x.dtype, backend.of(x))

    def fill(strip):
        total = y[strip]
        total[...] = first[strip]
        for part in others:
            total += part[strip]

    everywhere(fill, y)
    return y


def spread(u, g):
    """The adjoint of window_sum: u[n, p, c] added to every element of its window."""
    return _fold(u, g, lambda strip, k: u[strip])


def _fold(u, g, contribution):
    """Zeros of x's shape, to which contribution(strip, k) of a strip of places is added at offset k of their windows.

    Where the windows tile the picture, nothing is added up: it is what stands there.
    """
    xp = backend.of(u)
    tiling = g.kernel == g.stride and g.sizes == tuple(k * p for k, p in zip(g.kernel, g.output)) and not any(g.padding)
    sizes = tuple(n + 2 * p for n, p in zip(g.sizes, g.padding))
    out = empty(u.shape[:1] + sizes + u.shape[-1:], u.dtype, xp)
    if not tiling:
        out[...] = 0
    slices = _slices(out, g)

    def fill(strip):
        for k, place in enumerate(slices):
            part = place[strip]
            if tiling:
                move(contribution(strip, k), part)
            else:
                part += contribution(strip, k)

    everywhere(fill, u, whole_images=g.stride[0] < g.kernel[0])
    return out[(slice(None),) + tuple(slice(p, p + n) for n, p in zip(g.sizes, g.padding))]


def _slices(x, g):
    """The views (N, *P, C) of a padded array at each offset of the window, in C order."""
    view, spatial = windows(x, g.kernel, g.stride, g.dilation), len(g.kernel)
    offsets = backend.CPU.module.ndindex(*g.kernel)
    return [view[(slice(None),) * (spatial + 1) + offset] for offset in offsets]


def _padded(x, g, value):
    return pad(x, [(p, p) for p in g.padding], value)
