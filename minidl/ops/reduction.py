"""Sums, products, means and norms over axes.

x of any shape; axis: None (all axes), an integer or a tuple of them.  y has x's shape without these
axes; with keepdims they stay, with length 1, as in NumPy.  Raises ValueError for an axis that is
out of range or named twice, TypeError for one that is no integer.

`sum` and `broadcast_to` are each other's adjoint: ⟨sum x, u⟩ = ⟨x, broadcast u⟩.  So the rules of
sums and means broadcast, and the rule of `broadcast_to` sums (shape.py).

`@precise` (precision.py) hands an operation its x as a Tensor of floats.  It turns float16 into
float32, because squares and sums may be too large for float16, and rounds the result back.  (`prod`
and the kernels of `sum`, `mean` and `cumsum` do so themselves.)
"""
import math

from minidl import kernels
from minidl.kernels.sums import kept_shape
from minidl.operands import normalize_axes, normalize_axis, operand, sizes
from minidl.ops.elementwise import square, where
from minidl.ops.precision import cast, precise
from minidl.ops.shape import broadcast_to, concatenate, flatten, flip, moveaxis, reshape
from minidl.settings import bounded
from minidl.tensor import record, with_output


def reduced_shape(shape, axes):
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def count_of(operation, x, axis):
    """How many elements each result is made from; raises ValueError for none."""
    axes = normalize_axes(operation, axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count == 0:
        raise ValueError(f"{operation}: no elements to reduce in shape {x.shape} along axis {axis}")
    return count


def lines_of(x, axes):
    """x with the axes moved to the end and joined: a line holds the m elements of one result."""
    left = reduced_shape(x.shape, axes)
    count = math.prod(x.shape[a] for a in axes)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    return reshape(moveaxis(x, axes, last), left + (count,))               # (*left, m)


def sum(x, axis=None, keepdims=False):
    """y = Σ x over the axes.

    dL = ⟨ȳ, Σ dx⟩ = ⟨broadcast ȳ, dx⟩        so   x̄ = ȳ, broadcast to x's shape

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.], float64)
    """
    x = operand("sum", x)
    axes = normalize_axes("sum", axis, x.ndim)
    shape, kept = x.shape, kept_shape(x.shape, axes)
    return record(kernels.sums.total(x.data, axes, keepdims),
                  (x, lambda gy: broadcast_to(reshape(gy, kept), shape)))


def sum_to(x, shape):
    """Sum over the axes along which `shape` was broadcast to x's: the adjoint of broadcast_to.

    x (…) → y of `shape`.        dL = ⟨ȳ, sum_to dx⟩        so   x̄ = broadcast_to(ȳ, x's shape)
    Raises ValueError where `shape` does not broadcast to x's.

    >>> sum_to([[1.0, 2.0], [3.0, 4.0]], (1, 2))
    tensor([[4., 6.]], float64)
    """
    x = operand("sum_to", x)
    origin, shape = x.data.shape, sizes("sum_to", "shape", shape)
    lead = len(origin) - len(shape)             # the axes that broadcasting put in front
    axes, tail = tuple(range(lead)), origin[max(lead, 0):]
    if tail != shape:
        if lead < 0 or any(n not in (1, m) for m, n in zip(tail, shape)):
            raise ValueError(f"sum_to: shape {shape} does not broadcast to {origin}")
        axes += tuple(lead + i for i, (m, n) in enumerate(zip(tail, shape)) if m != n)
    return record(kernels.sums.total(x.data, axes).reshape(shape),
                  (x, lambda gy: broadcast_to(gy, origin)))


def mean(x, axis=None, keepdims=False):
    """y = (1/m) Σ x over the axes, of m elements.

    dL = ⟨ȳ, Σ dx⟩ / m = ⟨broadcast ȳ / m, dx⟩        so   x̄ = ȳ / m, broadcast to x's shape
    Of equal numbers it is that number, exactly, unless Σ x overflows: kernels/sums.py computes and
    corrects what rounding took away.  So x − μ is 0 in `std` where all x are equal.
    Raises ValueError for m = 0.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([1.5, 3.5], float64)
    """
    x = operand("mean", x)
    count, axes = count_of("mean", x, axis), normalize_axes("mean", axis, x.ndim)
    shape, kept = x.shape, kept_shape(x.shape, axes)
    return record(kernels.sums.mean(x.data, axes, keepdims),
                  (x, lambda gy: broadcast_to(reshape(gy / count, kept), shape)))


def prod(x, axis=None, keepdims=False):
    """y = Π x over the axes; 1 over no elements.

    dy = Σᵢ dxᵢ Π_{j ≠ i} xⱼ        so   x̄ᵢ = ȳ Π_{j ≠ i} xⱼ
    By composition: the first half of a line times its second half, until one element is left.  No
    rule of these products divides by x: where elements are 0, derivatives of every order hold.

    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([ 2., 12.], float64)
    """
    x = operand("prod", x)
    axes, dtype = normalize_axes("prod", axis, x.ndim), x.dtype
    # (…, m), float16 in float32 and whole numbers in 64 bits
    lines = cast(lines_of(x, axes), kernels.accumulator(dtype))
    if lines.shape[-1] == 0:
        lines = 1 + sum(lines, -1, keepdims=True)                          # a sum of nothing is 0
    while lines.shape[-1] > 1:
        half = lines.shape[-1] // 2
        halves = lines[..., :half] * lines[..., half:2 * half]
        lines = concatenate([halves, lines[..., 2 * half:]], -1)            # (…, ⌈m/2⌉)
    y = reshape(lines, kept_shape(x.shape, axes) if keepdims else reduced_shape(x.shape, axes))
    return cast(y, dtype) if dtype.kind == "f" else y                # whole numbers stay wide


@precise
def var(x, axis=None, keepdims=False, ddof=0):
    """Variance  y = 1/(m − ddof) Σ (x − μ)²  over the axes, of m elements with mean μ.

    As Σ (x − μ) = 0, dμ has no part in dy        so   x̄ = 2 ȳ ⊙ (x − μ) / (m − ddof)
    By composition.  Raises ValueError for m = 0 and for m ≤ ddof.

    >>> var([1.0, 2.0, 3.0])
    tensor(0.666667, float64)
    """
    count = count_of("var", x, axis)
    ddof = bounded("var", "-inf < ddof < inf", ddof)                # ValueError unless it is finite
    if count <= ddof:
        raise ValueError(f"var: {count} elements leave nothing to divide by with ddof={ddof:g}")
    return sum(square(x - mean(x, axis, keepdims=True)), axis, keepdims) / (count - ddof)


@precise
def std(x, axis=None, keepdims=False, ddof=0):
    """Standard deviation  y = ‖x − μ‖ / √(m − ddof)  over the axes, of m elements with mean μ.

    x̄ = ȳ ⊙ (x − μ) / ((m − ddof) y), by composition; 0 where all x are equal, as in `norm`
    Raises ValueError for m = 0 and for m ≤ ddof.

    >>> std([1.0, 2.0, 3.0], ddof=1)
    tensor(1., float64)
    """
    count = count_of("std", x, axis)
    ddof = bounded("std", "-inf < ddof < inf", ddof)                # ValueError unless it is finite
    if count <= ddof:
        raise ValueError(f"std: {count} elements leave nothing to divide by with ddof={ddof:g}")
    return norm(x - mean(x, axis, keepdims=True), axis, keepdims) / math.sqrt(count - ddof)


def cumsum(x, axis=None):
    """Running sum  yᵢ = Σ_{j ≤ i} xⱼ  along an axis (None: of the flattened array).

    dL = Σᵢ ȳᵢ Σ_{j ≤ i} dxⱼ        so   x̄ⱼ = Σ_{i ≥ j} ȳᵢ:   the running sum from the other end

    >>> cumsum([1.0, 2.0, 3.0])
    tensor([1., 3., 6.], float64)
    """
    x = operand("cumsum", x)
    if axis is None:
        x, axis = flatten(x), 0
    axis = normalize_axis("cumsum", axis, x.ndim)
    return record(kernels.sums.running(x.data, axis),
                  (x, lambda gy: flip(cumsum(flip(gy, axis), axis), axis)))


@precise
def norm(x, axis=None, keepdims=False):
    """Euclidean norm  y = ‖x‖ = √Σ x²  over the axes.

    y² = Σ x² and y dy = Σ x ⊙ dx        so   x̄ = ȳ ⊙ x / y,   and 0 where y = 0

    >>> norm([[3.0, 4.0], [0.0, 0.0]], axis=1)
    tensor([5., 0.], float64)
    """
    axes = normalize_axes("norm", axis, x.ndim)
    kept = kept_shape(x.shape, axes)

    def rule(gy, y):
        gy, y = reshape(gy, kept), reshape(y, kept)
        # The inner where: no 0 / 0 arises.  The outer one is for second derivatives: without it the
        # rule at 0 would be ȳ x / 1, of slope ȳ; with it the slope is 0.
        return gy * where(y == 0, 0, x / where(y == 0, 1, y))

    return record(kernels.sums.length(x.data, axes, keepdims), (x, with_output(rule)))


@precise
def normalize(x, axis=-1):
    """y = x / ‖x‖ along the axis or axes, so that ‖y‖ = 1; 0 stays 0.

    x̄ = (ȳ − y ⟨y, ȳ⟩) / ‖x‖,  ⟨ , ⟩ along the axis,  by composition
    Where x = 0, it is divided by 1 instead, so x̄ = ȳ there.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    tensor([[0.6, 0.8],
            [0. , 0. ]], float64)
    """
    axes = normalize_axes("normalize", axis, x.ndim)        # here, so that an error says normalize
    length = norm(x, axes, keepdims=True)
    return x / where(length == 0, 1, length)
