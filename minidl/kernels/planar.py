"""Convolutions that become planar ones, with 3×3 taps side by side, which Winograd's algorithm serves.

In three dimensions, what the filter sees along the first axis is taken for more channels:

    x'[(n, p), i, j, (k, c)] = x[n, s·p + d·k − pad, i, j, c]        w'[l, m, (k, c), o] = w[k, l, m, c, o]

A filter whose taps lie d apart stays on a grid of places d apart.  Each of the d² grids is a picture:

    x'[(n, r, r'), q, q', c] = x[n, d·q + r − pad, d·q' + r' − pad, c]        and u and y likewise, without padding

With both, T(x, w, u) = T(x', w', u').  So conv and conv_weight are those of x', w' and u', and so is conv_input with
strides of 1, which is a conv.  It costs a copy of x, with K₁ times the channels, and where there are grids, of u or y.
"""
import math

import numpy as np

from minidl.kernels import winograd
from minidl.kernels.geometry import Geometry, move, pad, windows
from minidl.kernels.memory import empty
from minidl.kernels.workers import everywhere

GAIN = 1.7              # times fewer multiplications that are worth the copies
MANY = 16               # tiles for which it is worth transforming the filters
MOST = 2 ** 28          # bytes of x' that are worth what is gained


def applies(first, second, g):
    """Whether two arrays can be contracted so."""
    return (type(first) is np.ndarray and first.dtype == second.dtype == np.float32 and len(first) > 0
            and g.kernel[-2:] == (winograd.TAPS,) * 2 and g.stride[-2:] == (1, 1) and g.groups == 1 and min(g.padding) >= 0)


def pays(images, channels, g):
    """Whether it is faster than the direct product, for so many channels in and out.

    That takes |K|·C·O multiplications a place; Winograd's algorithm takes, for a tile of 4×4 places, 36·|K₁|·C·O and for its
    transforms 36²·|K₁|·C + 36·16·O.
    """
    form, slices = winograd.F4, images * math.prod(g.output[:-2])
    seen, outputs = channels[0] * math.prod(g.kernel[:-2]), channels[1]
    tiles = slices * math.prod(step * -(-n // (step * form.tile)) for step, n in zip(g.dilation[-2:], g.output[-2:]))
    direct = math.prod(g.kernel + channels) * slices * math.prod(g.output[-2:])
    fewer = tiles * form.side ** 2 * (seen * outputs + form.side ** 2 * seen + form.tile ** 2 * outputs)
    bytes_of_x = 4 * slices * math.prod(g.sizes[-2:]) * seen
    return direct >= GAIN * fewer and tiles >= MANY and bytes_of_x <= MOST


def conv(x, w, b, g, rectified=False):
    """y (N, *P, O) from x (N, *S, C), w (*K, C, O) and b (O,) or None; rectified: its positive part."""
    seen, lead, (d, e) = _seen(x, g), len(g.kernel) - 2, g.dilation[-2:]
    y = winograd.conv(seen, filters(w), b, _geometry(seen), winograd.F4, rectified)
    rows, columns = y.shape[1:3]
    y = y.reshape(len(x), *g.output[:lead], d, e, rows, columns, -1)
    if (d, e) != (1, 1):
        y = _in_one_piece(np.moveaxis(y, (lead + 1, lead + 2), (lead + 2, lead + 4)))
    y = y.reshape(*y.shape[:lead + 1], rows * d, columns * e, -1)
    return y[(slice(None),) * (lead + 1) + tuple(map(slice, g.output[lead:]))]


def conv_weight(x, u, g):
    """w̄ (*K, C, O) from x (N, *S, C) and u (N, *P, O)."""
    seen, lead, steps = _seen(x, g), len(g.kernel) - 2, g.dilation[-2:]
    flat = _geometry(seen)
    widths = [(0, d * n - places) for d, n, places in zip(steps, flat.output, g.output[lead:])]
    pictures = _pictures(pad(u, [(0, 0)] * lead + widths), steps, lead + 1)
    w = winograd.conv_weight(seen, pictures, flat).reshape(*flat.kernel, *g.kernel[:lead], x.shape[-1], -1)
    return np.moveaxis(w, (0, 1), (lead, lead + 1))


@winograd.once
def filters(w):
    """w (*K₁, 3, 3, C, O) as w' (3, 3, |K₁|·C, O), a copy: it must not keep w alive."""
    lead = w.ndim - 4
    return np.array(np.moveaxis(w, (lead, lead + 1), (0, 1)).reshape(*w.shape[lead:lead + 2], -1, w.shape[-1]))


def _seen(x, g):
    """x (N, *S, C) as x' (N·|P₁|·d·d', Q, Q', |K₁|·C), with zeros around it."""
    lead = len(g.kernel) - 2
    widths = [(p, p) for p in g.padding[:lead]]
    widths += [(p, p + -(n + 2 * p) % d) for n, p, d in zip(g.sizes[lead:], g.padding[lead:], g.dilation[lead:])]
    view = windows(pad(x, widths), g.kernel[:lead] + (1, 1), g.stride, g.dilation[:lead] + (1, 1))
    return _pictures(view.reshape(*view.shape[:lead + 3], *g.kernel[:lead], x.shape[-1]), g.dilation[lead:], lead + 1)


def _pictures(x, steps, axis):
    """x (N, *P₁, d·Q, d'·Q', …), whose rows are that axis, as (N·|P₁|·d·d', Q, Q', …), the last axes as one."""
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
    copy = empty(x.shape, x.dtype)
    everywhere(lambda strip: move(x[strip], copy[strip]), copy)
    return copy
