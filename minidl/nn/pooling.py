"""Pooling layers, for 1, 2 or 3 spatial axes.  The mathematics stands in `ops/pooling.py`."""
from minidl import ops
from minidl.nn.module import Module, changed
from minidl.nn.windows import padding_of, padding_seen, shortest
from minidl.operands import per_axis


class _Pool(Module):
    def __init__(self, kernel_size, stride=None, padding=0):
        name, stride = type(self).__name__, kernel_size if stride is None else stride
        axes = max(_axes(name, "kernel_size", kernel_size), _axes(name, "stride", stride),
                   _axes(name, "padding", padding))
        self.kernel_size = shortest(per_axis(name, "kernel_size", kernel_size, axes, 1))
        self.stride = shortest(per_axis(name, "stride", stride, axes, 1))
        self.padding = padding_of(name, padding, axes)

    def window(self):
        padding = padding_seen(self.kernel_size, self.stride, self.padding)
        return self.kernel_size, self.stride, padding, 1

    def details(self):
        return f"{self.kernel_size}" + changed(self, stride=self.kernel_size, padding=0)


def _axes(layer, name, value):
    """For how many axes a setting is given; 1 where it is one number for all."""
    several = isinstance(value, (tuple, list)) or getattr(value, "ndim", 0)
    axes = len(value) if several else 1
    if axes not in (1, 2, 3):
        raise ValueError(f"{layer}: {name} must be for 1 to 3 axes, got {value!r:.60}")
    return axes


class MaxPool(_Pool):
    """The largest entry of each window: (N, *S, C) → (N, *P, C); see `ops.max_pool`.

    kernel_size, of the window; stride, padding: an integer, or one for each axis.  stride None: as
    kernel_size.  padding may also be (before, after) for an axis, or "same", with which
    P = ceil(S / stride).
    Raises ValueError for other settings, and where the window does not fit into x.

    >>> MaxPool(2)([[[1.0], [3.0], [2.0], [5.0]]]).numpy().ravel()
    array([3., 5.])
    """

    def forward(self, x):
        return ops.max_pool(x, self.kernel_size, self.stride, self.padding)


class AveragePool(_Pool):
    """The mean of each window: (N, *S, C) → (N, *P, C); see `ops.average_pool`.

    Arguments and errors are MaxPool's.

    >>> AveragePool(2)([[[1.0], [3.0], [2.0], [5.0]]]).numpy().ravel()
    array([2. , 3.5])
    """

    def forward(self, x):
        return ops.average_pool(x, self.kernel_size, self.stride, self.padding)


class GlobalAveragePool(Module):
    """The mean over all positions: (N, *S, C) → (N, C).  Raises ValueError where there are none.

    >>> GlobalAveragePool()([[[1.0], [3.0]]])
    tensor([[2.]], float64)
    """

    def forward(self, x):
        return ops.global_average_pool(x)


class GlobalMaxPool(Module):
    """The largest entry over all positions: (N, *S, C) → (N, C).

    Raises ValueError where there are none.

    >>> GlobalMaxPool()([[[1.0], [3.0]]])
    tensor([[3.]], float64)
    """

    def forward(self, x):
        return ops.global_max_pool(x)
