"""Larger and smaller pictures, channels last: x (N, *S, C).  All are linear."""
import math

from minidl import backend
from minidl.operands import floating, operand, per_axis
from minidl.ops.linear import matmul
from minidl.ops.shape import repeat, reshape, transpose
from minidl.tensor import constant


def upsample(x, factor, mode="nearest"):
    """x enlarged by an integer factor (or one per spatial axis): "nearest" repeats elements, "bilinear" interpolates."""
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
    """Linear interpolation along each spatial axis to new sizes: y = A_H x A_Wᵀ, a product with a small matrix per axis.

    Row i of a matrix takes the two elements around the source position (i + ½)·n/m − ½ (pixel centres; held at the
    borders).        x̄ = A_Hᵀ ȳ A_W, by composition.  Integers become floating-point.
    """
    x = floating("resize", x)                           # what lies between whole numbers is none
    sizes = per_axis("resize", "sizes", sizes, _spatial("resize", x), 1)
    for axis, m in enumerate(sizes, 1):
        n, before, after = x.shape[axis], x.shape[:axis], x.shape[axis + 1:]
        if m != n:
            matrix = backend.asarray(interpolation_matrix(n, m), x.dtype, backend.device_of(x.data))
            lines = reshape(x, (math.prod(before), n, math.prod(after)))
            x = reshape(matmul(constant(matrix), lines), before + (m,) + after)
    return x


def interpolation_matrix(n, m):
    """The (m, n) NumPy matrix that interpolates n elements linearly to m."""
    xp = backend.CPU.module
    source = xp.clip((xp.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    left = xp.minimum(source.astype(int), max(n - 2, 0))
    matrix = xp.zeros((m, n))
    matrix[xp.arange(m), left] += 1 - (source - left)
    matrix[xp.arange(m), xp.minimum(left + 1, n - 1)] += source - left
    return matrix


def pixel_shuffle(x, factor):
    """Channels turned into pixels: (N, H, W, C·r²) → (N, H·r, W·r, C), in 1 to 3 dimensions.

    Channel c·r² + i·r + j of a pixel becomes channel c of the pixel (i, j) inside its block.
    Source: Shi et al. 2016 (sub-pixel convolution).
    """
    x = operand("pixel_shuffle", x)
    n = _spatial("pixel_shuffle", x)
    factors = per_axis("pixel_shuffle", "factor", factor, n, 1)
    if x.shape[-1] % math.prod(factors):
        raise ValueError(f"pixel_shuffle: {x.shape[-1]} channels of x {x.shape} do not divide by {math.prod(factors)}")
    channels = x.shape[-1] // math.prod(factors)
    blocks = reshape(x, x.shape[:-1] + (channels,) + factors)       # (N, *S, C, *r)
    order = [0] + [axis for i in range(n) for axis in (1 + i, n + 2 + i)] + [n + 1]
    return reshape(transpose(blocks, order),
                   x.shape[:1] + tuple(s * f for s, f in zip(x.shape[1:-1], factors)) + (channels,))


def _spatial(operation, x):
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"{operation}: x must be (N, *S, C) with 1 to 3 spatial axes, got shape {x.shape}")
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{operation}: x of shape {x.shape} has no pixels")
    return x.ndim - 2
