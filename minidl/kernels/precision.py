"""In which type numbers are computed: decided here, and nowhere else."""
import numpy as np


def accumulator(dtype):
    """The type in which numbers of a type are added up.

    float16 → float32: float16 ends at 65504, and from 2048 on adding 1 to it changes nothing.
    Whole numbers and booleans → 64 bits, as in NumPy's sum: narrower ones would wrap around.
    """
    if dtype.char == "e":
        return np.dtype("float32")
    if dtype.kind in "iub":
        return np.dtype("uint64" if dtype.kind == "u" else "int64")
    return dtype
