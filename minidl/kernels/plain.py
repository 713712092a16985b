"""Convolution and pooling as they are defined: one tap of the filter after the other.

    T(x, w, u) = Σ  x[n, s·p + d·k − pad, c] · w[k, c, o] · u[n, p, o]        over n, p, k, c, o

x (N, *S, C) is the input, w (*K, C/groups, O) the filters, u (N, *P, O) an array like the output.
k runs over the taps of the filter and p over the positions of the output; k, p, the stride s, the
dilation d and pad have one entry for each spatial axis.  Where an index of x is outside of
0 … S − 1, x counts as 0: it is padded.  With groups, the channels are cut into that many blocks,
each with its own filters: output o meets the channels  ⌊o · groups / O⌋ · C/groups + c  of x.

T is linear in each of x, w and u.  What stands beside one of them in the sum is an array of its
shape: beside u stands conv(x, w), beside x conv_input(u, w), and beside w conv_weight(x, u).  So
the three are each other's gradients: ops/convolution.py derives that.

Hold one tap k fixed, and let the position p run: what the tap sees in the padded input, called
`wide` here, is a regular grid, with steps of the stride s, that begins at d·k.  That is a slice,
`seen(k)`.  With a row for each n and p it is a matrix (rows, C), as u is one (rows, O); and w[k] is
a matrix (C, O):

    conv           y              += wide[seen(k)]  w[k]        for each tap k
    conv_input     wide[seen(k)]  += u  w[k]ᵀ                   transposed convolution
    conv_weight    w[k]            = wide[seen(k)]ᵀ  u

With groups, each block of channels has products of its own (`_by_group`).  Pooling looks through
the same slices, without dilation and groups.  g, a Geometry (geometry.py), holds the sizes S, K and
P, s, pad, d and groups.

The files in fast/ compute the same faster: by gathering what all taps see into one matrix and
multiplying once (im2col), by multiplying first and adding up where the taps point (col2im,
`fold.py`), or with fewer multiplications (`winograd.py`).  They are tested against this file, which
MINIDL_CONV=plain chooses.
"""
import math

import numpy as np

from minidl import backend
from minidl.kernels.precision import lowest
from minidl.kernels.sums import mean


def conv(x, w, b, g):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] · w[k, c, o] + b[o];  b (O,) or None."""
    wide = padded(x, g)
    y = backend.of(x).zeros((len(x), *g.output, w.shape[-1]), x.dtype)
    for k in np.ndindex(*g.kernel):
        y += _joined(_by_group(wide[seen(k, g)], g) @ _by_group(w[k], g), y.shape)
    return y if b is None else y + b


def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] · w[k, c, o]  over all p, k, o with s·p + d·k − pad = i."""
    wide = _room(u, w.shape[-2] * g.groups, g)
    for k in np.ndindex(*g.kernel):
        at = seen(k, g)
        wide[at] += _joined(_by_group(u, g) @ _by_group(w[k], g).swapaxes(1, 2), wide[at].shape)
    return wide[_inside(g)]


def conv_weight(x, u, g):
    """w̄[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] · u[n, p, o]."""
    wide = padded(x, g)
    w = backend.of(x).zeros((*g.kernel, x.shape[-1] // g.groups, u.shape[-1]), x.dtype)
    for k in np.ndindex(*g.kernel):
        w[k] = _joined(_by_group(wide[seen(k, g)], g).swapaxes(1, 2) @ _by_group(u, g), w[k].shape)
    return w


def max_pool(x, g):
    """y[n, p, c] = max_k x[n, s·p + k − pad, c], and the switches: which k is the first that gives
    it, in C order, as 1 + the number of taps before it (so fast/pooling.py counts).

    The padding holds the lowest number of the type, and is at most half as wide as the window: so
    every window sees some of x.  Where all that it sees of x is as low, too, the padding ties with
    it, and `inside` keeps the switch in x.
    """
    xp = backend.of(x)
    taps = _taps(padded(x, g, lowest(x.dtype)), g)                               # (|K|, N, *P, C)
    inside = _taps(padded(xp.ones_like(x, dtype=bool), g, False), g)
    y = taps.max(0)
    best = (taps == y) | (taps != taps)                                 # a NaN is the maximum
    return y, (best & inside).argmax(0) + 1


def select(x, switches, g):
    """y[n, p, c] = x at the tap that the switch names."""
    xp, taps = backend.of(x), _taps(padded(x, g), g)
    numbers = xp.arange(1, len(taps) + 1).reshape(-1, *(1,) * switches.ndim)
    return xp.where(numbers == switches, taps, 0).sum(0, dtype=x.dtype)


def unpool(u, switches, g):
    """The adjoint of select: u added at the tap that the switch names, zeros elsewhere."""
    xp, x = backend.of(u), _room(u, u.shape[-1], g)
    for number, k in enumerate(np.ndindex(*g.kernel), 1):
        x[seen(k, g)] += xp.where(switches == number, u, 0)
    return x[_inside(g)]


def window_mean(x, g):
    """y[n, p, c] = (1/|K|) Σ_k x[n, s·p + k − pad, c], the padding counting as zeros."""
    return mean(_taps(padded(x, g), g), (0,))


def spread(u, g):
    """The adjoint of window_mean: u / |K| added to every element of its window."""
    x = _room(u, u.shape[-1], g)
    for k in np.ndindex(*g.kernel):
        x[seen(k, g)] += u / math.prod(g.kernel)
    return x[_inside(g)]


def seen(k, g):
    """The slices of a padded input that tap k of the filter sees, at every place: (N, *P, C)."""
    spatial = [slice(d * tap, d * tap + s * (places - 1) + 1, s)
               for tap, places, s, d in zip(k, g.output, g.stride, g.dilation)]
    return slice(None), *spatial, slice(None)


def padded(x, g, value=0):
    """x (N, *S, C) with g.padding entries of a value on both sides of each spatial axis."""
    wide = backend.of(x).full((len(x), *_wide(g), x.shape[-1]), value, x.dtype)
    wide[_inside(g)] = x
    return wide


def _room(u, channels, g):
    """Zeros of the padded input's shape, for the taps to add to."""
    return backend.of(u).zeros((len(u), *_wide(g), channels), u.dtype)


def _wide(g):
    return tuple(size + 2 * pad for size, pad in zip(g.sizes, g.padding))


def _inside(g):
    """The slices of a padded input that are the input."""
    spatial = [slice(pad, pad + size) for pad, size in zip(g.padding, g.sizes)]
    return slice(None), *spatial, slice(None)


def _taps(x, g):
    """What each tap sees of a padded input: (|K|, N, *P, C)."""
    return backend.of(x).stack([x[seen(k, g)] for k in np.ndindex(*g.kernel)])


def _by_group(a, g):
    """(…, C) cut along its last axis, into a matrix for each group: (groups, rows, C/groups)."""
    return a.reshape(-1, g.groups, a.shape[-1] // g.groups).swapaxes(0, 1)


def _joined(matrices, shape):
    """The matrices (groups, rows, O/groups) put side by side again, as an array (…, O)."""
    return matrices.swapaxes(0, 1).reshape(shape)
