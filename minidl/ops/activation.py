"""Nonlinearities of networks.

Each acts entry by entry on x of any shape, and y has x's shape: x̄ = ȳ ⊙ f'(x).
"""
import math

from minidl import backend, kernels
from minidl.operands import floating, operand
from minidl.ops.elementwise import exp, expm1, minimum, square, where
from minidl.ops.precision import precise
from minidl.recording import is_recording
from minidl.settings import learnable
from minidl.tensor import Tensor, record, with_output


def relu(x):
    """Rectified linear unit  y = max(x, 0).

    dy = dx where x > 0, 0 elsewhere        so   x̄ = ȳ where y > 0, 0 elsewhere:   relu'(0) = 0
    The rule looks at y, not x: so x need not be kept.

    >>> relu([-1.0, 2.0])
    tensor([0., 2.], float64)
    """
    x = operand("relu", x)
    return record(kernels.relu(x.data), (x, with_output(keep_positive)))


def keep_positive(u, y):
    """u where y > 0, 0 elsewhere.

    Linear in u, piecewise constant in y        so   ū = ȳ where y > 0, 0 elsewhere
    """
    return record(kernels.keep_positive(u.data, y.data), (u, lambda gy: keep_positive(gy, y)))


def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope · x elsewhere; slope ≥ 0.

    x̄ = ȳ where y > 0, slope · ȳ elsewhere
    A slope that requires a gradient (PReLU; He et al. 2015) receives Σ ȳ ⊙ x over x ≤ 0.
    Raises ValueError for a negative slope.

    >>> leaky_relu([-1.0, 2.0], 0.1)
    tensor([-0.1,  2. ], float64)
    """
    x, slope = floating("leaky_relu", x), learnable("leaky_relu", "0 ≤ slope < inf", slope)
    if isinstance(slope, Tensor):
        return where(x > 0, x, slope * minimum(x, 0))      # where x = ∞, 0 · ∞ is no number
    return record(kernels.leak(x.data, x.data, slope),
                  (x, with_output(lambda gy, y: _leak(gy, y, slope))))


def _leak(u, y, slope):
    """u where y > 0, slope · u elsewhere.

    Linear in u, and its own adjoint; piecewise constant in y.
    """
    return record(kernels.leak(u.data, y.data, slope), (u, lambda gy: _leak(gy, y, slope)))


def elu(x, alpha=1.0):
    """Exponential linear unit  y = x where x > 0, α(eˣ − 1) elsewhere; α ≥ 0.

    x̄ = ȳ where x > 0, ȳ ⊙ α eˣ elsewhere  (α eˣ = y + α, but y + α loses digits where eˣ is small)
    Raises ValueError for a negative alpha.
    Source: Clevert, Unterthiner and Hochreiter 2015.

    >>> elu([-1.0, 2.0])
    tensor([-0.632121,  2.      ], float64)
    """
    x, alpha = floating("elu", x), learnable("elu", "0 ≤ alpha < inf", alpha)
    if isinstance(alpha, Tensor):
        return where(x > 0, x, alpha * expm1(minimum(x, 0)))
    xp = backend.of(x.data)
    value = xp.where(x.data > 0, x.data, alpha * xp.expm1(xp.minimum(x.data, 0)))
    return record(value, (x, lambda gy: where(x > 0, gy, gy * (alpha * exp(minimum(x, 0))))))


@precise
def gelu(x):
    """Gaussian error linear unit  y = x Φ(x), with Φ the distribution function of N(0, 1).

    dy = (Φ(x) + x φ(x)) dx,  by composition; φ is the density of N(0, 1)
    Source: Hendrycks and Gimpel 2016 (the exact form).

    >>> gelu([-1.0, 2.0])
    tensor([-0.158655,  1.9545  ], float64)
    """
    x = where(x == -math.inf, -FAR, x)                  # −∞ · 0 would be no number
    return x * _normal_cdf(x)


FAR = 40.0      # where the density e^(−x²/2) is 0 in double precision


def _normal_cdf(x):
    """Φ(x) = ∫_−∞ˣ φ(t) dt  with the density  φ(x) = e^(−x²/2) / √2π.        x̄ = ȳ ⊙ φ(x)"""
    def rule(gy):
        near = abs(x) < FAR
        density = exp(square(where(near, x, FAR)) * -0.5) * (1 / math.sqrt(2 * math.pi))
        return where(near, gy, 0) * density             # far away ȳ may be infinite

    return record(backend.normal_cdf(x.data), (x, rule))


@precise
def sigmoid(x):
    """Logistic function  y = 1 / (1 + e^(−x)).

    dy = y (1 − y) dx        so   x̄ = ȳ ⊙ y ⊙ sigmoid(−x),   which is 1 − y with all digits
    Computed from e^(−|x|) ≤ 1, so it neither overflows nor loses digits at either end.

    >>> sigmoid([0.0, -1000.0, 1000.0])
    tensor([0.5, 0. , 1. ], float64)
    """
    xp = backend.of(x.data)
    e = xp.exp(-abs(x.data))
    return record(xp.where(x.data >= 0, 1, e) / (1 + e),
                  (x, with_output(lambda gy, y: gy * (y * sigmoid(-x)))))


def tanh(x):
    """Hyperbolic tangent  y = sinh x / cosh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).

    dy = (cosh² x − sinh² x) / cosh² x dx = (1 − y²) dx        so   x̄ = ȳ ⊙ (1 − y²)
    1 − y² = 4 / (eˣ + e⁻ˣ)² is computed as 4e / (1 + e)²,  e = e^(−2|x|) ≤ 1: this keeps its digits
    where y is nearly ±1.

    >>> tanh([0.0, 1.0])
    tensor([0.      , 0.761594], float64)
    """
    x = floating("tanh", x)
    xp, slope = backend.of(x.data), None
    if x.requires_grad and is_recording():
        e = xp.exp(2 * xp.minimum(x.data, -x.data))
        slope = 4 * e / xp.square(1 + e)
    return record(xp.tanh(x.data), (x, with_output(lambda gy, y: gy * _tanh_slope(y, slope))))


def _tanh_slope(y, value):
    """s = 1 − y², whose value is known.        ds = −2 y dy        so   ȳ = −2 y ⊙ s̄"""
    return record(value, (y, lambda gs: gs * (-2 * y)))


@precise
def softplus(x):
    """y = log(1 + eˣ), a smooth ReLU.

    dy = eˣ / (1 + eˣ) dx        so   x̄ = ȳ ⊙ sigmoid(x)
    Computed as max(x, 0) + log(1 + e^(−|x|)), which cannot overflow.

    >>> softplus([0.0, 1000.0])
    tensor([6.931472e-01, 1.000000e+03], float64)
    """
    xp = backend.of(x.data)
    value = xp.maximum(x.data, 0) + xp.log1p(xp.exp(-abs(x.data)))
    return record(value, (x, lambda gy: gy * sigmoid(x)))
