"""Costs: functions of predictions and targets that training makes small.

    mean_squared_error          (p − t)²
    mean_absolute_error         |p − t|
    huber                       a square near 0, a straight line beyond
    cross_entropy               −log of the probability given to the right class
    binary_cross_entropy_with_logits        the same for yes and no
    contrastive                 pairs of one class together, others apart
    triplet                     the anchor nearer to its own class than to another

reduction: "mean" of the single losses, "sum", or "none", which gives them as they are; triplet has
one more, "active".  Targets are taken in the prediction's dtype, but float16 is computed in float32
and rounded once, at the end.  Every loss has a finite gradient, also where a distance is 0.
Each raises TypeError for predictions that are not floating-point, ValueError for other reductions
and for the mean of no losses, DeviceError for arrays of two devices.
"""
import math
from numbers import Real

from minidl import kernels, names, ops
from minidl.operands import check_labels, floating, integer, operand, same_device
from minidl.ops.indexing import along_axis
from minidl.ops.precision import cast, widened
from minidl.settings import bounded, learnable
from minidl.tensor import record

__all__ = ["binary_cross_entropy_with_logits", "contrastive", "cross_entropy", "huber",
           "mean_absolute_error", "mean_squared_error", "triplet"]


def mean_squared_error(prediction, target, reduction="mean"):
    """ℓ = (p − t)², entry by entry.

    prediction, target: the same shape; "mean" is over all entries.
    dℓ = 2 (p − t) dp        so   p̄ = 2 ℓ̄ (p − t)
    Raises ValueError where the shapes differ: (N, 1) against (N,) would broadcast to (N, N).

    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    tensor(2., float64)
    """
    prediction, target, dtype = _pair("mean_squared_error", prediction, target)
    return _reduce("mean_squared_error", ops.square(prediction - target), reduction, dtype)


def mean_absolute_error(prediction, target, reduction="mean"):
    """ℓ = |p − t|, entry by entry.

    prediction, target: the same shape; "mean" is over all entries.
    dℓ = sign(p − t) dp        so   p̄ = ℓ̄ sign(p − t),   0 where p = t
    Raises ValueError where the shapes differ.

    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    tensor(1., float64)
    """
    prediction, target, dtype = _pair("mean_absolute_error", prediction, target)
    return _reduce("mean_absolute_error", abs(prediction - target), reduction, dtype)


def huber(prediction, target, delta=1.0, reduction="mean"):
    """ℓ = e²/2 where |e| ≤ δ, δ (|e| − δ/2) elsewhere, with e = p − t.

    Beyond ±δ the square is continued by its tangent.
    prediction, target: the same shape; "mean" is over all entries.
    delta: 0 < δ < ∞, a number, or a Tensor to be learned, which receives a gradient.
    With c = e clipped to ±δ, both are c (e − c/2).  So no e² is formed, which may be too large.
    dℓ = c dp        so   p̄ = ℓ̄ c
    Raises ValueError where the shapes differ, or for another δ.
    Source: Huber 1964.

    >>> huber([1.0, 5.0], [0.5, 1.0], reduction="none")
    tensor([0.125, 3.5  ], float64)
    """
    delta = learnable("huber", "0 < delta < inf", delta)
    prediction, target, dtype = _pair("huber", prediction, target)
    error = prediction - target
    clipped = ops.clip(error, -delta, delta)
    return _reduce("huber", clipped * (error - 0.5 * clipped), reduction, dtype)


def cross_entropy(logits, labels, reduction="mean", *, weight=None, ignore_index=None,
                  label_smoothing=0.0):
    """ℓ = −log softmax(z)_y = log Σ_k e^(z_k) − z_y: −log of the probability of the right class.

    logits z (N, K), labels y (N,) integers in 0 … K−1; more generally z (…, K) and y (…).
    labels may also be floating-point q (…, K): a probability for each class (soft targets).
    dℓ = Σ_k softmax(z)_k dz_k − dz_y        so   z̄ = ℓ̄ (softmax(z) − one_hot(y))

    In general, with q = one_hot(y) for integer labels, K classes and class weights w (K,):
        ℓ = −Σ_k w_k q'_k log softmax(z)_k,      q' = (1 − ε) q + ε / K
    so   z̄ = ℓ̄ (softmax(z) Σ_k w_k q'_k − w ⊙ q'),  by composition
    label_smoothing: ε, 0 ≤ ε ≤ 1.   ignore_index: an integer label whose ℓ is 0.
    "mean" divides by Σ w_y over the labels that are not ignored; with soft targets, by the number
    of rows.

    Raises TypeError for labels that are neither integers nor floating-point of z's shape;
    ValueError where a label is out of range, the shapes do not fit, weights are negative, or no
    label counts in the mean.
    Source of label_smoothing: Szegedy et al. 2016.

    >>> cross_entropy([[2.0, 0.0], [0.0, 0.0]], [0, 1], reduction="none")
    tensor([0.126928, 0.693147], float64)
    >>> cross_entropy([[2.0, 0.0]], [[0.5, 0.5]])                           # soft targets
    tensor(1.126928, float64)
    """
    logits = floating("cross_entropy", logits, "logits")
    labels = operand("cross_entropy", labels, "labels")
    weight = weight if weight is None else operand("cross_entropy", weight, "weight")
    same_device("cross_entropy", logits=logits, labels=labels, weight=weight)
    smoothing = bounded("cross_entropy", "0 ≤ label_smoothing ≤ 1", label_smoothing)
    dtype, logits = logits.dtype, widened("cross_entropy", logits, "logits")
    classes = logits.shape[-1] if logits.ndim else 0
    weight = _class_weights(weight, classes, logits.dtype)
    surprise = _surprise(logits, labels)                            # −log softmax(z), (…, K)
    if labels.dtype.kind == "f":
        if ignore_index is not None:
            raise ValueError("cross_entropy: ignore_index is for integer labels, got soft targets")
        target = (1 - smoothing) * labels.astype(logits.dtype) + smoothing / classes
        each, counted = _of_targets(surprise, target, weight), None
    else:
        each, counted = _of_labels(surprise, labels, weight, ignore_index, smoothing)
    if reduction == "mean" and counted is not None:
        if not counted.item() > 0:
            raise ValueError("cross_entropy: the mean of no labels is undefined: all are ignored, "
                             "or of weight 0; use reduction='sum'")
        return cast(ops.sum(each) / counted, dtype)
    return _reduce("cross_entropy", each, reduction, dtype)


def _class_weights(weight, classes, dtype):
    if weight is None:
        return None
    if weight.shape != (classes,) or not _between(weight, 0, math.inf):
        raise ValueError(f"cross_entropy: weight must be {classes} numbers ≥ 0, one for each "
                         f"class, got shape {weight.shape}")
    return weight.astype(dtype)


def _surprise(logits, labels):
    """−log softmax(z), (…, K); raises ValueError unless the labels have a shape that fits."""
    if logits.ndim == 0:
        raise ValueError("cross_entropy: logits must be (…, K), a score for each class, got a "
                         "single number")
    soft = labels.dtype.kind == "f"
    if soft and labels.shape != logits.shape:
        raise TypeError(f"cross_entropy: labels must be integers, got {labels.dtype}; soft targets "
                        f"have the logits' shape {logits.shape}, these have {labels.shape}")
    if not soft and labels.shape != logits.shape[:-1]:
        raise ValueError(f"cross_entropy: logits {logits.shape} need labels of shape "
                         f"{logits.shape[:-1]}, one for each row of class scores, "
                         f"got {labels.shape}")
    if soft:
        _check_probabilities("cross_entropy", "labels", labels)
    if logits.shape[-1] == 0:
        raise ValueError(f"cross_entropy: logits {logits.shape} have no classes")
    return -ops.log_softmax(logits)


def _of_targets(surprise, target, weight):
    """Σ_k w_k q_k · −log softmax(z)_k  for each row."""
    return ops.sum(_weighted(target if weight is None else target * weight, surprise), -1)


def _of_labels(surprise, labels, weight, ignored, smoothing):
    """(the loss of each label; the mean's divisor: Σ w_y over those that count, None: how many)."""
    classes, counts = surprise.shape[-1], None
    if ignored is not None:
        counts = labels != integer("cross_entropy", "ignore_index", ignored)     # booleans (…)
        labels = ops.where(counts, labels, 0)
    check_labels("cross_entropy", labels, classes)
    each = along_axis(surprise, ops.expand_dims(labels, -1).data, -1)      # (…, 1)
    each = ops.squeeze(each, -1)                                            # (…)
    if weight is not None:
        each = _weighted(ops.take(weight, labels), each)
    if smoothing:
        even = ops.full(classes, 1 / classes, surprise.dtype, device=surprise.device)
        each = (1 - smoothing) * each + smoothing * _of_targets(surprise, even, weight)
    if counts is None and weight is None:
        return each, None
    share = ops.ones_like(each) if weight is None else ops.take(weight, labels)
    if counts is not None:
        each, share = ops.where(counts, each, 0), ops.where(counts, share, 0)
    return each, ops.sum(share)


def binary_cross_entropy_with_logits(logits, targets, reduction="mean"):
    """ℓ = −t log σ(z) − (1 − t) log(1 − σ(z)), entry by entry; σ is the sigmoid.

    logits z: any shape; targets t: the same shape, or one number; between 0 and 1.
    −log σ(z) = softplus(−z) and −log(1 − σ(z)) = softplus(z), where softplus(z) = log(1 + eᶻ) is
    computed as max(z, 0) + log1p(e^(−|z|)): eᶻ does not overflow, and log1p keeps small losses.
    dℓ = −t σ(−z) dz + (1 − t) σ(z) dz        so   z̄ = ℓ̄ (σ(z) − t)
    Raises ValueError for targets outside of 0 … 1, or of another shape.

    >>> binary_cross_entropy_with_logits([0.0, 100.0], [1.0, 1.0], reduction="none")
    tensor([6.931472e-01, 3.720076e-44], float64)
    """
    if isinstance(targets, Real):
        logits = operand("binary_cross_entropy_with_logits", logits, "logits")
        targets = ops.ones_like(logits) * float(targets)
    logits, targets, dtype = _pair("binary_cross_entropy_with_logits", logits, targets,
                                   ("logits", "targets"))
    _check_probabilities("binary_cross_entropy_with_logits", "targets", targets)
    each = _weighted(targets, ops.softplus(-logits)) + _weighted(1 - targets, ops.softplus(logits))
    return _reduce("binary_cross_entropy_with_logits", each, reduction, dtype)


def contrastive(a, b, same, margin=1.0, reduction="mean"):
    """ℓ = y d² + (1 − y) max(0, m − d)²,  d = ‖a − b‖: pairs of one class close, others m apart.

    a, b: embeddings (N, D).   margin: m ≥ 0, a number, or a Tensor to be learned.
    same: y (N,), booleans or numbers, 1 for a pair of one class, 0 for a pair of two.
    dd = ⟨a − b, da − db⟩ / d        so   ā = 2 ℓ̄ (a − b)                       for y = 1
                                          ā = −2 ℓ̄ max(0, m − d) (a − b) / d    for y = 0
                                          b̄ = −ā;   0 where d = 0
    Raises ValueError for shapes that do not fit, `same` outside of 0 … 1, or a negative margin.
    Source: Hadsell, Chopra and LeCun 2006, without its factors ½.

    >>> contrastive([[0.0, 0.0], [0.0, 0.0]], [[0.3, 0.4], [0.3, 0.4]], [1, 0], reduction="none")
    tensor([0.25, 0.25], float64)
    """
    a, b, dtype = _pair("contrastive", a, b, ("a", "b"))
    difference = a - b
    same = operand("contrastive", same, "same")
    same_device("contrastive", a=a, same=same)
    if same.shape != difference.shape[:-1]:
        raise ValueError(f"contrastive: embeddings {a.shape} need `same` of shape {a.shape[:-1]}, "
                         f"got {same.shape}")
    _check_probabilities("contrastive", "same", same)
    same = same.astype(a.dtype)
    margin = learnable("contrastive", "0 ≤ margin < inf", margin)
    # what is missing to the margin, (N,): finite, also where d is not, so a plain product will do
    missing = ops.relu(margin - ops.norm(difference, -1))
    each = _weighted(same, ops.sum(ops.square(difference), -1)) + (1 - same) * ops.square(missing)
    return _reduce("contrastive", each, reduction, dtype)


def triplet(anchor, positive, negative, margin=0.2, form="squared", reduction="mean"):
    """ℓ = max(0, d(A, P) − d(A, N) + margin): A nearer to its own class than to another one.

    anchor, positive, negative: embeddings of A, of P (of A's class) and of N (of another class), a
    row (D,) for each triplet.   margin: ≥ 0, a number, or a Tensor to be learned.
    (The lecture calls it α, takes 0.2, and sums ℓ over the triplets: reduction="sum".)
    form: "squared"     d(q, p) = ‖q − p‖², FaceNet's
          "euclidean"   d(q, p) = ‖q − p‖
    Where ℓ > 0, dℓ = dd(A, P) − dd(A, N).  So
          squared:      Ā = 2 ℓ̄ (N − P),   P̄ = 2 ℓ̄ (P − A),   N̄ = 2 ℓ̄ (A − N)
          euclidean:    Ā = ℓ̄ (u − v),     P̄ = −ℓ̄ u,          N̄ = ℓ̄ v
                        u = (A − P) / ‖A − P‖,  v = (A − N) / ‖A − N‖,  0 where a distance is 0
    reduction "active": the mean over the triplets with ℓ > 0; 0 if there is none.
    Where all embeddings are equal, ℓ = margin and the gradients are 0: a training loss that stays
    exactly at the margin shows that they have collapsed to one point.
    Raises ValueError for shapes that differ, other forms, or a negative margin.
    Source: Schroff, Kalenichenko and Philbin 2015 (FaceNet).

    >>> triplet([[0.0, 0.0]], [[0.0, 0.5]], [[0.6, 0.0]])
    tensor(0.09, float64)
    """
    anchor, positive, dtype = _pair("triplet", anchor, positive, ("anchor", "positive"))
    anchor, negative, _ = _pair("triplet", anchor, negative, ("anchor", "negative"))
    if form == "squared":
        near, far = (ops.sum(ops.square(anchor - other), -1) for other in (positive, negative))
    elif form == "euclidean":
        near, far = (ops.norm(anchor - other, -1) for other in (positive, negative))
    else:
        raise ValueError(f"triplet: form must be 'squared' or 'euclidean', got {form!r}")
    losses = ops.relu(near - far + learnable("triplet", "0 ≤ margin < inf", margin))
    if reduction == "active":
        return cast(ops.sum(losses) / max(1, int((losses.data > 0).sum())), dtype)
    return _reduce("triplet", losses, reduction, dtype, ("mean", "sum", "none", "active"))


def _pair(operation, first, second, names=("prediction", "target")):
    """(both as Tensors of one shape, in the type to compute in, and the dtype of the first).

    Raises TypeError unless that is floating-point.
    """
    first, second = operand(operation, first, names[0]), operand(operation, second, names[1])
    same_device(operation, **{names[0]: first, names[1]: second})
    if first.shape != second.shape:
        raise ValueError(f"{operation}: {names[0]} {first.shape} and {names[1]} {second.shape} "
                         "must have one shape")
    if first.dtype.kind != "f":
        raise TypeError(f"{operation}: {names[0]} must be floating-point, got {first.dtype}")
    dtype, first = first.dtype, widened(operation, first, names[0])
    return first, cast(second, first.dtype), dtype


def _weighted(weight, x):
    """weight ⊙ x, and 0 where the weight is 0, also where x is infinite."""
    value = weight.data * kernels.keep(x.data, weight.data != 0)
    return record(value, (weight, lambda gy: gy * x), (x, lambda gy: gy * weight))


def _between(x, low, high):
    """Whether all numbers lie between the two."""
    return bool(((x.data >= low) & (x.data <= high)).all())


def _check_probabilities(operation, name, x):
    if not _between(x, 0, 1):
        lowest, highest = float(x.data.min()), float(x.data.max())
        raise ValueError(f"{operation}: {name} must lie between 0 and 1, got {lowest} to {highest}")


def _reduce(operation, losses, reduction, dtype, kinds=("mean", "sum", "none")):
    """The losses reduced as asked for, in that dtype."""
    if not isinstance(reduction, str) or reduction not in kinds:
        most = ", ".join(map(repr, kinds[:-1]))
        raise ValueError(f"{operation}: reduction must be {most} or {kinds[-1]!r}, "
                         f"got {reduction!r}")
    if reduction == "mean" and losses.size == 0:
        raise ValueError(f"{operation}: the mean of no losses is undefined; use reduction='sum'")
    reduce = {"mean": ops.mean, "sum": ops.sum, "none": lambda x: x}[reduction]
    return cast(reduce(losses), dtype)


def __getattr__(name):
    raise AttributeError(names.unknown("minidl.losses", name))
