"""Winograd's convolution where there are few tiles and many channels: deep layers of a small picture.

Each of the s² positions is a product of (tiles, C) and (C, O) with far more filters than tiles, so what takes time is to
read the filters, and that BLAS first copies them into an order of its own.  It does without for small products: so tiles
are taken sixteen at a time, and filters in panels of 64 outputs, each of which lies in one piece in the cache.

Panels serve one direction, so convolution and adjoint have their own.  F(2, 3) has 16 positions, F(4, 3) has 36: twice
16 is still less memory, and the multiplications are 16 an output tile of 2×2 instead of 36 for four of them.
"""
import math

import numpy as np

from minidl.kernels.memory import empty
from minidl.kernels.winograd import TAPS, Form, evaluate, interpolate, once, tiles, transform
from minidl.kernels.workers import even, number_of_threads, share, workspace

F2 = Form(0, 1, -1)
POSITIONS = F2.side ** 2
PANEL, TOGETHER = 64, 16        # outputs and tiles of a small product


def pays(pictures, channels):
    """Whether it is faster than the direct product, for pictures (N, H, W, …) and that many channels in and out: where
    there are few tiles, but enough that the filters' transforms are worth it."""
    return type(pictures) is np.ndarray and min(channels) >= 64 and 16 <= tiles(F2, pictures) <= 64


def conv(x, w, b, g, rectified):
    """The convolution of x; see kernels.conv."""
    return correlate(x, panels(w, False), b, g.padding, rectified)


def conv_input(u, w, g):
    """Its adjoint: the "full" convolution of u with the filters' taps in reverse order, from O channels to C."""
    return correlate(u, panels(w, True), None, tuple(TAPS - 1 - p for p in g.padding))


@once
def panels(w, adjoint):
    """Filters (3, 3, C, O) → (16, O/64, C, 64); of the adjoint, from O to C."""
    taps = w.reshape(TAPS ** 2, *w.shape[2:])
    taps = taps[::-1].swapaxes(1, 2) if adjoint else taps
    width = math.gcd(taps.shape[2], PANEL)
    split = taps.reshape(*taps.shape[:2], -1, width).swapaxes(1, 2)
    return evaluate(F2.filter, np.ascontiguousarray(split))


def correlate(x, filters, b, padding, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, p + k − pad, c] w[k, c, o] + b[o]  for x (N, H, W, C) and filters in panels."""
    height, width = (n + 2 * p - TAPS + 1 for n, p in zip(x.shape[1:3], padding))
    rows, columns = -(-height // F2.tile), -(-width // F2.tile)
    images, channels, panel = len(x), x.shape[-1], filters.shape[-1]
    many, groups = images * rows * columns, -(-images * rows * columns // TOGETHER)
    values = empty((POSITIONS, groups * TOGETHER * channels), x.dtype, apart=True)
    y = empty((images, rows, F2.tile, columns, F2.tile, filters.shape[1] * panel), x.dtype)

    def contract(some):
        u = filters[:, some, None]                                              # (16, panels, 1, C, 64)
        v = values.reshape(POSITIONS, 1, groups, TOGETHER, channels)
        outputs = u.shape[1] * panel
        m = workspace(np, "products", (POSITIONS, groups * TOGETHER * outputs), x.dtype, apart=True)
        np.matmul(v, u, out=m.reshape(POSITIONS, groups, TOGETHER, u.shape[1], panel).transpose(0, 3, 1, 2, 4))
        out = slice(some.start * panel, some.stop * panel)
        interpolate(F2.output, m[:, :many * outputs], b if b is None else b[out], rectified, y[..., out])

    values[:, many * channels:] = 0
    transform(F2.input, x, rows, columns, padding, F2, values[:, :many * channels])
    share(contract, even(filters.shape[1], min(filters.shape[1], number_of_threads())), np)
    return y.reshape(images, rows * F2.tile, columns * F2.tile, -1)[:, :height, :width]
