"""Rearranging, joining and extending arrays.

All are linear, y = A x.  So dL = ⟨ȳ, A dx⟩ = ⟨Aᵀ ȳ, dx⟩ and x̄ = Aᵀ ȳ: each rule is the operation's
adjoint.
"""
import math
from numbers import Integral

from minidl import backend
from minidl.operands import (
    broadcast_shape,
    fitting,
    integers,
    listed,
    normalize_axes,
    normalize_axis,
    operand,
    same_device,
    sizes,
)
from minidl.tensor import constant, record


def reshape(x, *shape):
    """The same elements in another shape (*shape or one tuple); one length may be −1: what is left.

    dL = ⟨ȳ, dx in the new shape⟩        so   x̄ = ȳ in x's shape
    Raises ValueError where the number of elements differs, TypeError for what is no integer.

    >>> reshape([1, 2, 3, 4, 5, 6], (2, -1))
    tensor([[1, 2, 3],
            [4, 5, 6]], int64)
    """
    x = operand("reshape", x)
    shape = integers("reshape", "shape", shape[0] if len(shape) == 1 else shape)
    known = math.prod(n for n in shape if n != -1)
    fits = x.size == known if -1 not in shape else known and x.size % known == 0
    if not fits or shape.count(-1) > 1 or min((0, *shape)) < -1:
        raise ValueError(f"reshape: {x.shape}, {x.size} elements, does not fit shape {shape}")
    origin = x.shape
    return record(x.data.reshape(shape), (x, lambda gy: reshape(gy, origin)))


def transpose(x, *axes):
    """Axes permuted; reversed if none are given.  y's axis k is x's axis axes[k].

    x̄ = ȳ with the inverse permutation.  Raises ValueError for what is no permutation of the axes.

    >>> transpose([[1, 2, 3], [4, 5, 6]])
    tensor([[1, 4],
            [2, 5],
            [3, 6]], int64)
    """
    x = operand("transpose", x)
    given = axes[0] if len(axes) == 1 else axes
    axes = () if given is None else integers("transpose", "axes", given)
    axes = axes or tuple(range(x.ndim))[::-1]
    if sorted(a % x.ndim if -x.ndim <= a < x.ndim else -1 for a in axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes {axes} are not a permutation of the {x.ndim} axes "
                         f"of shape {x.shape}")
    positive = [a % x.ndim for a in axes]
    inverse = tuple(positive.index(i) for i in range(x.ndim))
    return record(x.data.transpose(axes), (x, lambda gy: transpose(gy, inverse)))


def swapaxes(x, axis1, axis2):
    """Two axes exchanged.

    x̄ = ȳ with the same two exchanged.  Raises ValueError for an axis out of range.

    >>> swapaxes([[1, 2], [3, 4]], 0, 1)
    tensor([[1, 3],
            [2, 4]], int64)
    """
    x = operand("swapaxes", x)
    first, second = (normalize_axis("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return transpose(x, order)


def moveaxis(x, source, destination):
    """Axes moved from the positions `source` to `destination` (an integer each, or several).

    The other axes stay in order.  A transpose, so x̄ = ȳ with the axes moved back.
    Raises ValueError for axes that are out of range, named twice, or not as many as positions.

    >>> moveaxis([[[1, 2]], [[3, 4]]], 0, -1).shape
    (1, 2, 2)
    """
    x = operand("moveaxis", x)
    source = integers("moveaxis", "source", source)
    destination = integers("moveaxis", "destination", destination)
    normalize_axes("moveaxis", source, x.ndim)              # which refuses what is out of range
    normalize_axes("moveaxis", destination, x.ndim)
    if len(source) != len(destination):
        raise ValueError(f"moveaxis: {len(source)} axes cannot move to {len(destination)} "
                         "positions")
    moves = sorted(zip((a % x.ndim for a in destination), (a % x.ndim for a in source)))
    order = [i for i in range(x.ndim) if i not in [s for _, s in moves]]
    for d, s in moves:
        order.insert(d, s)
    return transpose(x, order)


def expand_dims(x, axis):
    """A new axis of length 1 at `axis` (an integer or a tuple) of the result.

    A reshape, so x̄ = ȳ in x's shape.  Raises ValueError for axes out of range or named twice.

    >>> expand_dims([1, 2], 1)
    tensor([[1],
            [2]], int64)
    """
    x = operand("expand_dims", x)
    axes = integers("expand_dims", "axis", axis)
    ndim = x.ndim + len(axes)
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) < len(axes):
        raise ValueError(f"expand_dims: axis {axis} is out of range or repeated for a result of "
                         f"{ndim} dimensions")
    new, lengths = {a % ndim for a in axes}, iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(lengths) for i in range(ndim)))


def squeeze(x, axis=None):
    """Axes of length 1 removed: all of them, or those named.

    A reshape, so x̄ = ȳ in x's shape.  Raises ValueError for an axis of another length.

    >>> squeeze([[1, 2]])
    tensor([1, 2], int64)
    """
    x = operand("squeeze", x)
    if axis is None:
        axis = [i for i, n in enumerate(x.shape) if n == 1]
    axes = integers("squeeze", "axis", axis)
    for a in axes:
        if not -x.ndim <= a < x.ndim or x.shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} of shape {x.shape} does not have length 1")
    gone = {a % x.ndim for a in axes}
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def flatten(x):
    """All elements in one axis, in C order: (…) → (size,).

    A reshape, so x̄ = ȳ in x's shape.

    >>> flatten([[1, 2], [3, 4]])
    tensor([1, 2, 3, 4], int64)
    """
    x = operand("flatten", x)
    return reshape(x, (x.size,))


def broadcast_to(x, shape):
    """x repeated along axes of length 1, and along new leading ones, to `shape`.

    The adjoint of `sum_to`        so   x̄ = ȳ summed along those axes
    Raises ValueError where x does not broadcast to that shape.

    >>> broadcast_to([1, 2], (2, 2))
    tensor([[1, 2],
            [1, 2]], int64)
    """
    x = operand("broadcast_to", x)
    shape = sizes("broadcast_to", "shape", shape)
    if broadcast_shape("broadcast_to", x.shape, shape, ("x", "the result")) != shape:
        raise ValueError(f"broadcast_to: {x.shape} does not broadcast to {shape}")
    origin = x.shape
    return record(backend.of(x.data).broadcast_to(x.data, shape),
                  (x, lambda gy: gy.sum_to(origin)))


def concatenate(tensors, axis=0):
    """Arrays joined along an axis they have: (…, nᵢ, …) → (…, Σ nᵢ, …).

    dL = Σᵢ ⟨the slice of ȳ where xᵢ stands, dxᵢ⟩        so   x̄ᵢ = that slice of ȳ
    Raises ValueError for no arrays, or for shapes that differ along another axis.

    >>> concatenate([[1, 2], [3]])
    tensor([1, 2, 3], int64)
    """
    tensors = _to_join("concatenate", tensors, axis)
    first = tensors[0]
    axis = normalize_axis("concatenate", axis, first.ndim)
    for i, x in enumerate(tensors):
        around, wanted = (t.shape[:axis] + t.shape[axis + 1:] for t in (x, first))
        if around != wanted or x.ndim != first.ndim:
            raise ValueError(f"concatenate: tensors[{i}] of shape {x.shape} differs from "
                             f"tensors[0] of shape {first.shape} beyond axis {axis}")

    def reading(start, length):
        return lambda gy: gy[(slice(None),) * axis + (slice(start, start + length),)]

    rules, start = [], 0
    for x in tensors:
        rules.append((x, reading(start, x.shape[axis])))
        start += x.shape[axis]
    return record(backend.of(first.data).concatenate([x.data for x in tensors], axis), *rules)


def stack(tensors, axis=0):
    """n arrays of one shape joined along a new axis, of length n.

    x̄ᵢ = ȳ at position i of that axis, by composition.
    Raises ValueError for no arrays, or for different shapes.

    >>> stack([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]], int64)
    """
    tensors = _to_join("stack", tensors, axis)
    shapes = {x.shape for x in tensors}
    if len(shapes) > 1:
        raise ValueError(f"stack: needs arrays of one shape, got {sorted(shapes)}")
    axis = normalize_axis("stack", axis, tensors[0].ndim + 1)
    return concatenate([expand_dims(x, axis) for x in tensors], axis)


def _to_join(operation, tensors, axis):
    """A sequence of arrays as Tensors of one device, at least one."""
    if isinstance(axis, (list, tuple)) or getattr(axis, "ndim", 0):
        raise TypeError(f"{operation}: axis must be one integer, got {type(axis).__name__}; the "
                        f"arrays go into one list: {operation}([a, b])")
    tensors = [operand(operation, x, f"tensors[{i}]")
               for i, x in enumerate(listed(operation, "tensors", tensors, "arrays"))]
    if not tensors:
        raise ValueError(f"{operation}: no arrays to join")
    same_device(operation, **{f"tensors[{i}]": x for i, x in enumerate(tensors)})
    return tensors


def split(x, indices_or_sections, axis=0):
    """A list of pieces along an axis.

    indices_or_sections: an integer n for n equal pieces, or the positions at which to cut.
    Each piece is a slice, so x̄ = its cotangent at its place, by composition.
    Raises ValueError where the axis does not divide into n.

    >>> split([1, 2, 3, 4], 2)
    [tensor([1, 2], int64), tensor([3, 4], int64)]
    >>> split([1, 2, 3, 4], [1])
    [tensor([1], int64), tensor([2, 3, 4], int64)]
    """
    x = operand("split", x)
    axis = normalize_axis("split", axis, x.ndim)
    length = x.shape[axis]
    inner = integers("split", "indices_or_sections", indices_or_sections)
    if isinstance(indices_or_sections, Integral):
        sections, = inner
        if sections < 1 or length % sections:
            raise ValueError(f"split: {length} along axis {axis} does not divide into "
                             f"{sections} equal sections")
        inner = [i * (length // sections) for i in range(1, sections)]
    cuts = [0, *inner, length]
    return [x[(slice(None),) * axis + (slice(start, stop),)]
            for start, stop in zip(cuts, cuts[1:])]


PADDINGS = "constant", "edge", "reflect", "symmetric", "wrap"


def pad(x, pad_width, mode="constant", constant_values=0.0):
    """x extended before and after along its axes.

    pad_width: ≥ 0; an integer or one pair (before, after) for all axes, or a list of pairs, one per
        axis, in which an integer stands for an equal pair.
    mode: "constant" fills with constant_values, one number; "edge", "reflect", "symmetric" and
        "wrap" repeat the array as numpy.pad does ("reflect" by less than its length).
    x̄ = ȳ without what was added (constant), or with each copy's cotangent added to its original
    Raises ValueError for negative or misfitting widths, other modes, and a number that x's dtype
    does not hold.

    >>> pad([1, 2], (1, 2), constant_values=9)
    tensor([9, 1, 2, 9, 9], int64)
    >>> pad([1, 2, 3], 2, mode="reflect")
    tensor([3, 2, 1, 2, 3, 2, 1], int64)
    """
    x = operand("pad", x)
    if mode not in PADDINGS:
        raise ValueError(f"pad: mode must be one of {', '.join(map(repr, PADDINGS))}, got {mode!r}")
    widths = _pad_widths(x, pad_width)
    if mode == "constant":
        return _pad_constant(x, widths, fitting("pad", "constant_values", constant_values, x.dtype))
    host = backend.CPU.module
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if x.shape[axis] == 0 or mode == "reflect" and max(before, after) >= x.shape[axis]:
                raise ValueError(f"pad: mode {mode!r} cannot extend length {x.shape[axis]} along "
                                 f"axis {axis} by {(before, after)}")
            positions = host.pad(host.arange(x.shape[axis]), (before, after), mode)
            x = x.take(constant(backend.move(positions, backend.device_of(x.data))), axis)
    return x


def _pad_widths(x, widths):
    """(before, after) for each axis."""
    several = hasattr(widths, "__iter__") and not isinstance(widths, dict)
    each = list(widths) if several else [widths] * 2
    if len(each) == 2 and all(hasattr(width, "__index__") for width in each):
        each = [tuple(each)]
    if len(each) == 1:                                      # the same for all axes
        each = each * x.ndim
    pairs = [integers("pad", "pad_width", w if hasattr(w, "__iter__") else (w, w)) for w in each]
    if len(pairs) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"pad: pad_width {widths} must be one (before, after) ≥ 0 for each of the "
                         f"{x.ndim} axes of {x.shape}")
    sizes("pad", "the padded shape", [b + n + a for n, (b, a) in zip(x.shape, pairs)])
    return pairs


def _pad_constant(x, widths, value):
    xp = backend.of(x.data)
    shape = [before + n + after for n, (before, after) in zip(x.shape, widths)]
    padded = xp.full(shape, value, x.dtype)
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths))
    padded[inside] = x.data
    return record(padded, (x, lambda gy: gy[inside]))


def flip(x, axis=None):
    """Order reversed along the axes (None: all).

    x̄ = ȳ reversed.  Raises ValueError for an axis out of range.

    >>> flip([1, 2, 3])
    tensor([3, 2, 1], int64)
    """
    x = operand("flip", x)
    axes = normalize_axes("flip", axis, x.ndim)
    return record(backend.of(x.data).flip(x.data, axes), (x, lambda gy: flip(gy, axes)))


def roll(x, shift, axis=None):
    """Elements moved along the axes by `shift`; those that leave enter at the other end.

    shift: an integer, or one for each axis.  axis None: of the flattened array, in x's shape.
    x̄ = ȳ rolled back
    Raises ValueError for an axis out of range or another number of shifts than of axes, TypeError
    for a shift that is no integer.

    >>> roll([1, 2, 3], 1)
    tensor([3, 1, 2], int64)
    """
    x = operand("roll", x)
    normalize_axes("roll", axis, x.ndim)
    shift = integers("roll", "shift", shift)
    axis = axis if axis is None else integers("roll", "axis", axis)
    if axis is not None and len(shift) != len(axis) and 1 not in (len(shift), len(axis)):
        raise ValueError(f"roll: {len(shift)} shifts for {len(axis)} axes")
    back = tuple(-s for s in shift)
    return record(backend.of(x.data).roll(x.data, shift, axis),
                  (x, lambda gy: roll(gy, back, axis)))


def repeat(x, repeats, axis=None):
    """Each element `repeats` times in a row along an axis (None: of the flattened array).

    x̄ = Σ ȳ over the copies, by composition.  Raises ValueError unless repeats is an integer ≥ 0.

    >>> repeat([1, 2], 2)
    tensor([1, 1, 2, 2], int64)
    """
    x = operand("repeat", x)
    if axis is None:
        x, axis = flatten(x), 0
    if not isinstance(repeats, Integral) or repeats < 0:
        raise ValueError(f"repeat: repeats must be an integer ≥ 0, got {repeats!r}")
    axis = normalize_axis("repeat", axis, x.ndim)
    before, after = x.shape[:axis + 1], x.shape[axis + 1:]
    sizes("repeat", "the repeated shape", (*before, repeats, *after))
    copies = broadcast_to(reshape(x, before + (1,) + after),            # (…, n, repeats, …)
                          before + (repeats,) + after)
    return reshape(copies, before[:-1] + (before[-1] * repeats,) + after)


def tile(x, reps):
    """The whole array repeated, reps times along each axis; fewer reps are for the last axes.

    x̄ = Σ ȳ over the copies, by composition.  Raises ValueError for negative reps.

    >>> tile([1, 2], 2)
    tensor([1, 2, 1, 2], int64)
    """
    x = operand("tile", x)
    repeats = sizes("tile", "reps", reps)
    ndim = max(x.ndim, len(repeats))
    repeats = (1,) * (ndim - len(repeats)) + repeats
    shape = (1,) * (ndim - x.ndim) + x.shape
    sizes("tile", "the tiled shape", repeats + shape)
    copies = broadcast_to(reshape(x, tuple(m for n in shape for m in (1, n))),
                          tuple(m for r, n in zip(repeats, shape) for m in (r, n)))
    # copies (r₀, n₀, r₁, n₁, …)
    return reshape(copies, tuple(r * n for r, n in zip(repeats, shape)))
