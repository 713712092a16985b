"""What a Tensor is as an array: its form, its values for the host, and how Python treats it.

Nothing here differentiates; that is `tensor.py`.
"""
import sys

from minidl import backend, names

# what Python's operators between an array on the left and a Tensor call
REFLECTED = {"add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__",
             "divide": "__rtruediv__", "floor_divide": "__rfloordiv__", "remainder": "__rmod__",
             "power": "__rpow__", "matmul": "__rmatmul__", "bitwise_and": "__rand__",
             "bitwise_or": "__ror__", "bitwise_xor": "__rxor__", "equal": "__eq__",
             "not_equal": "__ne__", "less": "__gt__", "less_equal": "__ge__", "greater": "__lt__",
             "greater_equal": "__le__"}

REDUCTIONS = {"all", "amax", "amin", "any", "max", "mean", "min", "prod", "std", "sum", "var"}


def _of_numpy(self, function, method, *inputs, **options):
    """numpy_array * tensor is Tensor.__rmul__; of NumPy's other functions it says minidl's name."""
    reflected = REFLECTED.get(function.__name__)
    if reflected and method == "__call__" and not options and inputs[-1] is self:
        return getattr(self, reflected)(inputs[0])
    raise _takes_no_tensor(function.__name__)


def _takes_no_tensor(name):
    """The TypeError for a function of NumPy's that is given a Tensor."""
    ours, ops = names.NUMPY.get(name, name), sys.modules.get("minidl.ops")      # floors above
    does = f"ops.{ours} does, and " if hasattr(ops, ours) else ""
    return TypeError(f"numpy.{name} takes no Tensor: {does}t.numpy() is an array")


class _ArrayFunction:
    """NumPy asks the type for `__array_ufunc__`, and calls what it finds.

    CuPy asks the Tensor, and finds None: so cupy_array * tensor is Tensor.__rmul__.
    """

    def __get__(self, tensor, kind):
        return _of_numpy if tensor is None else None


class ArrayLike:
    """The base of Tensor, which has `data`, `node` and `requires_grad`."""
    __slots__ = ()
    __array_ufunc__ = _ArrayFunction()

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)

    @property
    def device(self):
        """Name of the device the array is on."""
        return backend.device_of(self.data).name

    def numpy(self):
        """The values as a NumPy array on the host: a copy, outside of any graph."""
        host = backend.to_host(self.data)
        return host.copy() if host is self.data else host

    def item(self):
        """The value of a Tensor of one element as a Python number."""
        if self.data.size != 1:
            raise ValueError("item: only a Tensor of one element is one number, "
                             f"this one has shape {self.shape}")
        return self.data.item()

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad or backend.device_of(self.data) is not backend.CPU:
            kind = "a Tensor that requires a gradient" if self.requires_grad else "a Tensor"
            raise TypeError(f"{kind} on {self.device!r} does not turn into a NumPy array "
                            "by itself; call .numpy()")
        return self.data.astype(dtype or self.data.dtype)

    def __array_function__(self, function, kinds, inputs, options):
        """NumPy's other functions read a Tensor by `__array__`; but its reductions call the method
        of their name, with arguments such as `out` that a Tensor's has not."""
        if function.__name__ in REDUCTIONS:
            raise _takes_no_tensor(function.__name__)
        if function.__name__ in ("array_equal", "array_equiv"):     # which take an error for False
            for x in inputs:
                if isinstance(x, ArrayLike):
                    x.__array__()
        return function._implementation(*inputs, **options)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.data.dtype.kind not in "iu" or self.data.size != 1:
            raise TypeError("only an integer Tensor of one element can be an index, this one is "
                            f"{self.dtype} of shape {self.shape}")
        return int(self.item())

    def __bool__(self):
        if self.data.size != 1:
            raise ValueError(f"a Tensor of shape {self.shape} is neither true nor false; ask for "
                             "t.any() or t.all()")
        return bool(self.data)

    def __len__(self):
        if self.data.ndim == 0:
            raise TypeError("len() of a Tensor of zero dimensions")
        return self.data.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __reduce__(self):
        """For copy and pickle: the array, and of a leaf its gradient.

        The copy gets a Node of its own, as a Node's number says nothing in another process.
        """
        if self.node is not None and self.node.inputs:
            raise TypeError("a Tensor that was computed from others is not copied or pickled "
                            "without its graph: take t.detach(), or copy the leaves "
                            "and compute it again")
        gradient = None if self.grad is None else self.grad.data
        attributes = getattr(self, "__dict__", None)            # of a subclass
        return _rebuilt, (type(self), self.data, self.requires_grad, gradient), attributes

    def __setitem__(self, key, value):
        raise TypeError("a Tensor is never changed in place: use ops.set_at(t, key, value) or "
                        "ops.add_at(t, key, value), which give a new one")

    __hash__ = object.__hash__  # == compares elementwise, so identity is what a dictionary goes by

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self):
        host = backend.to_host(self.data)
        as_text = backend.CPU.module.array2string
        values = as_text(host, prefix="tensor(", separator=", ", precision=6)
        extras = [str(self.dtype)] + [f"device={self.device!r}"] * (self.device != "cpu")
        extras += ["requires_grad=True"] * self.requires_grad
        return f"tensor({values}, {', '.join(extras)})"


class _Elsewhere:
    """A name that other libraries' arrays have.  Reading it raises AttributeError, which says
    minidl's."""

    def __init__(self, name):
        self.name = name

    def __get__(self, tensor, kind):
        if tensor is None:
            return self
        raise AttributeError(f"a Tensor has no {self.name!r}; write {names.METHODS[self.name]}")


for _name in names.METHODS:
    setattr(ArrayLike, _name, _Elsewhere(_name))


def _rebuilt(kind, data, requires_grad, gradient):
    """The Tensor that __reduce__ describes."""
    made = object.__new__(kind)
    made.data, made.node = data, None
    made.requires_grad = requires_grad
    if gradient is not None:
        made.grad = gradient
    return made
