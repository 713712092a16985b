"""Tools to property-test gradients, minidl's own and anyone's.

Property-test your own operation in ten lines: write it, say from where its input is drawn, and let
Hypothesis look for one at which its gradient, or its gradient's gradient, is not what the values of
the function say.

>>> from hypothesis import given
>>> from minidl import ops
>>> from minidl.tensor import record
>>> from minidl.operands import operand
>>> from minidl.testing import gradcheck, strategies
>>> def softsign(x):                                # y = x / (1 + |x|),  dy = dx / (1 + |x|)²
...     x = operand("softsign", x)
...     return record(x.data / (1 + abs(x.data)), (x, lambda gy: gy / ops.square(1 + abs(x))))
>>> @given(strategies.away_from([0]))               # its second derivative jumps at 0
... def test_softsign(x):
...     gradcheck(softsign, x, order=2)
>>> test_softsign()

    gradcheck           the gradients of a function, to any order, against differences
    adjointcheck        linear maps and their transposes, to rounding
    draw                the graph of a Tensor and its sweep, as a picture
    jacobian, hessian, hessian_vector_product           whole derivatives, for study
    strategies          what to draw: arrays, keys, axes, geometry of convolution, legal and not
    GradientError       what the checks raise, with all numbers as attributes
    NotAnalyticError, NotDifferentiableError            where no gradient can be checked
"""
from importlib import import_module

from minidl.testing.adjoint import adjointcheck
from minidl.testing.derivatives import hessian, hessian_vector_product, jacobian
from minidl.testing.drawing import draw
from minidl.testing.errors import GradientError, NotAnalyticError, NotDifferentiableError
from minidl.testing.gradcheck import gradcheck

__all__ = ["GradientError", "NotAnalyticError", "NotDifferentiableError", "adjointcheck",
           "draw", "gradcheck", "hessian", "hessian_vector_product", "jacobian"]


def __getattr__(name):
    if name == "strategies":            # imported when first used: it needs Hypothesis, an extra
        return import_module("minidl.testing.strategies")
    raise AttributeError(f"module 'minidl.testing' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), "strategies"})
