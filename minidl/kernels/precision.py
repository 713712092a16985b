"""In which type numbers are computed: decided here, and nowhere else."""
import functools
import math

import numpy as np


def accumulator(dtype):
    """The type in which numbers of a type are added up.

    float16 → float32: float16 ends at 65504, and from 2048 on adding 1 to it changes nothing.
    Whole numbers and booleans → 64 bits, as in NumPy's sum: narrower ones would wrap around.
    All others are added up in their own type.
    """
    return NARROW.get(dtype.char, dtype)


# by the character of a type: where it is too narrow to add up in
NARROW = ({"e": np.dtype("float32")} | dict.fromkeys("?bhilq", np.dtype("int64"))
          | dict.fromkeys("BHILQ", np.dtype("uint64")))


def real(dtype):
    """The type of fractions made of numbers of a type, as their mean: float64 for whole ones."""
    return np.dtype("float64") if dtype.kind in "iub" else dtype


def lowest(dtype):
    """The number of a type that is below all others: −∞, the first whole number, or False."""
    if dtype.kind == "f":
        return -math.inf
    return int(np.iinfo(dtype).min) if dtype.kind in "iu" else False


def accumulated(arrays):
    """Decorates a kernel that adds up.

    Its first `arrays` arguments reach it in the accumulator of their common type.  What it makes of
    floating-point numbers is rounded once, at the end, to that type; whole numbers stay wide.
    """
    def decorate(kernel):
        @functools.wraps(kernel)
        def call(*arguments, **options):
            given = [x for x in arguments[:arrays] if x is not None]
            if sums_itself(*given):
                return kernel(*arguments, **options)
            common = np.result_type(*(x.dtype for x in given))
            wide = [x if x is None else x.astype(accumulator(common)) for x in arguments[:arrays]]
            made = kernel(*wide, *arguments[arrays:], **options)
            return made if common.kind != "f" else _rounded(made, common)
        return call
    return decorate


def sums_itself(first, *others):
    """Whether arrays have one type, which is its own accumulator."""
    return first.dtype.char not in NARROW and all(x.dtype == first.dtype for x in others)


def _rounded(made, dtype):
    """An array, or several, in that type."""
    if isinstance(made, tuple):
        return tuple(_rounded(each, dtype) for each in made)
    return made.astype(dtype)
