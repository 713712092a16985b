"""Operators and methods of Tensor.  Tensor is below the operations, so they are attached to it here, by NumPy's names."""
from minidl.ops import elementwise, indexing, linear, reduction, shape
from minidl.tensor import Tensor


def _reflected(operation):
    return lambda self, other: operation(other, self)


for _symbol, _operation in {"add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply,
                            "truediv": elementwise.divide, "pow": elementwise.power, "matmul": linear.matmul}.items():
    setattr(Tensor, f"__{_symbol}__", _operation)
    setattr(Tensor, f"__r{_symbol}__", _reflected(_operation))

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
