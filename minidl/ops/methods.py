"""Operators and methods of Tensor.  Tensor is below the operations, so they are attached to it here, by NumPy's names."""
import functools
import operator

from minidl import kernels
from minidl.operands import Scalar
from minidl.ops import elementwise, indexing, linear, reduction, shape
from minidl.recording import recording_now
from minidl.tensor import Tensor, constant


def _reflected(operation):
    return lambda self, other: operation(other, self)


def _arithmetic(operation, of_arrays):
    """The operation; where nothing is recording_now, as in a sweep, its value alone."""
    @functools.wraps(operation)
    def method(a, b):
        if not recording_now():
            other = b.data if isinstance(b, (Tensor, Scalar)) else b
            if type(other) is type(a.data) or type(other) in (float, int):
                try:
                    return constant(of_arrays(a.data, other))
                except ValueError:          # shapes that do not broadcast: the operation says which
                    pass
        return operation(a, b)
    return method


for _symbol, _operation, _of_arrays in (("add", elementwise.add, kernels.add), ("sub", elementwise.subtract, operator.sub),
                                        ("mul", elementwise.multiply, operator.mul),
                                        ("truediv", elementwise.divide, operator.truediv),
                                        ("pow", elementwise.power, operator.pow)):
    setattr(Tensor, f"__{_symbol}__", _arithmetic(_operation, _of_arrays))
    setattr(Tensor, f"__r{_symbol}__", _reflected(_operation))

def _negative(x):
    return elementwise.negative(x) if recording_now() else constant(-x.data)


Tensor.__neg__ = _negative
Tensor.__matmul__, Tensor.__rmatmul__ = linear.matmul, _reflected(linear.matmul)

for _symbol, _operation in {"abs": elementwise.absolute, "getitem": indexing.index,
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
