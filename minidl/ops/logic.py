"""Comparisons, which give booleans, and logic of booleans and integers.  No gradient flows.

a, b: any shapes that broadcast.  Python's operators == != < <= > >= & | ^ ~ call these.
Raises ValueError for shapes that do not broadcast, and for a number that the other's integer type
does not hold (& | ^); DeviceError for arrays of two devices.
"""
from minidl import backend
from minidl.operands import Scalar, fitting, operand, operands
from minidl.tensor import constant


def equal(a, b):
    """Where a = b.

    >>> equal([1, 2], 2)
    tensor([False,  True], bool)
    """
    a, b = operands("equal", a, b)
    return constant(a.data == b.data)


def not_equal(a, b):
    """Where a ≠ b.

    >>> not_equal([1, 2], 2)
    tensor([ True, False], bool)
    """
    a, b = operands("not_equal", a, b)
    return constant(a.data != b.data)


def less(a, b):
    """Where a < b.

    >>> less([1, 2], 2)
    tensor([ True, False], bool)
    """
    a, b = operands("less", a, b)
    return constant(a.data < b.data)


def less_equal(a, b):
    """Where a ≤ b.

    >>> less_equal([1, 2, 3], 2)
    tensor([ True,  True, False], bool)
    """
    a, b = operands("less_equal", a, b)
    return constant(a.data <= b.data)


def greater(a, b):
    """Where a > b.

    >>> greater([1, 2, 3], 2)
    tensor([False, False,  True], bool)
    """
    a, b = operands("greater", a, b)
    return constant(a.data > b.data)


def greater_equal(a, b):
    """Where a ≥ b.

    >>> greater_equal([1, 2, 3], 2)
    tensor([False,  True,  True], bool)
    """
    a, b = operands("greater_equal", a, b)
    return constant(a.data >= b.data)


def bitwise_and(a, b):
    """a & b: of booleans where both hold, of integers bit by bit.

    Raises TypeError for fractions.

    >>> bitwise_and([True, True], [True, False])
    tensor([ True, False], bool)
    """
    a, b = _whole("bitwise_and", a, b)
    return constant(a.data & b.data)


def bitwise_or(a, b):
    """a | b: of booleans where one holds or both, of integers bit by bit.

    Raises TypeError for fractions.

    >>> bitwise_or([True, False], [False, False])
    tensor([ True, False], bool)
    """
    a, b = _whole("bitwise_or", a, b)
    return constant(a.data | b.data)


def bitwise_xor(a, b):
    """a ^ b: of booleans where exactly one holds, of integers bit by bit.

    Raises TypeError for fractions.

    >>> bitwise_xor([True, True], [True, False])
    tensor([False,  True], bool)
    """
    a, b = _whole("bitwise_xor", a, b)
    return constant(a.data ^ b.data)


def invert(x):
    """~x: of booleans where it does not hold, of integers bit by bit.

    Raises TypeError for fractions.

    >>> invert([True, False])
    tensor([False,  True], bool)
    """
    x = operand("invert", x)
    _check_whole("invert", "x", x)
    return constant(~x.data)


def _whole(operation, a, b):
    """Two operands of booleans or integers, of which one type holds both."""
    a, b = operands(operation, a, b)
    for argument, x, other in ("a", a, b), ("b", b, a):
        _check_whole(operation, argument, x)
        if isinstance(x, Scalar):
            whole = backend.CPU.module.result_type(other.dtype, 0)          # beside booleans int64
            fitting(operation, argument, x.data, whole)
    dtypes = [x.dtype for x in (a, b) if not isinstance(x, Scalar)]
    if backend.CPU.module.result_type(*dtypes).kind == "f":
        raise TypeError(f"{operation}: no integer type holds both {dtypes[0]} and {dtypes[1]}; "
                        "use astype")
    return a, b


def _check_whole(operation, argument, x):
    kind = type(x.data).__name__ if isinstance(x, Scalar) else str(x.dtype)
    if kind == "float" or not isinstance(x, Scalar) and x.dtype.kind not in "iub":
        raise TypeError(f"{operation}: {argument} must be of booleans or integers, got {kind}; "
                        "compare first, as in (x > 0) & (x < 1)")
