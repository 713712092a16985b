"""In which type numbers are computed: decided here, and nowhere else."""
import functools

import numpy as np


def accumulator(dtype):
    """The type in which numbers of a type are added up.

    float16 → float32: float16 ends at 65504, and from 2048 on adding 1 to it changes nothing.
    Whole numbers and booleans → 64 bits, as in NumPy's sum: narrower ones would wrap around.
    All others are added up in their own type.
    """
    if dtype.char == "e":
        return np.dtype("float32")
    if dtype.kind in "iub":
        return np.dtype("uint64" if dtype.kind == "u" else "int64")
    return dtype


def real(dtype):
    """The type of fractions made of numbers of a type, as their mean: float64 for whole ones."""
    return np.dtype("float64") if dtype.kind in "iub" else dtype


def accumulated(arrays):
    """Decorates a kernel that adds up.

    Its first `arrays` arguments reach it in the accumulator of their common type.  What it makes of
    floating-point numbers is rounded once, at the end, to that type; whole numbers stay wide.
    """
    def decorate(kernel):
        @functools.wraps(kernel)
        def call(*arguments, **options):
            common = arguments[0].dtype
            for x in arguments[1:arrays]:
                if x is not None and x.dtype != common:
                    common = np.result_type(common, x.dtype)
            wide = accumulator(common)
            if wide is common:
                return kernel(*arguments, **options)
            made = kernel(*(x if x is None else x.astype(wide) for x in arguments[:arrays]),
                          *arguments[arrays:], **options)
            return made if common.kind != "f" else _rounded(made, common)
        return call
    return decorate


def _rounded(made, dtype):
    """An array, or several, in that type."""
    if isinstance(made, tuple):
        return tuple(_rounded(each, dtype) for each in made)
    return made.astype(dtype)
