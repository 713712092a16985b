"""Largest and smallest elements over axes, where they are, and whether any or all are not 0.

Shapes, axis, keepdims and errors are those of reduction.py.
"""
from minidl import backend
from minidl.operands import normalize_axes, normalize_axis, operand
from minidl.ops.indexing import along_axis
from minidl.ops.reduction import count_of, kept_shape, lines_of, reduced_shape
from minidl.ops.shape import reshape
from minidl.tensor import constant


def max(x, axis=None, keepdims=False):
    """Largest element along the axes.

    x̄ = ȳ at the first position that has it, 0 elsewhere.  Raises ValueError over no elements.

    >>> max([[1.0, 2.0], [4.0, 3.0]], axis=1)
    tensor([2., 4.], float64)
    """
    return _extreme("max", x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest element along the axes.

    x̄ = ȳ at the first position that has it, 0 elsewhere.  Raises ValueError over no elements.

    >>> min([[1.0, 2.0], [4.0, 3.0]], axis=1)
    tensor([1., 3.], float64)
    """
    return _extreme("min", x, axis, keepdims)


def _extreme(operation, x, axis, keepdims):
    """The element at its first extreme position: read there, so the rule is that of reading."""
    x = operand(operation, x)
    count_of(operation, x, axis)
    axes = normalize_axes(operation, axis, x.ndim)
    y = gather(x, first_extreme(operation, x, axes), axes)
    return y if keepdims else reshape(y, reduced_shape(x.shape, axes))


def first_extreme(operation, x, axes):
    """The number, in C order, of the first largest ("max") or smallest ("min") along the axes."""
    xp = backend.of(x.data)
    return (xp.argmax if operation == "max" else xp.argmin)(lines_of(x, axes).data, axis=-1)


def gather(x, positions, axes):
    """The element along the axes, which stay with length 1, that has that number."""
    xp = backend.of(x.data)
    y = along_axis(lines_of(x, axes), xp.expand_dims(xp.asarray(positions), -1), -1)
    return reshape(y, kept_shape(x.shape, axes))


def argmax(x, axis=None, keepdims=False):
    """Position of the first largest element along an axis (None: in the flattened array), int64.

    Raises ValueError over no elements, TypeError for several axes.

    >>> argmax([[1.0, 2.0], [4.0, 3.0]], axis=1)
    tensor([1, 0], int64)
    """
    return _position("argmax", x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """Position of the first smallest element along an axis (None: in the flattened array), int64.

    Raises ValueError over no elements, TypeError for several axes.

    >>> argmin([[1.0, 2.0], [4.0, 3.0]], axis=1)
    tensor([0, 1], int64)
    """
    return _position("argmin", x, axis, keepdims)


def _position(operation, x, axis, keepdims):
    x = operand(operation, x)
    if axis is not None:                                # several axes have no one position
        axis = normalize_axis(operation, axis, x.ndim)
    count_of(operation, x, axis)
    axes = normalize_axes(operation, axis, x.ndim)
    found = getattr(backend.of(x.data), operation)(x.data, axis=axis)
    return constant(found.reshape(kept_shape(x.shape, axes)) if keepdims else found)


def any(x, axis=None, keepdims=False):
    """Whether an element along the axes is not 0: a boolean Tensor; no gradient flows.

    >>> any([[True, False], [False, False]], axis=1)
    tensor([ True, False], bool)
    """
    return _truth("any", x, axis, keepdims)


def all(x, axis=None, keepdims=False):
    """Whether no element along the axes is 0: a boolean Tensor; no gradient flows.

    >>> all([[True, False], [True, True]], axis=1)
    tensor([False,  True], bool)
    """
    return _truth("all", x, axis, keepdims)


def _truth(operation, x, axis, keepdims):
    x = operand(operation, x)
    axes = normalize_axes(operation, axis, x.ndim)
    truth = getattr(backend.of(x.data), operation)
    return constant(truth(x.data != 0, axis=axes, keepdims=bool(keepdims)))
