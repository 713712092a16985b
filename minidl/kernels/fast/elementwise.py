"""Functions that act entry by entry, in one pass over large arrays.

On the CPU the arrays are cut into strips of STRIP bytes, which all threads take side by side.
What a function makes in between (Adam: eight arrays) then stays in a core's cache.  The numbers
are the same, bit for bit.  On a GPU the function becomes one kernel.
"""
import functools
import math

import numpy as np

from minidl import backend
from minidl.parallel.memory import empty
from minidl.parallel.threads import even, parallel_map

STRIP = 2 ** 20         # bytes


def elementwise(function):
    """Decorates a function of arrays of one shape, and of numbers, that acts entry by entry.

    Its first argument is an array, and every operation in it has one: of numbers alone CuPy would
    make float64.  It gives one array of that shape, or a tuple of them.
    """
    in_one = backend.fused(function)

    @functools.wraps(function)
    def call(first, *others):
        if type(first) is not np.ndarray:
            return in_one(first, *others)
        if first.nbytes <= STRIP:
            return function(first, *others)
        flat = [x.reshape(-1) if type(x) is np.ndarray else x for x in (first, *others)]

        def part(places):
            made = function(*(x[places] if type(x) is np.ndarray else x for x in flat))
            return made if isinstance(made, tuple) else (made,)

        results = [empty(first.shape, like.dtype) for like in part(slice(0))]

        def fill(places):
            for result, made in zip(results, part(places)):
                result.reshape(-1)[places] = made

        parallel_map(fill, even(first.size, math.ceil(first.nbytes / STRIP)), np)
        return tuple(results) if len(results) > 1 else results[0]

    return call
