"""Is the gradient right?  Compare it with what the values of the function say.

Let L = Σₖ ⟨ȳₖ, yₖ⟩ for the outputs yₖ of a function and random cotangents ȳₖ.  Reverse mode gives
dL/dx for every input at once.  Along any direction v,  ⟨dL/dx, v⟩ = d/dt L(x + t v) at t = 0,  and
the right-hand side can be had from values of the function alone, as `slopes.py` does.  A wrong
sign, factor or term is an error of order 1, where rounding and truncation are 10⁻¹⁰.  Everything is
computed in float64.
"""
from dataclasses import replace
from functools import partial

import numpy as np

from minidl import backend, operands
from minidl.settings import bounded, check_seed, one_of, whole
from minidl.tensor import Tensor
from minidl.testing.comparison import RTOL, Comparison, Settings
from minidl.testing.errors import NotDifferentiableError
from minidl.testing.functions import (
    Function,
    are_arrays,
    gradients,
    is_floating,
    largest,
    leaves,
    random_cotangents,
)
from minidl.testing.variants import broadcasting, check_layouts, same


def gradcheck(f, *inputs, order=1, mode="auto", method="central", rtol=None, atol=0.0, seed=0,
              allow_zero=False):
    """Check the gradients of a function against slopes that are measured from its values.

    f: a function of Tensors that gives one Tensor or a tuple of them (those that are not
        floating-point are ignored).  It must be deterministic.  It may differentiate inside, as a
        gradient penalty does with `md.grad(..., create_graph=True)`.
    inputs: arrays or Tensors.  Floating-point ones are promoted to float64 and differentiated;
        integer and boolean ones are passed as they are.  Arrays go to the device of `use_device`,
        Tensors stay on theirs.  What is transposed, strided or reversed in memory stays so (the
        slopes are measured on contiguous copies).
    order: 1, or 2, 3, … to check derivatives up to that order.  Order 2 is the check of the
        function (inputs, cotangents) → gradients, and so on.
    mode: "full" compares every entry of every input, "directional" one random direction per input,
        "auto" the first for inputs of up to 64 entries and the second for larger ones.  The
        direction has no component near zero, so entries of one input should be of comparable size
        (those with a gradient 10⁴ times smaller than others' get a direction of their own); if it
        shows an error, the entry is found by halving.
    method: "central" differences with Richardson's extrapolation; or "complex": Im f(x + i h v) /
        h, exact to rounding, for analytic functions.  What takes |x| inside or drops imaginary
        parts (absolute, sigmoid, softplus) has no such derivative, and what insists on real arrays
        (the losses) refuses.  A central difference, taken as well, unmasks the former, and
        NotAnalyticError is raised.  What chooses by comparing (relu, maximum, max_pool) works, away
        from kinks: NumPy compares real parts first.
    rtol, atol: |gradient − slope| ≤ atol + rtol · the larger of the two (+ the rounding error of
        the slope).  By default rtol is 10⁻⁶ for differences, 10⁻¹⁰ for complex steps.  Where terms
        cancel, and differences show only their rounding, a gradient below 10⁻⁹ of the largest one
        counts as right.
    seed: of the random cotangents and directions, none of whose components is near zero.
    allow_zero: a gradient that is zero everywhere, or lost in rounding, is no evidence, so it fails
        unless it is expected.  (At order 2 it always is: a linear function has no second
        derivative.)

    Besides the gradient of all outputs together, these are checked:
    - Outputs that move 10⁴ times less than others, or more, are looked at alone, to three digits.
      (Not seen are parts of one output, small beside others in it: below 10⁻⁹ or so of the output
      they are lost in its rounding.  At order 2 the gradients are the outputs.)
    - The outputs are finite, and everything comes out the same a second time.
    - Inputs and cotangents are left unchanged, and gradients share no memory with anything.
    - Outputs and gradients are the same where inputs and cotangents lie in memory in another way.
    - f(a, b) is tried with inputs that lack their first axis, or have a last one of length 1.  If
      it broadcasts them, its gradients are those of f(a, broadcast_to(b, shape)), or are compared
      with slopes in turn.  (What a function of one input broadcasts against is not known here: make
      it an input too.)

    Returns the largest relative error found.  Raises GradientError, which names the function, the
    argument, the entry, both values, the shapes and the seed, also as attributes;
    NotDifferentiableError, a GradientError, where the slopes on the two sides differ however small
    the step; NotAnalyticError, see `method`; ValueError if no input is floating-point, or one is
    not finite.
    What f or one of its rules raises passes through; where a rule gives a cotangent of a wrong kind
    or shape, TypeError or ValueError says of which argument.

    >>> from minidl import ops
    >>> error = gradcheck(ops.multiply, [[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0], order=2)
    >>> error < 1e-6
    True
    >>> gradcheck(ops.tanh, [0.5, 1.0], method="complex") < 1e-14
    True
    >>> gradcheck(ops.absolute, [0.0, 1.0])            # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    minidl.testing.errors.NotDifferentiableError: gradcheck of absolute: it is not differentiable \
in argument 0 ('x') at (0,): the slopes on the two sides are ..., the gradient is 0; shapes (2,) \
in float64; seed 0
    """
    operands.function("gradcheck", "f", f, "of Tensors")
    if len(inputs) == 1 and are_arrays(inputs[0]):
        raise TypeError("gradcheck: inputs are given one by one, gradcheck(f, a, b), got a "
                        f"{type(inputs[0]).__name__} of arrays")
    order = whole("gradcheck", "1 ≤ order ≤ 9", order)
    one_of("gradcheck", "mode", mode, ("auto", "full", "directional"))
    one_of("gradcheck", "method", method, RTOL)
    rtol = RTOL[method] if rtol is None else bounded("gradcheck", "0 ≤ rtol < inf", rtol)
    settings = Settings(mode, method, rtol, bounded("gradcheck", "0 ≤ atol < inf", atol))
    seed = check_seed("gradcheck", seed)
    function, rng = Function.of(f, inputs, seed), np.random.default_rng(seed)
    if not any(map(is_floating, function.inputs)):
        raise ValueError("gradcheck: there is no floating-point input to differentiate with "
                         "respect to")
    for i, x in enumerate(function.inputs):
        if not np.isfinite(x.numpy()).all():
            raise ValueError(f"gradcheck: argument {i} is not finite, so it cannot be moved to "
                             "measure a slope")
    worst, scale = _check_to_order(function, order, settings, rng, allow_zero, 0.0)
    for short in broadcasting(function, rng, order, scale):
        try:
            _check_to_order(short, order, settings, rng, True, scale)
        except NotDifferentiableError:              # at a point that nobody asked for
            pass
    return worst


def _check_to_order(function, order, settings, rng, allow_zero, scale):
    """(the largest relative error, the largest gradient) of the derivatives up to that order.

    scale: the largest gradient so far, beside which noise is told from a gradient.
    """
    worst = 0.0
    for n in range(order):
        cotangents, error, scale = _check(function, allow_zero or n > 0, settings, rng, scale)
        worst, function = max(worst, error), function.gradient(cotangents)
    return worst, scale


def _check(function, allow_zero, settings, rng, scale):
    """(the cotangents drawn, the largest relative error, the largest gradient) of one order."""
    inputs = leaves(function.inputs)
    values = [x.numpy() for x in inputs]
    outputs = _outputs(function, inputs, allow_zero)
    cotangents = random_cotangents(outputs, rng)
    values += [gy.numpy() for gy in cotangents]
    found = _first_gradients(function, outputs, inputs, cotangents)
    again = gradients(outputs, inputs, cotangents)
    named = [*zip(function.arguments, inputs),
             *((f"cotangent {k}", gy) for k, gy in enumerate(cotangents))]
    for (name, t), before in zip(named, values):
        if not np.array_equal(t.numpy(), before, equal_nan=True):
            raise function.error(f"{name} was changed in place", argument=name)
    named += [(f"output {k}", y) for k, y in enumerate(outputs)]
    floating = [i for i, x in enumerate(inputs) if is_floating(x)]
    for i, gradient, repeated in zip(floating, found, again):
        _check_rules(function, function.arguments[i], inputs[i], gradient, repeated, named)

    rows = replace(function, inputs=[Tensor(x) for x in function.inputs])       # contiguous copies
    start = rows.values(rows.inputs)
    for k, (y, other) in enumerate(zip(outputs, start)):
        if not same(y.numpy(), other):
            raise function.error(
                f"output {k} differs when computed again from the same values: the function is "
                "random, has a memory, or depends on how its inputs are laid out in memory")
    worst, parts, scale = 0.0, scale, max(scale, largest(found))
    on_host = [gy.numpy() for gy in cotangents]
    for i, gradient in zip(floating, found):
        pull = partial(_pulled_back, outputs, inputs[i])
        comparison = Comparison(rows, i, start, pull, settings, scale, parts)
        error = comparison.worst(on_host, gradient.numpy(), rng, allow_zero)
        worst = max(worst, error)
    check_layouts(function, outputs, cotangents, found, scale)
    return cotangents, worst, scale


def _outputs(function, inputs, allow_zero):
    """The outputs, differentiable; raises GradientError where they cannot be measured."""
    outputs = function.outputs(inputs, differentiable=True)
    if not outputs:
        raise function.error("it has no floating-point output")
    for k, y in enumerate(outputs):
        if not np.isfinite(y.numpy()).all():
            raise function.error(f"output {k} is not finite")
        if y.dtype.itemsize < 8 and not allow_zero:
            raise function.error(
                f"output {k} is {y.dtype} though the inputs are float64: precision is lost inside, "
                "where something is cast (astype, dtype=, an array of that type that is filled). "
                "The gradient is lost in the rounding of the outputs; pass allow_zero=True if it "
                "may be")
    return outputs


def _first_gradients(function, outputs, inputs, cotangents):
    """The gradients; what is wrong in kind or shape is said of the argument whose rule it is."""
    try:
        return gradients(outputs, inputs, cotangents)
    except (TypeError, ValueError):
        for argument, x in zip(function.arguments, inputs):
            try:
                gradients(outputs, [x] if is_floating(x) else [], cotangents)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"gradcheck of {function.name}{function.where}: no gradient of "
                           f"{argument}: {error}") from error
        raise


def _pulled_back(outputs, x, cotangents):
    """The gradient of one input, as a NumPy array, for cotangents that are NumPy arrays."""
    on_device = [Tensor(gy, device=y.device) for y, gy in zip(outputs, cotangents)]
    return gradients(outputs, [x], on_device)[0].numpy()


def _check_rules(function, argument, x, gradient, repeated, named):
    """The shape of a gradient, its memory, and that it is the same again."""
    if gradient.shape != x.shape:
        raise function.error(f"gradient of {argument} has shape {gradient.shape}, not {x.shape}",
                             argument=argument)
    library = backend.of(gradient.data)
    for other, t in named:
        if backend.of(t.data) is library and library.may_share_memory(gradient.data, t.data):
            raise function.error(f"gradient of {argument} shares memory with {other}",
                                 argument=argument)
    named.append((f"the gradient of {argument}", gradient))
    if not same(gradient.numpy(), repeated.numpy()):
        raise function.error(f"gradient of {argument} differs when it is computed again: a "
                             "rule changes what it keeps", argument=argument)
