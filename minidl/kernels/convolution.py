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
                                  K·C/K₁ where rows of the filter overlap, with few outputs         columns.py, `pays`
    multiply, then shift          2·K·O where there are far fewer outputs than channels             `_narrow`
    multiply, then add up         2·K·C conv_input with strides, whose taps are scattered,          `_fold`
                                        and for a few places, where turning all filters is more
    Winograd                            3×3, stride 1: a quarter of the multiplications             winograd.py, `choose`
"""
from itertools import product
import math
import os

from minidl import backend
from minidl.kernels import winograd
from minidl.kernels.channels import shift
from minidl.kernels.columns import by_row, by_tap, columns, pays
from minidl.kernels.geometry import lines, output_size, windows
from minidl.kernels.memory import empty
from minidl.kernels.product import multiply
from minidl.kernels.selection import rectify
from minidl.kernels.workers import deal, hands, share, strips, workspace

NARROW = 4      # times as many inputs as outputs
BUDGET = 2 ** 21        # bytes of a strip's columns
FEW = 128       # places, below which turning the filters around would be most of the work

ALGORITHMS = ("auto", "plain", "strips", "winograd")


def algorithm():
    """MINIDL_CONV, which makes algorithms comparable on the CPU:

    plain       the whole matrix of columns, then one product, on one thread
    strips      a strip at a time on all threads; to few channels, the products are shifted instead (`_narrow`)
    winograd    wherever it applies, else strips
    auto        (default) winograd where it pays, else strips
    """
    chosen = os.environ.get("MINIDL_CONV", "auto")
    if chosen not in ALGORITHMS:
        raise ValueError(f"MINIDL_CONV must be one of {', '.join(ALGORITHMS)}, got {chosen!r}")
    return chosen


def _winograd(first, second, channels, g):
    """The form of Winograd's algorithm that contracts these arrays, or None."""
    chosen = algorithm()
    if chosen in ("auto", "winograd") and winograd.applies(first, second, g):
        return winograd.choose(first, channels, wherever=chosen == "winograd")
    return None


def _by_hand(xp):
    """Whether columns need not all be gathered: on the CPU, unless the whole matrix is asked for."""
    return xp is backend.CPU.module and algorithm() != "plain"


def _strips(images, rows, per_row, xp, budget=BUDGET):
    """(strips, threads) for columns of so many bytes a row: to multiply them takes three times as long as to gather them."""
    if xp is backend.CPU.module and algorithm() == "plain":
        return [(slice(0, images), slice(0, rows))], 1
    threads = hands(4 * images * rows * per_row)
    return strips(images, rows, per_row, xp, budget, threads), threads


def conv(x, w, b, g, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] w[k, c, o] + b[o];  g: the Geometry, b (O,) or None.

    rectified: max(y, 0) instead.
    """
    if form := _winograd(x, w, w.shape[-2:], g):
        return winograd.conv(x, w, b, g, form, rectified)
    return _correlate(x, w, b, [(p, p) for p in g.padding], g.stride, g.dilation, g.groups, rectified)


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] w[k, c, o] over all p, k, o with s·p + d·k − pad = i.

    For stride 1 it is a convolution too, the "full" one of u with the taps in reverse order.
    """
    if form := _winograd(u, w, w.shape[-2:], g):
        return winograd.conv_input(u, w, g, form)
    if set(g.stride) != {1} or u[..., 0].size < FEW and backend.of(u) is backend.CPU.module:
        return _fold(u, w, g)
    reach = [d * (k - 1) for d, k in zip(g.dilation, g.kernel)]
    widths = [(r - p, r - p) for r, p in zip(reach, g.padding)]
    return _correlate(u, _transposed(w, g.groups), None, widths, g.stride, g.dilation, g.groups)


def _fold(u, w, g):
    """conv_input as it stands: all products z[k, p, c] = Σ_o u[p, o] w[k, c, o], each added where its tap reaches.

    Strips are of rows of the result; the places from which a tap reaches them are a few more than belong to them alone.
    """
    xp, taps = backend.of(u), math.prod(g.kernel)
    channels, outputs = w.shape[-2], w.shape[-1] // g.groups
    filters = w.reshape(taps, channels, g.groups, outputs).transpose(0, 2, 3, 1)              # (K, G, O/G, C/G)
    reach = [d * (k - 1) + 1 for d, k in zip(g.dilation, g.kernel)]
    sizes = [max(n + 2 * p, s * (m - 1) + r) for n, p, s, m, r in zip(g.sizes, g.padding, g.stride, g.output, reach)]
    y = empty(u.shape[:1] + g.sizes + (g.groups, channels), u.dtype, xp)
    inside = tuple(slice(p, p + n) for p, n in zip(g.padding[1:], g.sizes[1:]))

    def fill(strip):
        images, rows = strip
        start, stop = rows.start + g.padding[0], rows.stop + g.padding[0]                       # among the padded rows
        first, last = max(0, -(-(start - reach[0] + 1) // g.stride[0])), min(g.output[0], (stop - 1) // g.stride[0] + 1)
        places = u[images, first:max(first, last)]
        z = workspace(xp, "columns", (taps, g.groups, places[..., 0].size, channels), u.dtype)
        multiply(places.reshape(-1, g.groups, outputs).transpose(1, 0, 2), filters, z)
        z = z.reshape(g.kernel + (g.groups,) + places.shape[:-1] + (channels,))
        top = min(start, g.stride[0] * first)
        end = max(stop, g.stride[0] * (first + places.shape[1] - 1) + reach[0])
        total = workspace(xp, "product", (len(places), end - top, *sizes[1:], g.groups, channels), u.dtype)
        total[...] = 0
        for tap in product(*map(range, g.kernel)):
            corner = [g.stride[0] * first - top] + [0] * len(inside)
            reached = tuple(slice(c + d * k, c + d * k + s * (m - 1) + 1, s) for c, d, k, s, m in
                            zip(corner, g.dilation, tap, g.stride, places.shape[1:-1]))
            part = total[(slice(None),) + reached]
            part += xp.moveaxis(z[tap], 0, -2)
        y[images, rows] = total[(slice(None), slice(start - top, stop - top)) + inside]

    per_row = math.prod(g.output) * taps * channels * g.groups * u.dtype.itemsize // g.sizes[0]
    todo, threads = _strips(len(u), g.sizes[0], per_row, xp, budget=2 ** 22)
    share(fill, todo, xp, threads)
    return y.reshape(u.shape[:1] + g.sizes + (g.groups * channels,))


def _transposed(w, groups):
    """(*K, C/groups, O) → (*K, O/groups, C): the filter of the adjoint, taps in reverse order."""
    xp, spatial = backend.of(w), w.ndim - 2
    split = w.reshape(w.shape[:-1] + (groups, w.shape[-1] // groups))
    turned = xp.flip(xp.swapaxes(split, -1, -3), tuple(range(spatial)))
    return turned.reshape(w.shape[:-2] + (w.shape[-1] // groups, groups * w.shape[-2]))


def conv_weight(x, u, g):
    """w̄[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] u[n, p, o]"""
    if _winograd(u, x, (x.shape[-1], u.shape[-1]), g) is winograd.F4:       # the sum over few places is no work
        return winograd.conv_weight(x, u, g)
    xp, (rows, *others), widths = backend.of(x), g.output, [(p, p) for p in g.padding]
    taps = math.prod(g.kernel) * x.shape[-1]
    shape = g.groups, taps // g.groups, u.shape[-1] // g.groups
    size, per_row = math.prod(shape) * x.itemsize, math.prod(others) * taps * x.itemsize
    tapwise = _by_hand(xp) and g.stride[0] == 1 and pays(g.kernel, g.stride, shape[1], shape[2], rows * math.prod(others))
    todo, threads = _strips(len(x), rows, per_row, xp, BUDGET * (g.kernel[0] if tapwise else 1) + 4 * size)

    def add(seen, u, product):
        matrices = columns(windows(seen, g.kernel, g.stride, g.dilation), g.groups)
        multiply(matrices.swapaxes(1, 2), u.reshape(-1, g.groups, shape[2]).swapaxes(0, 1), product)

    def add_by_tap(seen, u, product):
        matrices = by_tap(seen, g.kernel, g.stride, g.dilation, g.groups)                   # (K₁, G, n, K₂·C/G, P₁·P₂)
        places = u.reshape(len(u), -1, g.groups, shape[2]).transpose(2, 0, 1, 3)                # (G, n, P₁·P₂, O/G)
        parts = multiply(matrices, places, workspace(xp, "parts of images", matrices.shape[:-1] + shape[2:], x.dtype))
        xp.add.reduce(parts, axis=2, out=product.reshape(g.groups, g.kernel[0], -1, shape[2]).swapaxes(0, 1))

    def total(mine):
        partial = empty(shape, x.dtype, xp)
        for i, strip in enumerate(mine):
            product = workspace(xp, "product", shape, x.dtype) if i else partial
            seen = lines(x, strip[0], _reach(strip[1], g.stride, g.kernel, g.dilation), widths)
            (add_by_tap if tapwise else add)(seen, u[strip], product)
            if i:
                partial += product
        return partial

    dealt = deal(todo, xp, each=3 if size < 2 ** 18 else 1)        # finer, for who is free, where a sum takes little memory
    summed, *others = share(total, dealt, xp, threads) if todo else [xp.zeros(shape, x.dtype)]
    for other in others:
        summed += other
    # (G, K, C/G, O/G) → (*K, C/G, G, O/G)
    return summed.swapaxes(0, 1).reshape(g.kernel + (x.shape[-1] // g.groups, u.shape[-1]))


def _reach(rows, stride, kernel, dilation):
    """The rows of the padded input that rows of the result look at."""
    return slice(stride[0] * rows.start, stride[0] * (rows.stop - 1) + dilation[0] * (kernel[0] - 1) + 1)


def _correlate(x, w, b, widths, stride, dilation, groups, rectified=False):
    """The convolution of pad(x, widths)."""
    xp, kernel, taps, outputs = backend.of(x), w.shape[:-2], math.prod(w.shape[:-1]), w.shape[-1]
    if (NARROW * outputs <= x.shape[-1] and math.prod(kernel) > 1 and groups == 1 and set(stride) == {1} and _by_hand(xp)):
        return _narrow(x, w, b, widths, dilation, rectified)
    sizes = [n + before + after for n, (before, after) in zip(x.shape[1:-1], widths)]
    rows, *others = (output_size(*lengths) for lengths in zip(sizes, kernel, stride, [0] * len(sizes), dilation))
    filters = w.reshape(taps, groups, outputs // groups).swapaxes(0, 1)
    y = empty((len(x), rows, *others, outputs), x.dtype, xp)

    def fill(seen, y):
        matrices = columns(windows(seen, kernel, stride, dilation), groups)
        multiply(matrices, filters, y.reshape(-1, groups, outputs // groups).swapaxes(0, 1))
        if b is not None:
            shift(y, b)

    def fill_by_row(seen, y):
        out = y.swapaxes(0, 1)                                                                  # (P₁, n, *P₂, O)
        product = out if len(y) == 1 else workspace(xp, "product", out.shape, x.dtype)
        multiply(by_row(seen, kernel, stride, dilation, groups), filters,
                 product.reshape(len(out), -1, groups, outputs // groups).swapaxes(1, 2))
        if b is not None or product is not out:
            flat = out.shape[:2] + (-1,)
            xp.add(product.reshape(flat), 0 if b is None else xp.tile(b, math.prod(others)), out=out.reshape(flat))

    rowwise = (_by_hand(xp) and dilation[0] == 1
               and pays(kernel, stride, taps, outputs // groups, len(x) * math.prod(others)))
    per_row = math.prod(others) * taps * groups * x.itemsize
    todo, threads = _strips(len(x), rows, per_row, xp, BUDGET * (kernel[0] if rowwise else 1))

    def work(strip):
        seen = lines(x, strip[0], _reach(strip[1], stride, kernel, dilation), widths)
        (fill_by_row if rowwise else fill)(seen, y[strip])
        if rectified:
            rectify(y[strip], out=y[strip])

    share(work, todo, xp, threads)
    return y


def _narrow(x, w, b, widths, dilation, rectified):
    """The convolution to few channels: every pixel is multiplied with all taps at once, and the products are shifted.

    z[k, o, i] = Σ_c x[i, c] w[k, c, o],   y[p, o] = b[o] + Σ_k z[k, o, p + d·k]:  what is gathered has O channels, not C.
    """
    xp, kernel, (channels, outputs) = backend.of(x), w.shape[:-2], w.shape[-2:]
    taps = xp.ascontiguousarray(w.reshape(-1, channels, outputs).swapaxes(1, 2)).reshape(-1, channels)    # (K·O, C)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    sizes = tuple(n + sum(width) - r for n, width, r in zip(x.shape[1:], widths, reach))
    y = empty(x.shape[:1] + sizes + (outputs,), x.dtype)

    def fill(strip):
        images, rows = strip
        seen = lines(x, images, slice(rows.start, rows.stop + reach[0]), widths)
        z = workspace(xp, "columns", (len(taps), seen.size // channels), x.dtype)
        multiply(taps, seen.reshape(-1, channels).T, z)
        z = z.reshape(kernel + (outputs,) + seen.shape[:-1])
        total = workspace(xp, "product", (outputs, len(seen), rows.stop - rows.start) + sizes[1:], x.dtype)
        total[...] = 0 if b is None else b.reshape((outputs,) + (1,) * (total.ndim - 1))
        for tap in product(*map(range, kernel)):
            shifted = tuple(slice(d * k, d * k + n) for d, k, n in zip(dilation, tap, total.shape[2:]))
            total += z[tap][(slice(None), slice(None)) + shifted]
        y[images, rows] = xp.moveaxis(rectify(total, out=total) if rectified else total, 0, -1)

    per_row = math.prod(sizes[1:]) * len(taps) * x.dtype.itemsize
    todo, threads = _strips(len(x), sizes[0], per_row, xp)
    share(fill, todo, xp, threads)
    return y
