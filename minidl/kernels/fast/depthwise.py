"""Depthwise convolution, groups = channels = filters, on the CPU: a sum of |K| shifted products.

    y[n, p, c] = Σ_k x[n, s·p + d·k − pad, c] · w[k, c]

Nothing is summed over channels, so there is no matrix product to make of it.  What the taps see is
one view of x, and einsum multiplies and adds in one pass.  (`multiply`, then `add`, would move
three times as much.)  It goes through strips that stay in the cache; and with stride 1 through long
rows, of some places beside each other with all their channels.
"""
import itertools
import math

import numpy as np

from minidl import backend
from minidl.kernels.fast.channels import shift
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import seen, windows
from minidl.kernels.sums import total
from minidl.parallel.memory import empty
from minidl.parallel.threads import in_strips, parallel_map, strips, threads_for

BUDGET = 2 ** 20        # bytes of a strip
LONG = 1024             # elements of a long row, which all taps find in the first cache
FEW = 16                # channels, below which rows of single places are too short
MANY = 256              # products that are added up one after the other


def applies(x, w, g):
    """Whether each channel has a filter of its own.  w: the shape of the filters."""
    alone = w[-2] == 1 and w[-1] == g.groups > 1
    return alone and backend.of(x) is np and (g.stride[-1] == 1 or g.groups >= FEW)


def conv(x, w, b, g, rectified, output):
    """y[n, p, c] = Σ_k x[n, s·p + d·k − pad, c] · w[k, 0, c] + b[c]  at so many places."""
    x, channels = np.ascontiguousarray(x), x.shape[-1]
    y = empty((len(x), *output, channels), x.dtype)
    _, taps, places = _letters(g)
    filters = np.tile(w[..., 0, :], _parts(output[-1], channels, g)[0][1])

    def fill(strip):
        view, out = _taps(x, strip, g, output), y[strip]
        for part, together in _parts(out.shape[-2], channels, g):
            np.einsum(f"{taps}{places}qr,{taps}r->{places}qr", _rows(view, part, together),
                      filters[..., :together * channels], out=_rows(out, part, together))
        if b is not None:
            shift(out, b)
        if rectified:
            rectify(out, out=out)

    per_row = math.prod(y.shape[2:]) * y.itemsize
    in_strips(fill, len(y), output[0], per_row, np, BUDGET, math.prod(g.kernel) / 2)
    return y


def conv_weight(x, u, g):
    """w̄[k, 0, c] = Σ_{n, p} x[n, s·p + d·k − pad, c] · u[n, p, c].

    Of a strip about MANY rows are added up one after the other, for each tap of the last axis by
    itself: for all together einsum takes twice as long.  With stride 1 a row is a long one, else it
    is all places beside each other.  `total` adds up what the sum of rows holds, and the strips.
    """
    (*others, last), (*_, places, channels) = g.kernel, u.shape
    if not u.size:
        return np.zeros((*g.kernel, 1, channels), u.dtype)
    x, u = np.ascontiguousarray(x), np.ascontiguousarray(u)
    k, _, p = _letters(g)
    row, length = ("r", _parts(places, channels, g)[0][1]) if g.stride[-1] == 1 else ("qr", places)

    def of_strip(strip):
        of_u, found = u[strip], []
        for part, together in _parts(of_u.shape[-2], channels, g):
            view = _rows(_taps(x, strip, g, g.output), part, together)
            rows, w = _rows(of_u, part, together), np.empty((*g.kernel, channels), u.dtype)
            for j in range(last):
                of_tap = view[(*[slice(None)] * len(k), j)]
                sums = np.einsum(f"{k}{p}qr,{p}qr->{k}{row}", of_tap, rows)
                w[..., j, :] = total(sums.reshape(*others, -1, channels), (len(k),))
            found.append(w)
        return found

    threads = threads_for(math.prod(g.kernel) * u.nbytes / 2)
    of_row = length * channels * u.itemsize
    per_row, budget = math.prod(u.shape[2:]) * u.itemsize, min(BUDGET, MANY * of_row)
    found = parallel_map(of_strip, strips(len(u), len(u[0]), per_row, np, budget, threads), np,
                         threads)
    return total(np.stack([*itertools.chain(*found)]), (0,))[..., None, :]


def _letters(g):
    """einsum's names: of the taps' axes but the last, of all, of images and places but the last."""
    axes = len(g.kernel)
    return "abc"[:axes - 1], "abc"[:axes], "xyz"[:axes]


def _taps(x, strip, g, output):
    """View (*K, n, *P, C): what each tap sees at the places of a strip (images, rows)."""
    axes, view = len(output), windows(seen(x, strip, g, output), g.kernel, g.stride, g.dilation)
    return view.transpose(*range(axes + 1, 2 * axes + 1), *range(axes + 1), -1)


def _parts(places, channels, g):
    """Slices of the places of the last axis, and how many of them make a row together."""
    together = min(places, max(1, LONG // channels)) if g.stride[-1] == 1 else 1
    whole = places - places % together
    rest = [(slice(whole, places), places - whole)] if whole < places else []
    return [(slice(0, whole), together), *rest]


def _rows(a, part, together):
    """(…, P, C) → (…, rows, together·C): a view of a part of the places."""
    a = a[..., part, :]
    return a.reshape(*a.shape[:-2], a.shape[-2] // together, together * a.shape[-1])
