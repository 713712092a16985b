"""How far apart embeddings are: d = ‖f(x₁) − f(x₂)‖² (FaceNet's, the lecture's) or its root."""
import numpy as np

from minidl import backend, kernels, ops
from minidl.operands import floating, same_device
from minidl.ops.precision import cast, widened
from minidl.tensor import record


def distance(a, b, form="squared"):
    """Row by row,  d = ‖a − b‖²  ("squared")  or  d = ‖a − b‖  ("euclidean").

    a, b: embeddings (…, D) → (…).  Unit vectors are at most 4, or 2, apart.
    dd = 2⟨a − b, da − db⟩  or  ⟨a − b, da − db⟩ / d        so   ā = 2 d̄ (a − b)  or
        d̄ (a − b) / d,  0 where d = 0;   b̄ = −ā
    Raises ValueError for rows of two lengths, or another form.
    """
    if form not in ("squared", "euclidean"):
        raise ValueError(f"distance: form must be 'squared' or 'euclidean', got {form!r}")
    a, b, dtype = _embeddings("distance", a, b)
    if a.shape[-1:] != b.shape[-1:] or not a.ndim:
        raise ValueError(f"distance: a {a.shape} and b {b.shape} must be (…, D), with one D")
    difference = a - b
    between = ops.sum(ops.square(difference), -1) if form == "squared" else ops.norm(difference, -1)
    return cast(between, dtype)


def squared_distances(a, b):
    """D[i, j] = ‖aᵢ − bⱼ‖² = ‖aᵢ‖² + ‖bⱼ‖² − 2⟨aᵢ, bⱼ⟩:  all pairs by one matrix product.

    a (N, D), b (M, D) → (N, M).
    dL = ⟨D̄, dD⟩ = Σ D̄ᵢⱼ 2⟨aᵢ − bⱼ, daᵢ − dbⱼ⟩      so
        āᵢ = 2 Σⱼ D̄ᵢⱼ (aᵢ − bⱼ) = 2 ((D̄ 1)ᵢ aᵢ − (D̄ b)ᵢ); b̄ so of D̄ᵀ
    Three large terms cancel where a is near b: the absolute error is up to about
    4 ε (‖aᵢ‖ + ‖bⱼ‖)², ε being the dtype's rounding.  For unit vectors in float32 that is 2·10⁻⁶,
    so that a distance ‖a − b‖ below 10⁻³ cannot be told from 0; `distance` has no such error.
    What comes out below 0 is set to 0 and differentiated as the true distance.
    Raises ValueError unless both are matrices with rows of one length.
    """
    a, b, dtype = _embeddings("squared_distances", a, b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"squared_distances: a {a.shape} and b {b.shape} must be (N, D) and (M, "
                         "D)")
    x, y = a.data, b.data
    lengths = [kernels.sums.total(v * v, (1,)) for v in (x, y)]
    value = lengths[0][:, None] + lengths[1] - 2 * kernels.matmul(x, y.T)
    distances = record(backend.of(x).maximum(value, 0),
                       (a, lambda gd: _pull(gd, a, b)),
                       (b, lambda gd: _pull(gd.T, b, a)))
    return cast(distances, dtype)


def _embeddings(operation, a, b):
    """(a and b in the types in which they are squared, the dtype of their distances)."""
    a, b = floating(operation, a, "a"), floating(operation, b, "b")
    same_device(operation, a=a, b=b)
    return widened(operation, a, "a"), widened(operation, b, "b"), np.result_type(a.dtype, b.dtype)


def _pull(gd, a, b):
    """āᵢ = 2 Σⱼ D̄ᵢⱼ (aᵢ − bⱼ)"""
    return 2 * (ops.sum(gd, 1, keepdims=True) * a - gd @ b)
