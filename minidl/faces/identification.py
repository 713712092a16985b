"""How good is recognition (1:K)?  Distances between queries and a gallery, and who is who.

distances: (Q, G) host array, smaller is more alike; query_people: (Q,), gallery_people: (G,), whose picture each is.
The distance to a person is that to the nearest of their pictures.
Sources: Phillips, Grother and Micheals 2011 (cumulative match, open-set identification), Lake et al. 2015 (one shot).
"""
from dataclasses import dataclass

import numpy as np

from minidl.faces.evaluation import wilson_interval


@dataclass(frozen=True, eq=False)
class OpenSet:
    """Open-set recognition at every τ: (P,) thresholds rising from −∞, and there

    detection_rates   share of queries of enrolled people whose nearest person is the right one, within τ (DIR)
    false_alarm_rates share of queries of unknown people for whom anybody is within τ (FPIR)
    """
    thresholds: np.ndarray
    detection_rates: np.ndarray
    false_alarm_rates: np.ndarray

    def at_threshold(self, threshold):
        """(detection rate, false alarm rate) at a τ."""
        last = int(np.searchsorted(self.thresholds, threshold, side="right")) - 1
        return float(self.detection_rates[last]), float(self.false_alarm_rates[last])

    def at_false_alarm_rate(self, rate):
        """(detection rate, false alarm rate, τ) at the largest τ whose false alarm rate is at most `rate`."""
        last = int(np.searchsorted(self.false_alarm_rates, rate, side="right")) - 1
        return float(self.detection_rates[last]), float(self.false_alarm_rates[last]), float(self.thresholds[last])


@dataclass(frozen=True, eq=False)
class OneShot:
    """accuracies: (runs,) share of right answers in each; accuracy: their mean; interval: Wilson's 95 % of all pooled."""
    accuracy: float
    interval: tuple
    accuracies: np.ndarray

    @property
    def error(self):
        return 1 - self.accuracy


def cmc(distances, query_people, gallery_people):
    """Cumulative match characteristic: cmc[k − 1] = share of queries whose person is among the k nearest people.

    (K,) for K different people in the gallery, rising to 1; cmc[0] is the rank-1 rate.  Others at exactly the same distance
    count as nearer, so that an encoder which gives everybody one encoding scores 0.
    Raises ValueError where a query's person is not in the gallery: `open_set` is for those.
    """
    nearest, right, people = _to_people("cmc", distances, query_people, gallery_people)
    if (right < 0).any():
        raise ValueError(f"cmc: {np.sum(right < 0)} of {len(right)} queries show people who are not in the gallery")
    own = nearest[np.arange(len(right)), right]
    ranks = (nearest <= own[:, None]).sum(1)                        # 1 is best
    return np.cumsum(np.bincount(ranks - 1, minlength=len(people))) / len(right)


def rank_one(distances, query_people, gallery_people):
    """Share of queries whose nearest person is the right one: cmc[0]."""
    return float(cmc(distances, query_people, gallery_people)[0])


def open_set(distances, query_people, gallery_people):
    """Detection-and-identification against false alarms at every τ, for queries of enrolled and of unknown people.

    A query is unknown where its person is not in `gallery_people`.  See OpenSet.  Raises ValueError unless there are both.
    """
    nearest, right, _ = _to_people("open_set", distances, query_people, gallery_people)
    known = right >= 0
    if known.all() or not known.any():
        raise ValueError(f"open_set: needs queries of enrolled and of unknown people, got {known.sum()} and "
                         f"{(~known).sum()}")
    smallest = nearest.min(1)
    rows = np.arange(len(right))
    own = nearest[rows, right]
    nearest[rows[known], right[known]] = np.inf
    identified = known & (own < nearest.min(1))                     # a tie is not an identification
    thresholds = np.concatenate([[-np.inf], np.unique(smallest)])
    detected, alarms = (np.searchsorted(np.sort(smallest[which]), thresholds, side="right")
                        for which in (identified, ~known))
    return OpenSet(thresholds, detected / known.sum(), alarms / (~known).sum())


def one_shot(*runs):
    """N-way one-shot classification: the query belongs to the class whose single example is nearest.

    runs: (distances (Q, N) from queries to the N examples, answers (Q,) the column of the right one) for each run; Omniglot
        has 20 of 20 × 20.  Where several examples are equally near, each is taken with the same chance: a right answer
        among t of them counts 1/t, so that an encoder which gives one encoding to all scores 1/N.
    See OneShot.
    """
    accuracies, right, trials = [], 0.0, 0
    for distances, answers in runs:
        distances, answers = np.asarray(distances, "float64"), np.asarray(answers)
        if distances.ndim != 2 or answers.shape != distances.shape[:1] or 0 in distances.shape:
            raise ValueError(f"one_shot: distances (Q, N) need answers (Q,), got {distances.shape} and {answers.shape}")
        if answers.dtype.kind not in "iu" or not (0 <= answers.min() <= answers.max() < distances.shape[1]):
            raise ValueError(f"one_shot: answers must be columns 0 to {distances.shape[1] - 1}")
        if np.isnan(distances).any():
            raise ValueError(f"one_shot: {np.isnan(distances).sum()} distances are not numbers")
        nearest = distances == distances.min(1, keepdims=True)
        scores = nearest[np.arange(len(answers)), answers] / nearest.sum(1)
        accuracies.append(scores.mean())
        right, trials = right + scores.sum(), trials + len(scores)
    if not runs:
        raise ValueError("one_shot: needs at least one run")
    return OneShot(float(np.mean(accuracies)), wilson_interval(right, trials), np.array(accuracies))


def draw_one_shot(labels, ways, trials, rng):
    """Indices (examples (trials, ways), queries (trials, ways)): in each trial `ways` classes, and of each class two
    different pictures, an example and a query; column i of both is one class, so the answers are 0 … ways − 1.

    labels: (N,).  rng: a numpy Generator or a seed.  Raises ValueError where fewer classes have two pictures.
    """
    rng, labels = np.random.default_rng(rng), np.asarray(labels)
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    classes = [members for members in classes if len(members) > 1]
    if not 1 < ways <= len(classes):
        raise ValueError(f"draw_one_shot: {ways} ways need 2 classes or more, each with two pictures; {len(classes)} have")
    drawn = [[rng.choice(classes[c], 2, replace=False) for c in rng.choice(len(classes), ways, replace=False)]
             for _ in range(trials)]
    return tuple(np.array(drawn, dtype=int).reshape(trials, ways, 2).transpose(2, 0, 1))


def _to_people(operation, distances, query_people, gallery_people):
    """(distances to people (Q, K), the column of each query's own person or −1, the K people)."""
    distances = np.asarray(distances, "float64")
    query_people, gallery_people = np.asarray(query_people), np.asarray(gallery_people)
    if distances.shape != query_people.shape + gallery_people.shape or distances.ndim != 2 or 0 in distances.shape:
        raise ValueError(f"{operation}: distances must be (Q, G) with the people of Q queries and of G pictures, got "
                         f"{distances.shape}, {query_people.shape} and {gallery_people.shape}")
    if np.isnan(distances).any():
        raise ValueError(f"{operation}: {np.isnan(distances).sum()} distances are not numbers")
    people, number = np.unique(gallery_people, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(len(people)))
    position = np.searchsorted(people, query_people).clip(max=len(people) - 1)
    right = np.where(people[position] == query_people, position, -1)
    return np.minimum.reduceat(distances[:, order], starts, 1), right, people
