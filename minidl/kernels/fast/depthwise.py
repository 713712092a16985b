"""Depthwise convolution, groups = channels = filters, on the CPU: a sum of |K| shifted products.

    y[n, p, c] = Σ_k x[n, s·p + d·k − pad, c] · w[k, c]

Nothing is summed over channels, so there is no matrix product to make of it.  All that the taps see is
one view of x, over which einsum multiplies and adds in one pass.  (`multiply`, then `add`, would move
three times as much.)  It works through strips that stay in the cache, on all threads; and with stride
1 through long rows: some places beside each other, with all their channels.
"""
import itertools
import math

import numpy as np

from minidl import backend
from minidl.kernels.fast.channels import shift
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import lines, move, windows
from minidl.kernels.sums import total
from minidl.parallel.memory import empty
from minidl.parallel.threads import hands, share, strips, workspace

BUDGET = 2 ** 20        # bytes of a strip
LONG = 1024             # elements of a long row, which all taps find in the first cache
FEW = 16                # channels, below which rows of one place are slower than a matrix product
MANY = 256              # products that are added up one after the other


def applies(a, w, g):
    """Whether each channel is convolved on its own, on the CPU, and soon.  w: the filters' (*K, C/groups, O)."""
    alone = w[-2] == 1 and w[-1] == g.groups > 1
    return alone and backend.of(a) is np and (g.stride[-1] == 1 or g.groups >= FEW)


def conv(x, w, b, g, rectified=False):
    """y[n, p, c] = Σ_k x[n, s·p + d·k − pad, c] · w[k, 0, c] + b[c];  rectified: max(y, 0)."""
    def finish(y):
        if b is not None:
            shift(y, b)
        if rectified:
            rectify(y, out=y)

    y = empty((len(x), *g.output, x.shape[-1]), x.dtype)
    _correlate(np.ascontiguousarray(x), w[..., 0, :], [(p, p) for p in g.padding], g.stride, g.dilation, y, finish)
    return y


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, c] · w[k, 0, c]  over all p, k with s·p + d·k − pad = i.

    It is a convolution of u for each remainder r of i + pad by s.  Along an axis let i = i₀ + s·q with
    i₀ + pad = r + s·q₀: then  p = q + q₀ − (d·k − r)/s,  for the taps with d·k ≡ r (mod s), in reverse.
    """
    x, u = empty((len(u), *g.sizes, u.shape[-1]), u.dtype), np.ascontiguousarray(u)
    phases = [list(_phases(*axis)) for axis in zip(g.kernel, g.stride, g.dilation)]
    if any(len(of_axis) < s for of_axis, s in zip(phases, g.stride)):
        x[...] = 0                                              # some places are seen by no tap
    for chosen in itertools.product(*phases):
        widths, places = [], []
        for (r, _, nearest, farthest, _), n, p, s, pad in zip(chosen, g.sizes, g.output, g.stride, g.padding):
            first = (r - pad) % s
            ahead, count = (first + pad - r) // s, len(range(first, n, s))
            widths.append((farthest - ahead, count + ahead - nearest - p))
            places.append(slice(first, None, s))
        _, taps, _, _, apart = zip(*chosen)
        turned = np.flip(w[(*taps, 0)], range(len(taps)))
        _correlate(u, turned, widths, (1,) * len(taps), apart, x[(slice(None), *places)])
    return x


def _phases(kernel, stride, dilation):
    """For each remainder r of d·k by s: r, its taps as a slice, and the least, the greatest and the step of (d·k − r)/s."""
    common = math.gcd(stride, dilation)
    for k in range(min(kernel, stride // common)):
        taps = slice(k, None, stride // common)
        last = range(kernel)[taps][-1]
        yield dilation * k % stride, taps, dilation * k // stride, dilation * last // stride, dilation // common


def conv_weight(x, u, g):
    """w̄[k, 0, c] = Σ_{n, p} x[n, s·p + d·k − pad, c] · u[n, p, c].

    Of a strip, about MANY rows are added up one after the other, for each tap of the last axis by
    itself: for all together einsum takes twice as long.  `total` adds up what stands in a row, and then
    the strips.  With stride 1, a row is a long one, else that of all places beside each other.
    """
    channels, (*others, last) = u.shape[-1], g.kernel
    if not u.size:
        return np.zeros((*g.kernel, 1, channels), u.dtype)
    x, u, widths = np.ascontiguousarray(x), np.ascontiguousarray(u), [(p, p) for p in g.padding]
    (_, together), *_ = _parts(u.shape[-2], channels, g.stride)
    k, p = "abc"[:len(others)], "xyz"[:len(g.kernel)]               # of n and *P', all places but the last axis
    row, in_row = ("r", together) if g.stride[-1] == 1 else ("qr", u.shape[-2])

    def work(strip):
        made = []
        for part, together in _parts(u[strip].shape[-2], channels, g.stride):
            taps = _rows(_taps(x, strip, widths, g.kernel, g.stride, g.dilation), part, together)
            places = _rows(u[strip], part, together)
            of_part = np.empty((*g.kernel, channels), u.dtype)
            for j in range(last):
                of_row = np.einsum(f"{k}{p}qr,{p}qr->{k}{row}", taps[(*[slice(None)] * len(others), j)], places)
                of_part[..., j, :] = total(of_row.reshape(*others, -1, channels), (len(others),))
            made.append(of_part)
        return made

    made = _share(work, u, min(BUDGET, MANY * in_row * channels * u.itemsize), g.kernel)
    return total(np.stack([*itertools.chain(*made)]), (0,))[..., None, :]


def _correlate(x, w, widths, stride, dilation, y, finish=None):
    """y[n, p, c] = Σ_k x[n, s·p + d·k, c] · w[k, c]  for x (N, *S, C) padded by widths, and w (*K, C)."""
    if not y.size:
        return
    channels, kernel = w.shape[-1], w.shape[:-1]
    k, p = "abc"[:len(kernel)], "xyz"[:len(kernel)]                 # of n and *P', all places but the last axis
    (_, together), *_ = _parts(y.shape[-2], channels, stride)
    filters = np.tile(w, together)

    def work(strip):
        out = y[strip]
        apart = out.strides[-2] > channels * out.itemsize
        places = workspace(np, "places", out.shape, out.dtype) if apart else out
        taps = _taps(x, strip, widths, kernel, stride, dilation)
        for part, together in _parts(out.shape[-2], channels, stride):
            np.einsum(f"{k}{p}qr,{k}r->{p}qr", _rows(taps, part, together), filters[..., :together * channels],
                      out=_rows(places, part, together))
        if apart:
            move(places, out)
        if finish:
            finish(out)

    _share(work, y, BUDGET, kernel)


def _share(work, y, budget, kernel):
    """work(strip) for strips of y (N, *P, C), in order."""
    threads, per_row = hands(math.prod(kernel) * y.nbytes // 2), math.prod(y.shape[2:]) * y.itemsize
    return share(work, strips(len(y), y.shape[1], per_row, np, budget, threads), np, threads)


def _taps(x, strip, widths, kernel, stride, dilation):
    """View (*K, n, *P, C): what each tap sees of x, padded, at the places of a strip (images, rows)."""
    images, rows = strip
    reach = slice(stride[0] * rows.start, stride[0] * (rows.stop - 1) + dilation[0] * (kernel[0] - 1) + 1)
    axes, seen = len(kernel), windows(lines(x, images, reach, widths), kernel, stride, dilation)
    return seen.transpose(*range(axes + 1, 2 * axes + 1), *range(axes + 1), -1)


def _parts(places, channels, stride):
    """Slices of the places along the last axis, and how many of them make a long row together."""
    together = min(places, max(1, LONG // channels)) if stride[-1] == 1 else 1
    whole = places - places % together
    return [(slice(0, whole), together)] + [(slice(whole, places), places - whole)] * (whole < places)


def _rows(a, part, together):
    """(…, P, C) → (…, rows, together·C), a view of a part of the places."""
    a = a[..., part, :]
    return a.reshape(*a.shape[:-2], a.shape[-2] // together, together * a.shape[-1])
