"""What a Tensor is as an array: its form, its values for the host, and how Python treats it.

Nothing here differentiates; that is `tensor.py`.
"""
from minidl import backend


class ArrayLike:
    """The base of Tensor, which has `data` and `requires_grad`."""
    __slots__ = ()
    __array_ufunc__ = None      # numpy_array * tensor asks Tensor.__rmul__, not numpy.multiply

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

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.data.dtype.kind not in "iu":
            raise TypeError(f"only an integer Tensor can be an index, this one is {self.dtype}")
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __len__(self):
        if self.data.ndim == 0:
            raise TypeError("len() of a Tensor of zero dimensions")
        return self.data.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

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
