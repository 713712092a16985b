"""Exponentials over their sum, and logarithms of such sums, over axes.

Shapes, axis, keepdims and errors are those of reduction.py.  The largest x is subtracted from all
before an exponential is taken, so nothing overflows.
"""
import math

from minidl import backend, kernels
from minidl.operands import normalize_axes
from minidl.ops.elementwise import exp, expm1, where
from minidl.ops.extremes import first_extreme, gather
from minidl.ops.precision import precise
from minidl.ops.reduction import count_of, kept_shape, reduced_shape, sum
from minidl.ops.shape import reshape
from minidl.tensor import record, with_output


def _shift(x, axes):
    """The maximum along the axes, which stay with length 1; 0 where it is infinite or NaN."""
    xp = backend.of(x)
    highest = x.max(axis=axes, keepdims=True)
    return xp.where(xp.isfinite(highest), highest, 0)


def _log_sum(x, shift, axes):
    """log Σ e^(x − shift) along the axes, which stay with length 1, where shift is the largest x.

    It is log1p of the sum of all others, which may be small: log(1 + 10⁻²⁰) is 10⁻²⁰, though
    1 + 10⁻²⁰ is rounded to 1.
    """
    xp, shifted = backend.of(x), x - shift
    largest = shifted == 0
    ties = kernels.sums.total(largest, axes, keepdims=True) - 1       # each adds e⁰ = 1
    smaller = kernels.sums.total(xp.where(largest, 0, xp.exp(shifted)), axes, keepdims=True)
    return xp.log1p(smaller + ties.astype(smaller.dtype))


@precise
def logsumexp(x, axis=None, keepdims=False):
    """y = log Σ eˣ over the axes, from x − max x so that nothing overflows.

    dy = Σ eˣ dx / eʸ        so   x̄ = ȳ e^(x − y) = ȳ softmax(x)
    Where all x are −∞, y is −∞ and x̄ is 0.  Raises ValueError over no elements.

    >>> logsumexp([1000.0, 1000.0])
    tensor(1000.693147, float64)
    """
    count_of("logsumexp", x, axis)
    axes = normalize_axes("logsumexp", axis, x.ndim)
    kept, shift = kept_shape(x.shape, axes), _shift(x.data, axes)
    value = shift + _log_sum(x.data, shift, axes)

    def rule(gy, y):
        y = where(y == -math.inf, 0, y)
        return reshape(gy, kept) * exp(x - reshape(y, kept))

    return record(value if keepdims else value.reshape(reduced_shape(x.shape, axes)),
                  (x, with_output(rule)))


@precise
def softmax(x, axis=-1):
    """y = eˣ / Σ eˣ  along an axis; NaN where all x are −∞.

    dy = y ⊙ (dx − ⟨y, dx⟩)        so   x̄ = y ⊙ (ȳ − Σ ȳ ⊙ y)
    As Σ y = 1, a constant subtracted from ȳ leaves x̄ as it is.  The rule subtracts the ȳ at the
    largest y: x̄ there is −y Σ ȳ ⊙ y over the others, and no digits cancel where y is nearly 1.
    Raises ValueError over no elements.

    >>> softmax([0.0, 1.0, 1.0])
    tensor([0.155362, 0.422319, 0.422319], float64)
    """
    count_of("softmax", x, axis)
    axes = normalize_axes("softmax", axis, x.ndim)
    e = backend.of(x.data).exp(x.data - _shift(x.data, axes))

    def rule(gy, y):
        gy = gy - gather(gy, first_extreme("max", y, axes), axes)
        return y * (gy - sum(gy * y, axes, keepdims=True))

    total = kernels.sums.total(e, axes, keepdims=True)
    return record(e / total, (x, with_output(rule)))


@precise
def log_softmax(x, axis=-1):
    """y = x − log Σ eˣ  along an axis.

    dy = dx − ⟨eʸ, dx⟩        so   x̄ = ȳ − eʸ Σ ȳ
    x̄ᵢ is computed as (1 − eʸ) ȳᵢ − eʸ Σ ȳⱼ, j ≠ i: where eʸ is nearly 1, expm1 has the digits of
    1 − eʸ.  Raises ValueError over no elements.

    >>> log_softmax([0.0, 1.0, 1.0])
    tensor([-1.861995, -0.861995, -0.861995], float64)
    """
    count_of("log_softmax", x, axis)
    axes = normalize_axes("log_softmax", axis, x.ndim)
    shift = _shift(x.data, axes)

    def rule(gy, y):
        others = sum(gy, axes, keepdims=True) - gy
        return -gy * expm1(y) - exp(y) * others

    return record(x.data - shift - _log_sum(x.data, shift, axes),
                  (x, with_output(rule)))
