"""Which triplets (anchor, positive, negative) of a batch to learn from.

Random triplets are soon satisfied and teach nothing; the hardest ones of a fresh network drag
everything to one point. Every strategy here takes labels (N,) and, where it looks at them,
distances (N, N), both arrays of the host, and gives three integer arrays (T,): positions in the
batch.  Anchor and positive are two pictures of one person, the negative is somebody else.  Equal
distances are decided for the first position.
"""
import numpy as np

from minidl import backend
from minidl.settings import bounded, labels_of, numbers

STRATEGIES = ("all", "random", "semi_hard", "batch_hard")


def mine(strategy, labels, distances, margin, rng):
    """The triplets by the strategy of that name; see the functions of this file."""
    if strategy == "all":
        return all_triplets(labels)
    if strategy == "random":
        return random_triplets(labels, rng)
    if strategy == "semi_hard":
        return semi_hard(labels, distances, margin)
    if strategy == "batch_hard":
        return batch_hard(labels, distances)
    raise ValueError(f"mine: strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")


def all_triplets(labels):
    """Every (a, p, n) with a ≠ p of one person and n of another, in lexicographic order."""
    labels, same = _relations(labels)
    anchor, positive = _pairs(same)
    row, negative = np.nonzero(~same[anchor])
    return anchor[row], positive[row], negative


def random_triplets(labels, rng):
    """For every pair (a, p) of one person one negative, each of the others equally likely.  rng: a
    Generator or a seed."""
    labels, same = _relations(labels)
    anchor, positive = _pairs(same)
    if anchor.size == 0 or same.all():
        return _none()
    others = (~same).sum(1)[anchor]
    # which of the others: 0 … others − 1
    chosen = (backend.generator(rng).random(len(anchor)) * others).astype(int)
    order = np.argsort(same, axis=1, kind="stable")  # the others' positions come first
    return anchor, positive, order[anchor, chosen]


def semi_hard(labels, distances, margin=0.2):
    """For every pair (a, p) of one person the nearest n with  d(a, p) < d(a, n) < d(a, p) + margin,
        if there is one.

    Such a negative is on the right side already, but inside the margin: its loss is positive and
    below the margin, which a collapsed embedding would not improve.  Source: Schroff, Kalenichenko
    and Philbin 2015 (FaceNet).
    """
    labels, same = _relations(labels)
    distances = _checked("semi_hard", labels, distances)
    margin = bounded("semi_hard", "0 ≤ margin ≤ inf", margin)
    anchor, positive = _pairs(same)
    near, far = distances[anchor, positive][:, None], distances[anchor]             # (T, 1), (T, N)
    allowed = ~same[anchor] & (far > near) & (far < near + margin)
    found = allowed.any(1)
    if not found.any():
        return _none()
    negative = np.where(allowed, far, np.inf).argmin(1)
    return anchor[found], positive[found], negative[found]


def batch_hard(labels, distances):
    """For every anchor the farthest picture of the same person and the nearest of another.

    Source: Hermans, Beyer and Leibe 2017.
    """
    labels, same = _relations(labels)
    distances = _checked("batch_hard", labels, distances)
    own = same & ~np.eye(len(labels), dtype=bool)
    anchor, = np.nonzero(own.any(1) & ~same.all(1))
    if anchor.size == 0:
        return _none()
    positive = np.where(own, distances, -np.inf).argmax(1)
    negative = np.where(same, np.inf, distances).argmin(1)
    return anchor, positive[anchor], negative[anchor]


def hard_pairs(labels, distances):
    """Pairs for losses of two pictures: (first, second, same), all pairs of one person and as many
    of the nearest others.

    Each pair is given once, first < second; fewer others are given where the batch has fewer.
    """
    labels, same = _relations(labels)
    distances = _checked("hard_pairs", labels, distances)
    later = np.triu(np.ones(same.shape, bool), 1)
    like, unlike = np.nonzero(same & later), np.nonzero(~same & later)
    nearest = np.sort(np.argsort(distances[unlike], kind="stable")[:len(like[0])])
    first, second = (np.concatenate([a, b[nearest]]) for a, b in zip(like, unlike))
    return first, second, same[first, second]


def _relations(labels):
    """The labels as an array (N,), and the matrix (N, N) of who is the same person."""
    labels = labels_of("mining", labels)
    return labels, labels[:, None] == labels


def _pairs(same):
    """(anchor, positive) of every ordered pair of two pictures of one person."""
    return np.nonzero(same & ~np.eye(len(same), dtype=bool))


def _checked(operation, labels, distances):
    distances = numbers(operation, "distances", distances)      # the margin is added to it
    if distances.shape != (len(labels), len(labels)):
        raise ValueError(f"{operation}: {len(labels)} labels need distances of shape "
                         f"{(len(labels), len(labels))}, "
                         f"got {distances.shape}")
    return distances


def _none():
    return tuple(np.zeros(0, int) for _ in range(3))
