"""Transposed convolution as it stands (col2im): multiply first, then add up.

    z[k, n, p, c] = Σ_o u[n, p, o] w[k, c, o]          x̄[n, s·p + d·k − pad, c] += z[k, n, p, c]

With  d·k = s·j + r,  where r is the remainder,  a tap adds to the places  s·(p + j) + r − pad.  So
each remainder has a sum of its own, to which z is added in long rows: channels come first there.
"""
import math

import numpy as np

from minidl.kernels.fast.columns import BUDGET, GATHERED
from minidl.kernels.fast.product import multiply
from minidl.kernels.fast.selection import rectify
from minidl.parallel.memory import empty
from minidl.parallel.threads import in_strips, workspace


def fold(u, w, b, g, rectified=False):
    """x̄ (N, *S, C) + b  from u (N, *P, O), w (*K, C/groups, O), b (C,) or None, on the CPU.

    rectified: its positive part.
    """
    channels, outputs, places = w.shape[-2], w.shape[-1] // g.groups, u.shape[1:-1]
    filters = w.reshape(-1, channels, g.groups, outputs).transpose(2, 0, 1, 3)
    filters = filters.reshape(g.groups, -1, outputs)                    # (G, |K|·C/G, O/G)
    reach = [d * (k - 1) for d, k in zip(g.dilation, g.kernel)]
    x = empty((len(u), *g.sizes, g.groups, channels), u.dtype)

    def fill(strip):
        images, rows = strip
        first, last = _reaching(rows, reach[0], places[0], g)
        near = u[images, first:last]
        z = workspace(np, "columns", (*filters.shape[:2], near[..., 0].size), u.dtype)
        multiply(filters, near.reshape(-1, g.groups, outputs).transpose(1, 2, 0), z)
        z = z.reshape(g.groups, *g.kernel, channels, *near.shape[:-1])

        # of the padded x̄, what is wanted: along the first axis, counted from the first place on
        start = rows.start + g.padding[0] - first * g.stride[0]
        wanted = [(start, start + rows.stop - rows.start)]
        wanted += [(p, p + n) for p, n in zip(g.padding[1:], g.sizes[1:])]
        lengths = [max(-(-stop // s), n + far // s)
                   for (_, stop), s, n, far in zip(wanted, g.stride, near.shape[1:-1], reach)]
        shape = *g.stride, g.groups, channels, len(near), *lengths
        sums = workspace(np, "product", shape, u.dtype)
        sums[...] = 0 if b is None else b.reshape(g.groups, channels, *[1] * (len(places) + 1))
        for tap in np.ndindex(*g.kernel):
            steps = [divmod(d * k, s) for d, k, s in zip(g.dilation, tap, g.stride)]
            at = tuple([slice(j, j + n) for (j, _), n in zip(steps, near.shape[1:-1])])
            part = sums[(*[r for _, r in steps], ..., *at)]
            part += z[(slice(None), *tap)]
        if rectified:
            rectify(sums, out=sums)
        target = x[images, rows]
        for remainder in np.ndindex(*g.stride):
            own, at = zip(*map(_landing, remainder, g.stride, wanted))
            part = sums[(*remainder, ..., *own)]
            target[(slice(None), *at)] = np.moveaxis(part, (0, 1), (-2, -1))

    per_row = math.prod(x.shape[2:]) * u.itemsize * math.prod(g.kernel) // math.prod(g.stride)
    budget = 2 * BUDGET + 4 * reach[0] * per_row        # few places are then needed by two strips
    in_strips(fill, len(u), g.sizes[0], per_row, np, budget, GATHERED)
    return x.reshape(*x.shape[:-2], g.groups * channels)


def _reaching(rows, reach, places, g):
    """The range of places from which filters reach some rows of x̄."""
    s, pad = g.stride[0], g.padding[0]
    first = min(max(0, (rows.start + pad - reach) // s), places)
    return first, max(first, min(places, (rows.stop + pad - 1) // s + 1))


def _landing(r, stride, wanted):
    """Which entries of remainder r's sum are wanted, and where among those wanted they belong."""
    start, stop = wanted
    first, last = -(-(start - r) // stride), -(-(stop - r) // stride)
    return slice(first, last), slice(stride * first + r - start, None, stride)
