"""Operators and methods of Tensor.  Tensor is below the operations, so they are attached to it here, by NumPy's names."""
import functools
import operator

from minidl import kernels
from minidl.ops import elementwise, indexing, linear, reduction, shape
from minidl.recording import state
from minidl.tensor import Tensor, constant


def _reflected(operation):
    return lambda self, other: operation(other, self)


def _arithmetic(operation, of_arrays):
    """The operation; or, of two Tensors alike and where nothing is recorded (as in a sweep), its value and no rules."""
    @functools.wraps(operation)
    def method(a, b):
        if not state.recording and isinstance(b, Tensor):
            x, y = a.data, b.data
            if type(x) is type(y) and x.shape == y.shape:
                return constant(of_arrays(x, y))
        return operation(a, b)
    return method


for _symbol, _operation, _of_arrays in (("add", elementwise.add, kernels.add), ("sub", elementwise.subtract, operator.sub),
                                        ("mul", elementwise.multiply, operator.mul),
                                        ("truediv", elementwise.divide, operator.truediv),
                                        ("pow", elementwise.power, operator.pow)):
    setattr(Tensor, f"__{_symbol}__", _arithmetic(_operation, _of_arrays))
    setattr(Tensor, f"__r{_symbol}__", _reflected(_operation))

Tensor.__matmul__, Tensor.__rmatmul__ = linear.matmul, _reflected(linear.matmul)

for _symbol, _operation in {"neg": elementwise.negative, "abs": elementwise.absolute, "getitem": indexing.index,
                            "eq": elementwise.equal, "ne": elementwise.not_equal, "lt": elementwise.less,
                            "le": elementwise.less_equal, "gt": elementwise.greater,
                            "ge": elementwise.greater_equal}.items():
    setattr(Tensor, f"__{_symbol}__", _operation)

for _operation in (elementwise.astype, elementwise.clip,
                   reduction.sum, reduction.mean, reduction.var, reduction.std, reduction.max, reduction.min,
                   reduction.argmax, reduction.argmin, reduction.cumsum, reduction.sum_to,
                   shape.reshape, shape.transpose, shape.swapaxes, shape.squeeze, shape.flatten, shape.repeat,
                   indexing.take, linear.diagonal, linear.trace):
    setattr(Tensor, _operation.__name__, _operation)

Tensor.ravel = shape.flatten
Tensor.T = property(shape.transpose, doc="The axes in reverse order.")
