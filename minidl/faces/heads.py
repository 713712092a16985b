"""What stands on top of an encoder: is it the same person (from two embeddings), or which person is
it (from one)?"""
import math

from minidl import backend, ops
from minidl.nn import Module, Parameter
from minidl.nn.initializers import normal
from minidl.operands import check_features, check_labels, check_sizes, floating, operand
from minidl.settings import bounded


class _PairHead(Module):
    """z = Σ_k w_k t_k + b
        on terms t(f, f') that are symmetric; σ(z) is the probability of "the same person".

    It starts as  √features − Σ_k t_k:  a distance, below a threshold that is about the distance of
    unrelated unit vectors.
    """

    def __init__(self, features, *, dtype="float32"):
        check_sizes(type(self).__name__, features=features)
        self.weight = Parameter([-1.0] * features, dtype=dtype)
        self.bias = Parameter([math.sqrt(features)], dtype=dtype)

    def forward(self, a, b):
        name, features = type(self).__name__, self.weight.shape[0]
        a, b = (floating(name, check_features(self, x, features)) for x in (a, b))
        if a.shape != b.shape:
            raise ValueError(f"{self!r}: the embeddings {a.shape} and {b.shape} must have one "
                             "shape")
        return ops.sum(self.terms(a, b) * self.weight, -1) + self.bias

    def terms(self, a, b):
        raise NotImplementedError(f"{type(self).__name__} has no terms()")

    def details(self):
        return f"{self.weight.size}"


class AbsoluteDifferenceHead(_PairHead):
    """Logits of "the same person"  z = Σ_k w_k |f_k − f'_k| + b;  the probability is ŷ = σ(z).

    f, f': embeddings (N, features) → (N,), symmetric in the two.  Train it with
    `binary_cross_entropy_with_logits`.
    dz = Σ w_k sign(f_k − f'_k)(df_k − df'_k) + …        so   f̄ = z̄ w ⊙ sign(f − f'),
        f̄' = −f̄;   0 where they are equal
    Source: Taigman et al. 2014 (DeepFace).
    """

    def terms(self, a, b):
        return abs(a - b)


class ChiSquareHead(_PairHead):
    """Logits of "the same person"  z = Σ_k w_k (f_k − f'_k)² / (f_k + f'_k) + b,
        on features ≥ 0;  ŷ = σ(z).

    f, f': (N, features) → (N,), symmetric in the two.  A term whose features are both 0 is 0, and
    so is its gradient.
    With u = (f − f')/(f + f'):   dt = (2u − u²) df − (2u + u²) df'        so
        f̄ = z̄ w ⊙ (2u − u²),   f̄' = −z̄ w ⊙ (2u + u²)
    Raises ValueError for a negative feature: the encoder must end in a ReLU
    (`siamese_encoder(nonnegative=True)`).
    Source: Taigman et al. 2014 (DeepFace).
    """

    def terms(self, a, b):
        for name, x in ("first", a), ("second", b):
            if x.size and float(x.data.min()) < 0:
                raise ValueError(f"{self!r}: features must not be negative, the {name} embeddings "
                                 f"go down to {float(x.data.min()):.3g}; end the encoder in a ReLU")
        total = a + b
        # (a − b)² may be too large for float16, where this is not
        return (a - b) * ((a - b) / ops.where(total == 0, 1.0, total))


class CosineClassifier(Module):
    """Scores of the people known in training:  z_k = s (cos(f, w_k) − m [k = label]),
        for `cross_entropy`.

    embeddings (N, features), labels (N,) integers → (N, people).  Learning to name the people of
    the training set, with a margin, arranges the embedding well before any triplet is looked at;
    the vectors w_k are then thrown away.
    scale s: cosines are in −1 … 1, too narrow for a softmax; margin m is asked of the right person
    alone.  The w_k start at length 1 or so: an optimiser whose steps have a fixed size, as Adam's,
    turns longer ones more slowly.
    Raises ValueError unless each of the embeddings has its label.
    Source: Wang et al. 2018 (CosFace).
    """

    def __init__(self, features, people, scale=16.0, margin=0.1, *, dtype="float32", rng=None):
        check_sizes("CosineClassifier", features=features, people=people)
        self.scale = bounded("CosineClassifier", "0 < scale < inf", scale)
        self.margin = bounded("CosineClassifier", "0 ≤ margin < inf", margin)
        weight = normal(features ** -0.5)((people, features), backend.generator(rng))
        self.weight = Parameter(weight, dtype=dtype)

    def forward(self, embeddings, labels):
        embeddings = check_features(self, embeddings, self.weight.shape[1])
        labels, people = operand("CosineClassifier", labels, "labels"), self.weight.shape[0]
        check_labels("CosineClassifier", labels, people)
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
            raise ValueError(f"{self!r}: embeddings (N, D) need labels (N,), got "
                             f"{embeddings.shape} and {labels.shape}")
        cosine = ops.normalize(embeddings) @ ops.normalize(self.weight).T
        return self.scale * (cosine - self.margin * ops.one_hot(labels, people, cosine.dtype))

    def details(self):
        features, people = self.weight.shape
        return f"{people}, {features}, scale={self.scale:g}, margin={self.margin:g}"
