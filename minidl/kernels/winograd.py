"""Winograd's convolution F(4, 3): four neighbouring outputs of a 3-tap filter from six multiplications instead of twelve.

Where it comes from.  The product of two polynomials is known once its values at enough points are known.  The six
coefficients of the product of one with 4 and one with 3 come from six points, of which one may be ∞ (the value there is the
leading coefficient): evaluate both factors, multiply the six pairs of values, interpolate.  Filtering is the transpose of
that map with respect to the first factor (Toom–Cook, transposed): for six inputs d of a row and a filter w,

    y = Aᵀ [ (G w) ⊙ (Bᵀ d) ]        Aᵀ: 6 → 4 outputs,   G: 3 → 6 values of the filter,   Bᵀ: 6 → 6

In two dimensions the same is done along both axes: a 6×6 tile of input gives 4×4 outputs with 36 multiplications instead
of 144.  Summed over channels, each of the 36 positions is one matrix product of (tiles, C) and (C, O): that is where the
time goes, and it is four times less than in the direct product.  The transforms along both axes are products with the
Kronecker squares of the small matrices.

What it loses.  Numbers of several sizes are added and subtracted, so rounding grows: see ERROR.  Float32 only; other dtypes
are computed directly, and so are gradient checks, which run in float64.

The adjoint needs the filter w' with its taps in reverse order.  The points are chosen such that −1/p is one of them for
every p, as p² w(−1/p) = w₂ − w₁ p + w₀ p² is the value at p of w' with every other sign turned: so the transformed filters
of the convolution serve its adjoint too, in another order.  The signs go into the inputs and outputs.

Source: Winograd 1980; Lavin and Gray 2016.  The points are those found best by Barabasz et al. 2020.
"""
import math
import weakref

import numpy as np

from minidl.kernels.memory import empty
from minidl.kernels.workers import deal, even, number_of_threads, share, strips, workspace

TILE, TAPS = 4, 3
SIDE = TILE + TAPS - 1
POINTS, PARTNER = (0, 1, -1, -2, 1 / 2), [5, 2, 1, 4, 3, 0]     # and ∞; where −1/p stands
FEW = 2                                                         # times as many outputs as tiles
ERROR = 1e-5        # of the largest output, measured on normal inputs of up to 512 channels


def _toom_cook():
    """Aᵀ (4, 6), G (6, 3), Bᵀ (6, 6)"""
    def values(terms):
        """The matrix that evaluates a polynomial with that many coefficients at the points and ∞."""
        return np.vstack([np.vander(POINTS, terms, increasing=True), np.eye(terms)[-1]])

    others = [[q for q in POINTS if q != p] for p in POINTS]
    lagrange = [math.prod(p - q for q in rest) for p, rest in zip(POINTS, others)] + [1]
    zeros_at = [[*np.poly(rest)[::-1], 0] for rest in others] + [np.poly(POINTS)[::-1]]     # coefficients of Π (x − q)
    return values(TILE).T, values(TAPS) / np.array(lagrange)[:, None], np.array(zeros_at)


def _adjoint(a_t, g, b_t):
    """The Aᵀ and Bᵀ that make of the values G w a convolution with the taps of w in reverse order."""
    signs = (-1) ** np.arange(SIDE)
    turned = (g * signs[:TAPS])[:, ::-1]                            # its row p is a multiple of G's row −1/p
    scale = np.sum(turned * g[PARTNER], 1) / np.sum(g[PARTNER] ** 2, 1)
    return signs[:TILE, None] * a_t[:, PARTNER], (scale[:, None] * b_t * signs)[PARTNER]


def _square(matrix):
    """Along both axes of a tile."""
    return np.kron(matrix, matrix).astype("float32")


A_T, G, B_T = _toom_cook()
OUTPUT, INPUT, FILTER = map(_square, (A_T, B_T, G))                 # (16, 36), (36, 36), (36, 9)
ADJOINT = tuple(map(_square, _adjoint(A_T, G, B_T)))


_remembered = {}


def applies(first, second, g):
    """Whether this algorithm can contract two arrays."""
    return (type(first) is np.ndarray and first.dtype == second.dtype == np.float32 and g.kernel == (TAPS, TAPS)
            and g.stride == g.dilation == (1, 1) and g.groups == 1 and max(g.padding) < TAPS and len(first) > 0)


def pays(pictures, channels):
    """Whether it is faster than the direct product, for pictures (N, H, W, …) and that many channels in and out.

    For each tile it saves 9·16 − 36 = 108 multiplications for every pair of channels, and its transforms take
    36·36 + 16·36 for every channel: with as many channels in as out, 2·1872 / 108 = 35 of them pay for the transforms at
    equal speed; measured, 32 do, as gathering 9 neighbours costs too.  The filters' transforms want 16 tiles or more.
    """
    tiles = len(pictures) * math.prod(-(-n // TILE) for n in pictures.shape[1:3])
    return min(channels) >= 32 and tiles >= 16


def conv(x, w, b, g, rectified):
    """The convolution of x; see kernels.conv."""
    return correlate(x, transformed(w), b, g.padding, (OUTPUT, INPUT), rectified)


def conv_input(u, w, g):
    """Its adjoint: the "full" convolution of u with the filters' taps in reverse order, from O channels to C."""
    return correlate(u, transformed(w).transpose(0, 2, 1), None, tuple(TAPS - 1 - p for p in g.padding), ADJOINT)


def conv_weight(x, u, g, budget=2 ** 23):
    """The third contraction.  With V the values of x's tiles and M = (A ⊗ A) u those of u's, y = Aᵀ[U ⊙ V] says that
    T = Σ U V M over positions, tiles and channels: so the values of w̄ are Σ Vᵀ M, and w̄ = Gᵀ of them along both axes."""
    rows, columns = (-(-n // TILE) for n in u.shape[1:3])
    channels, outputs = x.shape[-1], u.shape[-1]

    def total(mine):
        values = empty((SIDE ** 2, channels, outputs), x.dtype)
        for i, (some, part) in enumerate(mine):
            many = (some.stop - some.start) * (part.stop - part.start) * columns
            v = workspace(np, "transformed", (SIDE ** 2, many * channels), x.dtype)
            np.matmul(INPUT, _tiles(x[some], part, columns, g.padding, SIDE), out=v)
            m = workspace(np, "products", (SIDE ** 2, many * outputs), x.dtype)
            np.matmul(OUTPUT.T, _tiles(u[some], part, columns, (0, 0), TILE), out=m)
            v, m = v.reshape(SIDE ** 2, many, channels), m.reshape(SIDE ** 2, many, outputs)
            product = workspace(np, "outputs", values.shape, x.dtype) if i else values
            np.matmul(v.transpose(0, 2, 1), m, out=product)
            if i:
                values += product
        return values

    budget += SIDE ** 2 * channels * outputs * x.itemsize           # many strips would spend their time adding up
    todo = strips(len(x), rows, SIDE ** 2 * columns * 2 * (channels + outputs) * x.itemsize, np, budget)
    first, *others = share(total, deal(todo, np), np)
    for other in others:
        first += other
    values = first.reshape(SIDE ** 2, -1)
    return share(FILTER.T.__matmul__, [values], np)[0].reshape(TAPS, TAPS, channels, outputs)


def transformed(w):
    """(G ⊗ G) w: filters (3, 3, C, O) → (36, C, O), computed once in the life of the array w."""
    if id(w) not in _remembered:
        values = empty((SIDE ** 2,) + w.shape[2:], w.dtype)
        taps, flat = w.reshape(TAPS ** 2, -1), values.reshape(SIDE ** 2, -1)
        share(lambda part: np.matmul(FILTER, taps[:, part], out=flat[:, part]), even(flat.shape[1], number_of_threads()), np)
        weakref.finalize(w, _remembered.pop, id(w), None)
        _remembered[id(w)] = values
    return _remembered[id(w)]


def correlate(x, filters, b, padding, matrices, rectified=False, budget=2 ** 24):
    """y[n, p, o] = Σ_{k, c} x[n, p + k − pad, c] w[k, c, o] + b[o]  for x (N, H, W, C).

    filters: transformed, (36, C, O).  matrices: (Aᵀ, Bᵀ) for both axes.
    Where there are many tiles, they are transformed and multiplied a strip at a time; where there are few, all tiles are
    multiplied with the filters of some output channels at a time.  So what is large is read once.
    """
    from_products, to_values = matrices
    height, width = (n + 2 * p - TAPS + 1 for n, p in zip(x.shape[1:3], padding))
    rows, columns = -(-height // TILE), -(-width // TILE)
    images, channels, outputs = len(x), x.shape[-1], filters.shape[-1]
    y = empty((images, rows, TILE, columns, TILE, outputs), x.dtype)

    def transform(values, some, part):
        """The values (36, tiles · C) of the tiles in a strip."""
        return np.matmul(to_values, _tiles(x[some], part, columns, padding, SIDE), out=values)

    def multiply(values, u, some, part, out):
        many, width = values.size // (SIDE ** 2 * channels), u.shape[-1]
        m = workspace(np, "products", (SIDE ** 2, many, width), x.dtype)
        np.matmul(values.reshape(SIDE ** 2, many, channels), u, out=m)
        s = workspace(np, "outputs", (TILE ** 2, many * width), x.dtype)
        np.matmul(from_products, m.reshape(SIDE ** 2, -1), out=s)
        if b is not None:
            s = s.reshape(-1, width)
            s += b[out]
        s = s.reshape(TILE, TILE, -1, part.stop - part.start, columns, width).transpose(2, 3, 0, 4, 1, 5)
        if rectified:
            np.maximum(s, 0, out=y[some, part, ..., out])
        else:
            y[some, part, ..., out] = s

    def by_tiles(strip):
        some, part = strip
        many = (some.stop - some.start) * (part.stop - part.start) * columns
        values = workspace(np, "transformed", (SIDE ** 2, many * channels), x.dtype)
        multiply(transform(values, some, part), filters, some, part, slice(None))

    def by_outputs(out):
        multiply(values, filters[:, :, out], slice(0, images), slice(0, rows), out)

    if FEW * images * rows * columns >= outputs:
        per_row = SIDE ** 2 * columns * (2 * channels + 2 * outputs) * x.itemsize
        share(by_tiles, strips(images, rows, per_row, np, budget), np)
    else:
        values = empty((SIDE ** 2, images * rows * columns * channels), x.dtype)
        share(lambda values: transform(values, slice(0, images), slice(0, rows)), [values], np)
        share(by_outputs, even(outputs, number_of_threads()), np)
    return y.reshape(images, rows * TILE, columns * TILE, outputs)[:, :height, :width]


def _tiles(x, part, columns, padding, side):
    """The tiles (side², tiles · C), overlapping if larger than 4, in some tile rows of the pictures x (n, H, W, C)."""
    (above, left), overlap = padding, side - TILE
    first, rows = part.start * TILE - above, part.stop - part.start     # line where they begin, negative in the padding
    lines = x[:, max(first, 0):first + rows * TILE + overlap]
    top, (images, height, width, channels) = max(-first, 0), lines.shape
    padded = workspace(np, "padded", (images, rows * TILE + overlap, columns * TILE + overlap, channels), x.dtype)
    padded[:, :top] = padded[:, top + height:] = 0
    padded[:, top:top + height, :left] = padded[:, top:top + height, left + width:] = 0
    padded[:, top:top + height, left:left + width] = lines
    image, down, right, channel = padded.strides
    tiles = workspace(np, "tiles", (side, side, images, rows, columns, channels), x.dtype)
    tiles[...] = np.lib.stride_tricks.as_strided(padded, tiles.shape,
                                                 (down, right, image, TILE * down, TILE * right, channel))
    return tiles.reshape(side ** 2, -1)
