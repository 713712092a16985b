"""Larger and smaller pictures, channels last: x (N, *S, C).  All are linear."""
import math

from minidl import kernels
from minidl.operands import floating, operand, per_axis
from minidl.ops.shape import repeat, reshape, transpose
from minidl.tensor import record


def upsample(x, factor, mode="nearest"):
    """x enlarged by an integer factor, or one per spatial axis.

    x (N, *S, C) → y (N, *(S · factor), C)
    mode: "nearest" repeats elements, so x̄ = Σ ȳ over the copies; "bilinear" is resize.
    Raises ValueError for other modes, a factor below 1, and an x that has no pixels.

    >>> upsample([[[1.0], [2.0]]], 2).numpy().ravel()
    array([1., 1., 2., 2.])
    """
    x = operand("upsample", x)
    factors = per_axis("upsample", "factor", factor, _spatial("upsample", x), 1)
    if mode == "bilinear":
        return resize(x, tuple(n * f for n, f in zip(x.shape[1:-1], factors)))
    if mode != "nearest":
        raise ValueError(f"upsample: mode must be 'nearest' or 'bilinear', got {mode!r}")
    for axis, f in enumerate(factors, 1):
        x = repeat(x, f, axis)
    return x


def resize(x, sizes):
    """Linear interpolation along each spatial axis to new sizes, one axis after the other.

    x (N, *S, C) → (N, *sizes, C); integers become floating-point.
    Element i of m lies at the position (i + ½)·n/m − ½ among the n of x (pixel centres, never
    beyond the first and the last), at a distance t after the element l before it:
        yᵢ = (1 − t) x[l] + t x[l + 1]
    so   x̄ = (1 − t) ȳᵢ added at l, and t ȳᵢ at l + 1, for every i
    Raises ValueError for sizes below 1, and an x that has no pixels.

    >>> resize([[[1.0], [2.0]]], 4).numpy().ravel()
    array([1.  , 1.25, 1.75, 2.  ])
    """
    x = floating("resize", x)                           # between whole numbers are fractions
    sizes = per_axis("resize", "sizes", sizes, _spatial("resize", x), 1)
    for axis, m in enumerate(sizes, 1):
        if m != x.shape[axis]:
            x = _interpolate(x, m, axis)
    return x


def _interpolate(x, m, axis):
    """m elements in the place of n along an axis.        x̄ = the adjoint map of ȳ"""
    n = x.shape[axis]
    return record(kernels.interpolate(x.data, m, axis),
                  (x, lambda gy: _interpolate_back(gy, n, axis)))


def _interpolate_back(u, n, axis):
    """The adjoint of `_interpolate`, and so        ū = ȳ interpolated"""
    m = u.shape[axis]
    return record(kernels.interpolate_back(u.data, n, axis),
                  (u, lambda gx: _interpolate(gx, m, axis)))


def pixel_shuffle(x, factor):
    """Blocks of channels as pixels: (N, H, W, C·r²) → (N, H·r, W·r, C), in 1 to 3 dimensions.

    Channel c·r² + i·r + j of a pixel becomes channel c of the pixel (i, j) inside its block.
    A permutation of the elements, so x̄ = ȳ permuted back, by composition.
    Raises ValueError where the channels do not divide by r², or a factor is below 1.
    Source: Shi et al. 2016 (sub-pixel convolution).

    >>> pixel_shuffle([[[1.0, 2.0], [3.0, 4.0]]], 2).numpy().ravel()        # (1, 2, 2) → (1, 4, 1)
    array([1., 2., 3., 4.])
    """
    x = operand("pixel_shuffle", x)
    n = _spatial("pixel_shuffle", x)
    factors = per_axis("pixel_shuffle", "factor", factor, n, 1)
    if x.shape[-1] % math.prod(factors):
        raise ValueError(f"pixel_shuffle: {x.shape[-1]} channels of x {x.shape} do not divide by "
                         f"{math.prod(factors)}")
    channels = x.shape[-1] // math.prod(factors)
    blocks = reshape(x, x.shape[:-1] + (channels,) + factors)       # (N, *S, C, *r)
    order = [0] + [axis for i in range(n) for axis in (1 + i, n + 2 + i)] + [n + 1]
    pixels = transpose(blocks, order)                               # (N, S₀, r₀, S₁, r₁, …, C)
    return reshape(pixels, x.shape[:1] + tuple(s * f for s, f in zip(x.shape[1:-1], factors))
                   + (channels,))


def _spatial(operation, x):
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"{operation}: x must be (N, *S, C) with 1 to 3 spatial axes, "
                         f"got shape {x.shape}")
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{operation}: x of shape {x.shape} has no pixels")
    return x.ndim - 2
