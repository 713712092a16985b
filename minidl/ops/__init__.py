"""The differentiable operations.  Each stands on one screen of its file: formula, shapes, derivation, code."""
from minidl.ops.activation import elu, gelu, leaky_relu, relu, sigmoid, softplus, tanh
from minidl.ops.elementwise import (absolute, add, astype, clip, cos, divide, equal, erf, exp, expm1, greater,
                                    greater_equal, less, less_equal, log, log1p, maximum, minimum, multiply, negative,
                                    not_equal, ones_like, power, sign, sin, sqrt, square, stop_gradient, subtract, where,
                                    zeros_like)
from minidl.ops.indexing import add_at, index, one_hot, scatter, set_at, take, take_along_axis
from minidl.ops.linear import diagonal, einsum, matmul, outer, trace
from minidl.ops.reduction import (argmax, argmin, cumsum, log_softmax, logsumexp, max, mean, min, norm, softmax, std, sum,
                                  sum_to, var)
from minidl.ops.shape import (broadcast_to, concatenate, expand_dims, flatten, flip, moveaxis, pad, repeat, reshape, roll,
                              split, squeeze, stack, swapaxes, tile, transpose)
import minidl.ops.methods  # noqa: F401  attaches operators and methods to Tensor
