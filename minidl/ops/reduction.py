"""Sums, means, extremes and norms over axes.

axis: None (all axes), an integer or a tuple of them; keepdims keeps reduced axes with length 1, as in NumPy.
`sum` and `broadcast_to` are each other's adjoint: ⟨sum x, u⟩ = ⟨x, broadcast u⟩; most rules here use one of the two.
"""
import functools
import math

from minidl import backend, kernels
from minidl.operands import floating, normalize_axes, normalize_axis, operand
from minidl.ops.elementwise import exp, square, where
from minidl.ops.indexing import take_along_axis
from minidl.ops.shape import broadcast_to, flip, moveaxis, reshape
from minidl.tensor import constant, record, with_output

FEW, TALL, LARGE = 16, 256, 2 ** 17     # rows that NumPy adds up fast; whose running sum loses digits; elements to share


def _kept(shape, axes):
    """The shape with the reduced axes as 1, which broadcasts against the original."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _without(shape, axes):
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def sum_array(x, axes):
    """Sum of an array over a tuple of axes.  Where NumPy's own loses digits, as the array is tall, or time, as it is large,
    `kernels.channels` does it; and a running sum of float16 would soon not grow any more."""
    if x.dtype.char == "e":
        return x.sum(axes, dtype="float32").astype(x.dtype)
    neighbours = axes and axes == tuple(range(axes[0], axes[-1] + 1)) and axes[-1] + 1 < x.ndim
    if neighbours and x.dtype.char in "fd" and x.flags.c_contiguous:
        before, rest = x.shape[:axes[0]], x.shape[axes[-1] + 1:]
        items, rows = math.prod(before), math.prod(x.shape[axes[0]:axes[-1] + 1])
        each = x.reshape(items, rows, math.prod(rest))
        if items == 1 and (rows > TALL or rows > FEW and x.size > LARGE):
            return kernels.channels.add_up(each[0]).reshape(before + rest)
        if items > 1 and rows > TALL and backend.of(x) is backend.CPU.module:
            return backend.of(x).stack([kernels.channels.add_up(item) for item in each]).reshape(before + rest)
    return x.sum(axes)


def precise(function):
    """For a function of x that makes of it numbers too large or too many for float16, or fractions: float16 is computed in
    float32 and rounded once, in the end; integers become floating point."""
    @functools.wraps(function)
    def of(x, *arguments, **options):
        x = floating(function.__name__, x)
        if x.dtype.char == "e":
            return function(x.astype("float32"), *arguments, **options).astype(x.dtype)
        return function(x, *arguments, **options)
    return of


def sum(x, axis=None, keepdims=False):
    """y = Σ x over the axes.        dL = ⟨ȳ, Σ dx⟩ = Σ ⟨ȳ, dx⟩        so   x̄ = ȳ, broadcast along them"""
    x = operand("sum", x)
    axes = normalize_axes("sum", axis, x.ndim)
    shape, kept = x.shape, _kept(x.shape, axes)
    value = sum_array(x.data, axes) if axes else x.data.copy()
    return record(value.reshape(kept) if keepdims else value,
                  (x, lambda gy: broadcast_to(reshape(gy, kept), shape)))


def sum_to(x, shape):
    """Sum over the axes along which an array of `shape` was broadcast to x: the adjoint of broadcast_to.

    dL = ⟨ȳ, dy⟩        so   x̄ = broadcast_to(ȳ)
    """
    x = operand("sum_to", x)
    origin, shape = x.data.shape, tuple(shape)
    lead = len(origin) - len(shape)
    axes, kept = tuple(range(lead)), origin[lead:] if lead > 0 else origin
    if kept != shape:
        if lead < 0 or any(n not in (1, m) for m, n in zip(kept, shape)):
            raise ValueError(f"sum_to: shape {shape} does not broadcast to {origin}")
        axes += tuple(lead + i for i, (m, n) in enumerate(zip(kept, shape)) if m != n)
    return record(sum_array(x.data, axes).reshape(shape), (x, lambda gy: broadcast_to(gy, origin)))


@precise
def mean(x, axis=None, keepdims=False):
    """y = (1/m) Σ x over the axes, of m elements.        x̄ = ȳ / m, broadcast.  Raises ValueError for m = 0."""
    count = _count("mean", x, axis)
    return sum(x, axis, keepdims) * (1 / count)


def _count(operation, x, axis):
    """How many elements each result is made from; raises ValueError for none."""
    axes = normalize_axes(operation, axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count == 0:
        raise ValueError(f"{operation}: no elements to reduce in shape {x.shape} along axis {axis}")
    return count


@precise
def var(x, axis=None, keepdims=False, ddof=0):
    """Variance  y = 1/(m − ddof) Σ (x − mean)².        x̄ = 2 ȳ (x − mean) / (m − ddof), by composition"""
    freedom = _count("var", x, axis) - ddof
    if freedom <= 0:
        raise ValueError(f"var: {freedom + ddof} elements leave nothing to divide by with ddof={ddof}")
    return sum(square(x - mean(x, axis, keepdims=True)), axis, keepdims) * (1 / freedom)


@precise
def std(x, axis=None, keepdims=False, ddof=0):
    """Standard deviation  y = ‖x − mean‖ / √(m − ddof), whose gradient at constant x is 0, as the norm's."""
    freedom = _count("std", x, axis) - ddof
    if freedom <= 0:
        raise ValueError(f"std: {freedom + ddof} elements leave nothing to divide by with ddof={ddof}")
    return norm(x - mean(x, axis, keepdims=True), axis, keepdims) * (1 / math.sqrt(freedom))


def max(x, axis=None, keepdims=False):
    """Largest element along the axes.        x̄ = ȳ at the first position that has it, 0 elsewhere"""
    return _extreme("max", x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest element along the axes.        x̄ = ȳ at the first position that has it, 0 elsewhere"""
    return _extreme("min", x, axis, keepdims)


def _extreme(operation, x, axis, keepdims):
    """Gather at the first extreme position; the rule of gathering is scattering, which is the derivative wanted."""
    x = operand(operation, x)
    count = _count(operation, x, axis)
    axes = normalize_axes(operation, axis, x.ndim)
    kept, left = _kept(x.shape, axes), _without(x.shape, axes)
    rows = reshape(moveaxis(x, axes, tuple(range(x.ndim - len(axes), x.ndim))), left + (count,))
    xp = backend.of(x.data)
    first = (xp.argmax if operation == "max" else xp.argmin)(rows.data, axis=-1)
    y = take_along_axis(rows, constant(xp.expand_dims(xp.asarray(first), -1)), -1)
    return reshape(y, kept if keepdims else left)


def argmax(x, axis=None):
    """Position of the first largest element, as NumPy's; an integer Tensor."""
    return _position("argmax", x, axis)


def argmin(x, axis=None):
    """Position of the first smallest element, as NumPy's; an integer Tensor."""
    return _position("argmin", x, axis)


def _position(operation, x, axis):
    x = operand(operation, x)
    if not (axis is None or isinstance(axis, int)):         # CuPy would take several axes
        raise TypeError(f"{operation}: axis must be an integer or None, got {axis!r}")
    _count(operation, x, axis)
    return constant(getattr(backend.of(x.data), operation)(x.data, axis=axis))


def cumsum(x, axis=0):
    """Running sum  yᵢ = Σ_{j ≤ i} xⱼ along an axis.        x̄ⱼ = Σ_{i ≥ j} ȳᵢ: the running sum from the other end"""
    x = operand("cumsum", x)
    axis = normalize_axis("cumsum", axis, x.ndim)
    value = x.data.cumsum(axis, dtype="float32").astype(x.dtype) if x.dtype.char == "e" else x.data.cumsum(axis)
    return record(value, (x, lambda gy: flip(cumsum(flip(gy, axis), axis), axis)))


@precise
def norm(x, axis=None, keepdims=False):
    """Euclidean norm  y = √Σ x² along the axes.        dy = ⟨x, dx⟩ / y        so   x̄ = ȳ x / y,   and 0 where y = 0"""
    axes = normalize_axes("norm", axis, x.ndim)
    kept = _kept(x.shape, axes)
    value = backend.of(x.data).sqrt(sum_array(x.data * x.data, axes))

    def rule(gy, y):
        gy, y = reshape(gy, kept), reshape(y, kept)
        return x * where(y == 0, 0, gy / where(y == 0, 1, y))

    return record(value.reshape(kept) if keepdims else value, (x, with_output(rule)))


def _shift(x, axes):
    """The maximum along the axes as an array that broadcasts against x (0 where it is infinite), for safe exponentials."""
    xp = backend.of(x)
    highest = x.max(axis=axes, keepdims=True)
    return xp.where(xp.isfinite(highest), highest, 0)


@precise
def logsumexp(x, axis=None, keepdims=False):
    """y = log Σ eˣ along the axes, from x − max x so that nothing overflows.        x̄ = ȳ e^(x − y) = ȳ softmax(x)

    Where all x are −∞, y is −∞ and x̄ is 0.
    """
    _count("logsumexp", x, axis)
    axes = normalize_axes("logsumexp", axis, x.ndim)
    xp, kept = backend.of(x.data), _kept(x.shape, axes)
    shift = _shift(x.data, axes)
    value = xp.log(xp.exp(x.data - shift).sum(axis=axes, keepdims=True)) + shift
    return record(value if keepdims else value.reshape(_without(x.shape, axes)),
                  (x, with_output(lambda gy, y: reshape(gy, kept) * exp(x - reshape(where(y == -math.inf, 0, y), kept)))))


@precise
def softmax(x, axis=-1):
    """yᵢ = eˣⁱ / Σⱼ eˣʲ along an axis; NaN where all x are −∞.   dy = y ⊙ (dx − ⟨y, dx⟩)   so   x̄ = y ⊙ (ȳ − Σ ȳ ⊙ y)"""
    _count("softmax", x, axis)
    axes = normalize_axes("softmax", axis, x.ndim)
    e = backend.of(x.data).exp(x.data - _shift(x.data, axes))
    return record(e / e.sum(axis=axes, keepdims=True),
                  (x, with_output(lambda gy, y: y * (gy - sum(gy * y, axes, keepdims=True)))))


@precise
def log_softmax(x, axis=-1):
    """y = x − log Σ eˣ along an axis.        dy = dx − ⟨eʸ, dx⟩        so   x̄ = ȳ − eʸ Σ ȳ"""
    _count("log_softmax", x, axis)
    axes = normalize_axes("log_softmax", axis, x.ndim)
    xp = backend.of(x.data)
    shifted = x.data - _shift(x.data, axes)
    return record(shifted - xp.log(xp.exp(shifted).sum(axis=axes, keepdims=True)),
                  (x, with_output(lambda gy, y: gy - exp(y) * sum(gy, axes, keepdims=True))))
