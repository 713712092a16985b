"""How good a classifier is, beside what needs no learning."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minidl.backend import generator
from minidl.classification.checks import classes_of, examples_of
from minidl.faces.evaluation import wilson_interval
from minidl.operands import check_sizes
from minidl.settings import labels_of, numbers


class Standard(NamedTuple):
    """(x − mean) / deviation, each channel by itself: both as the training examples have them."""
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "Standard":
        """Of x (N, *S, C), summed in float64; a channel that never changes is divided by 1."""
        x = examples_of("Standard", x)
        axes, dtype = tuple(range(x.ndim - 1)), x.dtype if x.dtype.kind == "f" else "float64"
        changes = x.max(axes) > x.min(axes)             # else rounding makes a small deviation
        deviation = np.where(changes, x.std(axes, dtype="float64"), 1)
        return cls(x.mean(axes, dtype="float64").astype(dtype), deviation.astype(dtype))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = numbers("Standard", "x", x, dtype=None)
        if x.shape[-1:] != self.mean.shape:
            raise ValueError(f"Standard: x must have {len(self.mean)} channels on its last axis, "
                             f"got shape {x.shape}")
        return (x - self.mean) / self.deviation


def confusion(labels: Sequence[int] | np.ndarray, answers: Sequence[int] | np.ndarray,
              classes: int) -> np.ndarray:
    """Counts (classes, classes): row, what it is; column, what was said.

    Raises ValueError for labels or answers (N,) outside of 0 … classes − 1.
    """
    check_sizes("confusion", classes=classes)
    labels = classes_of("confusion", labels, None, classes)
    answers = classes_of("confusion", answers, len(labels), classes, "answers")
    table = np.zeros((classes, classes), int)
    np.add.at(table, (labels, answers), 1)
    return table


def nearest_neighbour(x: np.ndarray, labels: Sequence | np.ndarray,
                      asked: np.ndarray) -> np.ndarray:
    """The labels of those of x (N, …) that are nearest to the examples asked (M, …), in ‖a − b‖.

    Raises ValueError where both are of different shapes, or the labels are not (N,).
    """
    x = examples_of("nearest_neighbour", x)
    asked = examples_of("nearest_neighbour", asked, "asked")
    labels = labels_of("nearest_neighbour", labels)
    if x.shape[1:] != asked.shape[1:] or len(labels) != len(x):
        raise ValueError(f"nearest_neighbour: x {x.shape}, labels {labels.shape} and asked "
                         f"{asked.shape} do not fit")
    x, asked = (each.reshape(len(each), -1).astype(float) for each in (x, asked))
    x, asked = x - x.mean(0), asked - x.mean(0)     # else ‖a − b‖ may be lost in large squares
    squares = (x ** 2).sum(1)
    return np.concatenate([labels[(squares - 2 * part @ x.T).argmin(1)]
                           for part in np.array_split(asked, -(-len(asked) // 512))])


def best_thresholds(values: Sequence[float] | np.ndarray, labels: Sequence[int] | np.ndarray,
                    classes: int) -> np.ndarray:
    """Cuts c_1 ≤ … ≤ c_(classes − 1): class k is said of a value v where c_k ≤ v < c_(k+1), with
    c_0 = −∞ and c_classes = ∞.  On values (N,) with labels (N,) no other cuts are right more often.

    Let S_k(i) be how many values of class k are among the i smallest.  The best that the first k
    classes reach with the i smallest values is

        B_0(i) = S_0(i),    B_k(i) = S_k(i) + max_(j ≤ i) (B_(k−1)(j) − S_k(j))

    and the j that was taken is where class k begins.
    Raises ValueError for labels outside of 0 … classes − 1, and for values that are not finite.
    """
    check_sizes("best_thresholds", classes=classes)
    values = numbers("best_thresholds", "values", values, "(N,)", None, finite=True)
    labels = classes_of("best_thresholds", labels, len(values), classes)
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


def interval(right: Sequence[bool] | np.ndarray, groups: Sequence | np.ndarray | None = None,
             draws: int = 2000, seed: np.random.Generator | int = 0) -> tuple[float, float]:
    """95 % interval (low, high) of the share of right answers, booleans (N,).

    groups: (N,) to which person, or region, each answer belongs, where one's answers are alike.
        Then whole groups are drawn again, with repetition (the bootstrap); otherwise the interval
        is Wilson's.
    draws: so many times; seed: a Generator or an integer.
    Raises ValueError unless there is at least one answer, and a group for each.
    """
    right = numbers("interval", "right", right, "(N,)", bool)
    check_sizes("interval", answers=len(right), draws=draws)
    if groups is None:
        low, high = wilson_interval(int(right.sum()), len(right))
        return min(low, right.mean().item()), max(high, right.mean().item())    # 1 may be rounded
    groups = labels_of("interval", groups, "groups")
    if len(groups) != len(right):
        raise ValueError(f"interval: expected {len(right)} groups, one for each answer, got "
                         f"{len(groups)}")
    names, of = np.unique(groups, return_inverse=True)
    wins, sizes = np.bincount(of, right), np.bincount(of)
    drawn = generator(seed).integers(len(names), size=(draws, len(names)))
    shares = wins[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(shares, (0.025, 0.975)).tolist()
    return low, high
