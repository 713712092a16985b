"""Functions, right and wrong, and inputs, on which the tester is tried."""
import numpy as np

from minidl.operands import operands
from minidl.tensor import record

x34, y34, x4 = (np.random.default_rng(i).normal(size=shape)
                for i, shape in enumerate([(3, 4), (3, 4), (4,)]))


def multiply(a, b, factor=2.0):
    """a ⊙ b, whose second rule is too large by the factor."""
    a, b = operands("multiply", a, b)
    return record(a.data * b.data, (a, lambda gy: gy * b), (b, lambda gy: factor * gy * a))


def unary(value, rule):
    return lambda x: record(value(x.data), (x, lambda gy: rule(gy, x)))
