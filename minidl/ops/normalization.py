"""Normalisation and dropout."""
import math

from minidl import backend, kernels
from minidl.operands import floating, normalize_axes, number, operand, promoted, same_device
from minidl.ops.elementwise import sqrt, zeros_like
from minidl.ops.precision import precise
from minidl.ops.reduction import sum, var
from minidl.tensor import constant, record, with_output


@precise
def standardize(x, axis, eps=1e-5):
    """y = (x − μ) r along the axes, with the mean μ and r = 1/√(σ² + ε), σ² the mean squared deviation.

    With m elements a group and ⟨·⟩ the mean over them:
        dμ = ⟨dx⟩,   dσ² = 2⟨(x − μ) dx⟩,   dr = −r³ dσ² / 2 = −r² ⟨y dx⟩
        dy = (dx − ⟨dx⟩) r + (x − μ) dr = r (dx − ⟨dx⟩ − y ⟨y dx⟩)
    This map is symmetric, so      x̄ = r (ȳ − ⟨ȳ⟩ − y ⟨y ȳ⟩)
    """
    eps = number("standardize", "eps", eps)
    axes = normalize_axes("standardize", axis, x.ndim)
    if 0 in (x.shape[a] for a in axes):
        raise ValueError(f"standardize: no elements to reduce in shape {x.shape} along axis {axis}")
    m = math.prod(x.shape[a] for a in axes)
    mean = kernels.sums.mean(x.data, axes)
    deviation = x.data - mean
    variance = kernels.sums.total(deviation * deviation, axes).reshape(mean.shape) / m

    def rule(gy, y):
        r = 1 / sqrt(var(x, axes, keepdims=True) + eps)
        means = [sum(u, axes, keepdims=True) / m for u in (gy, y * gy)]
        return r * (gy - means[0] - y * means[1])

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
        return channel_affine(x, gy[1] * (2 / m), gy[0] / m, y[0])

    return record(value, (x, with_output(rule)))


def channel_affine(x, a, c, m=None):
    """y = a ⊙ (x − m) + c,  channel by channel: x (…, C), a, c and m (C,), or None for m = 0.

    dL = ⟨ȳ, da ⊙ (x − m) + a ⊙ (dx − dm) + dc⟩
    so   x̄ = a ⊙ ȳ,   ā = Σ ȳ ⊙ (x − m),   c̄ = Σ ȳ,   m̄ = −a ⊙ Σ ȳ,  over all axes but the last
    """
    x, a, c, m = _operands("channel_affine", x=x, a=a, c=c, m=m)
    _check_channels("channel_affine", x, a=a, c=c, m=m)
    return record(kernels.channels.affine(x.data, a.data, c.data, _data(m)),
                  (x, lambda gy: channel_affine(gy, a, zeros_like(c))),
                  (a, lambda gy: channel_sums(gy, x, m)[1]),
                  (c, _over_channels),
                  *_where_given(m, lambda gy: -a * _over_channels(gy)))


def channel_blend(x, u, a, b, c, m=None):
    """y = a ⊙ x + b ⊙ (u − m) + c,  channel by channel: x and u (N, …, C), the others (C,).

    m may be None for 0.
    dL = ⟨ȳ, da ⊙ x + a ⊙ dx + db ⊙ (u − m) + b ⊙ (du − dm) + dc⟩
    so   x̄ = a ⊙ ȳ,   ā = Σ ȳ ⊙ x,   ū = b ⊙ ȳ,   b̄ = Σ ȳ ⊙ (u − m),   c̄ = Σ ȳ,   m̄ = −b ⊙ Σ ȳ,
    over all axes but the last
    """
    x, u, a, b, c, m = _operands("channel_blend", x=x, u=u, a=a, b=b, c=c, m=m)
    _check_channels("channel_blend", x, u=u, a=a, b=b, c=c, m=m)
    return record(kernels.channels.blend(x.data, a.data, u.data, b.data, c.data, _data(m)),
                  (x, lambda gy: channel_affine(gy, a, zeros_like(c))),
                  (u, lambda gy: channel_affine(gy, b, zeros_like(c))),
                  (a, lambda gy: channel_sums(gy, x)[1]),
                  (b, lambda gy: channel_sums(gy, u, m)[1]),
                  (c, _over_channels),
                  *_where_given(m, lambda gy: -b * _over_channels(gy)))


def channel_sums(u, x, m=None):
    """y = (Σ u, Σ u ⊙ (x − m))  over all axes but the last: (…, C) twice → (2, C).

    m: (C,), or None for 0.
    dL = ⟨ȳ₀, Σ du⟩ + ⟨ȳ₁, Σ (du ⊙ (x − m) + u ⊙ (dx − dm))⟩
    so   ū = ȳ₀ + ȳ₁ ⊙ (x − m),   x̄ = ȳ₁ ⊙ u,   m̄ = −ȳ₁ ⊙ Σ u,  channel by channel
    """
    u, x, m = _operands("channel_sums", u=u, x=x, m=m)
    if u.shape != x.shape or x.ndim < 2:
        raise ValueError(f"channel_sums: u {u.shape} and x {x.shape} must have one shape (N, …, C)")
    _check_channels("channel_sums", x, u=u, m=m)
    return record(kernels.channels.sums(u.data, x.data, _data(m)),
                  (u, lambda gy: channel_affine(x, gy[1], gy[0], m)),
                  (x, lambda gy: channel_affine(u, gy[1], zeros_like(gy[1]))),
                  *_where_given(m, with_output(lambda gy, y: -gy[1] * y[0])))


def _operands(operation, **given):
    """The Tensors of one device, in the dtype of all of them; None passes."""
    tensors = {name: floating(operation, v, name) for name, v in given.items() if v is not None}
    same_device(operation, **tensors)
    tensors = dict(zip(tensors, promoted(*tensors.values())))
    return [tensors.get(name) for name in given]


def _over_channels(x):
    """Σ over all axes but the last."""
    return sum(x, tuple(range(x.ndim - 1)))


def _data(x):
    return None if x is None else x.data


def _where_given(x, rule):
    return () if x is None else ((x, rule),)


def batch_norm(x, scale, shift, mean=None, variance=None, eps=1e-5):
    """y = γ x̂ + β  per channel, the last axis, with x̂ = (x − μ) r and r = 1/√(σ² + ε).

    mean, variance given, each (C,): those, in evaluation the running statistics; then it is a `channel_affine`.
    None (training): the batch's own, over all axes but the last, which depend on x.  See `standardize` for dx̂: the map is
    symmetric, with m values a channel and ⟨·⟩ their mean,
        dy = x̂ dγ + dβ + γ r (dx − ⟨dx⟩ − x̂ ⟨x̂ dx⟩)
    so  β̄ = Σ ȳ,   γ̄ = Σ x̂ ȳ = r Σ (x − μ) ȳ,   x̄ = γ r (ȳ − β̄/m − x̂ γ̄/m)
    All is made from x − μ: where |μ| is much larger than σ, differences of products with x lose
    their digits.
    Source: Ioffe and Szegedy 2015.
    """
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither")
    if mean is None:
        return batch_norm_with_moments(x, scale, shift, eps)[0]
    eps = number("batch_norm", "eps", eps)
    x, scale, shift = (floating("batch_norm", v, name)
                       for v, name in ((x, "x"), (scale, "scale"), (shift, "shift")))
    mean = floating("batch_norm", mean, "mean")
    variance = floating("batch_norm", variance, "variance")
    _check_channels("batch_norm", x, scale=scale, shift=shift, mean=mean, variance=variance)
    x, scale, shift, mean, variance = promoted(x, scale, shift, mean, variance)
    if x.dtype.char == "e":
        return batch_norm(*(v.astype("float32") for v in (x, scale, shift, mean, variance)), eps).astype(x.dtype)
    return channel_affine(x, scale / sqrt(variance + eps), shift, mean)


def batch_norm_with_moments(x, scale, shift, eps=1e-5):
    """(batch_norm(x) in training, the batch's `channel_moments`), which running statistics follow; float16's in float32."""
    eps = number("batch_norm", "eps", eps)
    x, scale, shift = (floating("batch_norm", v, name)
                       for v, name in ((x, "x"), (scale, "scale"), (shift, "shift")))
    _check_channels("batch_norm", x, scale=scale, shift=shift)
    if x.size <= x.shape[-1]:
        raise ValueError(f"batch_norm: x {x.shape} must hold more than one value per channel, to have a variance")
    x, scale, shift = promoted(x, scale, shift)
    if x.dtype.char == "e":
        y, moments = batch_norm_with_moments(*(v.astype("float32") for v in (x, scale, shift)), eps)
        return y.astype(x.dtype), moments
    moments, values = channel_moments(x), x.size // x.shape[-1]

    def rule(gy):
        mean, r = moments[0], 1 / sqrt(moments[1] + eps)
        sums = channel_sums(gy, x, mean)
        shift_slope, scale_slope = sums[0], r * sums[1]
        if not x.requires_grad:
            return None, scale_slope, shift_slope
        a = scale * r
        b, c = -a * r * scale_slope / values, -a * shift_slope / values
        return channel_blend(gy, x, a, b, c, mean), scale_slope, shift_slope

    factor = scale.data / backend.of(x.data).sqrt(moments.data[1] + x.dtype.type(eps))
    value = kernels.channels.affine(x.data, factor, shift.data, moments.data[0])
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
        if v is not None and v.shape != x.shape[-1:]:
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
