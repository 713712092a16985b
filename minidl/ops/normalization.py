"""Normalisation and dropout."""
from minidl import backend, kernels
from minidl.operands import floating, normalize_axes, number, operand, promoted, same_device
from minidl.ops.elementwise import sqrt, zeros_like
from minidl.ops.reduction import mean, sum, var
from minidl.tensor import constant, record, with_output


def standardize(x, axis, eps=1e-5):
    """y = (x − μ) r along the axes, with the mean μ and r = 1/√(σ² + ε), σ² the mean squared deviation.

    With m elements a group and ⟨·⟩ the mean over them:
        dμ = ⟨dx⟩,   dσ² = 2⟨(x − μ) dx⟩,   dr = −r³ dσ² / 2 = −r² ⟨y dx⟩
        dy = (dx − ⟨dx⟩) r + (x − μ) dr = r (dx − ⟨dx⟩ − y ⟨y dx⟩)
    This map is symmetric, so      x̄ = r (ȳ − ⟨ȳ⟩ − y ⟨y ȳ⟩)
    """
    x, eps = operand("standardize", x), number("standardize", "eps", eps)
    axes = normalize_axes("standardize", axis, x.ndim)
    if 0 in (x.shape[a] for a in axes):
        raise ValueError(f"standardize: no elements to reduce in shape {x.shape} along axis {axis}")
    if x.dtype.char == "e":                             # whose squares may be too large for it
        return standardize(x.astype("float32"), axes, eps).astype(x.dtype)
    deviation = x.data - mean(x.detach(), axes, keepdims=True).data
    variance = mean(constant(deviation * deviation), axes, keepdims=True).data

    def rule(gy, y):
        r = 1 / sqrt(var(x, axes, keepdims=True) + eps)
        return r * (gy - mean(gy, axes, keepdims=True) - y * mean(y * gy, axes, keepdims=True))

    return record(deviation / backend.of(x.data).sqrt(variance + eps), (x, with_output(rule)))


def channel_moments(x):
    """Mean μ and variance σ² of each channel, the last axis, over all others: (2, C), σ² the mean squared deviation.

    With m elements a channel:  dμ = Σ dx / m,   dσ² = 2 Σ (x − μ) dx / m        so   x̄ = (μ̄ + 2 σ̄² (x − μ)) / m
    """
    x = floating("channel_moments", x)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"channel_moments: x must be (N, …, C) with at least one value per channel, got shape {x.shape}")
    value = kernels.channels.moments(x.data)
    m = x.size // x.shape[-1]

    def rule(gy, y):
        slope = gy[1] * (2 / m)
        return channel_affine(x, slope, gy[0] * (1 / m) - slope * y[0])

    return record(value, (x, with_output(rule)))


def channel_affine(x, a, c):
    """y = a ⊙ x + c,  channel by channel: x (…, C), a and c (C,).

    dL = ⟨ȳ, da ⊙ x + a ⊙ dx + dc⟩        so   x̄ = a ⊙ ȳ,   ā = Σ ȳ ⊙ x,   c̄ = Σ ȳ,  over all axes but the last
    """
    x, a, c = operand("channel_affine", x), operand("channel_affine", a, "a"), operand("channel_affine", c, "c")
    _check_channels("channel_affine", x, a=a, c=c)
    x, a, c = promoted(x, a, c)
    return record(kernels.channels.affine(x.data, a.data, c.data),
                  (x, lambda gy: channel_affine(gy, a, zeros_like(c))),
                  (a, lambda gy: channel_sums(gy, x)[1]),
                  (c, lambda gy: sum(gy, tuple(range(gy.ndim - 1)))))


def channel_blend(x, u, a, b, c):
    """y = a ⊙ x + b ⊙ u + c,  channel by channel: x and u (N, …, C), a, b and c (C,).

    dL = ⟨ȳ, da ⊙ x + a ⊙ dx + db ⊙ u + b ⊙ du + dc⟩
    so   x̄ = a ⊙ ȳ,   ū = b ⊙ ȳ,   ā = Σ ȳ ⊙ x,   b̄ = Σ ȳ ⊙ u,   c̄ = Σ ȳ,  over all axes but the last
    """
    x, u, a, b, c = (operand("channel_blend", v, name) for v, name in zip((x, u, a, b, c), "xuabc"))
    _check_channels("channel_blend", x, u=u, a=a, b=b, c=c)
    x, u, a, b, c = promoted(x, u, a, b, c)
    return record(kernels.channels.affine(x.data, a.data, c.data, u.data, b.data),
                  (x, lambda gy: channel_affine(gy, a, zeros_like(c))),
                  (u, lambda gy: channel_affine(gy, b, zeros_like(c))),
                  (a, lambda gy: channel_sums(gy, x)[1]),
                  (b, lambda gy: channel_sums(gy, u)[1]),
                  (c, lambda gy: sum(gy, tuple(range(gy.ndim - 1)))))


def channel_sums(u, x):
    """y = (Σ u, Σ u ⊙ x)  over all axes but the last: (…, C) twice → (2, C).

    dL = ⟨ȳ₀, Σ du⟩ + ⟨ȳ₁, Σ (du ⊙ x + u ⊙ dx)⟩        so   ū = ȳ₀ + ȳ₁ ⊙ x,   x̄ = ȳ₁ ⊙ u,  channel by channel
    """
    u, x = operand("channel_sums", u, "u"), operand("channel_sums", x)
    same_device("channel_sums", u=u, x=x)
    if u.shape != x.shape or x.ndim < 2:
        raise ValueError(f"channel_sums: u {u.shape} and x {x.shape} must have one shape (N, …, C)")
    u, x = promoted(u, x)
    return record(kernels.channels.sums(u.data, x.data),
                  (u, lambda gy: channel_affine(x, gy[1], gy[0])),
                  (x, lambda gy: channel_affine(u, gy[1], zeros_like(gy[1]))))


def batch_norm(x, scale, shift, mean=None, variance=None, eps=1e-5):
    """y = γ x̂ + β  per channel, the last axis, with x̂ = (x − μ) r and r = 1/√(σ² + ε).

    mean, variance given, each (C,): those, in evaluation the running statistics; then it is a `channel_affine`.
    None (training): the batch's own, over all axes but the last, which depend on x.  See `standardize` for dx̂: the map is
    symmetric, with m values a channel and ⟨·⟩ their mean,
        dy = x̂ dγ + dβ + γ r (dx − ⟨dx⟩ − x̂ ⟨x̂ dx⟩)
    so  β̄ = Σ ȳ,   γ̄ = Σ x̂ ȳ = r (Σ x ȳ − μ Σ ȳ),   x̄ = γ r (ȳ − β̄/m − x̂ γ̄/m):  two sums, then one pass.
    Source: Ioffe and Szegedy 2015.
    """
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither")
    if mean is None:
        return batch_norm_with_moments(x, scale, shift, eps)[0]
    eps = number("batch_norm", "eps", eps)
    x, scale, shift = operand("batch_norm", x), operand("batch_norm", scale, "scale"), operand("batch_norm", shift, "shift")
    mean, variance = operand("batch_norm", mean, "mean"), operand("batch_norm", variance, "variance")
    _check_channels("batch_norm", x, scale=scale, shift=shift, mean=mean, variance=variance)
    x, scale, shift, mean, variance = promoted(x, scale, shift, mean, variance)
    if x.dtype.char == "e":
        return batch_norm(*(v.astype("float32") for v in (x, scale, shift, mean, variance)), eps).astype(x.dtype)
    factor = scale / sqrt(variance + eps)
    return channel_affine(x, factor, shift - mean * factor)


def batch_norm_with_moments(x, scale, shift, eps=1e-5):
    """(batch_norm(x) in training, the batch's `channel_moments`), which running statistics follow; float16's in float32."""
    eps = number("batch_norm", "eps", eps)
    x, scale, shift = operand("batch_norm", x), operand("batch_norm", scale, "scale"), operand("batch_norm", shift, "shift")
    _check_channels("batch_norm", x, scale=scale, shift=shift)
    if x.size <= x.shape[-1]:
        raise ValueError(f"batch_norm: x {x.shape} must hold more than one value per channel, to have a variance")
    x, scale, shift = promoted(x, scale, shift)
    if x.dtype.char == "e":
        y, moments = batch_norm_with_moments(*(v.astype("float32") for v in (x, scale, shift)), eps)
        return y.astype(x.dtype), moments
    moments, values = channel_moments(x), x.size // x.shape[-1]

    def rule(gy):
        sums, r = channel_sums(gy, x), 1 / sqrt(moments[1] + eps)
        shift_slope, scale_slope = sums[0], r * (sums[1] - moments[0] * sums[0])
        if not x.requires_grad:
            return None, scale_slope, shift_slope
        a, b = scale * r, -scale * r * r * scale_slope * (1 / values)
        c = -b * moments[0] - a * shift_slope * (1 / values)
        return channel_blend(gy, x, a, b, c), scale_slope, shift_slope

    factor = scale.data / backend.of(x.data).sqrt(moments.data[1] + x.dtype.type(eps))
    value = kernels.channels.affine(x.data, factor, shift.data - moments.data[0] * factor)
    return record(value, ((x, scale, shift), rule)), moments


def layer_norm(x, scale, shift, eps=1e-5):
    """y = γ x̂ + β with each example's features, the last axis, standardised.  Source: Ba, Kiros and Hinton 2016."""
    x, scale, shift = operand("layer_norm", x), operand("layer_norm", scale, "scale"), operand("layer_norm", shift, "shift")
    _check_channels("layer_norm", x, scale=scale, shift=shift)
    return standardize(x, -1, eps) * scale + shift


def _check_channels(operation, x, u=None, **vectors):
    same_device(operation, x=x, u=u, **vectors)
    if x.ndim < 2 or x.shape[-1] == 0:
        raise ValueError(f"{operation}: x must be (N, …, C) with at least one channel, got shape {x.shape}")
    if u is not None and u.shape != x.shape:
        raise ValueError(f"{operation}: u {u.shape} must have the shape of x {x.shape}")
    for name, v in vectors.items():
        if v.shape != x.shape[-1:]:
            raise ValueError(f"{operation}: {name} of shape {v.shape} must have one entry per channel of x {x.shape}")


def dropout(x, rate, rng):
    """Each element dropped with probability `rate`, the others divided by 1 − rate, so that the mean stays.

    rng: a numpy Generator or an integer seed; the numbers are drawn on the host, the same for every device.
    y = x ⊙ m/(1 − rate) with a random mask m        so   x̄ = ȳ ⊙ m/(1 − rate).   Source: Srivastava et al. 2014.
    """
    x, rate = operand("dropout", x), number("dropout", "rate", rate)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be at least 0 and below 1, got {rate}")
    kept = backend.generator(rng).random(x.shape) >= rate
    return x * constant(backend.asarray(kept, x.dtype, backend.device_of(x.data))) * (1 / (1 - rate))
