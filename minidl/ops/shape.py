"""Rearranging, joining and extending arrays.  All are linear: each rule is the operation's adjoint."""
import math
from numbers import Integral

from minidl import backend
from minidl.operands import broadcast_shape, integers, normalize_axes, normalize_axis, number, operand, same_device
from minidl.tensor import constant, record


def reshape(x, *shape):
    """The same elements in another shape; one length may be −1.        x̄ = ȳ in x's shape"""
    x = operand("reshape", x)
    shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    known = math.prod(n for n in shape if n != -1)
    fits = x.size == known if -1 not in shape else known and x.size % known == 0
    if not fits or shape.count(-1) > 1 or min((0, *shape)) < -1:
        raise ValueError(f"reshape: {x.shape}, {x.size} elements, does not fit shape {shape}")
    origin = x.shape
    return record(x.data.reshape(shape), (x, lambda gy: reshape(gy, origin)))


def transpose(x, *axes):
    """Axes permuted; reversed if none are given.        x̄ = ȳ with the inverse permutation"""
    x = operand("transpose", x)
    axes = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    axes = integers("transpose", "axes", axes) if axes and axes != (None,) else tuple(reversed(range(x.ndim)))
    if sorted(a % x.ndim if -x.ndim <= a < x.ndim else -1 for a in axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes {axes} are not a permutation of the {x.ndim} axes of shape {x.shape}")
    positive = [a % x.ndim for a in axes]
    inverse = tuple(positive.index(i) for i in range(x.ndim))
    return record(x.data.transpose(axes), (x, lambda gy: transpose(gy, inverse)))


def swapaxes(x, first, second):
    """Two axes exchanged.        x̄ = ȳ with the same two exchanged"""
    x = operand("swapaxes", x)
    first, second = (normalize_axis("swapaxes", axis, x.ndim) for axis in (first, second))
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return transpose(x, order)


def moveaxis(x, source, destination):
    """Axes moved to other positions, the rest staying in order, as NumPy's."""
    x = operand("moveaxis", x)
    source, destination = integers("moveaxis", "source", source), integers("moveaxis", "destination", destination)
    if len(normalize_axes("moveaxis", source, x.ndim)) != len(normalize_axes("moveaxis", destination, x.ndim)):
        raise ValueError(f"moveaxis: {len(source)} axes cannot move to {len(destination)} positions")
    moves = sorted(zip((a % x.ndim for a in destination), (a % x.ndim for a in source)))
    order = [i for i in range(x.ndim) if i not in [s for _, s in moves]]
    for d, s in moves:
        order.insert(d, s)
    return transpose(x, order)


def expand_dims(x, axis):
    """A new axis of length 1 at `axis` (an integer or a tuple) of the result."""
    x = operand("expand_dims", x)
    axes = integers("expand_dims", "axis", axis)
    ndim = x.ndim + len(axes)
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) < len(axes):
        raise ValueError(f"expand_dims: axis {axis} is out of range or repeated for a result of {ndim} dimensions")
    new, lengths = {a % ndim for a in axes}, iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(lengths) for i in range(ndim)))


def squeeze(x, axis=None):
    """Axes of length 1 removed: all of them, or those named."""
    x = operand("squeeze", x)
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else integers("squeeze", "axis", axis)
    for a in axes:
        if not -x.ndim <= a < x.ndim or x.shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} of shape {x.shape} does not have length 1")
    gone = {a % x.ndim for a in axes}
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def flatten(x):
    """All elements in one axis."""
    return reshape(x, (-1,) if operand("flatten", x).size else (0,))


def broadcast_to(x, shape):
    """x repeated along axes of length 1 (and new leading ones) to `shape`.        x̄ = ȳ summed along them"""
    x = operand("broadcast_to", x)
    shape = tuple(shape)
    if broadcast_shape("broadcast_to", x.shape, shape, ("x", "the result")) != shape:
        raise ValueError(f"broadcast_to: {x.shape} does not broadcast to {shape}")
    origin = x.shape
    return record(backend.of(x.data).broadcast_to(x.data, shape), (x, lambda gy: gy.sum_to(origin)))


def concatenate(tensors, axis=0):
    """Arrays joined along an axis.        Each input's cotangent is its own stretch of ȳ."""
    tensors = _to_join("concatenate", tensors)
    first = tensors[0]
    axis = normalize_axis("concatenate", axis, first.ndim)
    for i, x in enumerate(tensors):
        if x.shape[:axis] + x.shape[axis + 1:] != first.shape[:axis] + first.shape[axis + 1:] or x.ndim != first.ndim:
            raise ValueError(f"concatenate: tensors[{i}] of shape {x.shape} differs from tensors[0] of shape {first.shape} "
                             f"beyond axis {axis}")

    def stretch(start, length):
        return lambda gy: gy[(slice(None),) * axis + (slice(start, start + length),)]

    rules, start = [], 0
    for x in tensors:
        rules.append((x, stretch(start, x.shape[axis])))
        start += x.shape[axis]
    return record(backend.of(first.data).concatenate([x.data for x in tensors], axis), *rules)


def stack(tensors, axis=0):
    """Arrays of one shape joined along a new axis."""
    tensors = _to_join("stack", tensors)
    shapes = {x.shape for x in tensors}
    if len(shapes) > 1:
        raise ValueError(f"stack: needs arrays of one shape, got {sorted(shapes)}")
    axis = normalize_axis("stack", axis, tensors[0].ndim + 1)
    return concatenate([expand_dims(x, axis) for x in tensors], axis)


def _to_join(operation, tensors):
    """A sequence of arrays as Tensors of one device, at least one."""
    tensors = [operand(operation, x, f"tensors[{i}]") for i, x in enumerate(tensors)]
    if not tensors:
        raise ValueError(f"{operation}: no arrays to join")
    same_device(operation, **{f"tensors[{i}]": x for i, x in enumerate(tensors)})
    return tensors


def split(x, sections, axis=0):
    """A list of pieces along an axis: an integer for that many equal ones, or the positions at which to cut."""
    x = operand("split", x)
    axis = normalize_axis("split", axis, x.ndim)
    length, inner = x.shape[axis], integers("split", "sections", sections)
    if isinstance(sections, Integral):
        if sections < 1 or length % sections:
            raise ValueError(f"split: {length} along axis {axis} does not divide into {sections} equal sections")
        inner = [i * (length // sections) for i in range(1, sections)]
    cuts = [0, *inner, length]
    return [x[(slice(None),) * axis + (slice(start, stop),)] for start, stop in zip(cuts, cuts[1:])]


PADDINGS = "constant", "edge", "reflect", "symmetric", "wrap"


def pad(x, widths, mode="constant", value=0.0):
    """x extended on every side.        x̄ = ȳ cropped (constant), or each copy's cotangent added to its original

    widths: an integer, or one integer or (before, after) per axis; not negative.
    mode: "constant" fills with `value`; "edge", "reflect", "symmetric" and "wrap" repeat the array as numpy.pad does.
    """
    x = operand("pad", x)
    if mode not in PADDINGS:
        raise ValueError(f"pad: mode must be one of {', '.join(map(repr, PADDINGS))}, got {mode!r}")
    widths = _pad_widths(x, widths)
    if mode == "constant":
        return _pad_constant(x, widths, number("pad", "value", value))
    host = backend.CPU.module
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if x.shape[axis] == 0 or mode == "reflect" and max(before, after) >= x.shape[axis]:
                raise ValueError(f"pad: mode {mode!r} cannot extend length {x.shape[axis]} along axis {axis} by "
                                 f"{(before, after)}")
            positions = host.pad(host.arange(x.shape[axis]), (before, after), mode)
            x = x.take(constant(backend.move(positions, backend.device_of(x.data))), axis)
    return x


def _pad_widths(x, widths):
    widths = list(widths) if hasattr(widths, "__iter__") else [widths] * x.ndim
    pairs = tuple(integers("pad", "widths", w if hasattr(w, "__iter__") else (w, w)) for w in widths)
    if len(pairs) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"pad: widths {widths} must be one (before, after) ≥ 0 for each of the {x.ndim} axes of {x.shape}")
    return pairs


def _pad_constant(x, widths, value=0.0):
    xp = backend.of(x.data)
    padded = xp.full([before + n + after for n, (before, after) in zip(x.shape, widths)], value, x.dtype)
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths))
    padded[inside] = x.data
    return record(padded, (x, lambda gy: gy[inside]))


def flip(x, axis=None):
    """Order reversed along the axes (None: all).        x̄ = ȳ reversed"""
    x = operand("flip", x)
    normalize_axes("flip", axis, x.ndim)
    return record(backend.of(x.data).flip(x.data, axis), (x, lambda gy: flip(gy, axis)))


def roll(x, shift, axis=None):
    """Elements moved along the axes by `shift`, those that leave entering at the other end.        x̄ = ȳ rolled back"""
    x = operand("roll", x)
    normalize_axes("roll", axis, x.ndim)
    shift = integers("roll", "shift", shift)
    back = tuple(-s for s in shift)
    return record(backend.of(x.data).roll(x.data, shift, axis), (x, lambda gy: roll(gy, back, axis)))


def repeat(x, repeats, axis=None):
    """Each element `repeats` times in a row along an axis (None: of the flattened array).        x̄ = Σ over the copies"""
    x = operand("repeat", x)
    if axis is None:
        x, axis = flatten(x), 0
    if not isinstance(repeats, Integral) or repeats < 0:
        raise ValueError(f"repeat: repeats must be an integer ≥ 0, got {repeats!r}")
    axis = normalize_axis("repeat", axis, x.ndim)
    before, after = x.shape[:axis + 1], x.shape[axis + 1:]
    copies = broadcast_to(reshape(x, before + (1,) + after), before + (repeats,) + after)
    return reshape(copies, before[:-1] + (before[-1] * repeats,) + after)


def tile(x, repeats):
    """The whole array repeated along each axis.        x̄ = Σ over the copies"""
    x = operand("tile", x)
    repeats = integers("tile", "repeats", repeats)
    if any(r < 0 for r in repeats):
        raise ValueError(f"tile: repeats must not be negative, got {repeats}")
    ndim = max(x.ndim, len(repeats))
    repeats, shape = (1,) * (ndim - len(repeats)) + repeats, (1,) * (ndim - x.ndim) + x.shape
    interleaved = broadcast_to(reshape(x, tuple(m for n in shape for m in (1, n))),
                               tuple(m for r, n in zip(repeats, shape) for m in (r, n)))
    return reshape(interleaved, tuple(r * n for r, n in zip(repeats, shape)))
