"""Normalisation and dropout."""
from minidl import backend, kernels
from minidl.ops.elementwise import sqrt, zeros_like
from minidl.ops.reduction import mean, normalize_axes, sum, var
from minidl.tensor import constant, operand, promoted, record, same_device


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


def channel_moments(x):
    """Mean μ and variance σ² of each channel, the last axis, over all others: (2, C), σ² the mean squared deviation.

    With m elements a channel:  dμ = Σ dx / m,   dσ² = 2 Σ (x − μ) dx / m        so   x̄ = (μ̄ + 2 σ̄² (x − μ)) / m
    """
    x = operand("channel_moments", x)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"channel_moments: x must be (N, …, C) with at least one value per channel, got shape {x.shape}")
    value = kernels.channels.moments(x.data)
    m = x.size // x.shape[-1]

    def rule(gy, y):
        slope = gy[1] * (2 / m)
        return channel_affine(x, slope, gy[0] * (1 / m) - slope * y[0])

    return record(value, (x, rule))


def channel_affine(x, a, c):
    """y = a ⊙ x + c,  channel by channel: x (…, C), a and c (C,).

    dL = ⟨ȳ, da ⊙ x + a ⊙ dx + dc⟩        so   x̄ = a ⊙ ȳ,   ā = Σ ȳ ⊙ x,   c̄ = Σ ȳ,  over all axes but the last
    """
    x, a, c = operand("channel_affine", x), operand("channel_affine", a, "a"), operand("channel_affine", c, "c")
    _check_channels("channel_affine", x, a=a, c=c)
    x, a, c = promoted(x, a, c)
    return record(kernels.channels.affine(x.data, a.data, c.data),
                  (x, lambda gy: channel_affine(gy, a, zeros_like(c))),
                  (a, lambda gy: channel_dot(gy, x)),
                  (c, lambda gy: sum(gy, tuple(range(gy.ndim - 1)))))


def channel_dot(x, u):
    """y = Σ x ⊙ u  over all axes but the last: (…, C) twice → (C,).        x̄ = ȳ ⊙ u,   ū = ȳ ⊙ x"""
    x, u = operand("channel_dot", x), operand("channel_dot", u, "u")
    same_device("channel_dot", x=x, u=u)
    if x.shape != u.shape or x.ndim < 2:
        raise ValueError(f"channel_dot: x {x.shape} and u {u.shape} must have one shape (N, …, C)")
    x, u = promoted(x, u)
    return record(kernels.channels.dot(x.data, u.data),
                  (x, lambda gy: channel_affine(u, gy, zeros_like(gy))),
                  (u, lambda gy: channel_affine(x, gy, zeros_like(gy))))


def batch_norm(x, scale, shift, mean=None, variance=None, eps=1e-5):
    """y = γ (x − μ)/√(σ² + ε) + β  per channel, the last axis.

    mean, variance None (training): μ and σ² are the batch's own, over all axes but the last, and x̄ sees that they depend
    on x (`channel_moments`).  Given (C,): those, in evaluation the running statistics, constants.
    With f = γ/√(σ² + ε) it is one multiplication and addition per element, y = f x + (β − μ f), and the rules follow from
    the parts; spelled out, with x̂ the normalised x,   γ̄ = Σ ȳ x̂,   β̄ = Σ ȳ,   and in training
    x̄ = f (ȳ − ⟨ȳ⟩ − x̂ ⟨x̂ ȳ⟩)  with ⟨·⟩ the mean over a channel; in evaluation x̄ = f ȳ.   Source: Ioffe and Szegedy 2015.
    """
    x, scale, shift = operand("batch_norm", x), operand("batch_norm", scale, "scale"), operand("batch_norm", shift, "shift")
    _check_channels("batch_norm", x, scale=scale, shift=shift)
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither")
    if mean is None:
        if x.size <= x.shape[-1]:
            raise ValueError(f"batch_norm: x {x.shape} must hold more than one value per channel, to have a variance")
        mean, variance = channel_moments(x)
    mean, variance = operand("batch_norm", mean, "mean"), operand("batch_norm", variance, "variance")
    _check_channels("batch_norm", x, mean=mean, variance=variance)
    factor = scale / sqrt(variance + eps)
    return channel_affine(x, factor, shift - mean * factor)


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
