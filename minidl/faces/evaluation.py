"""How good is verification?  Distances of pairs of pictures, and whether each pair is one person.

distances: (N,) of any kind, smaller is more alike; same: (N,) booleans.
Where d ≤ τ, the answer is "one person", and the pair is accepted:
    true accepts    pairs of one person with d ≤ τ; as a share of all pairs of one person the true
                    accept rate (TAR, VAL), which is 1 less the false refusal rate (FRR)
    false accepts   pairs of two with d ≤ τ; as a share of all pairs of two the false accept rate
                    (FAR)
All on host arrays.  Pairs at one distance are accepted together, as no τ lies between them.
Sources: Huang et al. 2007 (Labeled Faces in the Wild), Fawcett 2006 (ROC), Schroff et al. 2015 (VAL
at a FAR).
"""
from dataclasses import dataclass
import math

import numpy as np

from minidl.settings import bounded, labels_of, numbers, whole


@dataclass(frozen=True, eq=False)
class Roc:
    """Every operating point: (P,) thresholds rising from −∞ through all different distances, and
    the two rates there.

    At thresholds[0] nothing is accepted, at the last one everything.
    """
    thresholds: np.ndarray
    false_accept_rates: np.ndarray
    true_accept_rates: np.ndarray


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold τ and the rates that it gives."""
    threshold: float
    false_accept_rate: float
    true_accept_rate: float


@dataclass(frozen=True, eq=False, repr=False)
class TenFold:
    """accuracy: mean over the folds; standard_error: of that mean, s/√folds, as LFW's tables give
    it; interval: Wilson's 95 % of all pairs pooled; thresholds, accuracies: (folds,), the first
    chosen on the other folds."""
    accuracy: float
    standard_error: float
    interval: tuple
    thresholds: np.ndarray
    accuracies: np.ndarray

    def __repr__(self):
        low, high = self.interval
        return (f"<accuracy {self.accuracy:.2%} ± {self.standard_error:.2%} (95 %: {low:.2%} to "
                f"{high:.2%}), τ {self.thresholds.mean():.3f}>")


def roc(distances, same):
    """The receiver operating characteristic: both rates at every τ; see Roc.

    Raises ValueError unless there are pairs of both kinds and all distances are numbers.
    """
    distances, same = check_pairs("roc", distances, same)
    values, position = np.unique(distances, return_inverse=True)
    accepts = [np.cumsum(np.bincount(position[kind], minlength=len(values)))
               for kind in (~same, same)]
    false, true = (np.concatenate([[0], count / count[-1]]) for count in accepts)
    return Roc(np.concatenate([[-np.inf], values]), false, true)


def auc(distances, same):
    """Area under the ROC curve: P(d of one person < d of two) + ½ P(equal), for a pair of each kind
    drawn at random.

    1 is perfect, ½ is chance.  The trapezoids between neighbouring points of `roc` add up to
    exactly that.
    """
    curve = roc(distances, same)
    return float(np.trapezoid(curve.true_accept_rates, curve.false_accept_rates))


def equal_error_rate(distances, same):
    """(EER, its τ): where as large a share of the pairs of two is accepted as of the pairs of one
    is refused.

    The rates jump; between the two neighbouring points where FAR − FRR changes sign, both are taken
    as straight lines.
    """
    curve = roc(distances, same)
    gap = curve.false_accept_rates - (1 - curve.true_accept_rates)      # rises from −1 to 1
    after = int(np.argmax(gap >= 0))
    part = gap[after - 1] / (gap[after - 1] - gap[after])
    rates = curve.false_accept_rates[after - 1:after + 1]
    low, high = curve.thresholds[after - 1:after + 1]
    threshold = high if np.isinf(low) else low + part * (high - low)
    return float(rates[0] + part * (rates[1] - rates[0])), float(threshold)


def val_at_far(distances, same, far=1e-3):
    """The OperatingPoint of the largest share of true accepts (VAL) that a false accept rate of at
    most `far` allows.

    Its τ lies half-way to the next distance, which would be one false accept too many.
    With M pairs of two people, rates below 1/M are not seen: the point is then the one with no
    false accept at all.
    """
    distances, same = check_pairs("val_at_far", distances, same)
    far = bounded("val_at_far", "0 ≤ far ≤ 1", far)
    curve = roc(distances, same)
    last = int(np.searchsorted(curve.false_accept_rates, far, side="right")) - 1
    return OperatingPoint(threshold_after(curve.thresholds, last),
                          float(curve.false_accept_rates[last]),
                          float(curve.true_accept_rates[last]))


def best_threshold(distances, same):
    """The τ of the highest accuracy, (true accepts + true refusals) / N; half-way between two
    distances.

    Where several are as good, the middle one of them.  Needs no pairs of both kinds.
    """
    distances, same = check_pairs("best_threshold", distances, same, both=False)
    values, position = np.unique(distances, return_inverse=True)
    # right answers won by accepting this distance too
    gain = np.bincount(position, np.where(same, 1, -1), len(values))
    right = np.concatenate([[0], np.cumsum(gain)])
    best = np.flatnonzero(right == right.max())
    return threshold_after(np.concatenate([[-np.inf], values]), int(best[(len(best) - 1) // 2]))


def accuracy(distances, same, threshold):
    """Share of pairs that are judged rightly: d ≤ τ where they are the same, d > τ where not."""
    distances, same = check_pairs("accuracy", distances, same, both=False)
    threshold = bounded("accuracy", "-inf ≤ threshold ≤ inf", threshold)
    return float(((distances <= threshold) == same).mean())


def ten_fold(distances, same, folds=10, people=None):
    """LFW's protocol: for each fold, τ is chosen on all the others and judged on this one; see
    TenFold.

    folds: their number, or for each pair the number of its fold.  A number deals the pairs out in
        their order, pairs of one person and of two separately, so that each fold has its share of
        both; for LFW's own lists those are its sets.
    people: (N, 2) names of who is on the two pictures.  Folds are then made of people, a pair
        belonging to its first person's, and τ is chosen only on pairs in which nobody of the fold
        is seen.
    Raises ValueError where a fold would have no pairs, or nothing would be left to choose its τ on.
    """
    distances, same = check_pairs("ten_fold", distances, same, both=False)
    if people is not None:
        people = labels_of("ten_fold", people, "people", f"({len(same)}, 2)")
    fold_of = _fold_of(same, folds, people)
    thresholds, accuracies, right = [], [], 0
    for fold in np.unique(fold_of):
        judged = fold_of == fold
        others = ~judged if people is None else ~np.isin(people, people[judged]).any(1)
        if not others.any():
            raise ValueError(f"ten_fold: fold {fold} leaves no pairs to choose its threshold on")
        thresholds.append(best_threshold(distances[others], same[others]))
        accuracies.append(accuracy(distances[judged], same[judged], thresholds[-1]))
        right += round(accuracies[-1] * int(judged.sum()))
    spread = np.std(accuracies, ddof=1) / math.sqrt(len(accuracies))
    return TenFold(float(np.mean(accuracies)), float(spread), wilson_interval(right, len(same)),
                   np.array(thresholds), np.array(accuracies))


def _fold_of(same, folds, people):
    """For each pair, the number of its fold."""
    fold_of = numbers("ten_fold", "folds", folds, dtype=None, finite=True)
    if fold_of.ndim:
        if fold_of.shape != same.shape or len(np.unique(fold_of)) < 2:
            raise ValueError(f"ten_fold: {len(same)} pairs need as many numbers of two folds or "
                             f"more, got {fold_of.shape}")
        return fold_of
    folds = whole("ten_fold", "2 ≤ folds < inf", folds)
    if people is not None:
        first, number = np.unique(people[:, 0], return_inverse=True)
        fold_of = number * folds // len(first)
    else:
        fold_of = np.empty(len(same), int)
        for kind in (same, ~same):
            fold_of[kind] = np.arange(kind.sum()) * folds // max(1, kind.sum())
    if len(np.unique(fold_of)) < folds:
        raise ValueError(f"ten_fold: {len(same)} pairs cannot be dealt out to {folds} folds")
    return fold_of


def wilson_interval(successes, trials, z=1.959964):
    """Wilson's interval for a rate p̂ seen as `successes` of n `trials`: (low, high), 95 % where z
    is 1.96.

    It is (p̂ + z²/2n ± z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n), the roots p of
    (1 + w) p² − (2 p̂ + w) p + p̂² = 0, w = z²/n.  Their product p̂² / (1 + w) gives the low end
    from the high one without a difference; the high end is 1 less the low one of 1 − p̂.
    Unlike p̂ ± z √(p̂(1 − p̂)/n) it holds for few trials and rates near 0 or 1: no failure in n
    trials still allows a rate of about 3.8/n.
    """
    trials = bounded("wilson_interval", "0 < trials < inf", trials)
    successes = bounded("wilson_interval", f"0 ≤ successes ≤ {trials:g}", successes)
    z = bounded("wilson_interval", "0 < z < inf", z)
    rate, w = successes / trials, z * z / trials

    def low(rate):
        return rate * rate / (rate + w / 2 + math.sqrt(rate * (1 - rate) * w + w * w / 4))

    return low(rate), 1 - low(1 - rate)


def threshold_after(values, last):
    """A τ that accepts the rising values[:last + 1] and no more: half-way to the next, or the last
    where there is none.

    For none of them (values[0] is −∞), just below the first.
    """
    if last == 0:
        return float(np.nextafter(values[1], -np.inf))
    if last == len(values) - 1:
        return float(values[last])
    middle = (values[last] + values[last + 1]) / 2
    # neighbouring floats have nothing between
    return float(middle if middle < values[last + 1] else values[last])


def check_pairs(operation, distances, same, both=True):
    """Both as arrays (N,), distances as float64, same as booleans; raises ValueError unless they
    fit and are usable."""
    distances = numbers(operation, "distances", distances)
    same = numbers(operation, "same", same, dtype=None)
    if distances.ndim != 1 or distances.shape != same.shape or len(same) == 0:
        raise ValueError(f"{operation}: distances and same must have one shape (N,), N ≥ 1, got "
                         f"{distances.shape} and {same.shape}")
    if same.dtype != bool and not np.isin(same, (0, 1)).all():
        raise ValueError(f"{operation}: same must be booleans, or 0 and 1")
    if not np.isfinite(distances).all():
        raise ValueError(f"{operation}: {np.sum(~np.isfinite(distances))} of {len(distances)} "
                         "distances are not finite")
    same = same.astype(bool)
    if both and (same.all() or not same.any()):
        raise ValueError(f"{operation}: needs pairs of one person and pairs of two, got "
                         f"{same.sum()} and {(~same).sum()}")
    return distances, same
