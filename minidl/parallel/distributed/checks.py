"""What a communicator is given, checked before anything is sent.

(`operands.py`, a floor above, cannot be imported here.)
"""
from numbers import Integral
import sys

import numpy as np

from minidl import backend


def check_array(operation, x):
    """Raise TypeError for what is no array of a device."""
    if not backend.is_array(x):
        raise TypeError(f"{operation}: x must be an array, got {type(x).__name__}")


def whole(operation, name, value, least, most):
    """A whole number as Python's; raises TypeError for other kinds, ValueError unless
    least ≤ value ≤ most."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{operation}: {name} must be one integer, got {value!r:.60}")
    if not least <= value <= most:
        raise ValueError(f"{operation}: {name} must be in {least} ≤ {name} ≤ {most}, "
                         f"got {value!r:.60}")
    return int(value)


def whole_numbers(operation, name, values):
    """Whole numbers of at least 0 as a list of Python's; raises TypeError for what is no list,
    tuple or array."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise TypeError(f"{operation}: {name} must be a list of integers, got "
                        f"{type(values).__name__}")
    return [whole(operation, name, value, 0, sys.maxsize) for value in values]
