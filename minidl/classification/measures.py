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
    squares = (x ** 2).sum(1)
    return np.concatenate([labels[(squares - 2 * part @ x.T).argmin(1)]
                           for part in np.array_split(asked, -(-len(asked) // 512))])


def best_thresholds(values, labels, classes):
    """Cuts c (classes − 1,), ascending: class k is said where c_k ≤ v < c_(k+1), and of all such
    rules this is right most often of values (N,) with labels (N,).

    Let S_k(i) be how many values of class k are among the i smallest.  The best that the first k
    classes reach with the i smallest values is

        B_0(i) = S_0(i),    B_k(i) = S_k(i) + max_(j ≤ i) (B_(k−1)(j) − S_k(j))

    and the j that was taken is where class k begins.
    """
    grid, of = np.unique(values, return_inverse=True)
    counts = np.zeros((len(grid) + 1, classes), int)
    np.add.at(counts, (of + 1, labels), 1)
    seen = counts.cumsum(0)                             # S, of whole groups of equal values
    best, begins = seen[:, 0], []
    for k in range(1, classes):
        gain = best - seen[:, k]
        most = np.maximum.accumulate(gain)
        begins.append(np.maximum.accumulate(np.where(gain == most, np.arange(len(gain)), 0)))
        best = most + seen[:, k]
    cuts, i = [], len(grid)
    for begin in reversed(begins):
        i = begin[i]
        cuts.append(grid[i] if i < len(grid) else np.inf)
    return np.array(cuts[::-1])


def interval(right, groups=None, draws=2000, seed=0):
    """95 % interval (low, high) of the share of right answers, booleans (N,).

    groups: (N,) whose each answer is, where answers of one person, or of one region, hang
        together.  Then whole groups are drawn again, with repetition (the bootstrap); otherwise it
        is Wilson's.
    """
    right = np.asarray(right, bool)
    if groups is None:
        low, high = wilson_interval(int(right.sum()), len(right))
        return min(low, right.mean().item()), max(high, right.mean().item())    # 1 may be rounded
    names, of = np.unique(groups, return_inverse=True)
    wins, sizes = np.bincount(of, right), np.bincount(of)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    shares = wins[drawn].sum(1) / sizes[drawn].sum(1)
    return tuple(map(float, np.quantile(shares, (0.025, 0.975))))
