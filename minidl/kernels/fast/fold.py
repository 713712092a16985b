"""Convolution's adjoint as it stands: multiply first, then add up.

    x̄[n, i, c] = Σ z[k, n, p, c]   over all k, p with  s·p + d·k − pad = i,        z[k, n, p, c] = Σ_o u[n, p, o] w[k, c, o]

With  i + pad = s·q + r  and  d·k = s·j + r,  where r is the remainder of both, that is

    q = p + j

So what a tap gives to the outputs of its remainder lies side by side, as the places do.  Each remainder has a sum of its
own, to which z is added in long rows; in the end the sums are put in their places in x̄.

The places that reach a strip of x̄ by any tap reach the next strip too, and would be multiplied for both.  So the taps along
the first axis are taken one after the other, each with those places only that it needs, unless products become too narrow.
"""
from itertools import product
import math
from typing import NamedTuple

import numpy as np

from minidl import backend
from minidl.kernels.fast.columns import SHORT, in_strips, strips_of_columns
from minidl.kernels.fast.product import by_panels, in_panels, multiply, panels_pay
from minidl.kernels.fast.selection import rectify
from minidl.kernels.fast.views import move
from minidl.parallel.memory import empty
from minidl.parallel.threads import share, workspace


class Axis(NamedTuple):
    """The geometry along one axis.  Ranges of q and of places are pairs: the first, and one after the last."""
    size: int
    taps: int
    stride: int
    padding: int
    dilation: int
    places: int

    def span(self):
        """The range of all q."""
        return self.padding // self.stride, (self.size - 1 + self.padding) // self.stride + 1

    def reaching(self, q, taps):
        """The places from which a range of taps reaches a range of q."""
        first = min(max(0, q[0] - self.dilation * taps[-1] // self.stride), self.places)
        return first, max(first, min(self.places, q[1] - self.dilation * taps[0] // self.stride))

    def steps(self, q, p, taps):
        """For each of the taps its remainder, which q of a range it reaches, and from which of a range of places."""
        for k in taps:
            j, r = divmod(self.dilation * k, self.stride)
            first = max(q[0], p[0] + j)
            last = max(first, min(q[1], p[1] + j))
            yield r, slice(first - q[0], last - q[0]), slice(first - j - p[0], last - j - p[0])

    def landings(self, q):
        """For each remainder, which q of a range lie in x̄, and where."""
        for r in range(self.stride):
            first = max(q[0], -((r - self.padding) // self.stride))
            last = max(first, min(q[1], (self.size - 1 + self.padding - r) // self.stride + 1))
            start = self.stride * first + r - self.padding
            yield r, slice(first - q[0], last - q[0]), slice(start, start + self.stride * (last - first), self.stride)


class ChannelsLast:
    """z (*K, groups, n, *P, C/groups), and its sums, in memory in the order written here."""

    def __init__(self, w, b, g, rows):
        """rows: how many places will be multiplied."""
        self.g, self.b, self.channels, self.outputs = g, b, w.shape[-2], w.shape[-1] // g.groups
        taps = w.reshape(-1, self.channels, g.groups, self.outputs)
        self.panels = g.groups == 1 and in_strips(backend.of(w)) and panels_pay(rows, self.outputs)
        taps = in_panels(taps[:, :, 0].swapaxes(1, 2)) if self.panels else taps.transpose(0, 2, 3, 1)
        self.filters = taps.reshape(g.kernel[0], -1, *taps.shape[1:])       # (K₁, |K₂|, groups or panels, O/groups, …)

    def products(self, places, taps):
        """z (taps, *K₂, groups, n, *p, C/groups) of places (n, *p, O) and some taps, a slice, along the first axis."""
        rows, part = _by_group(places, self.g.groups), self.filters[taps].reshape(-1, *self.filters.shape[2:])
        z = workspace(backend.of(places), "columns", (len(part), *rows.shape[:2], self.channels), places.dtype)
        if self.panels:
            by_panels(rows, part, z[:, 0])
        else:
            multiply(rows, part, z)
        return z.reshape(-1, *self.g.kernel[1:], self.g.groups, *places.shape[:-1], self.channels)

    def sums(self, like, sides):
        """One for each remainder, (*s, groups, n, *q, C/groups), of the bias so far.  sides: (n, *q)"""
        shape = *self.g.stride, self.g.groups, *sides, self.channels
        return _begun(workspace(backend.of(like), "product", shape, like.dtype), self.b)


class ChannelsFirst:
    """The same arrays, with channels before (n, *P) in memory, so that rows are long where channels are few; on the CPU."""

    def __init__(self, w, b, g, rows):
        self.g, self.b, self.channels, self.outputs = g, b, w.shape[-2], w.shape[-1] // g.groups
        taps = w.reshape(-1, self.channels, g.groups, self.outputs).transpose(2, 0, 1, 3)
        self.filters = taps.reshape(g.groups, g.kernel[0], -1, self.outputs)    # (groups, K₁, |K₂|·C/groups, O/groups)

    def products(self, places, taps):
        rows, part = _by_group(places, self.g.groups), self.filters[:, taps].reshape(self.g.groups, -1, self.outputs)
        z = workspace(np, "columns", (*part.shape[:2], rows.shape[1]), places.dtype)
        multiply(part, rows.swapaxes(1, 2), z)
        z = z.reshape(self.g.groups, -1, *self.g.kernel[1:], self.channels, *places.shape[:-1])
        axes = len(self.g.kernel)
        return np.moveaxis(z, (0, axes + 1), (axes, -1))

    def sums(self, like, sides):
        total = workspace(np, "product", (*self.g.stride, self.g.groups, self.channels, *sides), like.dtype)
        return _begun(np.moveaxis(total, len(self.g.kernel) + 1, -1), self.b)


def _begun(sums, b):
    """Sums (*s, groups, n, *q, C/groups), each of which begins as the bias."""
    axes = sums.ndim // 2 - 1
    sums[...] = 0 if b is None else b.reshape(sums.shape[axes], *[1] * (axes + 1), -1)
    return sums


def _by_group(places, groups):
    """(n, *p, O) → (groups, n·|p|, O/groups)"""
    return places.reshape(-1, groups, places.shape[-1] // groups).swapaxes(0, 1)


def fold(u, w, b, g, rectified=False):
    """x̄ (N, *S, C) + b  from u (N, *P, O), w (*K, C/groups, O), b (C,) or None, and g, the Geometry.

    rectified: its positive part.
    """
    xp, kernel, channels = backend.of(u), g.kernel, w.shape[-2]
    on_cpu = xp is backend.CPU.module
    layout = (ChannelsFirst if on_cpu and channels < SHORT else ChannelsLast)(w, b, g, u[..., 0].size)
    tap_by_tap = on_cpu and math.prod(kernel[1:]) * channels >= SHORT
    rounds = [slice(k, k + 1) for k in range(kernel[0])] if tap_by_tap else [slice(0, kernel[0])]
    first, *others = map(Axis, g.sizes, kernel, g.stride, g.padding, g.dilation, u.shape[1:-1])
    lengths = [last - start for start, last in (axis.span() for axis in others)]
    steps = [list(axis.steps(axis.span(), (0, axis.places), range(axis.taps))) for axis in others]
    landings = [list(axis.landings(axis.span())) for axis in others]
    x, every = empty((len(u), *g.sizes, g.groups, channels), u.dtype, xp), (slice(None),) * 2

    def fill(strip):
        images, rows = strip
        q = first.span()[0] + rows.start, first.span()[0] + rows.stop
        sums = layout.sums(u, (images.stop - images.start, q[1] - q[0], *lengths))
        for some in rounds:
            taps = range(some.start, some.stop)
            p = first.reaching(q, taps)
            places = u[images, slice(*p)]
            if places.size == 0:
                continue
            products = layout.products(places, some)
            for tap, step in zip(np.ndindex(*products.shape[:len(kernel)]), product(first.steps(q, p, taps), *steps)):
                remainder, to, origin = zip(*step)
                part = sums[remainder][every + to]
                part += products[tap][every + origin]
        if rectified:
            rectify(sums, out=sums)
        for landing in product(first.landings(q), *landings):
            remainder, own, at = zip(*landing)
            move(xp.moveaxis(sums[remainder][every + own], 0, -2), x[(images,) + at])

    start, end = first.span()
    taps_at_once = math.prod(kernel) // len(rounds)
    per_row = math.prod(u.shape[2:-1]) * taps_at_once * channels * g.groups * u.itemsize
    todo, threads = strips_of_columns(len(u), end - start, per_row, xp, budget=2 ** 22)
    share(fill, todo, xp, threads)
    return x.reshape(*x.shape[:-2], g.groups * channels)
