"""Reading and writing at positions.

Reading (index, take) and adding into zeros (scatter) are each other's adjoint:

    ⟨x[key], u⟩ = ⟨x, scatter(u, key)⟩

scatter adds once for every time that a position is named.
"""
from numbers import Integral, Real

from minidl import backend, kernels
from minidl.operands import (
    broadcast_shape,
    check_labels,
    fitting,
    normalize_axis,
    operand,
    same_device,
    sizes,
)
from minidl.ops.elementwise import astype, where
from minidl.ops.shape import broadcast_to, reshape
from minidl.tensor import Tensor, constant, record


def _key(operation, x, key, masks=True):
    """The checked key: arrays of x's device, integers, slices, None and Ellipsis.

    masks: whether boolean arrays may be among them.
    """
    device, parts = backend.device_of(x.data), []
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (list, range)):
            part = _positions(operation, list(part), device)
        if isinstance(part, Tensor) or backend.is_array(part):
            part = part if isinstance(part, Tensor) else constant(part)
            same_device(operation, x=x, index=part)
            if part.dtype.kind not in ("iub" if masks else "iu"):
                raise TypeError(f"{operation}: an index array must be of integers"
                                f"{' or booleans' * masks}, got {part.dtype}")
            part = part.data
        elif isinstance(part, slice):
            try:
                part.indices(0)
            except (TypeError, ValueError) as error:    # a step of 0, bounds that are no integers
                raise type(error)(f"{operation}: {error}") from None
        elif part is not None and part is not Ellipsis:
            if not hasattr(part, "__index__") or isinstance(part, bool):   # True is no 1
                raise TypeError(f"{operation}: {type(part).__name__} is not an index: use "
                                "integers, slices, None, Ellipsis, or integer and boolean arrays")
            part = part.__index__()
        parts.append(part)
    _check_key(operation, x, parts)
    return tuple(parts)


def _positions(operation, positions, device):
    """A list of an index as a Tensor; raises TypeError for what is no array of numbers."""
    try:
        return Tensor(positions, dtype=None if positions else int, device=device.name)
    except (TypeError, ValueError):
        raise TypeError(f"{operation}: an index list must be of integers or booleans, its rows of "
                        f"one length, got {positions}") from None


def _check_key(operation, x, parts):
    """Raise for too many indices, one that is out of range, or a mask of another shape.

    In the same words on every device.
    """
    def axes_used(part):
        return part.ndim if _is_mask(part) else 0 if part is None or part is Ellipsis else 1

    if sum(p is Ellipsis for p in parts) > 1:
        raise IndexError(f"{operation}: only one Ellipsis can stand for the axes not named")
    used = sum(axes_used(p) for p in parts)
    if used > x.ndim:
        raise ValueError(f"{operation}: {used} indices for the {x.ndim} dimensions of shape "
                         f"{x.shape}")
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - used
        elif isinstance(part, int):
            if not -x.shape[axis] <= part < x.shape[axis]:
                raise IndexError(f"{operation}: index {part} is out of range for axis {axis} "
                                 f"of shape {x.shape}")
        elif _is_mask(part):
            if part.shape != x.shape[axis:axis + part.ndim]:
                raise IndexError(f"{operation}: a mask of shape {part.shape} does not fit axes "
                                 f"{axis} to {axis + part.ndim - 1} of shape {x.shape}")
        elif backend.is_array(part):
            backend.check_indices(operation, part, x.shape[axis], f"index for axis {axis}")
        axis += axes_used(part)
    together = ()
    for part in filter(backend.is_array, parts):        # a mask counts as the positions in it
        shape = (int(part.sum()),) if _is_mask(part) else part.shape
        together = broadcast_shape(operation, together, shape, ("an index array", "another"))


def _is_mask(part):
    return backend.is_array(part) and part.dtype.kind == "b"


def index(x, key):
    """y = x[key], as NumPy reads it: integers, slices, None, Ellipsis, integer and boolean arrays.

    dL = ⟨ȳ, dx[key]⟩        so   x̄ = zeros of x's shape with ȳ added at key
    Raises IndexError for what is out of range, on every device; ValueError for more indices than
    axes, or index arrays that do not broadcast; TypeError for what is no index.

    >>> index([[1, 2], [3, 4]], (0, 1))
    tensor(2, int64)
    """
    x = operand("index", x)
    return _index(x, _key("index", x, key))


def scatter(u, key, shape):
    """Zeros of `shape` with u added at key: the adjoint of index.

    u has the shape of zeros(shape)[key].  A position named twice receives twice.
    ū = ȳ[key].  Raises as index does, and ValueError where u does not broadcast to that shape.

    >>> scatter([1.0, 2.0, 4.0], [0, 2, 2], (3,))
    tensor([1., 0., 6.], float64)
    """
    u, shape = operand("scatter", u, "u"), sizes("scatter", "shape", shape)
    zeros = constant(backend.of(u.data).zeros(shape, u.dtype))
    _, u, key = _writing("scatter", zeros, key, u, ("u", "zeros[key]"))
    return _scatter(u, key, shape)


def _index(x, key, distinct=False):
    shape = x.shape
    return record(x.data[key], (x, lambda gy: _scatter(gy, key, shape, distinct)))


def _scatter(u, key, shape, distinct=False):
    """distinct: no position is named twice, which is known of keys without integer arrays.

    Whole numbers wrap around, as in NumPy's x[key] += u.
    """
    adds = not distinct and any(backend.is_array(part) and not _is_mask(part) for part in key)
    wide = kernels.accumulator(u.dtype) if adds and u.dtype.kind == "f" else u.dtype
    made = backend.of(u.data).zeros(shape, wide)
    if adds:
        backend.scatter_add(made, key, u.data.astype(wide, copy=False))
        made = made.astype(u.dtype, copy=False)
    else:
        made[key] = u.data
    return record(made, (u, lambda gy: _index(gy, key, distinct)))


def add_at(x, key, values):
    """A copy of x with `values` added at key: the functional x[key] += values.

    values broadcast to the shape of x[key]; a position named twice receives twice.
    x̄ = ȳ,   v̄ = ȳ[key]
    Raises TypeError for fractional values in an integer x; ValueError where values do not
    broadcast, or are a number that x's dtype does not hold; IndexError out of range.

    >>> add_at([1.0, 1.0, 1.0], [0, 0], 5.0)
    tensor([11.,  1.,  1.], float64)
    """
    x, values, key = _writing("add_at", x, key, values)
    return x + _scatter(values, key, x.shape)


def set_at(x, key, values):
    """A copy of x with `values` at key: the functional x[key] = values.

    values broadcast to the shape of x[key].
    x̄ = ȳ with 0 at key,   v̄ = ȳ[key]
    Raises ValueError where an index array names a position twice (which value stays would depend
    on the device); else as add_at.

    >>> set_at([1.0, 1.0, 1.0], 0, 5.0)
    tensor([5., 1., 1.], float64)
    """
    x, values, key = _writing("set_at", x, key, values)
    counts = _scatter(constant(backend.of(x.data).ones(values.shape, "int32")), key, x.shape).data
    if counts.size and int(counts.max()) > 1:
        raise ValueError("set_at: the key names a position twice; use add_at, or name each "
                         "position once")
    return where(constant(counts == 0), x, _scatter(values, key, x.shape))


def _writing(operation, x, key, values, arguments=("values", "x[key]")):
    """x, the values broadcast to the shape of x[key] in x's dtype, and the checked key."""
    x = operand(operation, x)
    key = _key(operation, x, key)
    shape = x.data[key].shape
    whole = x.dtype.kind in "iub"
    if isinstance(values, Real):
        as_it_is = whole and not isinstance(values, Integral)
        if not as_it_is:
            fitting(operation, "values", values, x.dtype)
        values = Tensor(values, dtype=None if as_it_is else x.dtype, device=x.device)
    values = operand(operation, values, "values")
    if whole and values.dtype.kind == "f":
        raise TypeError(f"{operation}: values of {values.dtype} would lose their fractions in x of "
                        f"{x.dtype}; use astype")
    same_device(operation, x=x, values=values)
    if broadcast_shape(operation, values.shape, shape, arguments) != shape:
        raise ValueError(f"{operation}: {arguments[0]} of shape {values.shape} must broadcast to "
                         f"the shape of {arguments[1]}, {shape}")
    return x, broadcast_to(values, shape).astype(x.dtype), key


def take(x, indices, axis=None):
    """Slices of x along an axis at integer `indices`, whose shape replaces that axis.

    axis None: of the flattened array.

    dL = ⟨ȳ, dx at indices⟩        so   x̄ = zeros with ȳ added at indices
    Raises IndexError for indices out of range, TypeError where they are no integers.

    >>> take([[1, 2], [3, 4]], [1, 0, 1], axis=0)
    tensor([[3, 4],
            [1, 2],
            [3, 4]], int64)
    """
    x = operand("take", x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    before = (slice(None),) * normalize_axis("take", axis, x.ndim)
    if indices is None or indices is Ellipsis or isinstance(indices, (slice, tuple)):
        raise TypeError(f"take: indices must be integers, got {indices!r:.60}")
    return _index(x, _key("take", x, (*before, indices), masks=False))


def take_along_axis(x, indices, axis):
    """y[i, j, …] = x[i, indices[i, j, …], …]: one position per line along an axis, here axis 1.

    indices: integers of x's shape, except along `axis`.
    x̄ = zeros with ȳ added at those positions
    Raises ValueError for other shapes, IndexError for indices out of range.

    >>> take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1)
    tensor([[2],
            [3]], int64)
    """
    x = operand("take_along_axis", x)
    indices = operand("take_along_axis", indices, "indices")
    axis = normalize_axis("take_along_axis", axis, x.ndim)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"take_along_axis: indices must be integers, got {indices.dtype}")
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: indices of shape {indices.shape} along axis {axis} do "
                         f"not fit x of {x.shape}")
    for i, (n, m) in enumerate(zip(x.shape, indices.shape)):
        if i != axis and n != m:
            raise ValueError(f"take_along_axis: indices of shape {indices.shape} differ from x of "
                             f"shape {x.shape} along axis {i}, not only along axis {axis}")
    *_, checked = _key("take_along_axis", x, (slice(None),) * axis + (indices,))
    return along_axis(x, checked, axis)


def along_axis(x, indices, axis):
    """`take_along_axis` at an array of indices that have been checked."""
    xp = backend.of(x.data)
    grid = [xp.arange(n).reshape((-1,) + (1,) * (x.ndim - i - 1))
            for i, n in enumerate(indices.shape)]
    grid[axis] = indices
    return _index(x, tuple(grid), distinct=indices.shape[axis] == 1)       # one in each line


def one_hot(labels, classes, dtype="float32"):
    """Rows of the identity matrix: (…) integers in 0 … classes−1 → (…, classes).

    Raises ValueError for labels out of range, TypeError for labels that are no integers.

    >>> one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]], float32)
    """
    labels = operand("one_hot", labels, "labels")
    classes, = sizes("one_hot", "classes", (classes,))
    check_labels("one_hot", labels, classes)
    xp = backend.of(labels.data)
    rows = xp.expand_dims(labels.data, -1) == xp.arange(classes)        # (…, classes)
    return astype(constant(rows), dtype)
