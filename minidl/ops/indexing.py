"""Reading and writing at positions.  Reading (index, take) and adding at positions are each other's adjoint:
⟨x[key], u⟩ = ⟨x, scatter(u, key)⟩, where scatter adds u into zeros at `key`, once for every time a position is named."""
from numbers import Integral, Real

from minidl import backend, kernels
from minidl.operands import broadcast_shape, check_labels, normalize_axis, operand, same_device
from minidl.ops.elementwise import astype, where
from minidl.ops.shape import broadcast_to, reshape
from minidl.tensor import Tensor, constant, record


def _key(operation, x, key):
    """The key as arrays of x's device, integers, slices, None and Ellipsis; indices checked against x's shape."""
    device, parts = backend.device_of(x.data), []
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (list, range)):
            part = _positions(operation, list(part), device)
        if isinstance(part, Tensor) or backend.is_array(part):
            part = part if isinstance(part, Tensor) else constant(part)
            same_device(operation, x=x, index=part)
            if part.dtype.kind not in "iub":
                raise TypeError(f"{operation}: an index array must be of integers or booleans, got {part.dtype}")
            part = part.data
        elif isinstance(part, slice):
            try:
                part.indices(0)
            except (TypeError, ValueError) as error:            # a step of 0, or bounds that are no integers
                raise type(error)(f"{operation}: {error}") from None
        elif part is not None and part is not Ellipsis:
            if not hasattr(part, "__index__") or isinstance(part, bool):    # a bool would pass for 0 or 1
                raise TypeError(f"{operation}: {type(part).__name__} is not an index: use integers, slices, None, "
                                "Ellipsis, or integer and boolean arrays")
            part = part.__index__()
        parts.append(part)
    _check_key(operation, x, parts)
    return tuple(parts)


def _positions(operation, positions, device):
    """A list of an index as a Tensor; raises TypeError for what is no array of numbers."""
    try:
        return Tensor(positions, dtype=None if positions else int, device=device.name)
    except (TypeError, ValueError):
        raise TypeError(f"{operation}: an index list must be of integers or booleans, its rows of one length, "
                        f"got {positions}") from None


def _check_key(operation, x, parts):
    """Raise, in the same words on every device, for too many indices, one out of range, or a mask of another shape."""
    def axes_used(part):
        return part.ndim if _is_mask(part) else 0 if part is None or part is Ellipsis else 1

    if len(parts) > 1 and sum(p is Ellipsis for p in parts) > 1:
        raise IndexError(f"{operation}: only one Ellipsis can stand for the axes that are not named")
    used = sum(axes_used(p) for p in parts)
    if used > x.ndim:
        raise ValueError(f"{operation}: {used} indices for the {x.ndim} dimensions of shape {x.shape}")
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - used
        elif isinstance(part, int) and not isinstance(part, bool):
            if not -x.shape[axis] <= part < x.shape[axis]:
                raise IndexError(f"{operation}: index {part} is out of range for axis {axis} of shape {x.shape}")
        elif _is_mask(part):
            if part.shape != x.shape[axis:axis + part.ndim]:
                raise IndexError(f"{operation}: a mask of shape {part.shape} does not fit axes {axis} to "
                                 f"{axis + part.ndim - 1} of shape {x.shape}")
        elif backend.is_array(part):
            backend.check_indices(operation, part, x.shape[axis], f"index for axis {axis}")
        axis += axes_used(part) if part is not Ellipsis else 0


def _is_mask(part):
    return backend.is_array(part) and part.dtype.kind == "b"


def index(x, key):
    """y = x[key], with NumPy's meaning: integers, slices, None, Ellipsis, integer and boolean arrays.

    dL = ⟨ȳ, dx[key]⟩        so   x̄ = zeros with ȳ added at key
    Raises IndexError for what is out of range, on every device.
    """
    x = operand("index", x)
    return _index(x, _key("index", x, key))


def scatter(u, key, shape):
    """Zeros of `shape` with u added at key, once for every time a position is named; adjoint to index.    ū = ȳ[key]"""
    u = operand("scatter", u)
    _, u, key = _writing("scatter", constant(backend.of(u.data).zeros(shape, u.dtype)), key, u)
    return _scatter(u, key, tuple(shape))


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
    """A copy of x with `values` added at key, once for every time a position is named.        x̄ = ȳ,   v̄ = ȳ[key]"""
    x, values, key = _writing("add_at", x, key, values)
    return x + _scatter(values, key, x.shape)


def set_at(x, key, values):
    """A copy of x with `values` at key.        x̄ = ȳ with 0 at key,   v̄ = ȳ[key]

    Raises ValueError where an index array names a position twice: which value stays would depend on the device;
    TypeError, as add_at, for fractional values in an integer x.
    """
    x, values, key = _writing("set_at", x, key, values)
    counts = _scatter(constant(backend.of(x.data).ones(values.shape, "int32")), key, x.shape).data
    if counts.size and int(counts.max()) > 1:
        raise ValueError("set_at: the key names a position twice; use add_at, or name each position once")
    return where(constant(counts == 0), x, _scatter(values, key, x.shape))


def _writing(operation, x, key, values):
    """x, the values broadcast to the shape of x[key] in x's dtype, and the checked key."""
    x = operand(operation, x)
    key = _key(operation, x, key)
    shape = x.data[key].shape
    whole = x.dtype.kind in "iub"
    if isinstance(values, Real):
        values = Tensor(values, dtype=None if whole and not isinstance(values, Integral) else x.dtype, device=x.device)
    values = operand(operation, values, "values")
    if whole and values.dtype.kind == "f":
        raise TypeError(f"{operation}: values of {values.dtype} would lose their fractions in x of {x.dtype}; use astype")
    same_device(operation, x=x, values=values)
    if broadcast_shape(operation, values.shape, shape, ("values", "x[key]")) != shape:
        raise ValueError(f"{operation}: values of shape {values.shape} do not fit x[key] of shape {shape}")
    return x, broadcast_to(values, shape).astype(x.dtype), key


def take(x, indices, axis=None):
    """Slices of x along an axis at integer `indices`, whose shape replaces that axis (None: x flattened)."""
    x = operand("take", x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    return _index(x, _key("take", x, (slice(None),) * normalize_axis("take", axis, x.ndim) + (indices,)))


def take_along_axis(x, indices, axis):
    """y[i, j, …] = x[i, indices[i, j, …], …]: one position per line along an axis.        x̄ = ȳ added back there

    indices: integers of x's shape, except along `axis`.
    """
    x = operand("take_along_axis", x)
    indices = operand("take_along_axis", indices, "indices")
    axis = normalize_axis("take_along_axis", axis, x.ndim)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"take_along_axis: indices must be integers, got {indices.dtype}")
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: indices of shape {indices.shape} along axis {axis} do not fit x of {x.shape}")
    for i, (n, m) in enumerate(zip(x.shape, indices.shape)):
        if i != axis and n != m:
            raise ValueError(f"take_along_axis: indices of shape {indices.shape} differ from x of shape {x.shape} "
                             f"along axis {i}, not only along axis {axis}")
    *_, checked = _key("take_along_axis", x, (slice(None),) * axis + (indices,))
    return along_axis(x, checked, axis)


def along_axis(x, indices, axis):
    """`take_along_axis` at an array of indices that have been checked."""
    xp = backend.of(x.data)
    grid = [xp.arange(n).reshape((-1,) + (1,) * (x.ndim - i - 1)) for i, n in enumerate(indices.shape)]
    grid[axis] = indices
    return _index(x, tuple(grid), distinct=indices.shape[axis] == 1)


def one_hot(labels, classes, dtype="float32"):
    """Rows of the identity matrix: (…) integers in 0 … classes−1 → (…, classes).  Raises ValueError out of range."""
    labels = operand("one_hot", labels, "labels")
    check_labels("one_hot", labels, classes)
    xp = backend.of(labels.data)
    return astype(constant(xp.expand_dims(labels.data, -1) == xp.arange(classes)), dtype)
