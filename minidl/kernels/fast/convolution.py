"""The three contractions of convolution (see plain.py), sooner, for arrays of any device.

Besides its K·C·O multiplications a position, a contraction costs memory traffic: to move an element
takes as long as some 10 multiplications inside a matrix product.  That decides how it is done:

    im2col      gather what the filter sees, then multiply: moves K·C       `_correlate`, columns.py
    col2im      multiply, then add up: moves 2·K·O, where few channels come out     fold.py
    Winograd    3×3, stride 1: a quarter of the multiplications                     winograd.py
                3×3×3, and taps that lie apart: the same with a copy                planar.py
    depthwise   groups = channels: no product of matrices, but sums of shifted ones depthwise.py

With strides, x̄[i] of conv_input meets only the taps k with d·k ≡ i + pad (mod s).  So there is one
convolution of stride 1 for each remainder on each axis, and their results are interleaved in x̄; on
the CPU with few channels it is col2im.
"""
import itertools
import math

import numpy as np

from minidl import backend
from minidl.kernels.algorithm import algorithm
from minidl.kernels.fast import depthwise, planar, winograd
from minidl.kernels.fast.channels import add_up, shift
from minidl.kernels.fast.columns import BUDGET, GATHERED, SHORT, columns, short
from minidl.kernels.fast.fold import fold
from minidl.kernels.fast.product import multiply
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import copy, seen, windows
from minidl.kernels.geometry import Geometry
from minidl.parallel.memory import empty
from minidl.parallel.threads import in_strips, strips, sum_over, threads_for, workspace

FEW_OUTPUTS = 8     # col2im if O < 8 and C ≥ 8·O
OVERLAP = 32        # outputs up to which adding up over the first axis costs less than gathering


def _winograd(pictures, other, sizes, channels, g):
    """The form of Winograd's algorithm that contracts these arrays, or None.

    sizes of the result; channels in and out.
    """
    chosen = algorithm()
    if chosen in ("auto", "winograd") and winograd.applies(pictures, other, g):
        places, xp = (len(pictures), *sizes), backend.of(pictures)
        return winograd.choose(places, channels, xp, wherever=chosen == "winograd")
    return None


def _planar(volumes, other, channels, g):
    """Whether these arrays are contracted as pictures, by Winograd's algorithm."""
    chosen = algorithm()
    return (chosen in ("auto", "winograd") and planar.applies(volumes, other, g)
            and (chosen == "winograd" or planar.pays(len(volumes), channels, g)))


def _narrow(channels, g, xp):
    """Whether so few channels come out, for g with strides of 1, that col2im is sooner."""
    before, after = channels
    return (after < FEW_OUTPUTS <= before / after and math.prod(g.kernel) > 1 and g.groups == 1
            and set(g.stride) == {1} and min(g.padding) >= 0 and xp is np)


def conv(x, w, b, g, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] w[k, c, o] + b[o];  b (O,) or None.

    rectified: max(y, 0) instead.
    """
    channels = w.shape[-2:]
    if form := _winograd(x, w, g.output, channels, g):
        return winograd.conv(x, w, b, g, form, rectified)
    if _planar(x, w, channels, g):
        return planar.conv(x, w, b, g, rectified)
    if _narrow(channels, _around(g), backend.of(x)):
        return fold(x, _flipped(w, g), b, _around(g), rectified)
    return _correlate(x, w, b, g, rectified=rectified)


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] w[k, c, o] over all p, k, o with s·p + d·k − pad = i"""
    xp, channels = backend.of(u), w.shape[:-3:-1]               # (O, C)
    if form := _winograd(u, w, g.sizes, channels, g):
        return winograd.conv_input(u, w, g, form)
    if set(g.stride) != {1}:
        few = w.shape[-2] < SHORT and not depthwise.applies(u, w.shape, g)
        return fold(u, w, None, g) if xp is np and few else _by_remainders(u, w, g)
    if _planar(u, w, channels, _around(g)):
        return planar.conv(u, _flipped(w, g), None, _around(g))
    if _narrow(channels, g, xp):
        return fold(u, w, None, g)
    return _correlate(u, _flipped(w, g), None, _around(g))


def _flipped(w, g):
    """The filters (*K, O/groups, C) with which conv_input of stride 1 is a convolution.

    Their taps come in reverse order; for one group it is a view.
    """
    xp, channels, outputs = backend.of(w), w.shape[-2], w.shape[-1] // g.groups
    split = w.reshape(*w.shape[:-1], g.groups, outputs)
    turned = xp.flip(xp.swapaxes(split, -1, -3), tuple(range(len(g.kernel))))
    return turned.reshape(*w.shape[:-2], outputs, g.groups * channels)


def _around(g):
    """The Geometry of that convolution: as much padding as a filter reaches over the given one."""
    padding = tuple(d * (k - 1) - p for d, k, p in zip(g.dilation, g.kernel, g.padding))
    return Geometry(g.output, g.kernel, g.stride, padding, g.dilation, g.groups)


def _by_remainders(u, w, g):
    """conv_input with strides.  With  d·k = s·j + r,  where r is the remainder,

        x̄[n, s·q + r − pad, c] = Σ u[n, q − j, o] w[k, c, o]        over the taps k of remainder r

    is a convolution of stride 1, for each r, with those taps in reverse order.
    """
    x = empty((len(u), *g.sizes, w.shape[-2] * g.groups), u.dtype, backend.of(u))
    axes = map(_remainders, g.kernel, g.stride, g.padding, g.dilation)
    for each in itertools.product(*axes):
        taps, at, padding, dilation = zip(*each)
        part, target = w[taps], x[(slice(None), *at)]
        if 0 in part.shape:
            target[...] = 0
        if 0 not in part.shape + target.shape:
            flat = Geometry(u.shape[1:-1], part.shape[:-2], (1,) * len(at), padding, dilation,
                            g.groups)
            y = _correlate(u, _flipped(part, g), None, flat, output=target.shape[1:-1])
            copy(y, target)
    return x


def _remainders(kernel, stride, padding, dilation):
    """For each r along one axis: its taps and its places in x̄, and the padding and dilation."""
    for r in range(stride):
        taps = [k for k in range(kernel) if dilation * k % stride == r]
        first = -((r - padding) // stride)                      # the least q
        at = slice(stride * first + r - padding, None, stride)
        step = math.gcd(stride, dilation)
        if taps:
            reach = dilation // step * (len(taps) - 1) + dilation * taps[0] // stride
            yield slice(taps[0], None, stride // step), at, reach - first, dilation // step
        else:
            yield slice(0), at, 0, 1


def conv_weight(x, u, g, bias=False):
    """w̄[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] u[n, p, o]

    bias: the pair of it and  b̄[o] = Σ_{n, p} u[n, p, o].  Where columns of x are gathered along
    the places, that is like one tap more, whose input is 1 everywhere.
    """
    channels = x.shape[-1], u.shape[-1]
    if _winograd(u, x, g.output, channels, g) is winograd.F4:   # the sum over few places is no work
        w = winograd.conv_weight(x, u, g)
    elif _planar(x, u, channels, g):
        w = planar.conv_weight(x, u, g)
    elif depthwise.applies(x, (channels[0] // g.groups, channels[1]), g):
        w = depthwise.conv_weight(x, u, g)
    else:
        w, b = _by_columns(x, u, g, bias)
        if b is not None:
            return w, b
    return (w, add_up(u)) if bias else w


def _by_columns(x, u, g, bias):
    """w̄, and b̄ or None."""
    xp, groups, (rows, *others) = backend.of(x), g.groups, g.output
    channels, outputs = x.shape[-1] // groups, u.shape[-1] // groups
    ones = bias and groups == 1 and short(g.kernel, channels, xp)
    taps = math.prod(g.kernel) * channels
    shape = groups, taps + ones, outputs

    def add(strip, product):
        places = seen(x, strip, g, g.output)
        if _overlapping(g, channels, outputs, xp):
            for k, rows in enumerate(_rows(places, g)):
                rows = rows.swapaxes(1, 2)
                parts = workspace(np, "parts", (*rows.shape[:2], outputs), x.dtype)
                np.matmul(rows, u[strip].reshape(len(rows), -1, outputs), out=parts)
                np.add.reduce(parts, out=product[0].reshape(g.kernel[0], -1, outputs)[k])
            return
        matrices = columns(windows(places, g.kernel, g.stride, g.dilation), groups, ones)
        of_strip = u[strip].reshape(-1, groups, outputs).swapaxes(0, 1)
        multiply(matrices.swapaxes(1, 2), of_strip, product)

    size, per_row = math.prod(shape) * x.itemsize, math.prod(others) * taps * groups * x.itemsize
    threads = threads_for(GATHERED * len(x) * rows * per_row)
    if _overlapping(g, channels, outputs, xp):
        per_row //= g.kernel[0]
    todo = strips(len(x), rows, per_row, xp, BUDGET + 4 * size, threads)    # beside what is summed
    found = sum_over(add, todo, shape, x.dtype, xp, threads)
    w = found[:, :taps].swapaxes(0, 1).reshape(*g.kernel, channels, groups * outputs)
    return w, found[0, taps].copy() if ones else None           # that keeps nothing of w̄ alive


def _overlapping(g, channels, outputs, xp):
    """Whether to gather along all axes but the first, whose taps see the same in other rows."""
    return (xp is np and g.groups == 1 and len(g.kernel) > 1 and g.kernel[0] > 2
            and g.stride[0] == 1 and outputs <= OVERLAP and not short(g.kernel, channels, xp))


def _rows(places, g):
    """For each tap along the first axis the columns of the others: (n, P₁·P₂, K₂·C)."""
    view = windows(places, (1, *g.kernel[1:]), g.stride, (1, *g.dilation[1:]))
    n, rows, *others = view.shape[:len(g.kernel) + 1]
    matrices = columns(view, 1).reshape(n, rows * math.prod(others), -1)
    reach, step = g.dilation[0] * (g.kernel[0] - 1), g.dilation[0] * math.prod(others)
    for k in range(g.kernel[0]):
        yield matrices[:, k * step:k * step + (rows - reach) * math.prod(others)]


def _correlate(x, w, b, g, rectified=False, output=None):
    """The convolution at so many places, by columns or channel by channel.

    Negative padding cuts off.
    """
    xp, groups, outputs, output = backend.of(x), g.groups, w.shape[-1], output or g.output
    if depthwise.applies(x, w.shape, g):
        return depthwise.conv(x, w, b, g, rectified, output)
    channels, each = w.shape[-2], outputs // groups
    y = empty((len(x), *output, outputs), x.dtype, xp)
    per_row = math.prod(output[1:]) * math.prod(w.shape[:-1]) * groups * x.itemsize
    budget = BUDGET + w.nbytes // 4                     # large filters are read for each strip
    ones = b is not None and groups == 1 and short(g.kernel, channels, xp)
    w = w.reshape(-1, outputs)
    if ones:
        w, b = xp.concatenate([w, b[None]]), None
    filters = w.reshape(len(w), groups, each).swapaxes(0, 1)
    overlapping = _overlapping(g, channels, outputs, xp)
    if overlapping:
        per_row //= g.kernel[0]                         # as many rows more in a strip

    def fill(strip):
        places, out = seen(x, strip, g, output), y[strip]
        if overlapping:
            flat = out.reshape(len(out), -1, outputs)
            product = workspace(np, "product", flat.shape, flat.dtype)
            for k, rows in enumerate(_rows(places, g)):
                tap = filters[0].reshape(g.kernel[0], -1, outputs)[k]
                multiply(rows, tap, product if k else flat)
                if k:
                    flat += product
        else:
            matrices = columns(windows(places, g.kernel, g.stride, g.dilation), groups, ones)
            multiply(matrices, filters, out.reshape(-1, groups, each).swapaxes(0, 1))
        if b is not None:
            shift(out, b)
        if rectified:
            rectify(out, out=out)

    in_strips(fill, len(x), output[0], per_row, xp, budget, GATHERED)
    return y
