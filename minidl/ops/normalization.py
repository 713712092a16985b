"""Normalisation and dropout."""
import math

from minidl import backend, kernels
from minidl.operands import floating, integer, normalize_axes, operand, promoted, same_device
from minidl.ops.elementwise import keep, sqrt
from minidl.ops.precision import precise, rounded
from minidl.ops.reduction import count_of, sum, var
from minidl.ops.shape import reshape
from minidl.recording import is_recording
from minidl.settings import bounded
from minidl.tensor import constant, record, with_output


@precise
def standardize(x, axis, eps=1e-5):
    """y = (x − μ) r over the axes, with the mean μ, r = 1/√(σ² + ε), σ² the mean squared deviation.

    x and y of any one shape; axis: an integer or several.  NaN where σ² + ε = 0.
    With m elements in a group, and E their mean:
        dμ = E[dx],   dσ² = 2 E[(x − μ) dx],   dr = −r³ dσ² / 2 = −r² E[y dx]
        dy = (dx − E[dx]) r + (x − μ) dr = r (dx − E[dx] − y E[y dx])
    The matrix of dx ↦ dy is symmetric, so ȳ ↦ x̄ is the same map:   x̄ = r (ȳ − E[ȳ] − y E[y ȳ])
    Raises ValueError over no elements, and for eps < 0.

    >>> standardize([[1.0, 3.0], [0.0, 4.0]], axis=1, eps=0)
    tensor([[-1.,  1.],
            [-1.,  1.]], float64)
    """
    eps = bounded("standardize", "0 ≤ eps < inf", eps)
    axes = normalize_axes("standardize", axis, x.ndim)
    m = count_of("standardize", x, axis)
    mean = kernels.sums.mean(x.data, axes, keepdims=True)
    centred = x.data - mean
    variance = kernels.sums.total(centred * centred, axes, keepdims=True) / m

    def rule(gy, y):
        r = 1 / sqrt(var(x, axes, keepdims=True) + eps)
        means = [sum(u, axes, keepdims=True) / m for u in (gy, y * gy)]
        return r * (gy - means[0] - y * means[1])

    return record(centred / backend.of(x.data).sqrt(variance + eps), (x, with_output(rule)))


def batch_norm(x, scale, shift, mean=None, variance=None, eps=1e-5):
    """y = γ x̂ + β  per channel, the last axis, with x̂ = (x − μ) r and r = 1/√(σ² + ε).

    x (N, …, C), scale γ, shift β, mean μ and variance σ² each (C,).
    mean and variance, if given, are used (in evaluation: the running statistics); see `_affine`.
    None (training): those of the batch, over all axes but the last.  They depend on x, hence two
    more terms of dy.  The values are those of `standardize(x, axes, eps) * scale + shift`; with m
    values a channel and E their mean,
        dy = x̂ dγ + dβ + γ r (dx − E[dx] − x̂ E[x̂ dx])
    so   β̄ = Σ ȳ,   γ̄ = Σ x̂ ȳ,   x̄ = γ r (ȳ − β̄/m − x̂ γ̄/m)
    Raises ValueError where the shapes do not fit, a channel has one value in training, or eps < 0.
    Source: Ioffe and Szegedy 2015.

    >>> batch_norm([[1.0], [3.0]], [10.0], [0.5], eps=0)
    tensor([[-9.5],
            [10.5]], float64)
    """
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: give both mean and variance, or neither")
    if mean is None:
        return batch_norm_with_moments(x, scale, shift, eps)[0]
    eps = bounded("batch_norm", "0 ≤ eps < inf", eps)
    (x, scale, shift, mean, variance), dtype = channelwise(
        "batch_norm", x, scale=scale, shift=shift, mean=mean, variance=variance)
    return rounded(_affine(x, scale / sqrt(variance + eps), shift, mean), dtype)


def _affine(x, a, c, mean):
    """y = a ⊙ (x − μ) + c,  channel by channel: x (…, C), a, c and μ (C,).

    dy = da ⊙ (x − μ) + a ⊙ (dx − dμ) + dc
    so   x̄ = a ⊙ ȳ,   and, summed by the sweep over all axes but the last,
    ā = ȳ ⊙ (x − μ),   c̄ = ȳ,   μ̄ = −a ⊙ ȳ
    """
    return record(kernels.channels.affine(x.data, a.data, c.data, mean.data),
                  (x, lambda gy: gy * a),
                  (a, lambda gy: gy * (x - mean)),
                  (c, lambda gy: gy),
                  (mean, lambda gy: -(gy * a)))


def batch_norm_with_moments(x, scale, shift, eps=1e-5):
    """(batch_norm(x) in training, the batch's mean, its variance), the last two arrays (C,).

    Running statistics follow these; of a float16 x they are float32.
    """
    eps = bounded("batch_norm", "0 ≤ eps < inf", eps)
    (x, scale, shift), dtype = channelwise("batch_norm", x, scale=scale, shift=shift)
    if x.size <= x.shape[-1]:
        raise ValueError(f"batch_norm: x {x.shape} must hold more than one value per channel, "
                         "to have a variance")
    mean, variance = kernels.channels.moments(x.data)
    deviation = backend.of(x.data).sqrt(variance + eps)

    def rule(gy):
        if is_recording():
            return _batch_norm_rule(gy, x, scale, eps)
        return tuple(g if g is None else constant(g) for g in kernels.channels.batch_norm_back(
            gy.data, x.data, mean, 1 / deviation, scale.data, x.requires_grad))

    y = record(kernels.channels.affine(x.data, scale.data / deviation, shift.data, mean),
               ((x, scale, shift), rule))
    return rounded(y, dtype), mean, variance


def _batch_norm_rule(gy, x, scale, eps):
    """x̄ = γ r (ȳ − β̄/m − x̂ γ̄/m),   γ̄ = Σ x̂ ȳ,   β̄ = Σ ȳ:  see `batch_norm`.

    Without create_graph a kernel computes the same, reading x and ȳ twice.
    """
    axes, m = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    normal, r = standardize(x, axes, eps), 1 / sqrt(var(x, axes) + eps)
    of_shift, of_scale = sum(gy, axes), sum(normal * gy, axes)
    return scale * r * (gy - of_shift / m - normal * of_scale / m), of_scale, of_shift


def layer_norm(x, scale, shift, eps=1e-5):
    """y = γ x̂ + β with each example's features, the last axis, standardised to x̂.

    x (N, …, C), scale γ and shift β (C,).
    dy = x̂ dγ + dβ + γ dx̂, with dx̂ as in `standardize`; by composition
    Raises ValueError where the shapes do not fit, or eps < 0.  Source: Ba, Kiros and Hinton 2016.

    >>> layer_norm([[1.0, 3.0]], [10.0, 10.0], [0.5, 0.5], eps=0)
    tensor([[-9.5, 10.5]], float64)
    """
    eps = bounded("layer_norm", "0 ≤ eps < inf", eps)
    (x, scale, shift), dtype = channelwise("layer_norm", x, scale=scale, shift=shift)
    return rounded(standardize(x, -1, eps) * scale + shift, dtype)


def group_norm(x, scale, shift, groups, eps=1e-5):
    """y = γ x̂ + β with each example's groups of channels standardised, over all places.

    x (N, *S, C), scale γ and shift β (C,); channels g·C/groups … (g + 1)·C/groups − 1 are group g.
    No example sees another one: so the batch may be small, and a penalty on each example's gradient
    (WGAN-GP) is well defined.
    By composition; see `standardize`.  groups = 1 is layer norm over all of an example, groups = C
    is `instance_norm`.
    Raises ValueError where the shapes do not fit, groups do not divide the channels, or eps < 0.
    Source: Wu and He 2018.

    >>> group_norm([[[1.0, 3.0, 5.0, 9.0]]], [1.0] * 4, [0.0] * 4, groups=2, eps=0)
    tensor([[[-1.,  1., -1.,  1.]]], float64)
    """
    return _group_norm("group_norm", x, scale, shift, groups, eps)


def instance_norm(x, scale, shift, eps=1e-5):
    """y = γ x̂ + β with each channel of each example standardised, over all places.

    x (N, *S, C), scale γ and shift β (C,).  A picture loses its own brightness and contrast.
    By composition: `group_norm` with a group for each channel.
    Raises ValueError where the shapes do not fit, or there is one place: x̂ would be 0 everywhere.
    Source: Ulyanov, Vedaldi and Lempitsky 2016.

    >>> instance_norm([[[1.0], [3.0]]], [10.0], [0.5], eps=0)
    tensor([[[-9.5],
             [10.5]]], float64)
    """
    x = operand("instance_norm", x)
    if x.ndim < 3 or math.prod(x.shape[1:-1]) < 2:
        raise ValueError("instance_norm: x must be (N, *S, C) with two places or more, got "
                         f"{x.shape}")
    return _group_norm("instance_norm", x, scale, shift, x.shape[-1], eps)


def _group_norm(operation, x, scale, shift, groups, eps):
    eps = bounded(operation, "0 ≤ eps < inf", eps)
    (x, scale, shift), dtype = channelwise(operation, x, scale=scale, shift=shift)
    channels, groups = x.shape[-1], integer(operation, "groups", groups)
    if groups < 1 or channels % groups:
        raise ValueError(f"{operation}: groups={groups} must divide the {channels} channels of x "
                         f"{x.shape}")
    places = math.prod(x.shape[1:-1])
    if places == 0:
        raise ValueError(f"{operation}: x of shape {x.shape} has no places")
    grouped = reshape(x, (x.shape[0], places, groups, channels // groups))
    normal = reshape(standardize(grouped, (1, 3), eps), x.shape)
    return rounded(normal * scale + shift, dtype)


def channelwise(operation, x, **vectors):
    """x (N, …, C) and the vectors (C,), on one device and of one type; the dtype of the result.

    float16 is computed in float32.
    """
    x = operand(operation, x)
    vectors = {name: operand(operation, v, name) for name, v in vectors.items()}
    same_device(operation, x=x, **vectors)
    if x.ndim < 2 or x.shape[-1] == 0:
        raise ValueError(f"{operation}: x must be (N, …, C) with at least one channel, "
                         f"got shape {x.shape}")
    for name, v in vectors.items():
        if v.shape != x.shape[-1:]:
            raise ValueError(f"{operation}: {name} of shape {v.shape} must have one entry per "
                             f"channel of x {x.shape}")
    tensors = [floating(operation, v) for v in promoted(x, *vectors.values())]
    dtype = tensors[0].dtype
    return [rounded(v, kernels.accumulator(dtype)) for v in tensors], dtype


def dropout(x, rate, rng):
    """Each element set to 0 with probability `rate`, the others divided by 1 − rate.

    So the expected value stays.
    rng: a numpy Generator or an integer seed; the numbers are drawn on the host, so that every
    device has the same ones.
    y = x ⊙ m / (1 − rate) with a random mask m        so   x̄ = ȳ ⊙ m / (1 − rate)
    Raises ValueError unless 0 ≤ rate < 1, TypeError for rng=None.   Source: Srivastava et al. 2014.

    >>> dropout([1.0, 1.0, 1.0, 1.0], 0.5, rng=0)
    tensor([2., 0., 0., 0.], float64)
    """
    x = operand("dropout", x)
    return dropped(x, backend.generator(rng).random(x.shape), rate)


def dropped(x, numbers, rate):
    """`dropout` by numbers of x's shape, drawn uniformly from 0 … 1: entries below `rate` go."""
    rate = bounded("dropout", "0 ≤ rate < 1", rate)
    mask = constant(backend.asarray(numbers >= rate, device=backend.device_of(x.data)))
    return keep(x, mask) * (1 / (1 - rate))             # an infinite x · 0 would be no number
