"""Choosing τ on one's own pairs of pictures, and what the choice costs."""
from dataclasses import dataclass

from minidl.faces.evaluation import best_threshold, check_pairs, val_at_far, wilson_interval


@dataclass(frozen=True)
class Calibration:
    """threshold τ; then what it did on the pairs: false_accepts of different_pairs, false_refusals of same_pairs; the two
    rates with Wilson's 95 % intervals, which say how much those few pairs can tell."""
    threshold: float
    false_accepts: int
    different_pairs: int
    false_refusals: int
    same_pairs: int

    @property
    def false_accept_rate(self):
        return self.false_accepts / self.different_pairs

    @property
    def false_refusal_rate(self):
        return self.false_refusals / self.same_pairs

    @property
    def false_accept_interval(self):
        return wilson_interval(self.false_accepts, self.different_pairs)

    @property
    def false_refusal_interval(self):
        return wilson_interval(self.false_refusals, self.same_pairs)

    def __str__(self):
        def line(count, total, interval):
            return f"{count} of {total} ({count / total:.2%}; 95 %: {interval[0]:.2%} to {interval[1]:.2%})"
        return (f"threshold {self.threshold:.4f}\n"
                f"others accepted: {line(self.false_accepts, self.different_pairs, self.false_accept_interval)}\n"
                f"the right person refused: {line(self.false_refusals, self.same_pairs, self.false_refusal_interval)}")


def calibrate(distances, same, far=None):
    """The τ that accepts as many pairs of one person as a false accept rate of at most `far` allows; a Calibration.

    distances: (N,) between the pictures of each pair; same: (N,) booleans, whether they are one person.
    far: the share of pairs of two people that may be accepted; None takes the τ of the highest accuracy instead, which
        is wiser with a few dozen pairs: M pairs of two people cannot tell rates below 1/M.
    Raises ValueError unless there are pairs of both kinds, or for a rate outside of 0 … 1.

    >>> print(calibrate([0.3, 0.4, 0.7, 0.5, 0.8, 0.9], [1, 1, 1, 0, 0, 0], far=0))
    threshold 0.4500
    others accepted: 0 of 3 (0.00%; 95 %: 0.00% to 56.15%)
    the right person refused: 1 of 3 (33.33%; 95 %: 6.15% to 79.23%)
    """
    distances, same = check_pairs("calibrate", distances, same)
    threshold = best_threshold(distances, same) if far is None else val_at_far(distances, same, far).threshold
    accepted = distances <= threshold
    return Calibration(threshold, int((accepted & ~same).sum()), int((~same).sum()), int((~accepted & same).sum()),
                       int(same.sum()))
