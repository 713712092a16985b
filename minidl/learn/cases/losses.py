"""Losses: every reduction, kinks avoided, a batch of one."""
import numpy as np
from scipy import special

from minidl import losses, ops
from minidl.learn.cases.registry import case
from minidl.learn.domains import away, between, integers, mask, normal

REDUCTIONS = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}


def loss(name, *inputs, value, words="", near=False, **options):
    """Cases of a loss with every reduction; value: the single losses, by NumPy.

    near: the targets are taken near 0, so that the errors keep the distance from kinks that the
        predictions have.
    """
    for reduction, reduce in REDUCTIONS.items():
        def call(*tensors, _reduction=reduction):
            first, *rest = tensors
            rest = [0.05 * ops.tanh(t) for t in rest] if near else rest
            return getattr(losses, name)(first, *rest, reduction=_reduction, **options)

        def by_numpy(*arrays, _reduce=reduce):
            first, *rest = arrays
            return _reduce(value(first, *([0.05 * np.tanh(a) for a in rest] if near else rest)))

        case(name, *inputs, call=call, value=by_numpy,
             words="-".join(filter(None, (words, reduction))))


def _cross_entropy(z, labels):
    return special.logsumexp(z, -1) - np.take_along_axis(z, labels[..., None], -1)[..., 0]


def _distance(a, b):
    return np.sqrt(((a - b) ** 2).sum(-1))


def _contrastive(a, b, same, margin):
    return np.where(same, _distance(a, b) ** 2, np.maximum(0, margin - _distance(a, b)) ** 2)


loss("mean_squared_error", normal(3, 2), normal(3, 2), value=lambda p, t: (p - t) ** 2)
loss("mean_squared_error", normal(1, 1), normal(1, 1), words="one", value=lambda p, t: (p - t) ** 2)
loss("mean_absolute_error", away(3, 2, gap=0.3), normal(3, 2), near=True,
     value=lambda p, t: abs(p - t))
loss("mean_absolute_error", away(1, gap=0.3), normal(1), near=True, words="one",
     value=lambda p, t: abs(p - t))
for _delta in (1.0, 0.4):
    loss("huber", away(4, 2, points=(-_delta, 0.0, _delta), gap=0.15), normal(4, 2), near=True,
         words=f"{_delta}", delta=_delta, value=lambda p, t, _d=_delta: np.where(
             abs(p - t) <= _d, (p - t) ** 2 / 2, _d * (abs(p - t) - _d / 2)))
loss("cross_entropy", normal(4, 3), integers(3, 4), value=_cross_entropy)
loss("cross_entropy", normal(1, 3), integers(3, 1), words="one", value=_cross_entropy)
loss("cross_entropy", normal(1, 2, 2, 3), integers(3, 1, 2, 2), words="pixels",
     value=_cross_entropy)
loss("binary_cross_entropy_with_logits", normal(3, 2), between(0.1, 0.9, 3, 2),
     value=lambda z, t: -t * special.log_expit(z) - (1 - t) * special.log_expit(-z))
loss("binary_cross_entropy_with_logits", normal(1), between(0.1, 0.9, 1), words="one",
     value=lambda z, t: -t * special.log_expit(z) - (1 - t) * special.log_expit(-z))
for _margin in (6.0, 0.1):
    loss("contrastive", normal(4, 3), normal(4, 3), mask(4), words=f"{_margin}", margin=_margin,
         value=lambda a, b, same, _m=_margin: _contrastive(a, b, same, _m))
loss("contrastive", normal(1, 3), normal(1, 3), mask(1), words="one",
     value=lambda a, b, same: _contrastive(a, b, same, 1))
for _form, _power in ("squared", 2), ("euclidean", 1):
    for _n in (4, 1):
        loss("triplet", *[normal(_n, 3)] * 3, words=f"{_form}-{_n}", form=_form, margin=9.0,
             value=lambda a, p, n, _p=_power: np.maximum(
                 0, _distance(a, p) ** _p - _distance(a, n) ** _p + 9.0))
loss("triplet", *[normal(6, 3)] * 3, words="some-inactive", margin=0.5,
     value=lambda a, p, n: np.maximum(0, _distance(a, p) ** 2 - _distance(a, n) ** 2 + 0.5))

# cross_entropy with class weights, ignored labels, label smoothing, soft targets


def _general(z, q, weight, smoothing=0.0):
    q = (1 - smoothing) * q + smoothing / z.shape[-1]
    return -(q * weight * special.log_softmax(z, -1)).sum(-1)


WEIGHT = np.array([0.5, 2.0, 0.0])
loss("cross_entropy", normal(4, 3), between(0, 1, 4, 3), words="soft",
     value=lambda z, q: _general(z, q, 1))
loss("cross_entropy", normal(4, 3), between(0, 1, 4, 3), words="soft-weighted",
     weight=WEIGHT.tolist(),
     label_smoothing=0.1, value=lambda z, q: _general(z, q, WEIGHT, 0.1))
loss("cross_entropy", normal(4, 3), integers(3, 4), words="smooth", label_smoothing=0.1,
     value=lambda z, y: _general(z, np.eye(3)[y], 1, 0.1))
LABELS, USED = np.array([0, 1, -7, 2, 1]), np.array([True, True, False, True, True])


def _masked(z, reduction):
    each = _general(z, np.eye(3)[LABELS * USED], WEIGHT, 0.2) * USED
    if reduction == "mean":
        return each.sum() / WEIGHT[LABELS[USED]].sum()
    return REDUCTIONS[reduction](each)


for _reduction in REDUCTIONS:
    case("cross_entropy", normal(5, 3), words=f"weighted-smooth-ignoring-{_reduction}",
         call=lambda z, _r=_reduction: losses.cross_entropy(
             z, LABELS.tolist(), _r, weight=WEIGHT.tolist(), ignore_index=-7,
             label_smoothing=0.2),
         value=lambda z, _r=_reduction: _masked(z, _r))
