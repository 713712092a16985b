"""Boxes around faces: how much two overlap, and one box for each face where a detector gives many.

A box is x₀, y₀, x₁, y₁: left, top, right, bottom.  Boxes are host arrays (N, 4).
"""
import numpy as np

from minidl.settings import bounded, numbers


def intersection_over_union(a, b):
    """IoU = |A ∩ B| / |A ∪ B|  of all pairs, from 0 (apart) to 1 (the same).

    a (N, 4), b (M, 4) → (N, M).  The intersection begins at the larger left and top, and ends at
    the smaller right and bottom, if that is a box;  |A ∪ B| = |A| + |B| − |A ∩ B|.  0 where both
    are empty.
    Raises ValueError for another shape, or numbers that are not finite.
    """
    a, b = _boxes("intersection_over_union", a), _boxes("intersection_over_union", b)
    start = np.maximum(a[:, None, :2], b[:, :2])
    end = np.minimum(a[:, None, 2:], b[:, 2:])
    intersection = (end - start).clip(0).prod(-1)
    area, other = ((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(-1) for boxes in (a, b))
    union = area[:, None] + other - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def non_maximum_suppression(boxes, scores, overlap):
    """Which boxes stay, best first: indices (K,).

    A detector finds one face many times, in neighbouring places.  While boxes are left:
        1. the one with the highest score stays;
        2. all others whose IoU with it is above `overlap` are dropped.
    boxes (N, 4), scores (N,).  Of equal scores the first box comes first.
    Raises ValueError unless there are as many scores as boxes, all are finite, and overlap is in
    0..1.
    """
    boxes = _boxes("non_maximum_suppression", boxes)
    scores = numbers("non_maximum_suppression", "scores", scores, "(N,)", finite=True)
    overlap = bounded("non_maximum_suppression", "0 ≤ overlap ≤ 1", overlap)
    if scores.shape != boxes.shape[:1]:
        raise ValueError(f"non_maximum_suppression: {len(boxes)} boxes need as many scores, "
                         f"got {scores.shape}")
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[intersection_over_union(boxes[[best]], boxes[left])[0] <= overlap]
    return np.array(kept, int)


def _boxes(operation, boxes):
    return numbers(operation, "boxes", boxes, "(N, 4)", finite=True)
