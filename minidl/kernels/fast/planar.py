"""Convolutions that become planar ones, with 3×3 taps side by side, for Winograd's algorithm.

In three dimensions, what the filter sees along the first axis is taken for more channels:

    x'[(n, p), i, j, (k, c)] = x[n, s·p + d·k − pad, i, j, c]
    w'[l, m, (k, c), o]      = w[k, l, m, c, o]

A filter whose taps lie d apart stays on a grid of places d apart.  Each of the d² grids is a
picture, and u and y likewise, without padding:

    x'[(n, r, r'), q, q', c] = x[n, d·q + r − pad, d·q' + r' − pad, c]

With both, T(x, w, u) = T(x', w', u').  So conv and conv_weight are those of x', w' and u', and so
is conv_input with strides of 1, which is a conv.  It costs a copy of x, with K₁ times the channels,
and where there are grids, of u or y.  A large x' is made a slab at a time: some images, or some
slices of one.
"""
import math

import numpy as np

from minidl.kernels.fast import winograd
from minidl.kernels.fast.views import copy, pad, windows
from minidl.kernels.geometry import Geometry
from minidl.parallel.memory import empty
from minidl.parallel.threads import strips

SLAB = 2 ** 26          # bytes of x' at a time


def applies(first, second, g):
    """Whether two arrays can be contracted so, and are not planar already."""
    return (type(first) is np.ndarray and first.dtype == second.dtype == np.float32
            and len(first) > 0 and g.groups == 1 and min(g.padding) >= 0
            and g.kernel[-2:] == (winograd.TAPS,) * 2 and g.stride[-2:] == (1, 1)
            and (len(g.kernel) > 2 or g.dilation != (1, 1)))


def pays(images, channels, g):
    """Whether it is faster than the direct product: the slices count as channels."""
    slices, sizes = images * math.prod(g.output[:-2]), g.output[-2:]
    tiles = slices * math.prod(step * -(-n // (step * winograd.F4.tile))
                               for step, n in zip(g.dilation[-2:], sizes))
    seen = channels[0] * math.prod(g.kernel[:-2]), channels[1]
    gain = winograd.gain(slices * math.prod(sizes), tiles, seen)
    return tiles >= winograd.FEWEST and gain >= winograd.GAIN


def conv(x, w, b, g, rectified=False):
    """y (N, *P, O) from x (N, *S, C), w (*K, C, O) and b (O,) or None; rectified: max(y, 0)."""
    seen = _seen(x, g)
    first, *others = slabs = _slabs(seen, g)
    if not others:
        return _conv(seen[first], w, b, g, rectified)
    y = empty((len(x), *g.output, w.shape[-1]), x.dtype)
    for slab in slabs:
        copy(_conv(seen[slab], w, b, g, rectified), y[slab])
    return y


def _conv(seen, w, b, g, rectified):
    """A slab of y."""
    lead, (d, e) = len(g.kernel) - 2, g.dilation[-2:]
    pictures = _pictures(seen, (d, e), lead + 1)
    y = winograd.conv(pictures, filters(w), b, _geometry(pictures), winograd.F4, rectified)
    rows, columns = y.shape[1:3]
    y = y.reshape(*seen.shape[:lead + 1], d, e, rows, columns, -1)
    if (d, e) != (1, 1):
        y = _in_one_piece(np.moveaxis(y, (lead + 1, lead + 2), (lead + 2, lead + 4)))
    y = y.reshape(*y.shape[:lead + 1], rows * d, columns * e, -1)
    return y[(slice(None),) * (lead + 1) + tuple(map(slice, g.output[lead:]))]


def conv_weight(x, u, g):
    """w̄ (*K, C, O) from x (N, *S, C) and u (N, *P, O)."""
    seen = _seen(x, g)
    return sum(_conv_weight(seen[slab], u[slab], g) for slab in _slabs(seen, g))


def _conv_weight(seen, u, g):
    """What a slab adds to w̄."""
    lead, steps = len(g.kernel) - 2, g.dilation[-2:]
    pictures = _pictures(seen, steps, lead + 1)
    flat = _geometry(pictures)
    widths = [(0, d * n - places) for d, n, places in zip(steps, flat.output, g.output[lead:])]
    of_u = _pictures(pad(u, [(0, 0)] * lead + widths), steps, lead + 1)
    w = winograd.conv_weight(pictures, of_u, flat)
    w = w.reshape(*flat.kernel, *g.kernel[:lead], seen.shape[-1], -1)
    return np.moveaxis(w, (0, 1), (lead, lead + 1))


@winograd.once
def filters(w):
    """w (*K₁, 3, 3, C, O) as w' (3, 3, |K₁|·C, O), a copy: it must not keep w alive."""
    lead = w.ndim - 4
    planes = np.moveaxis(w, (lead, lead + 1), (0, 1))
    return np.array(planes.reshape(*w.shape[lead:lead + 2], -1, w.shape[-1]))


def _seen(x, g):
    """x (N, *S, C) with zeros around it, seen as (N, *P₁, d·Q, d'·Q', *K₁, C)."""
    lead = len(g.kernel) - 2
    widths = [(p, p) for p in g.padding[:lead]]
    widths += [(p, p + -(n + 2 * p) % d)
               for n, p, d in zip(g.sizes[lead:], g.padding[lead:], g.dilation[lead:])]
    view = windows(pad(x, widths), g.kernel[:lead] + (1, 1), g.stride, g.dilation[:lead] + (1, 1))
    return view.reshape(*view.shape[:lead + 3], *g.kernel[:lead], x.shape[-1])


def _slabs(seen, g):
    """Indices that cut it along N and P₁."""
    slices = math.prod(g.output[:-2])
    each = seen.nbytes // (len(seen) * slices)
    slabs = strips(len(seen), slices, each, np, SLAB, threads=1)
    return [slab[:len(g.kernel) - 1] for slab in slabs]


def _pictures(x, steps, axis):
    """x (N, *P₁, d·Q, d'·Q', …), whose rows are that axis, as (N·|P₁|·d·d', Q, Q', …), the last
    axes as one.
    """
    (d, e), (rows, columns), rest = steps, x.shape[axis:axis + 2], x.shape[axis + 2:]
    grids = x.reshape(*x.shape[:axis], rows // d, d, columns // e, e, *rest)
    grids = _in_one_piece(np.moveaxis(grids, (axis + 1, axis + 3), (axis, axis + 1)))
    return grids.reshape(-1, rows // d, columns // e, math.prod(rest))


def _geometry(pictures):
    """Of the planar convolution."""
    return Geometry(pictures.shape[1:3], (winograd.TAPS,) * 2, (1, 1), (0, 0), (1, 1), 1)


def _in_one_piece(x):
    """x (N, …, C), copied if it is not."""
    if x.flags.c_contiguous:
        return x
    whole = empty(x.shape, x.dtype)
    copy(x, whole)
    return whole
