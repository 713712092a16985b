"""Sums, means, extremes and norms over axes.

axis: None (all axes), an integer or a tuple of them; keepdims keeps reduced axes with length 1, as in NumPy.
`sum` and `broadcast_to` are each other's adjoint: ⟨sum x, u⟩ = ⟨x, broadcast u⟩; most rules here use one of the two.
"""
import math

from minidl import backend, kernels
from minidl.operands import normalize_axes, normalize_axis, number, operand
from minidl.ops.elementwise import exp, expm1, square, where
from minidl.ops.indexing import along_axis
from minidl.ops.precision import precise
from minidl.ops.shape import broadcast_to, flip, moveaxis, reshape
from minidl.tensor import constant, record, with_output


def _kept(shape, axes):
    """The shape with the reduced axes as 1, which broadcasts against the original."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _without(shape, axes):
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def sum(x, axis=None, keepdims=False):
    """y = Σ x over the axes.        dL = ⟨ȳ, Σ dx⟩ = Σ ⟨ȳ, dx⟩        so   x̄ = ȳ, broadcast along them"""
    x = operand("sum", x)
    axes = normalize_axes("sum", axis, x.ndim)
    shape, kept = x.shape, _kept(x.shape, axes)
    value = kernels.sums.total(x.data, axes)
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
    return record(kernels.sums.total(x.data, axes).reshape(shape),
                  (x, lambda gy: broadcast_to(gy, origin)))


def mean(x, axis=None, keepdims=False):
    """y = (1/m) Σ x over the axes, of m elements.        x̄ = ȳ / m, broadcast

    Of equal numbers it is that number, exactly.  Raises ValueError for m = 0.
    """
    x = operand("mean", x)
    count, axes = _count("mean", x, axis), normalize_axes("mean", axis, x.ndim)
    shape, kept = x.shape, _kept(x.shape, axes)
    value = kernels.sums.mean(x.data, axes)
    return record(value if keepdims else value.reshape(_without(shape, axes)),
                  (x, lambda gy: broadcast_to(reshape(gy / count, kept), shape)))


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
    freedom = _count("var", x, axis) - number("var", "ddof", ddof)
    if freedom <= 0:
        raise ValueError(f"var: {freedom + ddof} elements leave nothing to divide by with ddof={ddof}")
    return sum(square(x - mean(x, axis, keepdims=True)), axis, keepdims) / freedom


@precise
def std(x, axis=None, keepdims=False, ddof=0):
    """Standard deviation  y = ‖x − mean‖ / √(m − ddof), whose gradient at constant x is 0, as the norm's."""
    freedom = _count("std", x, axis) - number("std", "ddof", ddof)
    if freedom <= 0:
        raise ValueError(f"std: {freedom + ddof} elements leave nothing to divide by with ddof={ddof}")
    return norm(x - mean(x, axis, keepdims=True), axis, keepdims) / math.sqrt(freedom)


def max(x, axis=None, keepdims=False):
    """Largest element along the axes.        x̄ = ȳ at the first position that has it, 0 elsewhere"""
    return _extreme("max", x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest element along the axes.        x̄ = ȳ at the first position that has it, 0 elsewhere"""
    return _extreme("min", x, axis, keepdims)


def _extreme(operation, x, axis, keepdims):
    """Gather at the first extreme position; the rule of gathering is scattering, which is the derivative wanted."""
    x = operand(operation, x)
    _count(operation, x, axis)
    axes = normalize_axes(operation, axis, x.ndim)
    y = _gather(x, _first(operation, x, axes), axes)
    return y if keepdims else reshape(y, _without(x.shape, axes))


def _first(operation, x, axes):
    """The number, in C order, of the first largest ("max") or smallest ("min") along the axes."""
    xp = backend.of(x.data)
    return (xp.argmax if operation == "max" else xp.argmin)(_lines(x, axes).data, axis=-1)


def _gather(x, positions, axes):
    """The element along the axes, which stay with length 1, that has that number."""
    xp = backend.of(x.data)
    y = along_axis(_lines(x, axes), xp.expand_dims(xp.asarray(positions), -1), -1)
    return reshape(y, _kept(x.shape, axes))


def _lines(x, axes):
    """x with the axes moved to the end and joined."""
    left = _without(x.shape, axes)
    count = math.prod(x.shape[a] for a in axes)
    return reshape(moveaxis(x, axes, tuple(range(x.ndim - len(axes), x.ndim))), left + (count,))


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
    return record(kernels.sums.running(x.data, axis),
                  (x, lambda gy: flip(cumsum(flip(gy, axis), axis), axis)))


@precise
def norm(x, axis=None, keepdims=False):
    """Euclidean norm  y = √Σ x² along the axes.        dy = ⟨x, dx⟩ / y        so   x̄ = ȳ x / y,   and 0 where y = 0"""
    axes = normalize_axes("norm", axis, x.ndim)
    kept = _kept(x.shape, axes)
    value = kernels.sums.length(x.data, axes)

    def rule(gy, y):
        gy, y = reshape(gy, kept), reshape(y, kept)
        return gy * where(y == 0, 0, x / where(y == 0, 1, y))

    return record(value if keepdims else value.reshape(_without(x.shape, axes)),
                  (x, with_output(rule)))


def normalize(x, axis=-1):
    """y = x / ‖x‖ along the axis or axes, so that ‖y‖ = 1; 0 stays 0.

    x̄ = (ȳ − y ⟨y, ȳ⟩) / ‖x‖,  by composition.
    """
    x = operand("normalize", x)
    length = norm(x, normalize_axes("normalize", axis, x.ndim), keepdims=True)
    return x / where(length == 0, 1, length)


def _shift(x, axes):
    """The maximum along the axes as an array that broadcasts against x (0 where it is infinite), for safe exponentials."""
    xp = backend.of(x)
    highest = x.max(axis=axes, keepdims=True)
    return xp.where(xp.isfinite(highest), highest, 0)


def _log_sum(x, shift, axes):
    """log Σ e^(x − shift) along the axes, which stay with length 1, where shift is the largest x.

    It is log1p of the sum of all others, which may be small: log(1 + 10⁻²⁰) is 10⁻²⁰, though
    1 + 10⁻²⁰ is rounded to 1.
    """
    xp, kept, shifted = backend.of(x), _kept(x.shape, axes), x - shift
    largest = shifted == 0
    others = kernels.sums.total(xp.where(largest, 0, xp.exp(shifted)), axes) \
        + (kernels.sums.total(largest, axes) - 1).astype(shifted.dtype)
    return xp.log1p(others).reshape(kept)


@precise
def logsumexp(x, axis=None, keepdims=False):
    """y = log Σ eˣ along the axes, from x − max x so that nothing overflows.        x̄ = ȳ e^(x − y) = ȳ softmax(x)

    Where all x are −∞, y is −∞ and x̄ is 0.
    """
    _count("logsumexp", x, axis)
    axes = normalize_axes("logsumexp", axis, x.ndim)
    kept, shift = _kept(x.shape, axes), _shift(x.data, axes)
    value = shift + _log_sum(x.data, shift, axes)
    return record(value if keepdims else value.reshape(_without(x.shape, axes)),
                  (x, with_output(lambda gy, y: reshape(gy, kept) * exp(x - reshape(where(y == -math.inf, 0, y), kept)))))


@precise
def softmax(x, axis=-1):
    """yᵢ = eˣⁱ / Σⱼ eˣʲ along an axis; NaN where all x are −∞.

    dy = y ⊙ (dx − ⟨y, dx⟩)        so   x̄ = y ⊙ (ȳ − Σ ȳ ⊙ y)
    As Σ y = 1, any constant may first be taken from ȳ.  With the ȳ where y is largest, x̄ there is
    −y Σ ȳ ⊙ y over the others: nothing cancels, also where y is nearly 1.
    """
    _count("softmax", x, axis)
    axes = normalize_axes("softmax", axis, x.ndim)
    e = backend.of(x.data).exp(x.data - _shift(x.data, axes))

    def rule(gy, y):
        gy = gy - _gather(gy, _first("max", y, axes), axes)
        return y * (gy - sum(gy * y, axes, keepdims=True))

    total = kernels.sums.total(e, axes).reshape(_kept(x.shape, axes))
    return record(e / total, (x, with_output(rule)))


@precise
def log_softmax(x, axis=-1):
    """y = x − log Σ eˣ along an axis.        dy = dx − ⟨eʸ, dx⟩        so   x̄ = ȳ − eʸ Σ ȳ

    x̄ᵢ is written as (1 − eʸ) ȳᵢ − eʸ Σ ȳⱼ over the others: where eʸ is nearly 1, expm1 has the
    digits of 1 − eʸ.
    """
    _count("log_softmax", x, axis)
    axes = normalize_axes("log_softmax", axis, x.ndim)
    shift = _shift(x.data, axes)

    def rule(gy, y):
        others = sum(gy, axes, keepdims=True) - gy
        return -gy * expm1(y) - exp(y) * others

    return record(x.data - shift - _log_sum(x.data, shift, axes),
                  (x, with_output(rule)))
