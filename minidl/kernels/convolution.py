"""The trilinear form of convolution, and its three contractions, for arrays of any device.

    T(x, w, u) = Σ  x[n, s·p + d·k − pad, c] · w[k, c, o] · u[n, p, o]        over n, p, k, c, o

x (N, *S, C) is the input, w (*K, C/groups, O) the filters, u (N, *P, O) the result's space; p and k run over places and
over the filter, s is the stride, d the dilation.  Leaving one factor out and summing over its partners gives

    conv         y[n, p, o]  from x and w
    conv_input   x̄[n, i, c]  from u and w
    conv_weight  w̄[k, c, o]  from x and u

Each is a matrix product with `columns`, the matrix whose row p is what the filter sees at place p.  It would be K times
larger than x, so it is gathered a strip at a time, into a workspace that stays in the cache.
"""
from itertools import product
import math
import os

from minidl import backend
from minidl.kernels import winograd
from minidl.kernels.geometry import pad, windows
from minidl.kernels.memory import empty
from minidl.kernels.workers import deal, share, strips, workspace

NARROW = 4      # times as many inputs as outputs
SHORT = 24      # elements in a row of taps and channels below which gathering runs along the places

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
    chosen = algorithm()
    return (chosen in ("auto", "winograd") and winograd.applies(first, second, g)
            and (chosen == "winograd" or winograd.pays(first, channels)))


def _strips(images, rows, per_row, xp, budget=2 ** 20):
    if xp is backend.CPU.module and algorithm() == "plain":
        return [(slice(0, images), slice(0, rows))]
    return strips(images, rows, per_row, xp, budget)


def conv(x, w, b, g, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] w[k, c, o] + b[o];  g: the Geometry, b (O,) or None.

    rectified: max(y, 0) instead.
    """
    if _winograd(x, w, w.shape[-2:], g):
        return winograd.conv(x, w, b, g, rectified)
    return _correlate(pad(x, [(p, p) for p in g.padding]), w, b, g.stride, g.dilation, g.groups, rectified)


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] w[k, c, o] over all p, k, o with s·p + d·k − pad = i.

    Take the positions i = r + s·q of one remainder r, along each axis.  The taps k that reach them from a whole p are
    k = k₀ + S·m with S = s / gcd(s, d), and then p = q + e − D·m with D = d / gcd(s, d), e = (r + pad − d·k₀) / s.  So
    x̄ at these positions is an ordinary convolution of u, of stride 1 and dilation D, with every S-th tap in reverse
    order.  For stride 1 there is one remainder, and x̄ is the "full" convolution with the mirrored filter.
    """
    if _winograd(u, w, w.shape[-2:], g):
        return winograd.conv_input(u, w, g)
    xp, spatial = backend.of(u), len(g.sizes)
    flipped = _transposed(w, g.groups)
    out = xp.zeros(u.shape[:1] + g.sizes + flipped.shape[-1:], u.dtype)
    for remainder in product(*(range(min(s, n)) for s, n in zip(g.stride, g.sizes))):
        axes = [_phase(*axis) for axis in zip(remainder, g.sizes, g.kernel, g.stride, g.padding, g.dilation, u.shape[1:])]
        if None in axes:            # no tap reaches these positions
            continue
        taps, widths, dilation = zip(*axes)
        part = _correlate(pad(u, widths), flipped[taps], None, (1,) * spatial, dilation, g.groups)
        if math.prod(g.stride) == 1:
            return part
        out[(slice(None),) + tuple(slice(r, None, s) for r, s in zip(remainder, g.stride))] = part
    return out


def _phase(r, size, kernel, stride, padding, dilation, places):
    """(slice of taps of the mirrored filter, (before, after) padding of u, dilation) for remainder r along one axis."""
    common = math.gcd(stride, dilation)
    step, spread = stride // common, dilation // common
    first = next((k for k in range(min(kernel, step)) if (r + padding - dilation * k) % stride == 0), None)
    if first is None:
        return None
    e = (r + padding - dilation * first) // stride
    reach = (kernel - 1 - first) // step                    # number of taps − 1
    positions = -(-(size - r) // stride)
    mirrored = slice((kernel - 1 - first) % step, kernel - first, step)
    return mirrored, (reach * spread - e, positions - 1 + e - (places - 1)), spread


def _transposed(w, groups):
    """(*K, C/groups, O) → (*K, O/groups, C): the filter of the adjoint, taps in reverse order."""
    xp, spatial = backend.of(w), w.ndim - 2
    split = w.reshape(w.shape[:-1] + (groups, w.shape[-1] // groups))
    turned = xp.flip(xp.swapaxes(split, -1, -3), tuple(range(spatial)))
    return turned.reshape(w.shape[:-2] + (w.shape[-1] // groups, groups * w.shape[-2]))


def conv_weight(x, u, g):
    """w̄[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] u[n, p, o]"""
    if _winograd(u, x, (x.shape[-1], u.shape[-1]), g):
        return winograd.conv_weight(x, u, g)
    xp = backend.of(x)
    view = windows(pad(x, [(p, p) for p in g.padding]), g.kernel, g.stride, g.dilation)
    images, rows, taps = view.shape[0], view.shape[1], math.prod(g.kernel) * x.shape[-1]
    shape = g.groups, taps // g.groups, u.shape[-1] // g.groups
    per_row = math.prod(g.output[1:]) * taps * x.dtype.itemsize
    todo = _strips(images, rows, per_row, xp, budget=2 ** 21 + math.prod(shape) * x.dtype.itemsize)

    def total(mine):
        partial, spare = xp.zeros(shape, x.dtype), None
        for strip in mine:
            columns = _columns(view[strip], g.groups)
            places = u[strip].reshape(-1, g.groups, shape[-1]).transpose(1, 0, 2)
            spare = workspace(xp, "product", shape, x.dtype)
            backend.matmul(columns.transpose(0, 2, 1), places, spare)
            partial += spare
        return partial

    parts = share(total, deal(todo, xp), xp)
    summed = sum(parts[1:], parts[0]) if parts else xp.zeros(shape, x.dtype)
    # (G, K, C/G, O/G) → (*K, C/G, G, O/G)
    return xp.moveaxis(summed, 0, 1).reshape(g.kernel + (x.shape[-1] // g.groups, u.shape[-1]))


def _correlate(x, w, b, stride, dilation, groups, rectified=False):
    """The convolution of an array that is padded already."""
    xp, kernel = backend.of(x), w.shape[:-2]
    if (NARROW * w.shape[-1] <= x.shape[-1] and groups == 1 and set(stride) == {1} and xp is backend.CPU.module
            and algorithm() != "plain"):
        return _narrow(x, w, b, dilation, rectified)
    view = windows(x, kernel, stride, dilation)             # (N, *P, *K, C)
    images, rows = view.shape[:2]
    taps, outputs = math.prod(w.shape[:-1]), w.shape[-1]
    filters = xp.moveaxis(w.reshape(taps, groups, outputs // groups), 1, 0)
    y = empty(view.shape[:len(kernel) + 1] + (outputs,), x.dtype, xp)

    def fill(strip):
        out = y[strip].reshape(-1, groups, outputs // groups)
        backend.matmul(_columns(view[strip], groups), filters, out.transpose(1, 0, 2))
        if b is not None:
            out += b.reshape(groups, outputs // groups)
        if rectified:
            xp.maximum(out, 0, out=out)

    per_row = math.prod(view.shape[2:len(kernel) + 1]) * taps * groups * x.dtype.itemsize
    share(fill, _strips(images, rows, per_row, xp), xp)
    return y


def _narrow(x, w, b, dilation, rectified):
    """The convolution to few channels: every pixel is multiplied with all taps at once, and the products are shifted.

    z[k, o, i] = Σ_c x[i, c] w[k, c, o],   y[p, o] = b[o] + Σ_k z[k, o, p + d·k]:  what is gathered has O channels, not C.
    """
    xp, kernel, (channels, outputs) = backend.of(x), w.shape[:-2], w.shape[-2:]
    taps = xp.ascontiguousarray(xp.moveaxis(w.reshape(-1, channels, outputs), 1, 2)).reshape(-1, channels)    # (K·O, C)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    sizes = tuple(n - r for n, r in zip(x.shape[1:], reach))
    y = empty(x.shape[:1] + sizes + (outputs,), x.dtype)

    def fill(strip):
        images, rows = strip
        lines = x[images, rows.start:rows.stop + reach[0]]
        z = workspace(xp, "columns", (len(taps), lines.size // channels), x.dtype)
        xp.matmul(taps, lines.reshape(-1, channels).T, out=z)
        z = z.reshape(kernel + (outputs,) + lines.shape[:-1])
        total = workspace(xp, "product", (outputs, len(lines), rows.stop - rows.start) + sizes[1:], x.dtype)
        total[...] = 0 if b is None else b.reshape((outputs,) + (1,) * (total.ndim - 1))
        for tap in product(*map(range, kernel)):
            shifted = tuple(slice(d * k, d * k + n) for d, k, n in zip(dilation, tap, total.shape[2:]))
            total += z[tap][(slice(None), slice(None)) + shifted]
        y[images, rows] = xp.moveaxis(xp.maximum(total, 0, out=total) if rectified else total, 0, -1)

    per_row = math.prod(x.shape[2:-1]) * len(taps) * x.dtype.itemsize
    share(fill, strips(len(x), sizes[0], per_row, xp), xp)
    return y


def _columns(view, groups):
    """(n, *P, *K, C) → (groups, n·P, K·C/groups): what the filter sees at each place, one row a place.

    With few channels the rows are short, and copying them one by one is slow: then the workspace holds the transpose,
    whose rows run along the places, and BLAS is handed that.
    """
    xp, spatial = backend.of(view), (view.ndim - 2) // 2
    places, kernel, channels = view.shape[:spatial + 1], view.shape[spatial + 1:-1], view.shape[-1] // groups
    seen = xp.moveaxis(view.reshape(view.shape[:-1] + (groups, channels)), -2, 0) if groups > 1 else view[None]
    if kernel[-1] * channels >= SHORT or xp is not backend.CPU.module:
        columns = workspace(xp, "columns", (groups,) + places + kernel + (channels,), view.dtype)
        columns[...] = seen
        return columns.reshape(groups, math.prod(places), math.prod(kernel) * channels)
    columns = workspace(xp, "columns", (groups,) + kernel + (channels,) + places, view.dtype)
    columns[...] = xp.moveaxis(seen, range(1, spatial + 2), range(spatial + 2, 2 * spatial + 3))
    return columns.reshape(groups, math.prod(kernel) * channels, math.prod(places)).swapaxes(1, 2)
