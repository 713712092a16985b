"""Minibatches."""
from numbers import Integral

import numpy as np

from ..tensor import Tensor


class batches:
    """Go through aligned arrays in minibatches, once per `for` loop.

        for x, y in batches(images, labels, batch_size=64, rng=0): ...

    Each array or Tensor (N, ...) gives pieces (batch_size, ...), the last one shorter unless `drop_last`; several arrays
    give tuples, one array gives the pieces themselves. `len` is the number of batches.
    rng: None keeps the order, and the pieces are views; a numpy.random.Generator or a seed shuffles all arrays alike,
    anew for every loop.  (So make one `batches` before the loop over epochs, or pass a Generator: a seed given anew in
    every epoch gives every epoch the same order.)

    Raises ValueError for arrays of different lengths or a batch_size below 1, TypeError for one that is not whole.
    """

    def __init__(self, *arrays, batch_size, rng=None, drop_last=False):
        lengths = [len(array) for array in arrays]
        if len(set(lengths)) != 1:
            raise ValueError(f"batches: arrays must be one or more of the same length, got lengths {lengths}")
        if not isinstance(batch_size, Integral):
            raise TypeError(f"batches: batch_size must be a whole number, got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batches: batch_size must be at least 1, got {batch_size}")
        self.arrays, self.batch_size, self.drop_last = arrays, int(batch_size), drop_last
        self.rng = None if rng is None else np.random.default_rng(rng)

    def __len__(self):
        whole, rest = divmod(len(self.arrays[0]), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        order = None if self.rng is None else self.rng.permutation(len(self.arrays[0]))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = slice(start, start + self.batch_size)
            if order is not None:
                chosen = order[chosen]
            pieces = tuple(array[_on_device_of(array, chosen)] for array in self.arrays)
            yield pieces if len(pieces) > 1 else pieces[0]


def _on_device_of(array, chosen):
    """An index array as a Tensor beside the one that it is to index; anything else as it is."""
    if isinstance(array, Tensor) and isinstance(chosen, np.ndarray):
        return Tensor(chosen, device=array.device)
    return chosen
