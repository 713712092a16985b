"""Distances, heads and the losses of faces: also where embeddings are equal, pictures identical,
and distances tied."""
import numpy as np

from minidl import faces, losses, ops
from minidl.learn.cases.registry import case, refuse
from minidl.learn.domains import integers, mask, normal, positive

HEADS = {"AbsoluteDifferenceHead", "ChiSquareHead", "CosineClassifier"}
NAMES = HEADS | {"distance", "squared_distances"}


def same(value, *shape):
    return lambda rng: np.full(shape, value)


def these(*rows):
    return lambda rng: np.array(rows)


def _all_pairs(a, b):
    return ((a[:, None] - b) ** 2).sum(-1)


def head(kind, *inputs, value, words="", **known):
    """A case of a head of two embeddings, differentiated also with respect to its weight and
    bias."""
    def call(a, b, weight, bias):
        built = getattr(faces, kind)(a.shape[-1], dtype=a.dtype)
        for parameter, given in (built.weight, weight), (built.bias, bias):
            parameter.data, parameter.node = given.data, given.node
        return built(a, b)

    def by_numpy(a, b, weight, bias):
        return (value(a, b) * weight).sum(-1) + bias

    features = inputs[0](np.random.default_rng(0)).shape[-1]
    case(kind, *inputs, normal(features), normal(1), call=call, value=by_numpy, words=words,
         **known)


# --- distances

for _form, _power in ("squared", 2), ("euclidean", 1):
    def _distance(a, b, _form=_form):
        return faces.distance(a, b, _form)

    def _value(a, b, _power=_power):
        return np.linalg.norm(a - b, axis=-1) ** _power

    case("distance", normal(4, 3), normal(4, 3), call=_distance, value=_value, words=_form)
    case("distance", normal(0, 3), normal(0, 3), call=_distance, value=_value,
         words=f"{_form}-empty")
    case("distance", normal(4, 3), call=lambda a, _d=_distance: _d(a, a),
         value=lambda a: np.zeros(4),
         words=f"{_form}-identical", flat=True)
case("distance", same(0.5, 2, 3), same(0.5, 2, 3), call=lambda a, b: faces.distance(a, b),
     value=lambda a, b: np.zeros(2),
     words="squared-equal", flat=True)

case("squared_distances", normal(4, 3), normal(2, 3), call=faces.squared_distances,
     value=_all_pairs)
case("squared_distances", normal(4, 3), call=lambda a: faces.squared_distances(a, a),
     words="of-one",
     value=lambda a: _all_pairs(a, a))
case("squared_distances", these([0.5, -0.25], [1.0, 0.3]),
     these([0.5, -0.25], [-0.2, 0.6], [1.0, 0.3]), words="equal",
     call=faces.squared_distances, value=_all_pairs)
case("squared_distances", normal(0, 3), normal(2, 3), call=faces.squared_distances,
     value=_all_pairs, words="empty",
     flat=True)

# --- heads

head("AbsoluteDifferenceHead", normal(4, 3), lambda rng: rng.normal(size=(4, 3)) + 9,
     value=lambda a, b: abs(a - b))
head("AbsoluteDifferenceHead", normal(0, 3), normal(0, 3), value=lambda a, b: abs(a - b),
     words="empty", flat=True)
head("ChiSquareHead", positive(4, 3), positive(4, 3), value=lambda a, b: (a - b) ** 2 / (a + b))
head("ChiSquareHead", same(0.5, 2, 3), same(0.5, 2, 3), value=lambda a, b: 0 * a, words="equal",
     flat=True)
head("ChiSquareHead", positive(0, 3), positive(0, 3), value=lambda a, b: 0 * a, words="empty",
     flat=True)
for _kind in ("AbsoluteDifferenceHead", "ChiSquareHead"):
    case(_kind, positive(4, 3), call=lambda a, _k=_kind: getattr(faces, _k)(3, dtype=a.dtype)(a, a),
         value=lambda a: np.full(4, 3 ** 0.5), words="identical", flat=True)


def _classifier(embeddings, labels, weight):
    built = faces.CosineClassifier(3, 4, scale=2.0, margin=0.3, rng=0)
    built.weight.data, built.weight.node = weight.data, weight.node
    return built(embeddings, labels)


def _cosines(f, labels, w):
    f, w = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (f, w))
    return 2 * (f @ w.T - 0.3 * np.eye(4)[labels])


case("CosineClassifier", normal(5, 3), integers(4, 5), normal(4, 3), call=_classifier,
     value=_cosines)
case("CosineClassifier", lambda rng: np.eye(4, 3)[[0, 1, 0]], integers(4, 3),
     lambda rng: np.eye(4, 3) + 1e-3,
     call=_classifier, value=_cosines, words="along-a-class")
case("CosineClassifier", normal(0, 3), integers(4, 0), normal(4, 3), call=_classifier,
     words="empty", flat=True,
     value=lambda f, labels, w: np.zeros((0, 4)))
refuse("CosineClassifier", normal(2, 3), normal(0, 3),
       call=lambda f, w: faces.CosineClassifier(3, 0, rng=0)(f, [0, 0]),
       words="no-people")
for _kind in ("AbsoluteDifferenceHead", "ChiSquareHead"):
    refuse(_kind, normal(2, 0), call=lambda f, _k=_kind: getattr(faces, _k)(0)(f, f),
           words="no-features")

# --- losses at equal embeddings, identical pictures and exact ties

for _form, _power in ("squared", 2), ("euclidean", 1):
    def _triplet(a, p, n, _form=_form, **options):
        return losses.triplet(a, p, n, margin=0.7, form=_form, **options)

    case("triplet", normal(6, 3), normal(6, 3), normal(6, 3), words=f"{_form}-active",
         call=lambda a, p, n, _t=_triplet: _t(a, p, n, reduction="active"))
    case("triplet", normal(4, 3), normal(4, 3), words=f"{_form}-positive-is-the-anchor", flat=True,
         call=lambda a, n, _f=_form: losses.triplet(a, a, n, margin=90.0, form=_f))
    case("triplet", normal(4, 3), words=f"{_form}-identical", flat=True,
         call=lambda a, _t=_triplet: _t(a, a, a),
         value=lambda a: 0.7)
    case("triplet", lambda rng: np.eye(3)[:1], lambda rng: np.eye(3)[1:2],
         lambda rng: np.eye(3)[2:], call=_triplet,
         value=lambda *_: 0.7, words=f"{_form}-tie")
    case("triplet", normal(0, 3), normal(0, 3), normal(0, 3), words=f"{_form}-active-empty",
         flat=True,
         call=lambda a, p, n, _t=_triplet: _t(a, p, n, reduction="active"), value=lambda *_: 0.0)
case("triplet", *[same(0.5, 2, 3)] * 3, call=lambda a, p, n: losses.triplet(a, p, n),
     value=lambda *_: 0.2,
     words="squared-equal", flat=True)
case("contrastive", same(0.5, 3, 2), same(0.5, 3, 2),
     call=lambda a, b: losses.contrastive(a, b, ops.ones_like(a[:, 0])),
     value=lambda a, b: 0.0, words="equal-and-same", flat=True)
case("contrastive", normal(4, 3), mask(4), call=lambda a, y: losses.contrastive(a, a, y),
     words="identical", flat=True,
     value=lambda a, y: 1 - y.mean())
