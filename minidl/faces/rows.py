"""The rows of a gallery, an encoding for each picture enrolled: checked, and searched."""
from dataclasses import dataclass

import numpy as np

from minidl.kernels import two_nearest

LONGEST = 1e18      # of an encoding: its square, and that of a difference, is a float32


@dataclass(frozen=True, eq=False)
class Rows:
    """A gallery at one moment: names; of each picture the encoding, its ‖f‖², and whose it is."""
    names: list
    encodings: np.ndarray
    squares: np.ndarray
    people: np.ndarray

    def search(self, operation, queries):
        if not len(self.people):
            raise ValueError(f"{operation}: nobody is enrolled")
        width = self.encodings.shape[1]
        if queries.ndim != 2 or queries.shape[1] != width:
            raise ValueError(f"{operation}: encodings must be (N, {width}), got {queries.shape}")
        squared_lengths(operation, queries, queries)            # which checks them
        return two_nearest(queries, self.encodings, self.squares, self.people)

    def name(self, number):
        return self.names[number] if number >= 0 else None


def squared_lengths(operation, names, encodings, width=0):
    """‖f‖² (N,) of encodings.  Raises ValueError unless they are (len(names), width) usable
    numbers, of any width where 0 is given."""
    if encodings.ndim != 2 or len(encodings) != len(names) or len(names) and not encodings.shape[1]:
        raise ValueError(f"{operation}: {len(names)} names need encodings ({len(names)}, D), "
                         f"got {encodings.shape}")
    if width and encodings.shape[1] != width:
        raise ValueError(f"{operation}: encodings have {encodings.shape[1]} numbers, "
                         f"those of this gallery {width}")
    if encodings.dtype != np.float32 or not np.isfinite(encodings).all():
        raise ValueError(f"{operation}: encodings must be finite float32 numbers")
    squares = np.einsum("nd,nd->n", encodings, encodings)
    if not (squares <= LONGEST ** 2).all():
        raise ValueError(f"{operation}: encodings must not be longer than {LONGEST:g}")
    return squares
