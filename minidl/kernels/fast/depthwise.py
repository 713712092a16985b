"""Depthwise convolution, groups = channels, on the CPU: a sum of |K| shifted products.

    y[n, p, c] = Σ_k x[n, s·p + d·k − pad, c] · w[k, c]

Nothing is summed over channels, so there is no matrix product to make of it.  All that the taps see is
one view of x, over which einsum multiplies and adds in one pass, in the cache.  (`multiply`, then
`add`, would move three times as much.)  With stride 1 the last axis of places and the channels are one
long row, (P, C) → P·C.  Strips of rows are shared between threads.

For O = m·C filters, each channel is repeated m times.
"""
import itertools
import math

import numpy as np

from minidl import backend
from minidl.kernels.fast.channels import shift
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import lines, move, strided
from minidl.kernels.sums import total
from minidl.parallel.memory import empty
from minidl.parallel.threads import even, hands, share, strips, workspace

BUDGET = 2 ** 19        # bytes of a strip
LONG = 4096             # elements of a row that einsum takes at once: all taps find them in the first cache
MANY = 256              # products that are added up one after the other
MULTIPLIER = 4          # filters a channel, above which a matrix product has enough to multiply


def applies(a, w, g):
    """Whether each channel is convolved on its own, on the CPU.  w: the filters' (*K, C/groups, O)."""
    return backend.of(a) is np and w[-2] == 1 and 1 < g.groups and w[-1] <= MULTIPLIER * g.groups


def conv(x, w, b, g, rectified=False):
    """y[n, p, o] = Σ_k x[n, s·p + d·k − pad, o // m] · w[k, 0, o] + b[o];  rectified: max(y, 0)."""
    def finish(y):
        if b is not None:
            shift(y, b)
        if rectified:
            rectify(y, out=y)

    y = empty((len(x), *g.output, w.shape[-1]), x.dtype)
    x, widths = _repeated(x, w.shape[-1]), [(p, p) for p in g.padding]
    _correlate(x, w[..., 0, :], widths, g.stride, g.dilation, y, finish)
    return y


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] · w[k, 0, o]  over all p, k, o with s·p + d·k − pad = i and o // m = c.

    It is a convolution of u for each remainder r of i + pad by s.  Along an axis let i = i₀ + s·q with
    i₀ + pad = r + s·q₀: then  p = q + q₀ − (d·k − r)/s,  for the taps with d·k ≡ r (mod s), in reverse.
    """
    x, u = empty((len(u), *g.sizes, w.shape[-1]), u.dtype), np.ascontiguousarray(u)
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
    return x if w.shape[-1] == g.groups else total(x.reshape(*x.shape[:-1], g.groups, -1), (x.ndim,))


def _phases(kernel, stride, dilation):
    """For each remainder r of d·k by s: r, its taps as a slice, and the least, the greatest and the step of (d·k − r)/s."""
    common = math.gcd(stride, dilation)
    for k in range(min(kernel, stride // common)):
        taps = range(kernel)[k::stride // common]
        yield (dilation * k % stride, slice(k, None, taps.step), dilation * k // stride,
               dilation * taps[-1] // stride, dilation // common)


def conv_weight(x, u, g):
    """w̄[k, 0, o] = Σ_{n, p} x[n, s·p + d·k − pad, o // m] · u[n, p, o].

    Over a strip, at most MANY products are added up one after the other for each place of a row; what
    there is then, `total` adds up.
    """
    channels, axes = u.shape[-1], len(g.kernel)
    x, u, widths = _repeated(x, channels), np.ascontiguousarray(u), [(p, p) for p in g.padding]
    k, p, row = _letters(g.kernel, g.stride)

    def work(strip):
        places = _rows(u[strip], g.stride)
        taps = _taps(_seen(x, strip, widths, g.kernel, g.stride, g.dilation), places, g.kernel, g.stride, g.dilation)
        of_places = [np.einsum(f"{k}{p}{row},{p}{row}->{k}{row}", taps[..., piece], places[..., piece])
                     for piece in _pieces(places.shape[-1], channels)]
        return np.stack([total(part.reshape(*g.kernel, -1, channels), (axes,)) for part in of_places])

    made = _share(work, u, min(BUDGET, MANY * u.shape[-2] * channels * u.itemsize), g.kernel)
    w = total(np.concatenate(made), (0,)) if made else np.zeros((*g.kernel, channels), u.dtype)
    return w[..., None, :]


def _correlate(x, w, widths, stride, dilation, y, finish=None):
    """y[n, p, c] = Σ_k x[n, s·p + d·k, c] · w[k, c]  for x (N, *S, C) padded by widths, and w (*K, C)."""
    channels, kernel = w.shape[-1], w.shape[:-1]
    k, p, row = _letters(kernel, stride)
    filters = np.tile(w, min(y.shape[-2], max(1, LONG // channels))) if stride[-1] == 1 else w

    def work(strip):
        out = y[strip]
        apart = out.strides[-2] > channels * out.itemsize
        places = _rows(workspace(np, "rows", out.shape, out.dtype) if apart else out, stride)
        taps = _taps(_seen(x, strip, widths, kernel, stride, dilation), places, kernel, stride, dilation)
        for piece in _pieces(places.shape[-1], channels):
            np.einsum(f"{k}{p}{row},{k}{row[-1]}->{p}{row}", taps[..., piece], filters[..., :piece.stop - piece.start],
                      out=places[..., piece])
        if apart:
            move(places.reshape(out.shape), out)
        if finish:
            finish(out)

    _share(work, y, BUDGET, kernel)


def _share(work, y, budget, kernel):
    """work(strip) for strips of y (N, *P, C), in order."""
    if not y.size:
        return []
    threads, per_row = hands(math.prod(kernel) * y.nbytes // 2), math.prod(y.shape[2:]) * y.itemsize
    return share(work, strips(len(y), y.shape[1], per_row, np, budget, threads), np, threads)


def _seen(x, strip, widths, kernel, stride, dilation):
    """The lines of x, padded, that a strip (images, rows) of places looks at."""
    images, rows = strip
    reach = slice(stride[0] * rows.start, stride[0] * (rows.stop - 1) + dilation[0] * (kernel[0] - 1) + 1)
    return lines(x, images, reach, widths)


def _rows(y, stride):
    """y (n, *P, C), for stride 1 as (n, *P', P·C): a view."""
    return y.reshape(*y.shape[:-2], -1) if stride[-1] == 1 else y


def _taps(seen, places, kernel, stride, dilation):
    """View (*K, …): what each tap sees at the places of `_rows`."""
    image, *along, channel = seen.strides
    shifts = [d * step for d, step in zip(dilation, along)]
    steps = [s * step for s, step in zip(stride, along)][:places.ndim - 2]
    return strided(seen, (*kernel, *places.shape), (*shifts, image, *steps, channel))


def _letters(kernel, stride):
    """einsum's names of the axes of taps, of places, and of a row's elements."""
    return "abc"[:len(kernel)], "xyz"[:len(kernel)], "r" if stride[-1] == 1 else "qr"


def _pieces(length, channels):
    """Slices of a row of that many elements, each of whole places."""
    most = max(1, LONG // channels)
    return [slice(part.start * channels, part.stop * channels)
            for part in even(length // channels, -(-length // (most * channels)))]


def _repeated(x, outputs):
    """x with each channel repeated, so that there are as many as outputs; contiguous."""
    times = outputs // x.shape[-1]
    return np.ascontiguousarray(x) if times == 1 else x.repeat(times, -1)
