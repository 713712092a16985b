"""Costs: functions of predictions and targets that training makes small.

reduction: "mean" of the single losses, "sum", or "none", which gives them as they are.  Targets are taken in the
prediction's dtype; float16 is computed in float32 and rounded once, at the end.  Every loss has a
finite gradient everywhere, also where a distance is 0.
triplet has one reduction more, "active": the mean of the losses above 0.
"""
from numbers import Real

from minidl import kernels, ops
from minidl.operands import check_labels, floating, learnable, operand, same_device
from minidl.ops.indexing import along_axis
from minidl.ops.precision import rounded, widened
from minidl.tensor import record


def mean_squared_error(prediction, target, reduction="mean"):
    """ℓ = (p − t)², entry by entry.

    prediction, target: the same shape; "mean" is over all entries.
    dℓ = 2 (p − t) dp        so   p̄ = 2 ℓ̄ (p − t)
    Raises ValueError where the shapes differ: (N, 1) against (N,) would broadcast to (N, N).
    """
    prediction, target, dtype = _pair("mean_squared_error", prediction, target)
    return _reduce("mean_squared_error", ops.square(prediction - target), reduction, dtype)


def mean_absolute_error(prediction, target, reduction="mean"):
    """ℓ = |p − t|, entry by entry; shapes as mean_squared_error's.        p̄ = ℓ̄ sign(p − t),   0 where p = t"""
    prediction, target, dtype = _pair("mean_absolute_error", prediction, target)
    return _reduce("mean_absolute_error", abs(prediction - target), reduction, dtype)


def huber(prediction, target, delta=1.0, reduction="mean"):
    """ℓ = e²/2 where |e| ≤ δ, δ (|e| − δ/2) elsewhere, with e = p − t: a square that turns into its tangent.

    With c = e held between −δ and δ, both are c (e − c/2).  So no e² is made, which may not fit.
    Shapes as mean_squared_error's.        dℓ = c dp        so   p̄ = ℓ̄ c.   Source: Huber 1964.
    """
    delta = learnable("huber", "delta", delta)
    if not delta > 0:
        raise ValueError(f"huber: delta must be positive, got {delta}")
    prediction, target, dtype = _pair("huber", prediction, target)
    error = prediction - target
    held = ops.clip(error, -delta, delta)
    return _reduce("huber", held * (error - 0.5 * held), reduction, dtype)


def cross_entropy(logits, labels, reduction="mean"):
    """ℓ = −log softmax(z)_y = log Σ_k e^(z_k) − z_y: how improbable the network thought the right class.

    logits z (N, K), labels y (N,) integers in 0 … K−1; more generally z (…, K) and y (…).
    dℓ = Σ_k softmax(z)_k dz_k − dz_y        so   z̄ = ℓ̄ (softmax(z) − one_hot(y))
    Raises TypeError unless the labels are integers, ValueError where one is out of range or the shapes do not fit.
    """
    logits, labels = operand("cross_entropy", logits, "logits"), operand("cross_entropy", labels, "labels")
    same_device("cross_entropy", logits=logits, labels=labels)
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ValueError(f"cross_entropy: logits {logits.shape} need labels of shape {logits.shape[:-1]}, one for each "
                         f"row of class scores, got {labels.shape}")
    check_labels("cross_entropy", labels, logits.shape[-1])
    logits = floating("cross_entropy", logits, "logits")
    dtype, logits = logits.dtype, widened("cross_entropy", logits, "logits")
    log_probability = along_axis(ops.log_softmax(logits), ops.expand_dims(labels, -1).data, -1)
    return _reduce("cross_entropy", -ops.squeeze(log_probability, -1), reduction, dtype)


def binary_cross_entropy_with_logits(logits, targets, reduction="mean"):
    """ℓ = −t log σ(z) − (1 − t) log(1 − σ(z)) = max(z, 0) − z t + log(1 + e^(−|z|)), entry by entry.

    logits z: any shape; targets t: the same shape, or one number; between 0 and 1.  σ is the sigmoid.
    −log σ(z) is softplus(−z) and −log(1 − σ(z)) is softplus(z), which neither overflow nor lose small losses.
    dℓ = −t σ(−z) dz + (1 − t) σ(z) dz        so   z̄ = ℓ̄ (σ(z) − t)
    Raises ValueError for targets outside of 0 … 1.
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
    """ℓ = y d² + (1 − y) max(0, m − d)²,  d = ‖a − b‖: like pairs together, others at least m apart.

    a, b: embeddings (N, D); same y: (N,) booleans or numbers, 1 for a pair of one class, 0 for a pair of two; margin m.
    dd = ⟨a − b, da − db⟩ / d        so   ā = 2 ℓ̄ (a − b)                     for y = 1
                                          ā = −2 ℓ̄ max(0, m − d) (a − b) / d   for y = 0,   and b̄ = −ā;   0 where d = 0
    Source: Hadsell, Chopra and LeCun 2006, without its factors ½.
    Raises ValueError for `same` outside of 0 … 1.
    """
    a, b, dtype = _pair("contrastive", a, b, ("a", "b"))
    difference = a - b
    same = operand("contrastive", same, "same")
    same_device("contrastive", a=a, same=same)
    if same.shape != difference.shape[:-1]:
        raise ValueError(f"contrastive: embeddings {a.shape} need `same` of shape {a.shape[:-1]}, got {same.shape}")
    _check_probabilities("contrastive", "same", same)
    same = same.astype(a.dtype)
    apart = ops.relu(learnable("contrastive", "margin", margin) - ops.norm(difference, -1))
    each = _weighted(same, ops.sum(ops.square(difference), -1)) + (1 - same) * ops.square(apart)
    return _reduce("contrastive", each, reduction, dtype)


def triplet(anchor, positive, negative, margin=0.2, form="squared", reduction="mean"):
    """ℓ = max(0, d(A, P) − d(A, N) + margin): the anchor nearer to its own class than to another one, by the margin.

    anchor, positive, negative: embeddings (N, D) of A, P (the anchor's class) and N (another class).
    form: "squared"     d(q, p) = ‖q − p‖², FaceNet's; margin is the lecture's α = 0.2, and its J the "sum"
          "euclidean"   d(q, p) = ‖q − p‖, and margin is the gap g
    Where ℓ > 0, dℓ = dd(A, P) − dd(A, N); so, squared,   Ā = 2 ℓ̄ (N − P),   P̄ = 2 ℓ̄ (P − A),   N̄ = 2 ℓ̄ (A − N);
    euclidean, with u = (A − P)/‖A − P‖ and v = (A − N)/‖A − N‖, 0 where a distance is 0,
                                            Ā = ℓ̄ (u − v),       P̄ = −ℓ̄ u,          N̄ = ℓ̄ v.
    reduction "active": the mean over the triplets with ℓ > 0, which satisfied ones do not water down; 0 if none is.
    All embeddings equal, ℓ = margin: a training loss that stays there has collapsed.
    Source: Schroff, Kalenichenko and Philbin 2015 (FaceNet).
    """
    wide, positive, dtype = _pair("triplet", anchor, positive, ("anchor", "positive"))
    anchor, negative, _ = _pair("triplet", wide, negative, ("anchor", "negative"))
    if form == "squared":
        near, far = (ops.sum(ops.square(anchor - other), -1) for other in (positive, negative))
    elif form == "euclidean":
        near, far = (ops.norm(anchor - other, -1) for other in (positive, negative))
    else:
        raise ValueError(f"triplet: form must be 'squared' or 'euclidean', got {form!r}")
    losses = ops.relu(near - far + learnable("triplet", "margin", margin))
    if reduction == "active":
        return rounded(ops.sum(losses) / max(1, int((losses.data > 0).sum())), dtype)
    return _reduce("triplet", losses, reduction, dtype)


def _pair(operation, first, second, names=("prediction", "target")):
    """(both as Tensors of one shape, in the type to compute in, and the dtype of the first).

    Raises TypeError unless that is floating-point.
    """
    first, second = operand(operation, first, names[0]), operand(operation, second, names[1])
    same_device(operation, **{names[0]: first, names[1]: second})
    if first.shape != second.shape:
        raise ValueError(f"{operation}: {names[0]} {first.shape} and {names[1]} {second.shape} must have one shape")
    if first.dtype.kind != "f":
        raise TypeError(f"{operation}: {names[0]} must be floating-point, got {first.dtype}")
    dtype, first = first.dtype, widened(operation, first, names[0])
    return first, rounded(second, first.dtype), dtype


def _weighted(weight, x):
    """weight ⊙ x, and 0 where the weight is 0, also where x is infinite."""
    value = weight.data * kernels.keep(x.data, weight.data != 0)
    return record(value, (weight, lambda gy: gy * x), (x, lambda gy: gy * weight))


def _check_probabilities(operation, name, x):
    lowest, highest = (float(x.data.min()), float(x.data.max())) if x.size else (0.0, 1.0)
    if not 0 <= lowest <= highest <= 1:
        raise ValueError(f"{operation}: {name} must lie between 0 and 1, got {lowest} to {highest}")


def _reduce(operation, losses, reduction, dtype):
    """The losses reduced as asked for, in that dtype."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{operation}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if reduction == "mean" and losses.size == 0:
        raise ValueError(f"{operation}: the mean of no losses is undefined; use reduction='sum'")
    reduce = {"mean": ops.mean, "sum": ops.sum, "none": lambda x: x}[reduction]
    return rounded(reduce(losses), dtype)
