"""Elementwise operations: derivatives up to the third order."""
import math

import numpy as np
from scipy import special

from minidl import ops
from minidl.learn.cases.registry import case, constant
from minidl.learn.domains import away, between, distinct, integers, mask, normal, positive

for _name in ("add", "subtract"):
    case(_name, normal(2, 3), normal(2, 3), linear="joint", order=3)
    case(_name, normal(3, 1), normal(2, 1, 2), words="broadcast", linear="joint", order=3)
case("multiply", normal(2, 3), normal(2, 3), linear="each", order=3)
case("multiply", normal(3, 1), normal(2, 1, 2), words="broadcast", linear="each", order=3)
case("multiply", normal(3), args=(3.0,), linear="each", order=3)
case("multiply", normal(3), call=lambda x: ops.multiply(x, x), value=np.square, words="itself",
     order=3)
case("divide", normal(2, 3), positive(2, 3), order=3)
case("divide", normal(3, 1), positive(2), words="broadcast", order=3)
case("divide", positive(3), call=lambda x: ops.divide(2.0, x), value=lambda x: 2 / x,
     words="number", order=3)
case("negative", normal(2, 3), linear="each", adjoint=lambda u: -u, order=3)
case("power", positive(2, 3), normal(2, 3), order=3)
case("power", positive(3, 1), normal(2, 1, 2), words="broadcast", order=3)
for _exponent in (0.5, 1, 2, 3.0, -1):
    case("power", positive(3), args=(_exponent,), order=3)
case("power", normal(3), call=lambda x: ops.power(2.0, x), value=lambda x: 2 ** x, words="of-2",
     order=3)
case("power", away(3), args=(3,), words="of-negative", order=3)

for _name, _function in {"exp": np.exp, "expm1": np.expm1, "sin": np.sin, "cos": np.cos,
                         "arctan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
                         "arcsinh": np.arcsinh, "erf": special.erf, "square": np.square,
                         "sigmoid": special.expit, "tanh": np.tanh,
                         "softplus": lambda x: np.log(1 + np.exp(x)),
                         "gelu": lambda x: x * (1 + special.erf(x / math.sqrt(2))) / 2}.items():
    case(_name, normal(2, 3), value=_function, order=3)
for _name in ("log", "log1p", "sqrt"):
    case(_name, positive(2, 3), order=3)
for _name in ("tan", "arcsin", "arccos", "arctanh"):
    case(_name, between(-0.8, 0.8, 2, 3), order=3)
case("arccosh", between(1.5, 3.0, 2, 3), order=3)
case("remainder", between(2.1, 2.9, 2, 3), between(0.91, 0.99, 2, 3), order=3)
case("remainder", between(-2.9, -2.1, 2, 3), args=(1.0,), order=3)
constant("floor_divide", away(2, 3), positive(2, 3))
constant("floor_divide", integers(9, 2, 3), args=(2,))
case("absolute", away(2, 3), order=3)
case("relu", away(2, 3), value=lambda x: np.maximum(x, 0), order=3)
for _slope in (0.01, 0.2):
    case("leaky_relu", away(2, 3), args=(_slope,),
         value=lambda x, _s=_slope: np.where(x > 0, x, _s * x), order=3)
for _alpha in (1.0, 0.5):
    case("elu", away(2, 3), args=(_alpha,),
         value=lambda x, _a=_alpha: np.where(x > 0, x, _a * np.expm1(x)), order=3)

for _name in ("maximum", "minimum"):
    _value = getattr(np, _name)

    def _call(*operands, _name=_name):
        return getattr(ops, _name)(*operands)

    case(_name, distinct(2, 3), call=lambda x, _f=_call: _f(x, x[::-1, ::-1] + 0.025),
         words="of-one", order=3,
         value=lambda x, _f=_value: _f(x, x[::-1, ::-1] + 0.025))
    case(_name, away(8), args=(0.0,), order=3)
    case(_name, away(6, 1, gap=0.3), normal(1, 2), words="broadcast", order=3,
         call=lambda x, y, _f=_call: _f(x, 0.05 * ops.tanh(y)),
         value=lambda x, y, _f=_value: _f(x, 0.05 * np.tanh(y)))
case("clip", away(3, 4, points=(-0.5, 0.5)), args=(-0.5, 0.5), order=3)
case("clip", away(3, 4, points=(-0.5,)), args=(-0.5,), value=lambda x: np.maximum(x, -0.5), order=3)
case("clip", away(3, 4, points=(0.5,)), args=(None, 0.5), order=3)
case("where", mask(2, 3), normal(2, 3), normal(2, 3), linear="joint", order=3)
case("where", mask(3, 1), normal(2, 1, 2), normal(2), words="broadcast", linear="joint", order=3)
case("where", mask(3), normal(3), args=(0.0,), linear="each", order=3)
case("astype", normal(2, 3), call=lambda x: ops.astype(x, x.dtype), value=lambda x: x,
     linear="each",
     adjoint=lambda u: u, order=3)

for _name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    constant(_name, normal(2, 3), normal(2, 3))
    constant(_name, normal(3, 1), args=(0.0,))
    constant(_name, distinct(2, 3), call=lambda x, _f=getattr(ops, _name): _f(x, x),
             value=lambda x, _f=getattr(np, _name): _f(x, x), words="itself")
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    constant(_name, mask(2, 3), mask(2, 3))
    constant(_name, integers(9, 2, 3), args=(5,), words="integers")
constant("invert", mask(2, 3))
constant("invert", integers(9, 2, 3), words="integers")
for _name, *_args in [("zeros", (2, 3)), ("ones", 2), ("full", (2, 3), 0.5), ("full", (), 7),
                      ("arange", 5), ("arange", 1, 2, 0.25), ("arange", 5, 0, -2),
                      ("linspace", 0, 1, 5), ("linspace", 2, 1, 4, False), ("eye", 3),
                      ("eye", 2, 4, 1), ("eye", 3, 2, -1)]:
    constant(_name, args=tuple(_args))
constant("sign", away(2, 3))
constant("zeros_like", normal(2, 3))
constant("ones_like", normal(2, 3))
constant("stop_gradient", normal(2, 3), value=lambda x: x)
