"""The matrix of columns: what the filter sees at each place, one row a place, and one column for each tap and channel.

It has K elements for each one of x, so gathering it is much of the work where there are few channels.  Where a filter
moves along the first axis, the next place sees all but one of its rows again.  So `by_row` and `by_tap` gather along the
other axes only, K₁ times less (K₁ rows of taps), and their matrices overlap in memory, as BLAS lets a row begin anywhere:

    columns     (places, K·C)               one matrix for the whole strip
    by_row      (P₁; n·P₂, K₁·K₂·C)         one for each row of places, as the rows of taps follow each other
    by_tap      (K₁; n; K₂·C, P₁·P₂)        one for each row of taps (and picture), as the rows of places follow each other

K₂ and P₂ are the taps and places along all axes but the first.  Groups of channels come as a further axis of the stack.
"""
import math

from minidl import backend
from minidl.kernels.fast.views import windows
from minidl.parallel.threads import hands, strips, workspace

BUDGET = 2 ** 21        # bytes of a strip's columns
SHORT = 24      # elements in a row of taps and channels below which gathering runs along the places
COPIES = 1.5    # elements whose gathering takes as long as to copy one of the result


def in_strips(xp):
    """Whether work is cut into strips: on the CPU."""
    return xp is backend.CPU.module


def strips_of_columns(images, rows, per_row, xp, budget=BUDGET):
    """(strips, threads) for columns of so many bytes a row.

    To multiply them takes three times as long as to gather them.
    """
    threads = hands(4 * images * rows * per_row)
    return strips(images, rows, per_row, xp, budget, threads), threads


def columns(view, groups, ones=False):
    """(n, *P, *K, C) → (groups, n·P, K·C/groups).

    Where windows do not overlap (1×1), the array itself is that matrix.  With few channels the rows are `short`, and copying
    them one by one is slow: then the workspace holds the transpose, whose rows run along the places, for BLAS to read.
    ones: a further column of ones, which meets the bias as if that were one more tap; only where `takes_ones`.
    """
    xp, spatial = backend.of(view), (view.ndim - 2) // 2
    places, kernel, channels = view.shape[:spatial + 1], view.shape[spatial + 1:-1], view.shape[-1] // groups
    seen = _by_group(view, groups)
    if seen.flags.c_contiguous and not ones:
        return seen.reshape(groups, math.prod(places), math.prod(kernel) * channels)
    if not short(kernel, channels, xp):
        gathered = workspace(xp, "columns", (groups,) + places + kernel + (channels,), view.dtype)
        gathered[...] = seen
        return gathered.reshape(groups, math.prod(places), math.prod(kernel) * channels)
    seen = seen.transpose(0, *range(spatial + 2, 2 * spatial + 3), *range(1, spatial + 2))
    taps = math.prod(kernel) * channels
    gathered = workspace(xp, "columns", (groups, taps + ones, math.prod(places)), view.dtype, apart=True)
    gathered[:, :taps].reshape(seen.shape)[...] = seen                  # a view: the last axis is cut
    gathered[:, taps:] = 1
    return gathered.swapaxes(1, 2)


def short(kernel, channels, xp):
    """Whether a row of taps and channels (of one group) is too short for gathering to run along it."""
    return kernel[-1] * channels < SHORT and xp is backend.CPU.module


def takes_ones(kernel, channels, xp):
    """Whether `columns` gathers along the places, so that a column of ones costs little beside a pass for the bias."""
    return short(kernel, channels, xp) and math.prod(kernel) > 1


def row_pays(kernel, stride, taps, outputs, places):
    """Whether `by_row` is faster, for so many taps · channels and outputs, and places in one of its matrices.

    It gathers K₁/s₁ times less, but what it multiplies has to be copied to where it belongs.
    """
    saved = taps - taps * stride[0] // kernel[0]
    return _overlaps(kernel, stride, outputs, places) and taps >= SHORT and saved >= COPIES * outputs


def tap_pays(kernel, stride, taps, outputs, places):
    """Whether `by_tap` is faster."""
    return _overlaps(kernel, stride, outputs, places) and taps // kernel[0] >= SHORT and stride[0] == 1


def _overlaps(kernel, stride, outputs, places):
    """Whether matrices that overlap may be worth it.  The gathering must become three times less, as products whose rows are
    far apart in memory are slower; with many outputs the products take all the time, with few places they are too small."""
    return len(kernel) > 1 and kernel[0] >= 3 * stride[0] and outputs <= 64 <= places


def by_row(x, kernel, stride, dilation, groups):
    """x (n, L, *S, C) → (P₁, groups, n·P₂, K₁·K₂·C/groups), for a dilation of 1 along the first axis.

    As in `columns`, with few channels the workspace holds the transpose.
    """
    seen = _along_others(x, kernel, stride, dilation, groups)           # (groups, n, L, *P₂, *K₂, C/groups)
    xp, spatial = backend.of(x), len(kernel) - 1
    taps = math.prod(seen.shape[3 + spatial:])
    if taps < SHORT:
        seen = seen.transpose(0, 2, *range(3 + spatial, seen.ndim), 1, *range(3, 3 + spatial))
        places = math.prod(seen.shape[3 + spatial:])
        gathered = workspace(xp, "columns", (groups, x.shape[1], taps, places), x.dtype, apart=True)
        gathered.reshape(seen.shape)[...] = seen
        rows = windows(gathered, (kernel[0], 1), (stride[0], 1), (1, 1))    # (groups, P₁, K₂·C/groups, K₁, 1, n·P₂)
        rows = rows.transpose(1, 0, 5, 3, 2, 4)
        return rows.reshape(*rows.shape[:3], -1)                        # a view, as those below: the rows overlap
    seen = seen.transpose(0, 1, *range(3, 3 + spatial), 2, *range(3 + spatial, seen.ndim))
    gathered = workspace(xp, "columns", seen.shape, x.dtype)
    gathered[...] = seen
    gathered = gathered.reshape(-1, x.shape[1], taps)
    rows = windows(gathered, kernel[:1], stride[:1], (1,))                  # (groups·n·P₂, P₁, K₁, K₂·C/groups)
    return rows.reshape(groups, -1, rows.shape[1], rows.shape[2] * rows.shape[3]).transpose(2, 0, 1, 3)


def by_tap(x, kernel, stride, dilation, groups):
    """x (n, L, *S, C) → (K₁, groups, n, K₂·C/groups, P₁·P₂), for a stride of 1 along the first axis."""
    seen = _along_others(x, kernel, stride, dilation, groups)
    xp, spatial = backend.of(x), len(kernel) - 1
    gathered = workspace(xp, "columns", seen.shape, x.dtype)
    gathered[...] = seen
    places, taps = math.prod(seen.shape[3:3 + spatial]), math.prod(seen.shape[3 + spatial:])
    rows = windows(gathered.reshape(-1, x.shape[1], places * taps), kernel[:1], (1,), dilation[:1])
    rows = rows.reshape(groups, len(x), -1, kernel[0], places, taps)    # the third is P₁
    return rows.transpose(3, 0, 1, 5, 2, 4).reshape(kernel[0], groups, len(x), taps, -1)


def _along_others(x, kernel, stride, dilation, groups):
    """View (groups, n, L, *P₂, *K₂, C/groups): windows along all axes but the first."""
    view = windows(x, (1,) + kernel[1:], (1,) + stride[1:], (1,) + dilation[1:])
    return _by_group(view.squeeze(len(kernel) + 1), groups)


def _by_group(view, groups):
    """(…, C) → (groups, …, C/groups)"""
    blocks = view.reshape(view.shape[:-1] + (groups, view.shape[-1] // groups))
    return blocks.transpose(view.ndim - 1, *range(view.ndim - 1), view.ndim)
