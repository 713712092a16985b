"""The matrix of what the filter sees at each place (im2col): places × taps and channels.

It would be |K| times larger than the input, so it is gathered a strip at a time, into a workspace
that stays in the cache.
"""
import math

import numpy as np

from minidl import backend
from minidl.parallel.threads import workspace

BUDGET = 2 ** 21        # bytes of a strip's columns
GATHERED = 4            # to gather and multiply them takes so many times as long as to copy them
SHORT = 24      # elements in a row of taps and channels below which gathering runs along the places


def columns(view, groups, ones=False):
    """(n, *P, *K, C) → (groups, n·P, K·C/groups).

    Where windows do not overlap (1×1), the array itself is that matrix.  With few channels the
    rows are `short`, and copying them one by one is slow: then the workspace holds the transpose,
    whose rows run along the places, for BLAS to read.
    ones: a further column of ones, which meets the bias as if that were one more tap; only where
    rows are short.
    """
    xp, spatial = backend.of(view), (view.ndim - 2) // 2
    channels = view.shape[-1] // groups
    places, kernel = view.shape[:spatial + 1], view.shape[spatial + 1:-1]
    taps = math.prod(kernel) * channels
    seen = view.reshape(*view.shape[:-1], groups, channels)
    seen = seen.transpose(view.ndim - 1, *range(view.ndim - 1), view.ndim)
    if seen.flags.c_contiguous and not ones:
        return seen.reshape(groups, math.prod(places), taps)
    if not short(kernel, channels, xp):
        gathered = workspace(xp, "columns", seen.shape, view.dtype)
        gathered[...] = seen
        return gathered.reshape(groups, math.prod(places), taps)
    seen = seen.transpose(0, *range(spatial + 2, seen.ndim), *range(1, spatial + 2))
    shape = groups, taps + ones, math.prod(places)
    gathered = workspace(xp, "columns", shape, view.dtype, pitched=True)
    gathered[:, :taps].reshape(seen.shape)[...] = seen          # a view: the last axis is cut
    gathered[:, taps:] = 1
    return gathered.swapaxes(1, 2)


def short(kernel, channels, xp):
    """Whether a row of taps and channels (of one group) is too short to gather along it."""
    return kernel[-1] * channels < SHORT and xp is np
