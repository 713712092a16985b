"""Operators and methods of Tensor, by NumPy's names.

Tensor stands below the operations, so they are attached to it here: t.exp() is ops.exp(t).  Type
checkers, which do not see that, read tensor.pyi.
"""
import functools
import operator

from minidl.ops import (
    activation,
    elementwise,
    exponentials,
    extremes,
    indexing,
    linear,
    logic,
    reduction,
    shape,
    trigonometry,
)
from minidl.recording import recording_now
from minidl.tensor import Tensor, constant


def _reflected(operation):
    return lambda self, other: operation(other, self)


def _operator(operation, of_arrays):
    """The operation.  Where nothing is recorded, as in a sweep, that of the arrays, if these are
    alike.

    So 1,000 products of scalars take 0.86 of the time, forward and backward, that they would take
    (`python -m tests.benchmarks --only "products of scalars"`, with and without this).
    """
    def method(a, b):
        if (isinstance(b, Tensor) and not recording_now()
                and type(a.data) is type(b.data) and a.data.shape == b.data.shape):
            return constant(of_arrays(a.data, b.data))
        return operation(a, b)

    return functools.wraps(operation)(method)


for _symbol, _operation in {"add": elementwise.add, "sub": elementwise.subtract,
                            "mul": elementwise.multiply, "truediv": elementwise.divide,
                            "pow": elementwise.power}.items():
    setattr(Tensor, f"__{_symbol}__", _operator(_operation, getattr(operator, _symbol)))
    setattr(Tensor, f"__r{_symbol}__", _reflected(_operation))

for _symbol, _operation in {"floordiv": elementwise.floor_divide, "mod": elementwise.remainder,
                            "and": logic.bitwise_and, "or": logic.bitwise_or,
                            "xor": logic.bitwise_xor, "matmul": linear.matmul}.items():
    setattr(Tensor, f"__{_symbol}__", _operation)
    setattr(Tensor, f"__r{_symbol}__", _reflected(_operation))

for _symbol, _operation in {"neg": elementwise.negative, "abs": elementwise.absolute,
                            "invert": logic.invert, "getitem": indexing.index,
                            "eq": logic.equal, "ne": logic.not_equal,
                            "lt": logic.less, "le": logic.less_equal,
                            "gt": logic.greater, "ge": logic.greater_equal}.items():
    setattr(Tensor, f"__{_symbol}__", _operation)

for _file, _names in {
        elementwise: "absolute astype clip erf exp expm1 log log1p sign sqrt square",
        trigonometry: "arccos arccosh arcsin arcsinh arctan arctanh cos cosh sin sinh tan",
        activation: "relu sigmoid softplus tanh",
        reduction: "cumsum mean norm normalize prod std sum sum_to var",
        extremes: "all any argmax argmin max min",
        exponentials: "log_softmax logsumexp softmax",
        shape: "broadcast_to expand_dims flatten flip moveaxis repeat reshape roll split squeeze "
               "swapaxes tile transpose",
        indexing: "take take_along_axis",
        linear: "diagonal dot trace"}.items():
    for _name in _names.split():
        setattr(Tensor, _name, getattr(_file, _name))

Tensor.abs = elementwise.absolute
Tensor.ravel = shape.flatten
Tensor.T = property(shape.transpose, doc="The axes in reverse order.")
