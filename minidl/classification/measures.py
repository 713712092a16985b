"""How good a classifier is, beside what needs no learning."""
from typing import NamedTuple

import numpy as np

from minidl.faces.evaluation import wilson_interval


class Standard(NamedTuple):
    """(x − mean) / deviation, each channel by itself: both as the training examples have them."""
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, x):
        """Of x (N, *S, C); a channel that never changes is divided by 1."""
        axes = tuple(range(x.ndim - 1))
        deviation = x.std(axes)
        return cls(x.mean(axes), np.where(deviation > 0, deviation, 1).astype(x.dtype))

    def __call__(self, x):
        return (x - self.mean) / self.deviation


def confusion(labels, answers, classes):
    """Counts (classes, classes): row, what it is; column, what was said."""
    table = np.zeros((classes, classes), int)
    np.add.at(table, (labels, answers), 1)
    return table


def nearest_neighbour(x, labels, asked):
    """The labels of those of x (N, …) that are nearest to the examples asked (M, …), in ‖a − b‖."""
    x, asked = (each.reshape(len(each), -1).astype(float) for each in (x, asked))
    squares = (x ** 2).sum(1) - 2 * asked @ x.T
    return labels[squares.argmin(1)]


def interval(right, groups=None, draws=2000, seed=0):
    """95 % interval (low, high) of the share of right answers, booleans (N,).

    groups: (N,) whose each answer is, where answers of one person, or of one region, hang
        together.  Then whole groups are drawn again, with repetition (the bootstrap); otherwise it
        is Wilson's.
    """
    right = np.asarray(right, bool)
    if groups is None:
        return wilson_interval(int(right.sum()), len(right))
    names, of = np.unique(groups, return_inverse=True)
    wins, sizes = np.bincount(of, right), np.bincount(of)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    shares = wins[drawn].sum(1) / sizes[drawn].sum(1)
    return tuple(map(float, np.quantile(shares, (0.025, 0.975))))
