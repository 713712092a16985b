"""Pooling over windows, and its adjoints, for arrays of any device.

Everything goes through `windows`, the view (N, *P, *K, C) of what each place sees.  For one offset k of the window the
slice view[…, k, :] holds a different element of x at every place, so a loop over the few offsets does whole-array work,
and adding into such a slice never adds twice to one element.
"""
import math

from minidl import backend
from minidl.kernels.geometry import pad, windows


def max_pool(x, g):
    """y[n, p, c] = max_k x[n, s·p + k − pad, c], padded with −∞."""
    xp = backend.of(x)
    first, *others = _slices(_padded(x, g, -math.inf), g)
    best = first.copy()
    for candidate in others:
        xp.maximum(best, candidate, out=best)
    return best


def switches(x, g):
    """For each place and channel the offset in the window (its number in C order) of the first largest element."""
    xp = backend.of(x)
    first, *others = _slices(_padded(x, g, -math.inf), g)
    best, switch = first.copy(), xp.zeros(first.shape, "uint8" if math.prod(g.kernel) <= 256 else "int32")
    for k, candidate in enumerate(others, 1):
        xp.copyto(switch, k, where=candidate > best)
        xp.maximum(best, candidate, out=best)
    return switch


def select(x, switch, g):
    """y[n, p, c] = x at the offset that the switch names."""
    xp = backend.of(x)
    y = xp.zeros(switch.shape, x.dtype)
    for k, candidate in enumerate(_slices(_padded(x, g, 0), g)):
        xp.copyto(y, candidate, where=switch == k)
    return y


def unpool(u, switch, g):
    """The adjoint of select: u[n, p, c] added at the offset that the switch names, zeros elsewhere."""
    xp, out = backend.of(u), _canvas(u, g)
    for k, place in enumerate(_slices(out, g)):
        place += xp.where(switch == k, u, 0)
    return _cropped(out, g)


def window_sum(x, g):
    """y[n, p, c] = Σ_k x[n, s·p + k − pad, c], padded with zeros."""
    first, *others = _slices(_padded(x, g, 0), g)
    total = first.copy()
    for part in others:
        total += part
    return total


def spread(u, g):
    """The adjoint of window_sum: u[n, p, c] added to every element of its window."""
    out = _canvas(u, g)
    for place in _slices(out, g):
        place += u
    return _cropped(out, g)


def _slices(x, g):
    """The views (N, *P, C) of a padded array at each offset of the window, in C order."""
    view, spatial = windows(x, g.kernel, g.stride, g.dilation), len(g.kernel)
    offsets = backend.CPU.module.ndindex(*g.kernel)
    return [view[(slice(None),) * (spatial + 1) + offset] for offset in offsets]


def _padded(x, g, value):
    return pad(x, [(p, p) for p in g.padding], value)


def _canvas(u, g):
    """Zeros of the padded input's shape."""
    sizes = tuple(n + 2 * p for n, p in zip(g.sizes, g.padding))
    return backend.of(u).zeros(u.shape[:1] + sizes + u.shape[-1:], u.dtype)


def _cropped(x, g):
    return x[(slice(None),) + tuple(slice(p, p + n) for n, p in zip(g.sizes, g.padding))]
