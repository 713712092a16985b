"""What an operation may be given: kinds, devices, shapes, axes, labels, sizes, settings.

Every function takes the operation's name and the argument's, so that an error can say them.
"""
import math
import operator
import sys

from minidl import backend
from minidl.backend import DeviceError, array_types
from minidl.recording import recording_now
from minidl.tensor import Tensor

LARGEST = math.isqrt(sys.maxsize)       # of a size or a stride: a product of two is no overflow


class Scalar:
    """A Python number as an operand: `.data` is the number itself.

    So NumPy's rules for Python numbers hold (a float32 array times 2.0 stays float32), and a GPU
    receives it as an argument of its kernel.
    """
    __slots__ = ("data",)
    node = None
    shape = ()

    def __init__(self, number):
        self.data = number


def operand(operation, x, argument="x"):
    """x as a Tensor of this operation's own: its array of this moment, under the same Node.

    So the operation's rules see the values that it used, also where a leaf is given another array
    (`w.data = …`, an optimiser's step) before the gradient is asked for.  Arrays, lists and numbers
    become constants.  Raises TypeError for other kinds.

    >>> operand("double", [1.0, 2.0])
    tensor([1., 2.], float64)
    """
    if isinstance(x, Tensor):
        node = x.node
        if node is not None and node.inputs:
            return x                        # an operation's result is never given another array
        if not recording_now() and type(x.data) in array_types:
            return x                        # and no rule will look back
        return _double(operation, x, argument)
    if isinstance(x, Scalar):
        x = x.data
    try:
        return Tensor(x, device=backend.device_of(x).name if backend.is_array(x) else None)
    except (TypeError, ValueError):
        raise TypeError(f"{operation}: {argument} must be a Tensor or an array, got "
                        f"{_kind(x)}") from None


def _kind(x):
    if backend.is_array(x):
        return f"an array of {x.dtype}"
    if not isinstance(x, (list, tuple)):
        return type(x).__name__
    if any(isinstance(item, Tensor) for item in x):
        return f"a {type(x).__name__} of Tensors, which ops.stack makes one"
    return f"a {type(x).__name__} of which NumPy makes no array of numbers"


def _double(operation, x, argument):
    """Another Tensor of the array that a leaf or a constant has now, under the same Node."""
    data, node = x.data, x.node
    if type(data) not in array_types:
        data = _assigned(operation, argument, data)
    if node is not None and (data.shape != node.shape or data.dtype is not node.dtype):
        _check_assigned(operation, argument, data, node)
    double = object.__new__(Tensor)
    double.data, double.node = data, node
    return double


def _assigned(operation, argument, data):
    """What was assigned to `data`, as an array; raises TypeError for other than NumPy's numbers."""
    if isinstance(data, backend.CPU.module.generic):
        return backend.CPU.module.asarray(data)
    raise TypeError(f"{operation}: the data of {argument} must be an array, "
                    f"{type(data).__name__} was assigned")


def _check_assigned(operation, argument, data, node):
    """Raise ValueError unless an assigned array has the leaf's shape and dtype, as its gradient."""
    if data.shape != node.shape or data.dtype != node.dtype:
        raise ValueError(f"{operation}: {argument} is a leaf of shape {node.shape} and "
                         f"{node.dtype}, data of shape {data.shape} and {data.dtype} was assigned; "
                         "make another Tensor of it")


def operands(operation, a, b, arguments=("a", "b")):
    """Two operands on one device, as `operand` gives them, but Python numbers as Scalars.

    Raises TypeError for other kinds, DeviceError where the devices differ, ValueError where the
    shapes do not broadcast.
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor) and type(a.data) is type(b.data):
        if recording_now():
            first, second = a.node, b.node
            if first is None or not first.inputs:           # as `operand` does
                a = _double(operation, a, arguments[0])
            if second is None or not second.inputs:
                b = _double(operation, b, arguments[1])
        if a.data.shape != b.data.shape:
            broadcast_shape(operation, a.data.shape, b.data.shape, arguments)
        return a, b
    if isinstance(a, Tensor) and type(b) in (float, int, Scalar):
        b = b if type(b) is Scalar else Scalar(b)
        if type(b.data) is int:
            _check_held(operation, a, b, arguments[1])
        return operand(operation, a, arguments[0]), b
    first = _scalar_or_tensor(operation, a, arguments[0])
    second = _scalar_or_tensor(operation, b, arguments[1])
    if isinstance(first, Scalar) and isinstance(second, Scalar):
        return operand(operation, first, arguments[0]), operand(operation, second, arguments[1])
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        same_device(operation, **{arguments[0]: first, arguments[1]: second})
        broadcast_shape(operation, first.shape, second.shape, arguments)
    elif isinstance(first, Scalar):
        _check_held(operation, second, first, arguments[0])
    else:
        _check_held(operation, first, second, arguments[1])
    return first, second


# operations of two whole numbers that give another type
OF_ANOTHER_TYPE = {"divide", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


def _check_held(operation, x, scalar, argument):
    """Raise ValueError for a whole number that x's integer type, the result's, cannot hold."""
    if (isinstance(scalar.data, int) and x.data.dtype.kind in "iu"
            and operation not in OF_ANOTHER_TYPE):
        fitting(operation, argument, scalar.data, x.data.dtype)


def _scalar_or_tensor(operation, x, argument):
    if type(x) in (float, int, bool):
        return Scalar(x)
    return x if isinstance(x, Scalar) else operand(operation, x, argument)


def signed(operation, x):
    """x as `operand` gives it; raises TypeError for booleans, which have no sign."""
    x = operand(operation, x)
    if x.data.dtype.kind == "b":
        raise TypeError(f"{operation}: x is of booleans, which have no sign; use ~x, or astype")
    return x


def floating(operation, x, argument="x"):
    """x as `operand` gives it, whole numbers as float64: the result has fractions."""
    x = operand(operation, x, argument)
    return x.astype("float64") if x.data.dtype.kind in "iub" else x


def number(operation, argument, value):
    """A setting as a Python number, which promotes no array.

    value: a number, of NumPy too, or an array or Tensor of zero dimensions.  No gradient flows to a
    number, so TypeError is raised for a Tensor that requires one; for other kinds as well.
    """
    if getattr(value, "requires_grad", False):
        raise TypeError(f"{operation}: {argument} is a number, to which no gradient flows; "
                        "got a Tensor that requires one")
    kind, shape = getattr(getattr(value, "dtype", None), "kind", None), getattr(value, "shape", ())
    real = kind in "biuf" if kind else hasattr(value, "__float__")      # texts and bytes have none
    try:
        if real and shape == ():
            return int(value) if isinstance(value, int) or kind in ("i", "u") else float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{operation}: {argument} must be a number, got "
                    + (f"shape {shape}" if shape else f"{value!r:.60}"))


def fitting(operation, argument, value, dtype):
    """A number, as `number` gives it, that becomes an entry of an array of that dtype.

    Raises ValueError where the dtype is one of integers and does not hold it: 256 in bytes, ½, NaN.
    """
    value = number(operation, argument, value)
    if dtype.kind in "iu":
        limits = backend.CPU.module.iinfo(dtype)
        if not limits.min <= value <= limits.max or value != int(value):
            raise ValueError(f"{operation}: {argument} must be a whole number from {limits.min} to "
                             f"{limits.max}, as it becomes {dtype}; got {value}")
    return value


def broadcast_shape(operation, first, second, arguments=("a", "b")):
    """NumPy's broadcast of two shapes; raises ValueError where there is none."""
    if first[max(0, len(first) - len(second)):] == second:
        return first                        # the second is repeated along new axes, if at all
    for m, n in zip(reversed(first), reversed(second)):
        if m != n and m != 1 and n != 1:
            raise ValueError(f"{operation}: {arguments[0]} of shape {first} and {arguments[1]} of "
                             f"shape {second} do not broadcast: {m} against {n}")
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    lead = len(longer) - len(shorter)
    return longer[:lead] + tuple(n if m == 1 else m for m, n in zip(longer[lead:], shorter))


def same_device(operation, **tensors):
    """Raise DeviceError unless all Tensors are on one device; None passes."""
    kinds = [type(t.data) for t in tensors.values() if t is not None]
    if kinds.count(kinds[0]) == len(kinds):
        return
    found = {name: t.device for name, t in tensors.items() if t is not None}
    if len(set(found.values())) > 1:
        places = ", ".join(f"{name} is on {where!r}" for name, where in found.items())
        raise DeviceError(f"{operation}: {places}; bring them to one device with .to(device)")


def promoted(*tensors):
    """The Tensors in the dtype that NumPy's promotion gives for all of them."""
    if len({x.data.dtype for x in tensors}) == 1:
        return tensors
    dtype = backend.CPU.module.result_type(*(x.data.dtype for x in tensors))
    return tuple(x.astype(dtype) for x in tensors)


def function(operation, argument, value, signature):
    """Raise TypeError unless the value can be called; signature says how, in the message."""
    if not callable(value):
        raise TypeError(f"{operation}: {argument} must be a function {signature}, "
                        f"got {type(value).__name__}")


def integer(operation, argument, value):
    """One integer as Python's; raises TypeError for other kinds."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{operation}: {argument} must be one integer, "
                        f"got {value!r:.60}") from None


def integers(operation, argument, value):
    """An integer or several as a tuple of Python's; raises TypeError for other kinds."""
    try:
        values = tuple(value) if hasattr(value, "__iter__") else (value,)
        if isinstance(value, dict) or bool in map(type, values):
            raise TypeError
        return tuple(map(operator.index, values))
    except TypeError:
        raise TypeError(f"{operation}: {argument} must be an integer or several, "
                        f"got {value!r:.60}") from None


def listed(operation, argument, items, what):
    """Several things as a list; raises TypeError for a single one."""
    if isinstance(items, (str, dict)) or not hasattr(items, "__iter__"):
        raise TypeError(f"{operation}: {argument} must be a list of {what}, "
                        f"got {type(items).__name__}")
    return list(items)


def sizes(operation, argument, value):
    """The lengths of an array, an integer or several, as a tuple.

    Raises TypeError for other kinds, ValueError for a negative one, or for more elements than there
    can be.
    """
    lengths = integers(operation, argument, value)
    if min(lengths, default=0) < 0:
        raise ValueError(f"{operation}: {argument} must not be negative, got {value!r}")
    if math.prod(lengths) > sys.maxsize // 16:          # entries of up to 16 bytes
        raise ValueError(f"{operation}: {argument} {value!r:.60} has more elements than fit into "
                         "memory")
    return lengths


def normalize_axes(operation, axis, ndim):
    """The axes as a sorted tuple of non-negative integers.

    Raises ValueError for one that is out of range or named twice.
    """
    axes = tuple(range(ndim)) if axis is None else integers(operation, "axis", axis)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ValueError(f"{operation}: axis {a} is out of range for {ndim} dimensions")
    wrapped = tuple(sorted(a % ndim for a in axes))
    if len(set(wrapped)) < len(wrapped):
        raise ValueError(f"{operation}: axis {axis} names an axis twice")
    return wrapped


def normalize_axis(operation, axis, ndim):
    """The one axis as a non-negative integer.

    Raises TypeError for other kinds, ValueError for one that is out of range.
    """
    return normalize_axes(operation, integer(operation, "axis", axis), ndim)[0]


def per_axis(operation, name, value, ndim, lowest):
    """`value`, an integer or one per spatial axis, as a tuple of integers of at least `lowest`."""
    if type(value) is int and lowest <= value < LARGEST:
        return (value,) * ndim
    several = f" or {ndim} of them" if ndim > 1 else ""
    try:
        given = _each(value, ndim)
        if isinstance(value, dict) or bool in map(type, given):
            raise TypeError
        values = tuple(map(operator.index, given))
    except TypeError:
        raise TypeError(f"{operation}: {name} must be an integer{several}, "
                        f"got {value!r:.60}") from None
    if max(values, default=0) >= LARGEST:
        raise ValueError(f"{operation}: {name} must be below {LARGEST}, got {value!r:.60}")
    if len(values) != ndim or min(values) < lowest:
        several = several or " for the one axis" * (len(values) > 1)
        raise ValueError(f"{operation}: {name} must be an integer ≥ {lowest}{several}, "
                         f"got {value!r:.60}")
    return values


def _each(setting, count):
    """A setting for each of `count` axes or sides: its entries, or one integer for all."""
    one = hasattr(setting, "__index__") and getattr(setting, "ndim", 0) == 0
    return (setting,) * count if one else tuple(setting)


def sides(operation, padding, ndim):
    """Padding as (before, after) for each spatial axis, or "same".

    padding: "same", an integer, or for each axis an integer or such a pair; not negative.
    """
    if isinstance(padding, str) and padding == "same":
        return padding
    try:
        pairs = tuple(tuple(map(operator.index, _each(p, 2))) for p in _each(padding, ndim))
        fits = len(pairs) == ndim and all(len(pair) == 2 and min(pair) >= 0 for pair in pairs)
        fits = fits and max(map(max, pairs), default=0) < LARGEST
        error = TypeError if isinstance(padding, (bool, dict)) else None if fits else ValueError
    except TypeError:
        error = ValueError if isinstance(padding, str) else TypeError
    if error:
        axes = f"each of the {ndim} axes" if ndim > 1 else "the axis"
        raise error(f"{operation}: padding must be an integer ≥ 0, or for {axes} such an integer "
                    f"or (before, after), or \"same\", got {padding!r:.60}")
    return pairs


def check_labels(operation, labels, classes, argument="labels"):
    """Raise TypeError unless the labels are integers, ValueError unless in 0 … classes−1."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{operation}: {argument} must be integers, got {labels.dtype}")
    if labels.size == 0:
        return
    unsigned = labels.data.view(f"uint{8 * labels.dtype.itemsize}")     # −1 is large there
    if int(unsigned.max()) >= classes:
        lowest, highest = int(labels.data.min()), int(labels.data.max())
        raise ValueError(f"{operation}: {argument} lie between {lowest} and {highest}; "
                         f"allowed are 0 to {classes - 1}")


def check_sizes(layer, **sizes):
    """Raise ValueError unless every size is an integer of at least 1."""
    for name, size in sizes.items():
        try:
            fits = integer(layer, name, size) >= 1
        except TypeError:
            fits = False
        if not fits:
            raise ValueError(f"{layer}: {name} must be an integer ≥ 1, got {size!r:.60}")
        if size >= LARGEST:
            raise ValueError(f"{layer}: {name} must be below {LARGEST}, got {size!r:.60}")


def check_features(layer, x, features):
    """x as a Tensor; raises ValueError unless its last axis has `features` entries."""
    x = operand(type(layer).__name__, x)
    if x.ndim == 0 or x.shape[-1] != features:
        raise ValueError(f"{layer!r}: x of shape {x.shape} must have {features} features "
                         "on its last axis")
    return x
