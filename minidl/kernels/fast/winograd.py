"""Winograd's F(m, 3): m neighbouring outputs of a 3-tap filter from m + 2 multiplications, not 3 m.

Where it comes from.  The product of two polynomials is known once its values at enough points are
known.  The s = m + 2 coefficients of the product of one with m and one with 3 come from s points,
of which one may be ∞ (the value there is the leading coefficient): evaluate both factors, multiply
the s pairs of values, interpolate.  Filtering is the transpose of that map with respect to the
first factor (Toom–Cook, transposed): for s inputs d of a row and a filter w,

    y = Aᵀ [ (G w) ⊙ (Bᵀ d) ]        Aᵀ: s → m outputs,   G: 3 → s values of the filter,   Bᵀ: s → s

In two dimensions the same is done along both axes: with m = 4, a 6×6 tile of input gives 4×4
outputs with 36 multiplications instead of 144.  Summed over channels, each of the 36 positions is
one matrix product of (tiles, C) and (C, O): that is where the time goes, and it is four times less
than in the direct product.  The transforms along both axes are products with the Kronecker squares
of the small matrices.

Where there are so few tiles that reading the filters takes longer than multiplying with them,
m = 2 is faster: a tile has 16 positions instead of 36, which is less to read.

What it loses.  Numbers of several sizes are added and subtracted, so rounding grows: see ERROR.
All outputs of a tile are made from all its inputs, and what does not concern an output cancels: so
an outlier costs its neighbours in the tile digits, and an infinity or NaN, which does not cancel,
makes NaN of them, up to three places beyond the filter's reach.  Float32 only; other dtypes are
computed directly, and so are gradient checks, which run in float64.

The adjoint needs the filter w' with its taps in reverse order, from O channels to C: other
filters, in general, that are transformed and kept beside the first.  But the points of F4 are
chosen such that −1/p is one of them for every p, as p² w(−1/p) = w₂ − w₁ p + w₀ p² is the value at
p of w' with every other sign turned.  So the transformed filters of the convolution can serve its
adjoint too, in another order, and where they would take much memory, they do.  The signs go into
the inputs and outputs.

Source: Winograd 1980; Lavin and Gray 2016.  The points are from Barabasz et al. 2020.
"""
import functools
import math
import weakref

import numpy as np

from minidl import backend
from minidl.kernels.fast.product import matmul, multiply
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import padded_rows, strided
from minidl.parallel.memory import empty, pitch
from minidl.parallel.threads import (
    even,
    in_strips,
    number_of_threads,
    parallel_map,
    strips,
    sum_over,
    workspace,
)

TAPS = 3
ERROR = 1e-5            # of the largest output, measured on normal inputs of up to 512 channels
GAIN = 1.6              # times fewer multiplications that are worth moving the tiles
FEWEST = 17             # tiles that are worth the filters' transforms with F4,
FEWEST_F2 = 16, 64      # and with F2, which is sooner up to the second number
CHANNELS = 64           # in and out, from which F2 pays, and on a GPU F4
LAUNCHES = 2 ** 25      # tiles × pairs of channels that take a GPU as long as three launches
BY_OUTPUTS = 4          # times as many outputs as tiles: threads share the outputs, not the tiles
SHARED = 2 ** 16        # pairs of channels from which filters serve both directions,
SHARED_TILES = 256      # where there are fewer tiles
BUDGET = 2 ** 22        # bytes of a strip
PANEL = 64              # columns of filters that lie in one piece


class Form:
    """F(m, 3) by its points and ∞: tile m, side s, the matrices a_t (m, s), g (s, 3), b_t (s, s).

    Their squares act along both axes: output (m², s²), filter (s², 9), input (s², s²).
    """

    def __init__(self, *points):
        self.tile, self.side = len(points) - 1, len(points) + 1
        self.a_t, self.g, self.b_t = _toom_cook(points)
        self.output, self.filter, self.input = map(_square, (self.a_t, self.g, self.b_t))


def _toom_cook(points):
    """Aᵀ (m, s), G (s, 3), Bᵀ (s, s)"""
    def values(terms):
        """What evaluates a polynomial of that many coefficients at the points and ∞."""
        return np.vstack([np.vander(points, terms, increasing=True), np.eye(terms)[-1]])

    others = [[q for q in points if q != p] for p in points]
    lagrange = [math.prod(p - q for q in rest) for p, rest in zip(points, others)] + [1]
    # coefficients of Π (x − q)
    zeros_at = [[*np.poly(rest)[::-1], 0] for rest in others] + [np.poly(points)[::-1]]
    return values(len(points) - 1).T, values(TAPS) / np.array(lagrange)[:, None], np.array(zeros_at)


def _square(matrix):
    """Along both axes of a tile."""
    return np.kron(matrix, matrix).astype("float32")


F2, F4 = Form(0, 1, -1), Form(0, 1, -1, -2, 1 / 2)
ONE = 1                             # where the point 1 stands, in both
PARTNER = [5, 2, 1, 4, 3, 0]        # where −1/p stands


def _adjoint(a_t, g, b_t):
    """The Aᵀ and Bᵀ that make of the values G w a convolution with w's taps in reverse order."""
    signs = (-1) ** np.arange(len(g))
    turned = (g * signs[:TAPS])[:, ::-1]            # its row p is a multiple of G's row −1/p
    scale = np.sum(turned * g[PARTNER], 1) / np.sum(g[PARTNER] ** 2, 1)
    return signs[:len(a_t), None] * a_t[:, PARTNER], (scale[:, None] * b_t * signs)[PARTNER]


ADJOINT = tuple(map(_square, _adjoint(F4.a_t, F4.g, F4.b_t)))


def applies(first, second, g):
    """Whether this algorithm can contract two arrays."""
    return (first.dtype == second.dtype == np.float32 and g.kernel == (TAPS, TAPS)
            and g.stride == g.dilation == (1, 1) and g.groups == 1 and max(g.padding) < TAPS
            and len(first) > 0)


def tiles(form, places):
    """How many tiles cover so many places (N, H, W) of the result."""
    images, height, width = places
    return images * -(-height // form.tile) * -(-width // form.tile)


def gain(places, count, channels):
    """How many times fewer multiplications F4 takes than the direct product's 9·C·O a place.

    For each tile it takes 36·C·O, and its transforms along both axes take 36·36 for each of C
    inputs and 16·36 for each of O outputs.  Tiles that reach over the border count in full.
    """
    inputs, outputs = channels
    of_tile = F4.side ** 2 * (inputs * outputs + F4.side ** 2 * inputs + F4.tile ** 2 * outputs)
    return TAPS ** 2 * inputs * outputs * places / (of_tile * count)


def choose(places, channels, xp, wherever=False):
    """The form that is faster than the direct product, or None.

    For places (N, H, W) of the result and (C, O) channels in and out.  wherever: F4 at least.
    """
    count, wide = tiles(F4, places), min(channels) >= CHANNELS
    if wherever:
        return F4
    if xp is not np:
        return F4 if wide and count * math.prod(channels) >= LAUNCHES else None
    if wide and FEWEST_F2[0] <= tiles(F2, places) <= FEWEST_F2[1]:
        return F2
    return F4 if count >= FEWEST and gain(math.prod(places), count, channels) >= GAIN else None


def conv(x, w, b, g, form, rectified):
    """The convolution of x; see kernels.conv."""
    filters = _filters(w, form, (len(x), *g.output), False)
    return correlate(x, *filters, b, g.padding, form, rectified)


def conv_input(u, w, g, form):
    """Its adjoint: the "full" convolution of u with the filters' taps in reverse order, from O
    channels to C.
    """
    filters = _filters(w, form, (len(u), *g.sizes), True)
    return correlate(u, *filters, None, tuple(TAPS - 1 - p for p in g.padding), form)


def conv_weight(x, u, g):
    """The third contraction.

    With V the values of x's tiles and M = (A ⊗ A) u those of u's, y = Aᵀ[U ⊙ V] says that
    T = Σ U V M over positions, tiles and channels.  So the values of w̄ are Σ Vᵀ M, and
    w̄ = Gᵀ of them along both axes.
    """
    xp, device = backend.of(x), backend.device_of(x).name
    to_values, from_products = placed(F4.input, device), placed(F4.output, device).T
    rows, columns = (-(-n // F4.tile) for n in u.shape[1:3])
    channels, outputs, positions = x.shape[-1], u.shape[-1], F4.side ** 2

    def add(strip, product):
        some, part = strip
        many = (some.stop - some.start) * (part.stop - part.start) * columns
        v = workspace(xp, "transformed", (positions, many * channels), x.dtype, pitched=True)
        multiply(to_values, cut(x[some], part, columns, g.padding, F4.tile, F4.side), v)
        m = workspace(xp, "products", (positions, many * outputs), x.dtype, pitched=True)
        multiply(from_products, cut(u[some], part, columns, (0, 0), F4.tile, F4.tile), m)
        multiply(v.reshape(positions, many, channels).transpose(0, 2, 1),
                 m.reshape(positions, many, outputs), product)

    shape = positions, channels, outputs
    per_row = positions * columns * 2 * (channels + outputs) * x.itemsize
    budget = BUDGET + math.prod(shape) * x.itemsize     # many strips would spend time adding up
    values = sum_over(add, strips(len(x), rows, per_row, xp, budget), shape, x.dtype, xp)
    w = matmul(placed(F4.filter, device).T, values.reshape(positions, -1))
    return w.reshape(TAPS, TAPS, channels, outputs)


def once(function):
    """function(w, …), computed once in the life of the array w for each choice of the other
    arguments.

    As no array is ever changed in place, that is right; and w becomes read-only, so that who tries
    is told.
    """
    found = {}

    @functools.wraps(function)
    def remembering(w, *others):
        key = id(w), *others
        of, value = found.get(key, (None, None))
        if of is None or of() is not w:     # new, or a dead array had the same address
            value = function(w, *others)
            found[key] = weakref.ref(w, lambda _: found.pop(key, None)), value
            if type(w) is np.ndarray:
                w.flags.writeable = False
        return value

    remembering.found = found
    return remembering


@once
def placed(matrix, device):
    """A matrix of constants on the device of that name."""
    return backend.device(device).from_host(matrix)


def evaluate(matrix, taps):
    """(G ⊗ G) taps for taps (9, …)."""
    xp, matrix = backend.of(taps), placed(matrix, backend.device_of(taps).name)
    values = empty((len(matrix), *taps.shape[1:]), taps.dtype, xp)
    taps, flat = taps.reshape(TAPS ** 2, -1), values.reshape(len(matrix), -1)
    parts = even(flat.shape[1], number_of_threads() if xp is np else 1)
    parallel_map(lambda part: multiply(matrix, taps[:, part], flat[:, part]), parts, xp)
    return values


def _filters(w, form, places, adjoint):
    """Transformed filters in panels, of the adjoint from O to C, and (Aᵀ, Bᵀ) for both axes."""
    large = math.prod(w.shape[2:]) > SHARED and backend.of(w) is np
    if form is F4 and large and tiles(form, places) < SHARED_TILES:
        whole = shared(w)[:, None]
        return (whole.swapaxes(2, 3), ADJOINT) if adjoint else (whole, (F4.output, F4.input))
    return transformed(w, form, adjoint), (form.output, form.input)


@once
def transformed(w, form, adjoint):
    """Filters (3, 3, C, O) → (s², P, C, O/P), of the adjoint with O and C exchanged.

    A panel of PANEL columns lies in one piece, for few rows at a time to be multiplied with it.
    """
    xp, taps = backend.of(w), w.reshape(TAPS ** 2, *w.shape[2:])
    taps = taps[::-1].swapaxes(1, 2) if adjoint else taps
    _, inputs, outputs = taps.shape
    width = outputs if outputs % PANEL or xp is not np else PANEL
    panels = taps.reshape(TAPS ** 2, inputs, outputs // width, width).swapaxes(1, 2)
    return evaluate(form.filter, xp.ascontiguousarray(panels))


@once
def shared(w):
    """Filters (3, 3, C, O) → (36, C, O), with rows apart, for the convolution and its adjoint."""
    channels, outputs = w.shape[2:]
    taps = empty((TAPS ** 2, channels, pitch(outputs, w.dtype, np)), w.dtype)
    taps[..., :outputs], taps[..., outputs:] = w.reshape(TAPS ** 2, channels, outputs), 0
    return evaluate(F4.filter, taps)[..., :outputs]


def correlate(x, filters, matrices, b, padding, form, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, p + k − pad, c] w[k, c, o] + b[o]  for x (N, H, W, C).

    filters: transformed, in panels.  matrices: (Aᵀ, Bᵀ) for both axes.
    Many tiles are transformed and multiplied a strip at a time.  Few tiles are multiplied, all of
    them, with the filters of some outputs at a time.  So what is large is read once.  A strip that
    meets large filters is large too, as they are read again for each.
    """
    xp = backend.of(x)
    from_products, to_values = (placed(matrix, backend.device_of(x).name) for matrix in matrices)
    height, width = (n + 2 * p - TAPS + 1 for n, p in zip(x.shape[1:3], padding))
    rows, columns = -(-height // form.tile), -(-width // form.tile)
    images, channels, positions = len(x), x.shape[-1], form.side ** 2
    outputs = filters.shape[1] * filters.shape[3]
    y = empty((images, rows, form.tile, columns, form.tile, outputs), x.dtype, xp)

    def contract(values, u, some, part, out):
        many, (_, count, _, width) = values.shape[1] // channels, u.shape
        m = workspace(xp, "products", (positions, many * count * width), x.dtype, pitched=True)
        multiply(values.reshape(positions, 1, many, channels), u,
                 m.reshape(positions, many, count, width).swapaxes(1, 2))
        interpolate(from_products, m, b if b is None else b[out], rectified,
                    y[some, part, ..., out])

    def by_tiles(strip):
        some, part = strip
        many = (some.stop - some.start) * (part.stop - part.start) * columns
        shape = positions, many * channels
        values = workspace(xp, "transformed", shape, x.dtype, pitched=True)
        tiles = cut(x[some], part, columns, padding, form.tile, form.side)
        multiply(to_values, tiles, values)
        contract(values, filters, some, part, slice(None))

    def by_outputs(piece):
        u, out = piece
        contract(values, u, slice(0, images), slice(0, rows), out)

    if BY_OUTPUTS * images * rows * columns >= outputs:
        per_row = positions * columns * 2 * (channels + outputs) * x.itemsize
        budget = BUDGET + filters.nbytes // 4
        parallel_map(by_tiles, strips(images, rows, per_row, xp, budget), xp)
    else:
        shape = positions, images * rows * columns * channels
        values = empty(shape, x.dtype, xp, pitched=True)
        transform(to_values, x, rows, columns, padding, form.tile, form.side, values)
        parallel_map(by_outputs, _pieces(filters, number_of_threads()), xp)
    y = y.reshape(images, rows * form.tile, columns * form.tile, outputs)
    return y[:, :height, :width]


def _pieces(filters, count):
    """So many pieces of filters in panels, and the outputs that they make, as slices."""
    _, panels, _, width = filters.shape
    if panels == 1:
        return [(filters[..., part], part) for part in even(width, min(width, count))]
    return [(filters[:, part], slice(width * part.start, width * part.stop))
            for part in even(panels, min(panels, count))]


def transform(matrix, x, rows, columns, padding, tile, side, values):
    """values = matrix @ tiles (side², tiles · C), rows × columns of each picture, in threads."""
    xp, each = backend.of(x), columns * x.shape[-1]

    def fill(strip):
        some, part = strip
        start, stop = some.start * rows + part.start, (some.stop - 1) * rows + part.stop
        own = slice(start * each, stop * each)
        multiply(matrix, cut(x[some], part, columns, padding, tile, side), values[:, own])

    per_row = len(values) * each * x.itemsize
    in_strips(fill, len(x), rows, per_row, xp, budget=math.inf, cost=3)      # one for each thread


def interpolate(from_products, m, b, rectified, y):
    """y (n, rows, m, columns, m, O) = Aᵀ along both axes of the products m (s², tiles · O).

    The bias is added at the point 1, where Aᵀ has a column of ones: every output gets it once.
    """
    xp, (images, rows, tile, columns, _, outputs) = backend.of(y), y.shape
    shape = tile ** 2, images * rows * columns * outputs
    s = workspace(xp, "outputs", shape, m.dtype, pitched=True)
    if b is not None:
        at_one = m[ONE * (math.isqrt(len(m)) + 1)].reshape(-1, outputs)
        at_one += b
    multiply(from_products, m, s)
    if rectified:
        rectify(s, out=s)
    y[...] = s.reshape(tile, tile, images, rows, columns, outputs).transpose(2, 3, 0, 4, 1, 5)


def cut(x, part, columns, padding, tile, side):
    """The overlapping tiles (side², tiles · C) in some tile rows of pictures x (n, H, W, C)."""
    xp, (above, left), overlap, rows = backend.of(x), padding, side - tile, part.stop - part.start
    first, right = part.start * tile, columns * tile + overlap - left - x.shape[2]
    seen = slice(first, first + rows * tile + overlap)
    padded = padded_rows(x, slice(None), seen, [(above, 0), (left, right)])
    image, down, along, channel = padded.strides
    shape = side, side, len(x), rows, columns, x.shape[3]
    tiles = workspace(xp, "tiles", (side ** 2, math.prod(shape[2:])), x.dtype, pitched=True)
    seen = strided(padded, shape, (down, along, image, tile * down, tile * along, channel))
    tiles.reshape(shape)[...] = seen
    return tiles
