"""Choosing τ, from how near other people come (1:K) or from pairs (1:1), and what it costs."""
from dataclasses import dataclass
import math
from statistics import NormalDist

import numpy as np

from minidl.faces.evaluation import best_threshold, check_pairs, val_at_far, wilson_interval
from minidl.operands import check_sizes
from minidl.settings import bounded, labels_of, numbers, whole

RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
LEAST = 5                       # couples below a distance, for its rate to count as measured
FEW = 500                       # couples; with fewer not even a rate of 0.01 counts as measured
PICTURES = 2000                 # of so many all pairs are measured, two million; of more, a draw


def per_comparison(rate, comparisons):
    """The rate that each of K ≥ 1 comparisons may have, so that together they have the rate r:
    1 − (1 − r)^(1/K)."""
    rate = bounded("Impostors", "0 < false accept rate < 1", rate)
    comparisons = bounded("Impostors", "1 ≤ comparisons < inf", comparisons)
    return -math.expm1(math.log1p(-rate) / comparisons)         # to all its digits


@dataclass(frozen=True)
class Impostors:
    """How near pictures of two different people come: F(d), the share of such pairs within d.

    rates, distances: rising; F(distances[i]) = rates[i].   people, pairs: how many were measured.

    A stranger who is compared with K enrolled pictures is named unless all K refuse.  With F(τ) for
    each comparison alone, as if they were independent, the share of strangers who are named is
    1 − (1 − F(τ))^K, and a stated false accept rate r is kept by

        F(τ) = 1 − (1 − r)^(1/K)        for r = 0.01 and K = 40:  F(τ) = 0.00025

    A person with n pictures counts n times: each is one more chance to be taken for them.
    The rate is kept on average over strangers.  Some resemble more people than others; then it is
    smaller than stated, since f ↦ (1 − f)^K is convex: E (1 − f)^K ≥ (1 − E f)^K (Jensen).

    Between the measured rates z = Φ⁻¹(F(d)), the normal distribution's quantile, is a straight line
    over d.  Below the smallest it goes on with the slope of the rates up to 0.1, by least squares:
    d² is a sum of many squared differences, so that d is nearly normal.  That is an extrapolation.
    Of face128, aligned, at r = 0.01 and K = 40, measured on 60 people with one picture each, it
    named 1.6 % of strangers on average of 150 draws, and 4.0 % at the 90th percentile of the draws;
    on 30 people 0.6 and 1.3 %, on 10 people 0.4 and 1.3 %, on 10 pairs 0.8 and 0.7 % (see
    `of_pairs`; there a few draws name so many that the mean is above the 90th percentile).
    Source: Phillips, Grother and Micheals 2011 (false positive identification rate).
    """
    rates: tuple
    distances: tuple
    people: int
    pairs: int

    def __post_init__(self):
        for name in ("rates", "distances"):
            values = tuple(numbers("Impostors", name, getattr(self, name), "(P,)").tolist())
            object.__setattr__(self, name, values)
            if not all(0 <= low <= high < math.inf for low, high in zip(values, values[1:])):
                raise ValueError(f"Impostors: {name} must be at least 0, finite and rising, "
                                 f"got {values}")
        if len(self.rates) != len(self.distances) or len(self.rates) < 2 or self.rates[-1] >= 1 \
                or self.rates[0] <= 0 or len(set(self.rates)) < len(self.rates):
            raise ValueError("Impostors: needs two different rates or more between 0 and 1, and a "
                             f"distance for each, got {self.rates} and {self.distances}")
        if self.distances[0] == self.distances[-1]:
            raise ValueError("Impostors: all distances are alike; the encoder tells nobody apart")
        whole("Impostors", "2 ≤ people < inf", self.people)
        whole("Impostors", "1 ≤ pairs < inf", self.pairs)

    @classmethod
    def measure(cls, encodings, labels):
        """From encodings (N, D) of pictures of the people `labels` (N,): all pairs of two people.

        Of more than 2,000 pictures 2,000 are drawn.  Raises ValueError for fewer than 4 people.
        """
        from scipy.spatial.distance import pdist
        encodings = numbers("calibrate", "encodings", encodings, "(N, D)")
        labels = labels_of("calibrate", labels)
        if len(labels) != len(encodings):
            raise ValueError(f"calibrate: {len(encodings)} encodings need as many labels, got "
                             f"{len(labels)}")
        if len(labels) > PICTURES:
            drawn = np.sort(np.random.default_rng(0).choice(len(labels), PICTURES, replace=False))
            encodings, labels = encodings[drawn], labels[drawn]
        a, b = np.triu_indices(len(labels), 1)          # in pdist's order
        different = labels[a] != labels[b]
        distances = pdist(encodings)[different] if len(labels) > 1 else np.zeros(0)
        return cls.of_pairs(distances, len(np.unique(labels)))

    @classmethod
    def of_pairs(cls, distances, people):
        """From the distances (N,) of pairs of two different people, of so many people in all.

        Pairs of the same two people are alike: it is the couples, people (people − 1) / 2, that say
        how small a rate can be seen.  Where they are fewer than FEW, d is taken as normal.  Its
        mean and deviation, μ̂ and σ̂, are only estimated, as from n pairs; with that uncertainty
            F(μ̂ + σ̂ √(1 + 1/n) t) = P(T ≤ t)        T Student's with n − 1 degrees of freedom
        n is the number of couples, or twice the number of people if that is less: couples that
        share a person are alike too.  (Twice is empirical: with it face128 kept the stated rates.)
        So few people make τ small, not the share of strangers large.        Source: Student 1908.
        """
        distances = numbers("calibrate", "distances", distances, "(N,)", finite=True)
        check_sizes("calibrate", people=people)
        couples = min(len(distances), people * (people - 1) // 2)
        if couples < LEAST:
            raise ValueError(f"calibrate: pictures of {people} people make {couples} couples of "
                             f"two people; at least {LEAST} are needed (4 people), and twenty "
                             "people are wise")
        if couples < FEW:
            from scipy.stats import t
            n = min(couples, 2 * people)
            spread = np.std(distances, ddof=1) * math.sqrt(1 + 1 / n)
            expected = np.mean(distances) + spread * t.ppf(RATES, n - 1)
            return cls(RATES, np.maximum(expected, 0).tolist(), people, len(distances))
        measured = [rate for rate in RATES if rate * couples >= LEAST]
        return cls(measured, np.quantile(distances, measured).tolist(), people, len(distances))

    @property
    def least_rate(self):
        """The smallest rate that so few pairs can show; below it, F is extrapolated."""
        return LEAST / min(self.pairs, self.people * (self.people - 1) // 2)

    def threshold(self, rate, comparisons=1):
        """The τ at which a share `rate` of strangers is named, each compared with K pictures."""
        z, normal = NormalDist().inv_cdf(per_comparison(rate, comparisons)), self._normal()
        if z < normal[0]:
            return max(0.0, self.distances[0] + self._slope() * (z - normal[0]))
        return float(np.interp(z, normal, self.distances))

    def rate(self, threshold, comparisons=1):
        """The share of strangers who are named at τ: 1 − (1 − F(τ))^K.

        Undoes `threshold`, up to the largest rate measured.
        """
        threshold = bounded("Impostors", "0 ≤ threshold ≤ inf", threshold)
        comparisons = bounded("Impostors", "0 ≤ comparisons < inf", comparisons)
        normal = self._normal()
        z = float(np.interp(threshold, self.distances, normal))
        if threshold < self.distances[0]:
            z += (threshold - self.distances[0]) / self._slope()
        return -math.expm1(comparisons * math.log1p(-NormalDist().cdf(z)))

    def hold_for(self, encodings, labels):
        """Whether these people come no nearer to each other than those measured: F at the median
        of their distances is 0.3 or more.

        It is less where their pictures are of another kind (faces that do not fill them, above
        all), and of relatives.  Fewer than 20 people are too few to say: True.
        """
        if len(np.unique(labels_of("calibrate", labels))) < 20:
            return True
        return self.rate(Impostors.measure(encodings, labels).threshold(0.5)) >= 0.3

    def _normal(self):
        return [NormalDist().inv_cdf(rate) for rate in self.rates]

    def _slope(self):
        """Of d over z, by least squares over the rates up to 0.1, or at least the three
        smallest."""
        count = max(3, sum(rate <= 0.1 for rate in self.rates))
        slope = np.polyfit(self._normal()[:count], self.distances[:count], 1)[0]
        return max(float(slope), 1e-6)                  # it is 0 where the nearest are all alike


@dataclass(frozen=True)
class Calibration:
    """A threshold τ and what it did on pairs: false_accepts of different_pairs, false_refusals of
    same_pairs.  The two rates have Wilson's 95 % intervals, which say how much so few pairs
    tell."""
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
            low, high = interval
            return f"{count} of {total} ({count / total:.2%}; 95 %: {low:.2%} to {high:.2%})"
        accepted = line(self.false_accepts, self.different_pairs, self.false_accept_interval)
        refused = line(self.false_refusals, self.same_pairs, self.false_refusal_interval)
        return (f"threshold {self.threshold:.4f}\nothers accepted: {accepted}\n"
                f"the right person refused: {refused}")


def calibrate(distances, same, far=None):
    """The τ for pairs (1:1) that accepts as many pairs of one person as a false accept rate of at
    most `far` allows; a Calibration.  For 1:K, see Impostors.

    distances: (N,) between the pictures of each pair; same: (N,) booleans, whether they are of one
        person.
    far: the share of pairs of two people that may be accepted; None takes the τ of the highest
        accuracy instead, which is wiser with a few dozen pairs: M pairs of two people cannot tell
        rates below 1/M.
    Raises ValueError unless there are pairs of both kinds, or for a rate outside of 0 … 1.

    >>> print(calibrate([0.3, 0.4, 0.7, 0.5, 0.8, 0.9], [1, 1, 1, 0, 0, 0], far=0))
    threshold 0.4500
    others accepted: 0 of 3 (0.00%; 95 %: 0.00% to 56.15%)
    the right person refused: 1 of 3 (33.33%; 95 %: 6.15% to 79.23%)
    """
    distances, same = check_pairs("calibrate", distances, same)
    threshold = (best_threshold(distances, same) if far is None
                 else val_at_far(distances, same, far).threshold)
    return judge(distances, same, threshold)


def judge(distances, same, threshold):
    """The Calibration of a given τ: what it does on pairs, distances and same as `calibrate`'s."""
    distances, same = check_pairs("judge", distances, same)
    threshold = bounded("judge", "-inf ≤ threshold ≤ inf", threshold)
    accepted = distances <= threshold
    return Calibration(threshold, int((accepted & ~same).sum()), int((~same).sum()),
                       int((~accepted & same).sum()), int(same.sum()))
