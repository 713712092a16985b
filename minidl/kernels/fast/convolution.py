"""The trilinear form of convolution, and its three contractions, for arrays of any device.

    T(x, w, u) = Σ  x[n, s·p + d·k − pad, c] · w[k, c, o] · u[n, p, o]        over n, p, k, c, o

x (N, *S, C) is the input, w (*K, C/groups, O) the filters, u (N, *P, O) the result's space; p and k run over places and
over the filter, s is the stride, d the dilation.  Leaving one factor out and summing over its partners gives

    conv         y[n, p, o]  from x and w
    conv_input   x̄[n, i, c]  from u and w
    conv_weight  w̄[k, c, o]  from x and u

Each is a matrix product with `columns`, the matrix whose row p is what the filter sees at place p.  It would be K times
larger than x, so it is gathered a strip at a time, into a workspace that stays in the cache.

What a contraction costs beside its K·C·O multiplications a place is what it moves, and that decides how it is done.
Measured, moving an element costs as much as some 10 multiplications inside a matrix product (30 with three channels):

    gather, then multiply   moves K·C   the rule                                                    `_correlate`
                                  K·C/K₁ where rows of the filter overlap, with few outputs         columns.py, `row_pays`
    multiply, then add up         2·K·O where there are far fewer outputs than channels             fold.py
                                  2·K·C in conv_input with strides, as its taps are scattered;
                                        and for few places, where turning all filters is more work
    Winograd                            3×3, stride 1: a quarter of the multiplications             winograd.py, `choose`
                                        the same with a copy: 3×3×3, and taps that lie apart        planar.py, `pays`
    each channel on its own             groups = channels: sums of shifted products                 depthwise.py
"""
import math

import numpy as np

from minidl import backend
from minidl.kernels.algorithm import algorithm
from minidl.kernels.fast import depthwise, planar, winograd
from minidl.kernels.fast.channels import add_up, add_up_here, shift
from minidl.kernels.fast.columns import (
    BUDGET,
    by_row,
    by_tap,
    columns,
    in_strips,
    row_pays,
    strips_of_columns,
    takes_ones,
    tap_pays,
)
from minidl.kernels.fast.fold import fold
from minidl.kernels.fast.product import by_panels, in_panels, multiply, panels_pay
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import lines, windows
from minidl.kernels.geometry import Geometry
from minidl.parallel.memory import empty
from minidl.parallel.threads import deal, share, workspace

NARROW = 8          # times as many inputs as outputs
FEW_OUTPUTS = 8     # and in two dimensions fewer outputs than that: measured
FEW_PLACES = 128    # below which turning the filters around would be most of the work


def _winograd(pictures, other, sizes, channels, g):
    """The form of Winograd's algorithm that contracts these arrays, or None.  sizes of the result; channels in and out."""
    chosen = algorithm()
    if chosen in ("auto", "winograd") and winograd.applies(pictures, other, g):
        return winograd.choose((len(pictures), *sizes), channels, backend.of(pictures), wherever=chosen == "winograd")
    return None


def _planar(volumes, other, channels, g):
    """Whether these arrays are contracted as pictures, by Winograd's algorithm."""
    chosen = algorithm()
    return (chosen in ("auto", "winograd") and planar.applies(volumes, other, g)
            and (chosen == "winograd" or planar.pays(len(volumes), channels, g)))


def _narrow(channels, g, xp):
    """Whether there are so many fewer channels afterwards that it is better to multiply first."""
    before, after = channels
    return (NARROW * after <= before and (after < FEW_OUTPUTS or len(g.kernel) != 2) and math.prod(g.kernel) > 1
            and g.groups == 1 and set(g.stride) == {1} and in_strips(xp))


def conv(x, w, b, g, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] w[k, c, o] + b[o];  g: the Geometry, b (O,) or None.

    rectified: max(y, 0) instead.
    """
    channels = w.shape[-2:]
    if depthwise.applies(x, w.shape, g):
        return depthwise.conv(x, w, b, g, rectified)
    if form := _winograd(x, w, g.output, channels, g):
        return winograd.conv(x, w, b, g, form, rectified)
    if _planar(x, w, channels, g):
        return planar.conv(x, w, b, g, rectified)
    if _narrow(channels, g, backend.of(x)):
        return fold(x, _turned(w, g), b, _around(g), rectified)
    return _correlate(x, w, b, g, rectified)


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] w[k, c, o] over all p, k, o with s·p + d·k − pad = i"""
    xp, channels = backend.of(u), w.shape[:-3:-1]               # (O, C)
    if depthwise.applies(u, w.shape, g):
        return depthwise.conv_input(u, w, g)
    if form := _winograd(u, w, g.sizes, channels, g):
        return winograd.conv_input(u, w, g, form)
    if set(g.stride) != {1}:
        return fold(u, w, None, g)
    if _planar(u, w, channels, _around(g)):
        return planar.conv(u, _turned(w, g), None, _around(g))
    if u[..., 0].size < FEW_PLACES and xp is backend.CPU.module or _narrow(channels, g, xp):
        return fold(u, w, None, g)
    return _correlate(u, _turned(w, g), None, _around(g))


def _turned(w, g):
    """For stride 1 conv_input is a convolution and conv a conv_input, with these filters (*K, O/groups, C), whose taps come
    in reverse order; for one group a view."""
    xp, channels, outputs = backend.of(w), w.shape[-2], w.shape[-1] // g.groups
    split = w.reshape(*g.kernel, channels, g.groups, outputs)
    turned = xp.flip(xp.swapaxes(split, -1, -3), tuple(range(len(g.kernel))))
    return turned.reshape(*g.kernel, outputs, g.groups * channels)


def _around(g):
    """The Geometry with which the filters of `_turned` convolve, for stride 1: on each side as much padding as a filter
    reaches further than the given one."""
    padding = tuple(d * (k - 1) - p for d, k, p in zip(g.dilation, g.kernel, g.padding))
    return Geometry(g.output, g.kernel, g.stride, padding, g.dilation, g.groups)


def conv_weight(x, u, g, bias=False):
    """w̄[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] u[n, p, o]

    bias: the pair of it and  b̄[o] = Σ_{n, p} u[n, p, o],  which is like one tap more, whose input is 1 everywhere.
    """
    channels, outputs = x.shape[-1], u.shape[-1]
    if depthwise.applies(x, (channels // g.groups, outputs), g):
        w = depthwise.conv_weight(x, u, g)
    elif _winograd(u, x, g.output, (channels, outputs), g) is winograd.F4:              # the sum over few places is no work
        w = winograd.conv_weight(x, u, g)
    elif _planar(x, u, (channels, outputs), g):
        w = planar.conv_weight(x, u, g)
    else:
        ones, taps = bias and g.groups == 1, math.prod(g.kernel) * channels // g.groups
        summed = _add_up_strips(x, u, g, taps, ones)                        # (G, K·C/G, O/G) → (*K, C/G, O)
        w = summed[:, :taps].swapaxes(0, 1).reshape(*g.kernel, channels // g.groups, outputs)
        if ones:
            return w, summed[0, taps].copy()        # that keeps nothing of w̄ alive
    return (w, add_up(u)) if bias else w


def _add_up_strips(x, u, g, taps, ones):
    """w̄ (G, K·C/G, O/G), taps = K·C/G;  ones: of one group, with b̄ as a further row."""
    xp, (rows, *others), outputs = backend.of(x), g.output, u.shape[-1] // g.groups
    shape = g.groups, taps + ones, outputs
    size, per_row = math.prod(shape) * x.itemsize, math.prod(others) * taps * g.groups * x.itemsize
    tapwise = in_strips(xp) and tap_pays(g.kernel, g.stride, taps, outputs, rows * math.prod(others))
    as_tap = ones and not tapwise and takes_ones(g.kernel, x.shape[-1], xp)

    def total(mine):
        sum_of_mine = empty(shape, x.dtype, xp)
        for i, (images, rows) in enumerate(mine):
            product = workspace(xp, "product", shape, x.dtype) if i else sum_of_mine
            seen = lines(x, images, _reach(rows, g.stride, g.kernel, g.dilation), [(p, p) for p in g.padding])
            of_strip = u[images, rows]
            if tapwise:
                _weight_by_tap(seen, of_strip, g, product[:, :taps])
            else:
                _weight_by_columns(seen, of_strip, g, as_tap, product[:, :taps + as_tap])
            if ones and not as_tap:
                product[0, taps] = add_up_here(of_strip)
            if i:
                sum_of_mine += product
        return sum_of_mine

    budget = BUDGET * (g.kernel[0] if tapwise else 1) + 4 * size        # a strip is large beside what it is summed up into
    todo, threads = strips_of_columns(len(x), rows, per_row, xp, budget)
    dealt = deal(todo, xp, each=3 if size < 2 ** 18 else 1)        # finer, for who is free, where a sum takes little memory
    summed, *others = share(total, dealt, xp, threads) if todo else [xp.zeros(shape, x.dtype)]
    for other in others:
        summed += other
    return summed


def _weight_by_columns(seen, u, g, as_tap, w):
    """w (G, K·C/G, O/G) of a strip u (n, *P, O), from the lines that it sees, by `columns`."""
    matrices = columns(windows(seen, g.kernel, g.stride, g.dilation), g.groups, as_tap)
    multiply(matrices.swapaxes(1, 2), u.reshape(-1, g.groups, w.shape[-1]).swapaxes(0, 1), w)


def _weight_by_tap(seen, u, g, w):
    """The same by `by_tap`, whose matrices give the rows of w that belong to one row of taps, for each image."""
    matrices = by_tap(seen, g.kernel, g.stride, g.dilation, g.groups)                       # (K₁, G, n, K₂·C/G, P₁·P₂)
    places = u.reshape(len(u), -1, g.groups, w.shape[-1]).transpose(2, 0, 1, 3)             # (G, n, P₁·P₂, O/G)
    parts = workspace(np, "parts of images", matrices.shape[:-1] + w.shape[-1:], w.dtype)
    multiply(matrices, places, parts)
    np.add.reduce(parts, axis=2, out=w.reshape(g.groups, g.kernel[0], -1, w.shape[-1]).swapaxes(0, 1))


def _reach(rows, stride, kernel, dilation):
    """The rows of the padded input that rows of the result look at."""
    return slice(stride[0] * rows.start, stride[0] * (rows.stop - 1) + dilation[0] * (kernel[0] - 1) + 1)


def _correlate(x, w, b, g, rectified=False):
    """The convolution; negative padding cuts off."""
    xp, taps, outputs, (rows, *others) = backend.of(x), math.prod(w.shape[:-1]), w.shape[-1], g.output
    y = empty((len(x), *g.output, outputs), x.dtype, xp)
    rowwise = (in_strips(xp) and g.dilation[0] == 1
               and row_pays(g.kernel, g.stride, taps, outputs // g.groups, len(x) * math.prod(others)))
    fill = (_by_row if rowwise else _by_columns)(w, b, g, y[..., 0].size)
    per_row = math.prod(others) * taps * g.groups * x.itemsize
    budget = BUDGET * (g.kernel[0] if rowwise else 1) + w.nbytes // 4       # large filters are read again for each strip
    todo, threads = strips_of_columns(len(x), rows, per_row, xp, budget)

    def work(strip):
        images, rows = strip
        seen = lines(x, images, _reach(rows, g.stride, g.kernel, g.dilation), [(p, p) for p in g.padding])
        fill(seen, y[strip])
        if rectified:
            rectify(y[strip], out=y[strip])

    share(work, todo, xp, threads)
    return y


def _by_columns(w, b, g, places):
    """fill(seen, y): a strip y (n, *P, O) of the convolution from the lines that it sees, by `columns`."""
    xp, outputs = backend.of(w), w.shape[-1]
    as_tap = b is not None and g.groups == 1 and takes_ones(g.kernel, w.shape[-2], xp)
    w = w.reshape(-1, outputs)
    if as_tap:
        w, b = xp.concatenate([w, b[None]]), None
    filters, contract = _right_factor(w, g.groups, places)

    def fill(seen, y):
        matrices = columns(windows(seen, g.kernel, g.stride, g.dilation), g.groups, as_tap)
        contract(matrices, filters, y.reshape(-1, g.groups, outputs // g.groups).swapaxes(0, 1))
        if b is not None:
            shift(y, b)
    return fill


def _by_row(w, b, g, places):
    """The same by `by_row`, whose matrices give one row of places each, of all images."""
    outputs = w.shape[-1]
    filters, contract = _right_factor(w.reshape(-1, outputs), g.groups, places)
    of_row = 0 if b is None else np.tile(b, math.prod(g.output[1:]))

    def fill(seen, y):
        n, rows, *_ = y.shape
        by_rows = y.swapaxes(0, 1)                                              # (P₁, n, *P₂, O)
        product = by_rows if n == 1 else workspace(np, "product", by_rows.shape, y.dtype)
        matrices = by_row(seen, g.kernel, g.stride, g.dilation, g.groups)       # (P₁, groups, n·P₂, K·C/groups)
        parts = product.reshape(rows, -1, g.groups, outputs // g.groups).swapaxes(1, 2)
        if g.groups == 1:
            matrices, parts = matrices[:, 0], parts[:, 0]
        contract(matrices, filters, parts)
        if n > 1 or b is not None:
            np.add(product.reshape(rows, n, -1), of_row, out=by_rows.reshape(rows, n, -1))
    return fill


def _right_factor(w, groups, places):
    """w (K·C/groups, O) for so many places to meet it: (groups, K·C/groups, O/groups) or panels; and the product with it."""
    taps, outputs = w.shape
    if groups == 1 and in_strips(backend.of(w)) and panels_pay(places, taps):
        return in_panels(w.reshape(1, taps, outputs)), by_panels
    return w.reshape(taps, groups, outputs // groups).swapaxes(0, 1), multiply
