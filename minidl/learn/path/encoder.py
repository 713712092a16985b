"""An encoder and the triplet loss: distances, mining, boxes."""
import numpy as np

from minidl.learn.domains import mask, normal
from minidl.learn.path.chapter import Chapter, derive, misprint, program
from minidl.learn.source import Assigned, Body, Loop, Parts, Returned
from minidl.learn.trials import Trial

LABELS = np.array([0, 0, 1, 1, 2, 0])


def embeddings(name, form):
    return Trial(lambda m, a, b: getattr(m, name)(a, b, form), (normal(2, 4, 3), normal(2, 4, 3)),
                 f"({form})")


def triplet(form, reduction, margin):
    return Trial(lambda m, anchor, positive, negative: m.triplet(
        anchor, positive, negative, margin, form, reduction), (normal(5, 3),) * 3,
        f"({form}, {reduction})")


def mined(name, labels=LABELS, words="", scale=1.0, whole=False, **settings):
    """Of distances between random places, or whole numbers, on a line."""
    def call(m, distances):
        arguments = () if name == "all_triplets" else (distances,)
        return getattr(m, name)(labels, *arguments, **settings)

    def draw(rng):
        places = rng.uniform(0, scale, len(labels))
        places = np.round(places) if whole else places
        return np.abs(places[:, None] - places)
    return Trial(call, (draw,), words, arrays=True, dtypes=("float64",))


def boxes(n, side=2.0):
    """Left, top, right, bottom."""
    def draw(rng):
        corner = rng.uniform(0, side, (n, 2))
        return np.concatenate([corner, corner + rng.uniform(0.5, 1.5, (n, 2))], 1)
    return draw


def suppressed(overlap):
    return Trial(lambda m, boxes, scores: m.non_maximum_suppression(boxes, scores, overlap),
                 (boxes(12), lambda rng: rng.integers(0, 5, 12) / 4), f"with overlap {overlap}",
                 arrays=True, dtypes=("float64",))


NEAREST = "np.where(allowed, distance, np.inf).argmin(1) is the nearest of those allowed."
SEMI_HARD = (mined("semi_hard", margin=0.3), mined("semi_hard", margin=0.05, words="few"),
             mined("semi_hard", np.array([0, 0, 1]), margin=1e-9, words="where there is none"),
             mined("semi_hard", scale=9.0, margin=5.0, words="many"),
             mined("semi_hard", LABELS.repeat(3), scale=4.0, margin=1.0, whole=True,
                   words="where distances are equal"))

ENCODER = Chapter("10. An encoder and the triplet loss", (
    derive("norm-rule", "ops.reduction:norm", hole=Body(of="rule"), cases=("norm",),
           trials=(Trial(lambda m, x: m.norm(x, 1), (lambda rng: np.eye(3)[:, :2],),
                         "where a row is 0"),),
           hints=("Where y = 0 it is 0: choose with `where` before dividing, as 0 / 0 is NaN.",)),
    program("normalize", "ops.reduction:normalize", Returned(),
            Trial(lambda m, x: m.normalize(x), (normal(3, 4),)),
            Trial(lambda m, x: m.normalize(x), (lambda rng: np.array([[3.0, 4.0], [0.0, 0.0]]),),
                  "where a row is 0"),
            hints="0 stays 0: what stands below the line must not be 0."),
    program("distance", "faces.distances:distance", Assigned("between"),
            embeddings("distance", "squared"), embeddings("distance", "euclidean"),
            hints="ops.sum, ops.square, ops.norm, along the last axis."),
    program("squared-distances", "faces.distances:squared_distances", Assigned("value"),
            Trial(lambda m, a, b: m.squared_distances(a, b), (normal(4, 3), normal(2, 3))),
            hints="x and y are arrays; lengths[0] has all ‖aᵢ‖², lengths[1] all ‖bⱼ‖².  Which axis "
                  "is i?"),
    program("squared-distances-rule", "faces.distances:_pull", Returned(),
            Trial(lambda m, a, b: m.squared_distances(a, b), (normal(4, 3), normal(2, 3))),
            also="faces.distances:squared_distances"),
    program("triplet-loss", "losses:triplet", Parts((Body("near, far = (ops.sum", "near"),
                                                     Assigned("losses"))),
            triplet("squared", "none", 0.5), triplet("squared", "sum", 0.5),
            triplet("squared", "active", 0.5), triplet("euclidean", "mean", 0.2),
            hints=("near is d(A, P), far d(A, N), both (N,).",
                   'learnable("triplet", "0 ≤ margin < inf", margin) is the margin, checked.')),
    misprint("wrong-way", "losses:triplet", "near - far", "far - near",
             triplet("squared", "none", 0.5), triplet("euclidean", "mean", 0.2)),
    program("contrastive", "losses:contrastive", Parts((Assigned("missing"), Assigned("each"))),
            *(Trial(lambda m, a, b, same, _m=margin: m.contrastive(a, b, same, _m, "none"),
                    (normal(4, 3), normal(4, 3), mask(4)), f"with margin {margin}")
              for margin in (4.0, 0.5))),
    program("all-triplets", "faces.mining:all_triplets", Body("anchor, positive ="),
            mined("all_triplets"), mined("all_triplets", np.array([0, 1, 0]), "of three"),
            hints="_pairs(same) gives anchor and positive of all pairs; np.nonzero finds, for "
                  "each, who is not the same."),
    program("semi-hard", "faces.mining:semi_hard", Body("allowed ="), *SEMI_HARD,
            note="It gives three arrays of positions: anchor, positive, negative.", hints=(
        "For pair t, near[t] is d(a, p) and far[t] has the distances of all to a.", NEAREST,
        "Pairs for which nobody is allowed are left out; _none() is the answer without any.")),
    misprint("not-so-hard", "faces.mining:semi_hard", "(far > near) & (far < near + margin)",
             "(far < near + margin)", *SEMI_HARD),
    program("batch-hard", "faces.mining:batch_hard", Body("positive =", "negative ="),
            mined("batch_hard"), mined("batch_hard", np.array([0, 1, 1, 0, 2]), "of five"),
            hints=("The farthest of `own`, the nearest of those who are not `same`; a row for each "
                   "picture.", NEAREST)),
    program("overlap", "faces.boxes:intersection_over_union", Body("start =", "union ="),
            Trial(lambda m, a, b: m.intersection_over_union(a, b), (boxes(4), boxes(3)),
                  arrays=True, dtypes=("float64",)),
            Trial(lambda m, a, b: m.intersection_over_union(a, b), (boxes(4, 9.0), boxes(5, 9.0)),
                  "far apart", arrays=True, dtypes=("float64",)),
            hints="All pairs at once: a[:, None] against b.  A width below 0 is no box: clip(0)."),
    program("nms", "faces.boxes:non_maximum_suppression", Loop(),
            suppressed(0.3), suppressed(0.6), suppressed(0.0),
            hints="`left` holds the numbers of the boxes that are left, best first."),
))
