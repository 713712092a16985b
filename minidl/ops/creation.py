"""New arrays, by NumPy's names and with NumPy's default dtypes.

requires_grad: whether gradients with respect to it are wanted; only floats can have them.
device: "cpu" or "gpu"; by default the one of `use_device`.
"""
from minidl import backend
from minidl.operands import fitting, integer, number, operand, sizes
from minidl.settings import bounded
from minidl.tensor import Tensor, constant


def zeros(shape, dtype="float64", *, requires_grad=False, device=None):
    """Zeros of a shape, an integer or several.

    Raises TypeError for other kinds, ValueError for a negative length.

    >>> zeros((2, 3), "float32")
    tensor([[0., 0., 0.],
            [0., 0., 0.]], float32)
    """
    return _filled("zeros", shape, 0, dtype, requires_grad, device)


def ones(shape, dtype="float64", *, requires_grad=False, device=None):
    """Ones of a shape, an integer or several.

    Raises TypeError for other kinds, ValueError for a negative length.

    >>> ones(2, requires_grad=True)
    tensor([1., 1.], float64, requires_grad=True)
    """
    return _filled("ones", shape, 1, dtype, requires_grad, device)


def full(shape, fill_value, dtype=None, *, requires_grad=False, device=None):
    """One number repeated to a shape; by default in that number's dtype.

    Raises TypeError for other kinds, ValueError for a negative length, or a number that the dtype
    does not hold.

    >>> full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]], int64)
    """
    value = number("full", "fill_value", fill_value)
    if dtype is None:
        kind = bool if isinstance(fill_value, bool) else type(value)
        dtype = getattr(fill_value, "dtype", kind)
    fitting("full", "fill_value", value, backend.real_dtype("full", dtype))
    return _filled("full", shape, value, dtype, requires_grad, device)


def _filled(operation, shape, value, dtype, requires_grad, device):
    host = backend.CPU.module
    array = host.broadcast_to(host.asarray(value, backend.real_dtype(operation, dtype)),
                              sizes(operation, "shape", shape))
    return Tensor(array, requires_grad, device=device)


def arange(start, stop=None, step=1, dtype=None, *, requires_grad=False, device=None):
    """start, start + step, … up to but without stop: (⌈(stop − start) / step⌉,).

    With one argument it counts from 0 to that.  The dtype is by default that of the numbers.
    Raises TypeError for what is no number; ValueError for a step of 0, an infinite length, or
    numbers that the dtype does not hold.

    >>> arange(4)
    tensor([0, 1, 2, 3], int64)
    >>> arange(1, 2, 0.25)
    tensor([1.  , 1.25, 1.5 , 1.75], float64)
    """
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop, step = given = [
        number("arange", name, value)
        for name, value in {"start": start, "stop": stop, "step": step}.items()]
    if not all(abs(value) < float("inf") for value in given):
        raise ValueError(f"arange: start, stop and step must be finite, got {given}")
    if step == 0:
        raise ValueError("arange: step must not be 0")
    try:
        steps = int((stop - start) / step)
    except OverflowError:                               # more than a float can count
        raise ValueError(f"arange: start, stop and step {given!r:.60} make more elements than fit "
                         "into memory") from None
    sizes("arange", "the number of steps", max(0, steps))
    array, dtype = backend.CPU.module.arange(*given), backend.real_dtype("arange", dtype)
    if dtype is not None and len(array):
        for end in array[[0, -1]].tolist():
            fitting("arange", "each number", end, dtype)
    return Tensor(array, requires_grad, dtype, device)


def linspace(start, stop, num=50, endpoint=True, dtype="float64", *, requires_grad=False,
             device=None):
    """num numbers at equal distances from start to stop, (num,).

    endpoint: whether stop is the last.

    Raises TypeError for what is no number, ValueError for a negative num.

    >>> linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], float64)
    """
    start = bounded("linspace", "-inf < start < inf", start)
    stop = bounded("linspace", "-inf < stop < inf", stop)
    num, = sizes("linspace", "num", integer("linspace", "num", num))
    dtype = backend.real_dtype("linspace", dtype)
    array = backend.CPU.module.linspace(start, stop, num, bool(endpoint), dtype=dtype)
    return Tensor(array, requires_grad, device=device)


def eye(N, M=None, k=0, dtype="float64", *, requires_grad=False, device=None):
    """The identity matrix (N, N); or (N, M), with its ones k columns to the right of the diagonal.

    Raises TypeError for what is no integer, ValueError for a negative size.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]], float64)
    """
    rows, columns = integer("eye", "N", N), integer("eye", "M", N if M is None else M)
    sizes("eye", "(N, M)", (rows, columns))
    host = backend.CPU.module
    offsets = host.arange(columns) - host.arange(rows)[:, None]             # (N, M)
    array = offsets == integer("eye", "k", k)
    return Tensor(array, requires_grad, backend.real_dtype("eye", dtype), device)


def zeros_like(x):
    """Zeros of x's shape, dtype and device.

    >>> zeros_like([1.0, 2.0])
    tensor([0., 0.], float64)
    """
    x = operand("zeros_like", x)
    return constant(backend.of(x.data).zeros_like(x.data))


def ones_like(x):
    """Ones of x's shape, dtype and device.

    >>> ones_like([1.0, 2.0])
    tensor([1., 1.], float64)
    """
    x = operand("ones_like", x)
    return constant(backend.of(x.data).ones_like(x.data))
