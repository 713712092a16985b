"""Normalisation and dropout."""
from minidl import backend
from minidl.ops.elementwise import sqrt
from minidl.ops.reduction import mean, normalize_axes, var
from minidl.tensor import constant, operand, record, same_device


def standardize(x, axis, eps=1e-5):
    """y = (x − μ) r along the axes, with the mean μ and r = 1/√(σ² + ε), σ² the mean squared deviation.

    With m elements a group and ⟨·⟩ the mean over them:
        dμ = ⟨dx⟩,   dσ² = 2⟨(x − μ) dx⟩,   dr = −r³ dσ² / 2 = −r² ⟨y dx⟩
        dy = (dx − ⟨dx⟩) r + (x − μ) dr = r (dx − ⟨dx⟩ − y ⟨y dx⟩)
    This map is symmetric, so      x̄ = r (ȳ − ⟨ȳ⟩ − y ⟨y ȳ⟩)
    """
    x = operand("standardize", x)
    axes = normalize_axes("standardize", axis, x.ndim)
    if 0 in (x.shape[a] for a in axes):
        raise ValueError(f"standardize: no elements to reduce in shape {x.shape} along axis {axis}")
    deviation = x.data - mean(x.detach(), axes, keepdims=True).data
    variance = mean(constant(deviation * deviation), axes, keepdims=True).data

    def rule(gy, y):
        r = 1 / sqrt(var(x, axes, keepdims=True) + eps)
        return r * (gy - mean(gy, axes, keepdims=True) - y * mean(y * gy, axes, keepdims=True))

    return record(deviation / backend.of(x.data).sqrt(variance + eps), (x, rule))


def batch_norm(x, scale, shift, mean=None, variance=None, eps=1e-5):
    """y = γ (x − μ)/√(σ² + ε) + β  per channel, the last axis.

    mean, variance None (training): μ and σ² are the batch's own, over all axes but the last, and x̄ sees that they depend
    on x (`standardize`).  Given (C,) arrays (evaluation): running statistics, constants, and x̄ = ȳ γ/√(σ² + ε).
    γ̄ = Σ ȳ x̂ and β̄ = Σ ȳ, with x̂ the normalised x.   Source: Ioffe and Szegedy 2015.
    """
    x, scale, shift = operand("batch_norm", x), operand("batch_norm", scale, "scale"), operand("batch_norm", shift, "shift")
    _check_channels("batch_norm", x, scale=scale, shift=shift)
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither")
    if mean is None:
        if x.size <= x.shape[-1]:
            raise ValueError(f"batch_norm: x {x.shape} must hold more than one value per channel, to have a variance")
        return standardize(x, tuple(range(x.ndim - 1)), eps) * scale + shift
    mean, variance = operand("batch_norm", mean, "mean"), operand("batch_norm", variance, "variance")
    _check_channels("batch_norm", x, mean=mean, variance=variance)
    factor = scale / sqrt(variance + eps)
    return x * factor + (shift - mean * factor)


def layer_norm(x, scale, shift, eps=1e-5):
    """y = γ x̂ + β with each example's features, the last axis, standardised.  Source: Ba, Kiros and Hinton 2016."""
    x, scale, shift = operand("layer_norm", x), operand("layer_norm", scale, "scale"), operand("layer_norm", shift, "shift")
    _check_channels("layer_norm", x, scale=scale, shift=shift)
    return standardize(x, -1, eps) * scale + shift


def _check_channels(operation, x, **vectors):
    same_device(operation, x=x, **vectors)
    if x.ndim < 2 or x.shape[-1] == 0:
        raise ValueError(f"{operation}: x must be (N, …, C) with at least one channel, got shape {x.shape}")
    for name, v in vectors.items():
        if v.shape != x.shape[-1:]:
            raise ValueError(f"{operation}: {name} of shape {v.shape} must have one entry per channel of x {x.shape}")


def dropout(x, rate, rng):
    """Each element dropped with probability `rate`, the others divided by 1 − rate, so that the mean stays.

    rng: a numpy Generator or an integer seed; the numbers are drawn on the host, the same for every device.
    y = x ⊙ m/(1 − rate) with a random mask m        so   x̄ = ȳ ⊙ m/(1 − rate).   Source: Srivastava et al. 2014.
    """
    x = operand("dropout", x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be at least 0 and below 1, got {rate}")
    kept = backend.generator(rng).random(x.shape) >= rate
    return x * constant(backend.asarray(kept, x.dtype, backend.device_of(x.data))) * (1 / (1 - rate))
