"""Is the gradient right?  Compare it with what the values of the function say.

Let L = Σₖ ⟨ȳₖ, yₖ⟩ for the outputs yₖ of a function and random cotangents ȳₖ.  Reverse mode gives dL/dx for every
input at once.  Along any direction v,  ⟨dL/dx, v⟩ = d/dt L(x + t v) at t = 0,  and the right-hand side can be had from
values of the function alone, as `slopes.py` does.  A wrong sign, factor or term is an error of order 1, where rounding
and truncation are 10⁻¹⁰.  Everything is computed in float64.
"""
import functools
import inspect

import numpy as np

from minidl import backend
from minidl.recording import recording
from minidl.tensor import Node, Tensor, constant, grad
from minidl.testing.comparison import RTOL, Comparison, Settings, away_from_zero
from minidl.testing.errors import GradientError
from minidl.testing.layout import laid_out_as
from minidl.testing.slopes import Neighbourhood, floating_outputs, is_floating

_REPEATED = 1e5                 # roundings by which two calls with the same values may differ


def gradcheck(f, *inputs, order=1, mode="auto", method="central", rtol=None, atol=0.0, seed=0, allow_zero=False):
    """Check the gradients of a function against slopes that are measured from its values.

    f: a function of Tensors that gives one Tensor or a tuple of them (those that are not floating-point are ignored).
        It must be deterministic.
    inputs: arrays or Tensors.  Floating-point ones are promoted to float64 and differentiated; integer and boolean ones
        are passed as they are.  Arrays go to the device of `use_device`, Tensors stay on theirs.  What is transposed,
        strided or reversed in memory stays so (the slopes are measured on contiguous copies).
    order: 1, or 2, 3, … to check derivatives up to that order.  Order 2 is the check of the function
        (inputs, cotangents) → gradients, and so on.
    mode: "full" compares every entry of every input, "directional" one random direction per input, "auto" the first for
        inputs of up to 64 entries and the second for larger ones.  The direction has no component near zero, so entries
        of one input should be of comparable size; if it shows an error, the entry is found by halving.
    method: "central" differences with Richardson's extrapolation; or "complex": Im f(x + i h v) / h, exact to rounding,
        for analytic functions.  What takes |x| inside or drops imaginary parts (absolute, sigmoid, softplus) has no such
        derivative, and what insists on real arrays (the losses) refuses.  A central difference, taken as well, unmasks
        the former, and NotAnalyticError is raised.  What chooses by comparing (relu, maximum, max_pool) works, away from
        kinks: NumPy compares real parts first.
    rtol, atol: |gradient − slope| ≤ atol + rtol · the larger of the two (+ the rounding error of the slope).  By default
        rtol is 10⁻⁶ for differences, 10⁻¹⁰ for complex steps.  Where differences show noise alone, of parts that cancel, a
        gradient below 10⁻⁹ of the largest one counts as right.
    seed: of the random cotangents and directions, none of whose components is near zero.
    allow_zero: a gradient that is zero everywhere, or lost in rounding, is no evidence, so it fails unless it is
        expected.  (At order 2 it is always: linear functions have no second derivative.)

    It is also checked that the outputs are finite, that inputs and cotangents are left unchanged, that everything comes
    out the same a second time, and that gradients share no memory with anything.

    Returns the largest relative error found.  Raises GradientError, which names the function, the argument, the entry,
    both values, the shapes and the seed, also as attributes; NotDifferentiableError, a GradientError, where the slopes on
    the two sides differ however small the step; NotAnalyticError, see `method`; ValueError if there is nothing that
    could be checked.

    >>> from minidl import ops
    >>> error = gradcheck(ops.multiply, [[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0], order=2)
    >>> error < 1e-6
    True
    >>> gradcheck(ops.tanh, [0.5, 1.0], method="complex") < 1e-14
    True
    >>> gradcheck(ops.absolute, [0.0, 1.0])            # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    minidl.testing.errors.NotDifferentiableError: gradcheck of absolute: it is not differentiable in argument 0 ('x') \
at (0,): the slopes on the two sides are ..., the gradient is 0; shapes (2,) in float64; seed 0
    """
    if order < 1 or mode not in ("auto", "full", "directional") or method not in RTOL:
        raise ValueError(f"gradcheck: order {order} must be 1 or more, mode {mode!r} one of auto, full, directional, "
                         f"method {method!r} one of central, complex")
    settings = Settings(mode, method, RTOL[method] if rtol is None else rtol, atol)
    constants = [promoted(x) for x in inputs]
    if not any(map(is_floating, constants)):
        raise ValueError("gradcheck: there is no floating-point input to differentiate with respect to")
    for i, x in enumerate(constants):
        if not np.isfinite(x.numpy()).all():
            raise ValueError(f"gradcheck: argument {i} is not finite, so it cannot be moved to measure a slope")
    function, rng, worst, scale = _Function(f, inputs, constants, seed), np.random.default_rng(seed), 0.0, 0.0
    for _ in range(order):
        cotangents, error, scale = _check(function, constants, allow_zero, settings, rng, scale)
        worst = max(worst, error)
        function, constants, allow_zero = function.gradient(cotangents), constants + cotangents, True
    return worst


class _Function:
    """What is checked at one order: the callable, and words for it and its arguments."""

    def __init__(self, f, given, inputs, seed):
        self.call, self.inputs, self.seed, self.order = f, inputs, seed, 1
        named = f.func if isinstance(f, functools.partial) else f
        self.name = getattr(named, "__name__", type(named).__name__)
        self.arguments = [f"argument {i}" for i in range(len(inputs))]
        try:
            parameters = list(inspect.signature(f).parameters.values())
        except (TypeError, ValueError):             # a built-in without a signature
            parameters = []
        for i, parameter in enumerate(parameters[:len(inputs)]):
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                self.arguments[i] += f" ({parameter.name!r})"
        dtypes = {str(x.dtype) for x in given if hasattr(x, "dtype") and x.dtype.kind == "f"} - {"float64"}
        self.dtype = "float64" + f" (promoted from {', '.join(sorted(dtypes))})" * bool(dtypes)

    def gradient(self, cotangents):
        """The function (inputs, cotangents) → gradients of the floating-point inputs."""
        made = object.__new__(_Function)
        made.call = functools.partial(_gradient_of, self.call, len(self.inputs))
        made.inputs, made.seed, made.order, made.dtype = self.inputs + cotangents, self.seed, self.order + 1, self.dtype
        made.name = f"gradient of {self.name}"
        made.arguments = self.arguments + [f"cotangent of output {k}" for k in range(len(cotangents))]
        return made

    def error(self, words, kind=GradientError, **facts):
        shapes = [x.shape for x in self.inputs]
        return kind(f"gradcheck of {self.name}: {words}; shapes {', '.join(map(str, shapes))} in {self.dtype}; "
                    f"seed {self.seed}", function=self.name, order=self.order, shapes=shapes, seed=self.seed, **facts)


def _gradient_of(f, count, *arguments):
    """dL/dx of f's floating-point inputs, recorded if an argument requires a gradient."""
    recorded = any(x.requires_grad for x in arguments)
    with recording(True):
        inputs = [x if x.requires_grad or not is_floating(x) else _leaf(x) for x in arguments[:count]]
        return tuple(_gradients(floating_outputs(f(*inputs)), inputs, arguments[count:], recorded))


def _gradients(outputs, inputs, cotangents, create_graph):
    """dL/dx of the floating-point inputs for L = Σₖ ⟨ȳₖ, yₖ⟩."""
    wanted = [x for x in inputs if is_floating(x)]
    per_output = [grad(y, wanted, gy, create_graph) for y, gy in zip(outputs, cotangents)]
    with recording(create_graph):
        return [sum(parts[1:], parts[0]) for parts in zip(*per_output)]


def _check(function, constants, allow_zero, settings, rng, scale):
    """(the cotangents drawn, the largest relative error, the largest gradient so far) of one order."""
    inputs = [_leaf(x) if is_floating(x) else x for x in constants]
    values = [x.numpy() for x in inputs]
    with recording(True):
        outputs = floating_outputs(function.call(*inputs))
    if not outputs:
        raise function.error("it has no floating-point output")
    for k, y in enumerate(outputs):
        if not np.isfinite(y.numpy()).all():
            raise function.error(f"output {k} is not finite")
    cotangents = [Tensor(away_from_zero(rng, y.shape), device=y.device) for y in outputs]
    named = [*zip(function.arguments, inputs), *((f"cotangent {k}", gy) for k, gy in enumerate(cotangents))]
    values += [gy.numpy() for gy in cotangents]
    gradients = _gradients(outputs, inputs, cotangents, create_graph=False)
    again = _gradients(outputs, inputs, cotangents, create_graph=False)
    for (name, t), before in zip(named, values):
        if not np.array_equal(t.numpy(), before, equal_nan=True):
            raise function.error(f"{name} was changed in place", argument=name)
    named += [(f"output {k}", y) for k, y in enumerate(outputs)]

    scale = max(scale, *(float(np.max(np.abs(g.numpy()), initial=0.0)) for g in gradients))
    worst, found = 0.0, zip(gradients, again)
    for i, (argument, x) in enumerate(zip(function.arguments, inputs)):
        if is_floating(x):
            gradient, repeated = next(found)
            _check_rules(function, argument, x, gradient, repeated, named)
            near = Neighbourhood(function, inputs, i, cotangents)
            _check_repeatable(function, outputs, near.start)
            comparison = Comparison(function, argument, gradient.numpy(), near, settings, scale)
            worst = max(worst, comparison.worst(rng, allow_zero))
    return cotangents, worst, scale


def _check_rules(function, argument, x, gradient, repeated, named):
    """The shape of a gradient, its memory, and that it is the same again."""
    if gradient.shape != x.shape:
        raise function.error(f"gradient of {argument} has shape {gradient.shape}, not {x.shape}", argument=argument)
    library = backend.of(gradient.data)
    for other, t in named:
        if backend.of(t.data) is library and library.may_share_memory(gradient.data, t.data):
            raise function.error(f"gradient of {argument} shares memory with {other}", argument=argument)
    named.append((f"the gradient of {argument}", gradient))
    if not _same(gradient.numpy(), repeated.numpy()):
        raise function.error(f"gradient of {argument} is another when asked for again: a rule changes what it keeps",
                             argument=argument)


def _check_repeatable(function, outputs, again):
    for k, (y, other) in enumerate(zip(outputs, again)):
        if not _same(y.numpy(), other):
            raise function.error(f"output {k} is another when computed again from the same values: the function is random, "
                                 "has a memory, or depends on how its inputs are laid out in memory")


def _same(a, b):
    """Equal but for rounding."""
    close = _REPEATED * np.finfo(a.dtype).eps
    size = np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    return a.shape == b.shape and np.allclose(a, b, close, close * size, equal_nan=True)


def _leaf(x):
    """x as a leaf that requires a gradient, around the same array: strided as it is, complex if it is."""
    made = constant(x.data)
    made.node = Node(x.data, (), False)
    return made


def promoted(x):
    """A constant of its own: float64 if floating-point, on the Tensor's device or the default one, laid out as x is."""
    device = x.device if isinstance(x, Tensor) else backend.default_device().name
    x = x.data if isinstance(x, Tensor) else np.asarray(x)
    made = Tensor(x, dtype=np.float64 if x.dtype.kind == "f" else None, device=device)
    return made if x.flags.c_contiguous else constant(laid_out_as(made.data, x))
