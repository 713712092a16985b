"""Nonlinearities of networks.  Each acts entry by entry: x̄ = ȳ ⊙ f'(x)."""
import math

from minidl import backend, kernels
from minidl.operands import floating, learnable, operand
from minidl.ops.elementwise import erf, expm1, minimum, where
from minidl.tensor import Tensor, record, with_output


def relu(x):
    """Rectified linear unit  y = max(x, 0).        x̄ = ȳ where y > 0, and 0 elsewhere: relu'(0) = 0

    The rule looks at y, not x: what was rectified (a convolution's output, say) need not be kept.
    """
    x = operand("relu", x)
    return record(kernels.relu(x.data), (x, with_output(lambda gy, y: keep_positive(gy, y))))


def keep_positive(u, y):
    """u where y > 0, 0 elsewhere.  Linear in u:        ū = ȳ where y > 0, 0 elsewhere.  It does not vary with y."""
    return record(kernels.keep_positive(u.data, y.data), (u, lambda gy: keep_positive(gy, y)))


def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope · x elsewhere.        x̄ = ȳ where y > 0, slope · ȳ elsewhere.  slope ≥ 0.

    A slope that requires a gradient (PReLU; He et al. 2015) receives Σ ȳ ⊙ x over x ≤ 0.
    """
    x, slope = floating("leaky_relu", x), learnable("leaky_relu", "slope", slope)
    if slope < 0:
        raise ValueError(f"leaky_relu: slope must not be negative, got {slope}")
    if isinstance(slope, Tensor):
        return where(x > 0, x, slope * x)
    return record(kernels.leak(x.data, x.data, slope), (x, with_output(lambda gy, y: _leak(gy, y, slope))))


def _leak(u, y, slope):
    """u where y > 0, slope · u elsewhere.  Linear in u, and its own adjoint.  It does not vary with y."""
    return record(kernels.leak(u.data, y.data, slope), (u, lambda gy: _leak(gy, y, slope)))


def elu(x, alpha=1.0):
    """Exponential linear unit  y = x where x > 0, α(eˣ − 1) elsewhere, α ≥ 0.     x̄ = ȳ where y > 0, else ȳ ⊙ (y + α)

    Source: Clevert, Unterthiner and Hochreiter 2015.
    """
    x, alpha = floating("elu", x), learnable("elu", "alpha", alpha)
    if alpha < 0:
        raise ValueError(f"elu: alpha must not be negative, got {alpha}")
    if isinstance(alpha, Tensor):
        return where(x > 0, x, alpha * expm1(minimum(x, 0)))
    xp = backend.of(x.data)
    value = xp.where(x.data > 0, x.data, alpha * xp.expm1(xp.minimum(x.data, 0)))
    return record(value, (x, with_output(lambda gy, y: where(y > 0, gy, gy * (y + alpha)))))


def gelu(x):
    """Gaussian error linear unit  y = x Φ(x),  Φ(x) = (1 + erf(x/√2)) / 2.        dy/dx = Φ(x) + x φ(x), by composition

    Source: Hendrycks and Gimpel 2016 (the exact form).
    """
    x = operand("gelu", x)
    return x * (0.5 * (1 + erf(x * (1 / math.sqrt(2)))))


def sigmoid(x):
    """Logistic function  y = 1 / (1 + e^(−x)).        dy = y (1 − y) dx        so   x̄ = ȳ ⊙ y ⊙ (1 − y)

    Computed from e^(−|x|) ≤ 1, so it neither overflows nor loses digits at either end.
    """
    x = floating("sigmoid", x)
    xp = backend.of(x.data)
    e = xp.exp(-abs(x.data))
    return record(xp.where(x.data >= 0, 1, e) / (1 + e), (x, with_output(lambda gy, y: gy * (y * (1 - y)))))


def tanh(x):
    """Hyperbolic tangent.        dy = (1 − y²) dx        so   x̄ = ȳ ⊙ (1 − y²)"""
    x = floating("tanh", x)
    return record(backend.of(x.data).tanh(x.data), (x, with_output(lambda gy, y: gy * (1 - y * y))))


def softplus(x):
    """y = log(1 + eˣ) = max(x, 0) + log(1 + e^(−|x|)), which cannot overflow.        x̄ = ȳ ⊙ sigmoid(x)"""
    x = floating("softplus", x)
    xp = backend.of(x.data)
    return record(xp.maximum(x.data, 0) + xp.log1p(xp.exp(-abs(x.data))), (x, lambda gy: gy * sigmoid(x)))
