"""Winograd's convolution F(4, 3): four neighbouring outputs of a 3-tap filter from six multiplications instead of twelve.

Where it comes from.  The product of two polynomials is known once its values at enough points are known.  The six outputs
of a 4-tap sequence with a 3-tap one are the coefficients of such a product, of degree 5: evaluate both factors at 0, 1, −1,
2, −2 and ∞, multiply the six pairs of values, interpolate.  Filtering is the transpose of that map (Toom–Cook, transposed),
so for one row of six inputs d and a filter w

    y = Aᵀ [ (G w) ⊙ (Bᵀ d) ]        G: 3 → 6 values of the filter,  Bᵀ: 6 → 6,  Aᵀ: 6 → 4 outputs

In two dimensions the same is done along both axes: a 6×6 tile of input gives 4×4 outputs with 36 multiplications instead
of 144.  Summed over channels, each of the 36 positions is one matrix product of (tiles, C) and (C, O): that is where the
time goes, and it is four times less than in the direct product.  The transforms along both axes are products with the
Kronecker squares of the small matrices.

What it loses.  The matrices have entries up to 8, so rounding grows: measured on normal inputs of up to 512 channels, the
error stays below 1.5·10⁻⁵ of the largest output in float32.  Other dtypes are computed directly.

Source: Winograd 1980; Lavin and Gray 2016.
"""
import math
import weakref

import numpy as np

from minidl.kernels.workers import deal, share, workspace

TILE, TAPS = 4, 3
SIDE = TILE + TAPS - 1

B_T = np.array([[4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1]], "float32")
G = np.array([[1 / 4, 0, 0],
              [-1 / 6, -1 / 6, -1 / 6],
              [-1 / 6, 1 / 6, -1 / 6],
              [1 / 24, 1 / 12, 1 / 6],
              [1 / 24, -1 / 12, 1 / 6],
              [0, 0, 1]])
A_T = np.array([[1, 1, 1, 1, 1, 0],
                [0, 1, -1, 2, -2, 0],
                [0, 1, 1, 4, 4, 0],
                [0, 1, -1, 8, -8, 1]], "float32")
INPUT, OUTPUT = np.kron(B_T, B_T), np.kron(A_T, A_T)            # (36, 36), (16, 36)


_remembered = {}


def serves(x, w, g):
    """Whether this algorithm applies to a convolution of x, or of its adjoint's u, and is worth its transforms."""
    return (type(x) is np.ndarray and x.dtype == w.dtype == np.float32 and g.kernel == (TAPS, TAPS)
            and g.stride == g.dilation == (1, 1) and g.groups == 1 and max(g.padding) < TAPS and min(w.shape[2:]) >= 32
            and math.prod(-(-n // TILE) for n in x.shape[1:3]) * len(x) >= 32)


def remembered(transform, w):
    """transform(w), computed once in the life of the array w: a frozen network's filters are transformed once."""
    key = transform, id(w)
    if key not in _remembered:
        weakref.finalize(w, _remembered.pop, key, None)
        _remembered[key] = transform(w)
    return _remembered[key]


def transformed(w):
    """(G ⊗ G) w: filters (3, 3, C, O) → (36, C, O)."""
    return (np.kron(G, G).astype(w.dtype) @ w.reshape(TAPS ** 2, -1)).reshape(SIDE ** 2, *w.shape[2:])


def correlate(x, filters, b, padding, budget=2 ** 23):
    """y[n, p, o] = Σ_{k, c} x[n, p + k − pad, c] w[k, c, o] + b[o] for x (N, H, W, C) and `transformed` filters.

    The picture is padded, cut into tiles and transformed a strip of tile rows at a time, in workspaces.
    """
    images, height, width, channels = x.shape[0], *(n + 2 * p - TAPS + 1 for n, p in zip(x.shape[1:3], padding)), x.shape[3]
    outputs = filters.shape[-1]
    rows, columns = -(-height // TILE), -(-width // TILE)
    y = np.empty((images, rows, TILE, columns, TILE, outputs), x.dtype)
    at_once = max(1, budget // (SIDE ** 2 * columns * (2 * channels + 2 * outputs) * 4))
    strips = [(n, slice(r, min(r + at_once, rows))) for n in range(images) for r in range(0, rows, at_once)]

    def fill(mine):
        for n, part in mine:
            many = part.stop - part.start
            tiles = workspace(np, "tiles", (SIDE, SIDE, many, columns, channels), x.dtype)
            tiles[...] = _tiles(x[n], part.start, many, columns, padding)
            v = workspace(np, "transformed", (SIDE ** 2, many * columns * channels), x.dtype)
            np.matmul(INPUT, tiles.reshape(SIDE ** 2, -1), out=v)
            m = workspace(np, "products", (SIDE ** 2, many * columns, outputs), x.dtype)
            np.matmul(v.reshape(SIDE ** 2, many * columns, channels), filters, out=m)
            s = workspace(np, "outputs", (TILE ** 2, many * columns * outputs), x.dtype)
            np.matmul(OUTPUT, m.reshape(SIDE ** 2, -1), out=s)
            s = s.reshape(TILE, TILE, many, columns, outputs)
            if b is not None:
                s += b
            y[n, part] = s.transpose(2, 0, 3, 1, 4)

    share([lambda mine=mine: fill(mine) for mine in deal(strips, np)], np)
    return y.reshape(images, rows * TILE, columns * TILE, outputs)[:, :height, :width]


def _tiles(x, row, many, columns, padding):
    """The overlapping tiles (6, 6, many, columns, C) of a picture (H, W, C), from tile row `row` on, as a view of a copy
    with its padding."""
    above, left = padding
    first = row * TILE - above                              # line of x where the copy begins, negative in the padding
    lines = x[max(first, 0):first + many * TILE + TAPS - 1]
    top, (height, width, channels) = max(-first, 0), lines.shape
    padded = workspace(np, "padded", (many * TILE + TAPS - 1, columns * TILE + TAPS - 1, channels), x.dtype)
    padded[:top] = padded[top + height:] = 0
    padded[top:top + height, :left] = padded[top:top + height, left + width:] = 0
    padded[top:top + height, left:left + width] = lines
    down, right, channel = padded.strides
    return np.lib.stride_tricks.as_strided(padded, (SIDE, SIDE, many, columns, channels),
                                           (down, right, TILE * down, TILE * right, channel))
