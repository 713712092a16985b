"""How far apart two embeddings are: d = ‖f(x₁) − f(x₂)‖² (FaceNet's, the lecture's) or its root."""
from minidl import backend, ops
from minidl.operands import operand, same_device
from minidl.tensor import record


def distance(a, b, form="squared"):
    """Row by row,  d = ‖a − b‖²  ("squared")  or  d = ‖a − b‖  ("euclidean").

    a, b: embeddings (…, D) → (…).  Unit vectors are at most 4, or 2, apart.
    dd = 2⟨a − b, da − db⟩  or  ⟨a − b, da − db⟩ / d        so   ā = 2 d̄ (a − b)  or  d̄ (a − b) / d,  0 where d = 0;   b̄ = −ā
    """
    if form not in ("squared", "euclidean"):
        raise ValueError(f"distance: form must be 'squared' or 'euclidean', got {form!r}")
    a, b = operand("distance", a, "a"), operand("distance", b, "b")
    same_device("distance", a=a, b=b)
    difference = a - b
    return ops.sum(ops.square(difference), -1) if form == "squared" else ops.norm(difference, -1)


def squared_distances(a, b):
    """D[i, j] = ‖aᵢ − bⱼ‖² = ‖aᵢ‖² + ‖bⱼ‖² − 2⟨aᵢ, bⱼ⟩:  all pairs by one matrix product.

    a (N, D), b (M, D) → (N, M).
    dL = ⟨D̄, dD⟩ = Σ D̄ᵢⱼ 2⟨aᵢ − bⱼ, daᵢ − dbⱼ⟩      so   āᵢ = 2 Σⱼ D̄ᵢⱼ (aᵢ − bⱼ) = 2 ((D̄ 1)ᵢ aᵢ − (D̄ b)ᵢ); b̄ so of D̄ᵀ
    Three large terms cancel where a is near b: the absolute error is up to about 4 ε (‖aᵢ‖ + ‖bⱼ‖)², ε being the dtype's
    rounding.  For unit vectors in float32 that is 2·10⁻⁶, so two pictures of ‖a − b‖ below 10⁻³ cannot be told from
    equal ones; `distance` has no such error.  What comes out below 0 is set to 0 and differentiated as the true distance.
    Raises ValueError unless both are matrices with rows of one length.
    """
    a, b = operand("squared_distances", a, "a"), operand("squared_distances", b, "b")
    same_device("squared_distances", a=a, b=b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"squared_distances: a {a.shape} and b {b.shape} must be (N, D) and (M, D)")
    xp = backend.of(a.data)
    x, y = a.data, b.data
    value = (x * x).sum(1, keepdims=True) + (y * y).sum(1) - 2 * (x @ y.T)
    return record(xp.maximum(value, 0), (a, lambda gd: _pull(gd, a, b)), (b, lambda gd: _pull(gd.T, b, a)))


def _pull(gd, a, b):
    """āᵢ = 2 Σⱼ D̄ᵢⱼ (aᵢ − bⱼ)"""
    return 2 * (ops.sum(gd, 1, keepdims=True) * a - gd @ b)
