"""How good is recognition (1:K)?  Distances between queries and a gallery, and who is who.

distances: (Q, G) host array, smaller is more alike; query_people: (Q,), gallery_people: (G,), whose
picture each is. The distance to a person is that to the nearest of their pictures.
Source: Phillips, Grother and Micheals 2011 (cumulative match, open-set identification).
"""
from dataclasses import dataclass

import numpy as np

from minidl.settings import bounded, labels_of, numbers


@dataclass(frozen=True, eq=False)
class OpenSet:
    """Open-set recognition at every τ: (P,) thresholds rising from −∞, and there

    detection_rates     (DIR) the share of queries of enrolled people whose nearest person is the
                        right one, and within τ
    false_alarm_rates   (FPIR) the share of queries of unknown people for whom anybody is within τ
    """
    thresholds: np.ndarray
    detection_rates: np.ndarray
    false_alarm_rates: np.ndarray

    def at_threshold(self, threshold):
        """(detection rate, false alarm rate) at a τ."""
        threshold = bounded("at_threshold", "-inf ≤ threshold ≤ inf", threshold)
        last = int(np.searchsorted(self.thresholds, threshold, side="right")) - 1
        return float(self.detection_rates[last]), float(self.false_alarm_rates[last])

    def at_false_alarm_rate(self, rate):
        """(detection rate, false alarm rate, τ) at the largest τ whose false alarm rate is at most
        `rate`."""
        rate = bounded("at_false_alarm_rate", "0 ≤ rate ≤ 1", rate)
        last = int(np.searchsorted(self.false_alarm_rates, rate, side="right")) - 1
        return (float(self.detection_rates[last]), float(self.false_alarm_rates[last]),
                float(self.thresholds[last]))


def cmc(distances, query_people, gallery_people):
    """Cumulative match characteristic: cmc[k − 1] = share of queries whose person is among the k
    nearest people.

    (K,) for K different people in the gallery, rising to 1; cmc[0] is the rank-1 rate.  Others at
    exactly the same distance count as nearer, so that an encoder which gives everybody one encoding
    has the rank-1 rate 0.
    Raises ValueError where a query's person is not in the gallery: `open_set` is for those.
    """
    nearest, right, people = _to_people("cmc", distances, query_people, gallery_people)
    if (right < 0).any():
        raise ValueError(f"cmc: {np.sum(right < 0)} of {len(right)} queries show people who are "
                         "not in the gallery")
    own = nearest[np.arange(len(right)), right]
    ranks = (nearest <= own[:, None]).sum(1)                        # 1 is best
    return np.cumsum(np.bincount(ranks - 1, minlength=len(people))) / len(right)


def rank_one(distances, query_people, gallery_people):
    """Share of queries whose nearest person is the right one: cmc[0]."""
    return float(cmc(distances, query_people, gallery_people)[0])


def open_set(distances, query_people, gallery_people):
    """Both rates of an OpenSet at every τ, for queries of enrolled and of unknown people.

    A query is unknown where its person is not in `gallery_people`.
    Raises ValueError unless there are both.
    """
    nearest, right, _ = _to_people("open_set", distances, query_people, gallery_people)
    known = right >= 0
    if known.all() or not known.any():
        raise ValueError("open_set: needs queries of enrolled and of unknown people, got "
                         f"{known.sum()} and {(~known).sum()}")
    smallest, rows = nearest.min(1), np.arange(len(right))
    own = nearest[rows, right]
    nearest[rows[known], right[known]] = np.inf
    identified = known & (own < nearest.min(1))                     # a tie is not an identification
    thresholds = np.concatenate([[-np.inf], np.unique(smallest)])
    detected, alarms = (np.searchsorted(np.sort(smallest[which]), thresholds, side="right")
                        for which in (identified, ~known))
    return OpenSet(thresholds, detected / known.sum(), alarms / (~known).sum())


def _to_people(operation, distances, query_people, gallery_people):
    """(distances to people (Q, K), the column of each query's own person or −1, the K people)."""
    distances = numbers(operation, "distances", distances)
    query_people = labels_of(operation, query_people, "query_people")
    gallery_people = labels_of(operation, gallery_people, "gallery_people")
    expected = query_people.shape + gallery_people.shape
    if distances.shape != expected or distances.ndim != 2 or 0 in distances.shape:
        raise ValueError(f"{operation}: distances must be (Q, G) with the people of Q queries and "
                         f"of G pictures, got {distances.shape}, {query_people.shape} and "
                         f"{gallery_people.shape}")
    if np.isnan(distances).any():
        raise ValueError(f"{operation}: {np.isnan(distances).sum()} distances are not numbers")
    people, number = np.unique(gallery_people, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(len(people)))
    position = np.searchsorted(people, query_people).clip(max=len(people) - 1)
    right = np.where(people[position] == query_people, position, -1)
    return np.minimum.reduceat(distances[:, order], starts, 1), right, people
