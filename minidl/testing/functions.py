"""What is checked: a function of Tensors, words for it and its arguments, and its gradients."""
from collections.abc import Callable
from dataclasses import dataclass, replace
import functools
import inspect

import numpy as np

from minidl import backend
from minidl.recording import recording
from minidl.settings import numbers
from minidl.tensor import Node, Tensor, constant, grad
from minidl.testing.errors import GradientError
from minidl.testing.layout import laid_out_as


@dataclass(frozen=True)
class Function:
    """A function and the point at which it is checked.

    call(inputs, differentiable): gives the outputs at those inputs; it may leave out the record
        from which they could be differentiated, unless `differentiable`.
    inputs: the point, as constants.      arguments: what they are called.
    order: 1 for a user's function, n + 1 for the gradients of one of order n.
    where: in words, what is special about the point.
    """
    call: Callable
    inputs: list
    arguments: list
    name: str
    dtype: str
    seed: object
    order: int = 1
    where: str = ""

    @classmethod
    def of(cls, f, given, seed):
        """The user's function f of the inputs that were given."""
        named = f.func if isinstance(f, functools.partial) else f
        dtypes = {str(x.dtype) for x in given if hasattr(x, "dtype") and x.dtype.kind == "f"}
        dtypes = ", ".join(sorted(dtypes - {"float64"}))
        return cls(
            lambda inputs, differentiable: f(*inputs),
            [promoted(x, argument=f"inputs[{i}]") for i, x in enumerate(given)],
            _arguments(f, len(given)),
            getattr(named, "__name__", type(named).__name__),
            f"float64 (promoted from {dtypes})" if dtypes else "float64",
            seed)

    def outputs(self, inputs, differentiable=False):
        """The floating-point outputs at inputs that are leaves.

        They are computed while recording, even where only values are wanted: a function may ask
        for gradients inside.
        """
        with recording(True):
            return floating_outputs(self.call(inputs, differentiable))

    def values(self, inputs):
        """The floating-point outputs as NumPy arrays."""
        return [y.numpy() for y in self.outputs(leaves(inputs))]

    def gradient(self, cotangents):
        """The function (inputs, cotangents) → gradients of the floating-point inputs."""
        count = len(self.inputs)

        def call(inputs, differentiable):
            outputs = self.outputs(inputs[:count], differentiable=True)
            return gradients(outputs, inputs[:count], inputs[count:], differentiable)
        named = [f"cotangent of output {k}" for k in range(len(cotangents))]
        return replace(self, call=call, inputs=self.inputs + cotangents,
                       arguments=self.arguments + named, name=f"gradient of {self.name}",
                       order=self.order + 1)

    def error(self, words, kind=GradientError, **facts):
        shapes = [x.shape for x in self.inputs]
        message = (f"gradcheck of {self.name}{self.where}: {words}; shapes "
                   f"{', '.join(map(str, shapes))} in {self.dtype}; seed {self.seed}")
        return kind(message, function=self.name, order=self.order, shapes=shapes, seed=self.seed,
                    **facts)


def _arguments(f, count):
    """"argument 0 ('x')", …: what the first `count` arguments of f are called."""
    names = [f"argument {i}" for i in range(count)]
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):             # a built-in without a signature
        return names
    for i, parameter in enumerate(parameters[:count]):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names[i] += f" ({parameter.name!r})"
    return names


def gradients(outputs, inputs, cotangents, create_graph=False):
    """dL/dx of the floating-point inputs for L = Σₖ ⟨ȳₖ, yₖ⟩."""
    wanted = [x for x in inputs if is_floating(x)]
    per_output = [grad(y, wanted, gy, create_graph) for y, gy in zip(outputs, cotangents)]
    with recording(create_graph):
        return [sum(parts[1:], parts[0]) for parts in zip(*per_output)]


def largest(tensors):
    """The largest size of a finite entry of any of the Tensors."""
    sizes = [np.abs(t.numpy()) for t in tensors]
    return max((float(np.max(a, initial=0.0, where=np.isfinite(a))) for a in sizes), default=0.0)


def random_cotangents(outputs, rng):
    """A cotangent for each output, none of whose entries is near zero."""
    return [Tensor(away_from_zero(rng, y.shape), device=y.device) for y in outputs]


def away_from_zero(rng, shape):
    """Random numbers of either sign, of sizes between ½ and 3/2."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def leaves(tensors):
    """The same values, the floating-point ones as leaves that require gradients."""
    return [_leaf(x) if is_floating(x) else x for x in tensors]


def _leaf(x):
    """x as a leaf around the same array: strided as it is, complex if it is."""
    made = constant(x.data)
    made.node = Node(x.data, (), False)
    return made


def are_arrays(x):
    """Whether it is a tuple or list of arrays or Tensors, not of numbers."""
    return isinstance(x, (tuple, list)) and any(
        isinstance(each, Tensor) or getattr(each, "shape", ()) for each in x)


def promoted(x, operation="gradcheck", argument="x"):
    """A constant of its own: float64 if floating-point, on the Tensor's device or the default one,
    laid out as x is."""
    device = x.device if isinstance(x, Tensor) else backend.default_device().name
    x = x.data if isinstance(x, Tensor) else numbers(operation, argument, x, dtype=None)
    made = Tensor(x, dtype=np.float64 if x.dtype.kind == "f" else None, device=device)
    return made if x.flags.c_contiguous else constant(laid_out_as(made.data, x))


def is_floating(x):
    """Whether gradients go through it: real numbers, or the complex ones of a complex step."""
    return x.dtype.kind in "fc"


def floating_outputs(y):
    """The floating-point outputs of a function that gives a Tensor, or a tuple or list of them."""
    outputs = y if isinstance(y, (tuple, list)) else (y,)
    for t in outputs:
        if not isinstance(t, Tensor):
            raise TypeError("gradcheck: the function must give a Tensor or a tuple of them, got "
                            f"{type(t).__name__}")
    return [t for t in outputs if is_floating(t)]
