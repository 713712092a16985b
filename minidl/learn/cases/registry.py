"""What a case is, and the three lists of them."""
from collections.abc import Callable
from dataclasses import dataclass
import inspect

import numpy as np

from minidl import ops

cases = []          # differentiable at their inputs
# results through which no gradient flows: booleans, integers, what is constant by definition
constants = []
refused = []        # inputs of zero size that raise ValueError, because there is no answer


@dataclass(frozen=True)
class Case:
    """name: of the operation, layer or loss.   call: a function of the Tensors that `inputs` draws.

    value: the same function of NumPy arrays, by NumPy itself or written out; None where other tests
        compare values.
    linear: "each" where it is linear in every input while the others are fixed, "joint" where in
        all together.
    adjoint: of a linear operation with one input, as an operation.   order: up to which derivatives
        are checked.
    float32: how far float32 may be from float64, relative to the largest entry.
    flat: a gradient that is zero everywhere is expected, and so is no failure.
    """
    name: str
    call: Callable
    inputs: tuple
    words: str = ""
    value: Callable = None
    linear: str = ""
    adjoint: Callable = None
    order: int = 2
    float32: float = 2e-5
    flat: bool = False

    def draw(self, seed, dtype="float64"):
        rng = np.random.default_rng(seed)
        drawn = [make(rng) for make in self.inputs]
        return [x.astype(dtype) if x.dtype.kind == "f" else x for x in drawn]

    def __str__(self):
        return self.name + (f"-{self.words}" if self.words else "")


def case(name, *inputs, args=(), options=None, call=None, value=None, words="", into=cases,
         **known):
    """Add a case: the operation of that name called on the inputs, then `args` and `options`,
    unless `call` is given.

    Where NumPy has a function of the same name, it gives the value, called alike.
    """
    options = options or {}
    if call is None:
        call = lambda *tensors: getattr(ops, name)(*tensors, *args, **options)
        call.__signature__ = inspect.signature(getattr(ops, name))      # gradcheck names arguments
        if value is None and hasattr(np, name):
            value = lambda *arrays: getattr(np, name)(*arrays, *args, **options)
    call.__name__ = name                            # what gradcheck says in its errors
    words = words or ",".join([*map(str, args),
                               *(f"{k}={v}" for k, v in options.items())]).replace(" ", "")
    into.append(Case(name, call, inputs, words, value, **known))


def constant(name, *inputs, **facts):
    case(name, *inputs, into=constants, **facts)


def refuse(name, *inputs, **facts):
    case(name, *inputs, into=refused, **facts)
