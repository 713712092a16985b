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
from minidl.kernels.algorithm import in_strips, strips_of_columns
from minidl.kernels.columns import SHORT
from minidl.kernels.memory import empty
from minidl.kernels.product import by_panels, in_panels, multiply, panels_pay
from minidl.kernels.selection import rectify
from minidl.kernels.views import move
from minidl.kernels.workers import share, workspace


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


def fold(u, w, b, g, rectified=False):
    """x̄ (N, *S, C) + b  from u (N, *P, O), w (*K, C/groups, O), b (C,) or None, and g, the Geometry.

    rectified: its positive part.  With few channels these come first in memory, so that rows are long.
    """
    xp, kernel, groups, channels, outputs = backend.of(u), g.kernel, g.groups, w.shape[-2], w.shape[-1] // g.groups
    first, *others = map(Axis, g.sizes, kernel, g.stride, g.padding, g.dilation, u.shape[1:-1])
    steps = [list(axis.steps(axis.span(), (0, axis.places), range(axis.taps))) for axis in others]
    landings = [list(axis.landings(axis.span())) for axis in others]
    lengths = tuple(end - start for start, end in (axis.span() for axis in others))
    every, few = (slice(None),) * 2, channels < SHORT and xp is backend.CPU.module
    wide = math.prod(kernel[1:]) * channels >= SHORT and xp is backend.CPU.module
    rounds = [range(k, k + 1) for k in range(first.taps)] if wide else [range(first.taps)]
    panels = groups == 1 and not few and in_strips(xp) and panels_pay(math.prod(u.shape[:-1]), outputs)
    filters = w.reshape(-1, channels, groups, outputs)
    if few:
        filters = filters.transpose(2, 0, 1, 3).reshape(groups, first.taps, -1, outputs)
    else:
        filters = in_panels(filters[:, :, 0].swapaxes(1, 2)) if panels else filters.transpose(0, 2, 3, 1)
        filters = filters.reshape(first.taps, -1, *filters.shape[1:])
    x = empty((len(u), *g.sizes, groups, channels), u.dtype, xp)

    def products(places, taps):
        """z (*K, groups, n, *p, C/groups) of a range of taps along the first axis."""
        rows, taps = places.reshape(-1, groups, outputs).swapaxes(0, 1), slice(taps.start, taps.stop)
        if few:
            part = filters[:, taps].reshape(groups, -1, outputs)
            z = workspace(xp, "columns", (groups, part.shape[1], rows.shape[1]), u.dtype)
            z = multiply(part, rows.swapaxes(1, 2), z).reshape(groups, -1, *kernel[1:], channels, *places.shape[:-1])
            return xp.moveaxis(z, (0, len(kernel) + 1), (len(kernel), -1))
        part = filters[taps].reshape(-1, *filters.shape[2:])
        z = workspace(xp, "columns", (len(part), groups, rows.shape[1], channels), u.dtype)
        if panels:
            by_panels(rows, part, z[:, 0])
        else:
            multiply(rows, part, z)
        return z.reshape(-1, *kernel[1:], groups, *places.shape[:-1], channels)

    def sums(*sides):
        """One for each remainder: (*s, groups, n, *q, C/groups), that of the bias so far."""
        if few:
            total = workspace(xp, "product", (*g.stride, groups, channels, *sides), u.dtype)
            total = xp.moveaxis(total, len(kernel) + 1, -1)
        else:
            total = workspace(xp, "product", (*g.stride, groups, *sides, channels), u.dtype)
        total[...] = 0 if b is None else b.reshape(groups, *[1] * len(sides), channels)
        return total

    def fill(strip):
        images, rows = strip
        q = first.span()[0] + rows.start, first.span()[0] + rows.stop
        total = sums(images.stop - images.start, q[1] - q[0], *lengths)
        for taps in rounds:
            p = first.reaching(q, taps)
            places = u[images, slice(*p)]
            if places.size == 0:
                continue
            z = products(places, taps)
            for tap, step in zip(np.ndindex(*z.shape[:len(kernel)]), product(first.steps(q, p, taps), *steps)):
                remainder, to, origin = zip(*step)
                part = total[remainder][every + to]
                part += z[tap][every + origin]
        if rectified:
            rectify(total, out=total)
        for landing in product(first.landings(q), *landings):
            remainder, own, at = zip(*landing)
            move(xp.moveaxis(total[remainder][every + own], 0, -2), x[(images,) + at])

    start, end = first.span()
    per_row = math.prod(u.shape[2:-1]) * len(rounds[0]) * math.prod(kernel[1:]) * channels * groups * u.itemsize
    todo, threads = strips_of_columns(len(u), end - start, per_row, xp, budget=2 ** 22)
    share(fill, todo, xp, threads)
    return x.reshape(*x.shape[:-2], groups * channels)
