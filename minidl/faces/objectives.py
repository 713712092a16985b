"""What training makes small: an objective turns the embeddings of a batch into a loss and measures
of it.

objective(embeddings, people, rng): embeddings a Tensor (N, D); people (N,) integers, an array of
the host; rng a Generator for strategies that draw → (loss, a Tensor; {"active": …}, see
`monitor.measure`).  `head` is what is learned beside the encoder, a Module, or None.
"""
import numpy as np

from minidl import losses, ops
from minidl.faces.distances import squared_distances
from minidl.faces.heads import AbsoluteDifferenceHead, ChiSquareHead, CosineClassifier
from minidl.faces.mining import STRATEGIES, hard_pairs, mine
from minidl.faces.monitor import measure
from minidl.settings import one_of
from minidl.tensor import Tensor

LOSSES = ("triplet", "contrastive", "logistic", "chi_square")


class Naming:
    """Softmax over the people of the training set: the cross-entropy of a CosineClassifier's
    scores."""

    def __init__(self, features, people, scale, margin, seed):
        self.head = CosineClassifier(features, people, scale, margin, rng=seed)

    def __call__(self, embeddings, people, rng):
        loss = losses.cross_entropy(self.head(embeddings, _beside(embeddings, people)),
                                    _beside(embeddings, people))
        nothing = np.zeros(0)
        return loss, measure(embeddings.numpy(), nothing, nothing, nothing)


class Triplets:
    """Mined triplets: mean over the active ones of max(0, d(A, P) − d(A, N) + margin)."""
    head = None

    def __init__(self, form, margin, mining):
        self.form = one_of("train", "form", form, ("squared", "euclidean"))
        self.mining = one_of("train", "mining", mining, STRATEGIES)
        self.margin = margin

    def __call__(self, embeddings, people, rng):
        distances = _host_distances(embeddings)
        distances = distances if self.form == "squared" else np.sqrt(distances)
        triplets = mine(self.mining, people, distances, self.margin, rng)
        a, p, n = (ops.take(embeddings, _beside(embeddings, part), 0) for part in triplets)
        loss = losses.triplet(a, p, n, self.margin, self.form, "active")
        anchor, positive, negative = triplets
        near, far = distances[anchor, positive], distances[anchor, negative]
        return loss, measure(embeddings.numpy(), near, far, near - far + self.margin)


class Pairs:
    """All pairs of one person and as many of the nearest others, by a loss of two embeddings.

    "contrastive": Hadsell's, with its margin; "logistic" and "chi_square": the cross-entropy of
    DeepFace's two heads.
    """

    def __init__(self, loss, features, margin):
        heads = {"logistic": AbsoluteDifferenceHead, "chi_square": ChiSquareHead}
        self.margin, self.head = margin, heads[loss](features) if loss in heads else None

    def __call__(self, embeddings, people, rng):
        distances = _host_distances(embeddings)
        first, second, same = hard_pairs(people, distances)
        a, b = (ops.take(embeddings, _beside(embeddings, part), 0) for part in (first, second))
        same_here = _beside(embeddings, same)
        if self.head is None:
            each = losses.contrastive(a, b, same_here, self.margin, "none")
        else:
            each = losses.binary_cross_entropy_with_logits(self.head(a, b), same_here, "none")
        apart = distances[first, second]
        return ops.mean(each), measure(embeddings.numpy(), apart[same], apart[~same], each.numpy())


def objective(loss, features, *, form, margin, mining):
    """The objective of the name `loss`, one of LOSSES."""
    one_of("train", "loss", loss, LOSSES)
    return Triplets(form, margin, mining) if loss == "triplet" else Pairs(loss, features, margin)


def _host_distances(embeddings):
    x = embeddings.detach()
    return squared_distances(x, x).numpy()


def _beside(x, array):
    """An array of the host as a Tensor on x's device."""
    return Tensor(array, device=x.device)
