"""Is the gradient right?  Compare it with what finite differences say.

Let L = Σₖ ⟨ȳₖ, yₖ⟩ for the outputs yₖ of a function and random cotangents ȳₖ.  Reverse mode gives dL/dx for every
input at once.  Along any direction v,  ⟨dL/dx, v⟩ = d/dt L(x + t v) at t = 0,  and the right-hand side can be had from
values of the function alone:

    D(h) = (L(x + h v) − L(x − h v)) / 2h = L' + h² L'''/6 + …          central differences
    (4 D(h/2) − D(h)) / 3 = L' + O(h⁴)                                  Richardson's extrapolation

Everything is computed in float64: with h = 10⁻³ of the input's size, truncation and rounding both stay below 10⁻¹⁰ or
so of the slope, while a wrong sign, factor or term is an error of order 1.
"""
import inspect
import math

import numpy as np

from minidl import backend, ops
from minidl.tensor import Tensor, grad, no_grad, recording

_FULL = 64                      # mode "auto": inputs up to this size are checked entry by entry
_STEP = 1e-3
_ROUNDING = 1e3 * np.finfo(np.float64).eps


class GradientError(AssertionError):
    """A gradient that is not the derivative of its function, or that breaks a rule of the engine."""


def gradcheck(f, *inputs, order=1, mode="auto", rtol=1e-6, atol=0.0, seed=0, allow_zero=False):
    """Check the gradients of a function against central differences.

    f: a function of Tensors that gives one Tensor or a tuple of them (those that are not floating-point are ignored).
        It must be deterministic, and differentiable at the inputs.
    inputs: arrays or Tensors.  Floating-point ones are promoted to float64 and differentiated; integer and boolean ones
        are passed as they are.  Arrays go to the device of `use_device`, Tensors stay on theirs.
    order: 1, or 2, 3, … to check derivatives up to that order.  Order 2 is the check of the function
        (inputs, cotangents) → gradients, and so on.
    mode: "full" compares every entry of every input, "directional" one random direction per input, "auto" the first for
        inputs of up to 64 entries and the second for larger ones.
    rtol, atol: |gradient − difference| ≤ atol + rtol · the larger of the two (+ the rounding error of the difference).
    seed: of the random cotangents and directions, none of whose components is near zero.
    allow_zero: a gradient that is zero everywhere is no evidence, so it fails unless it is expected.

    It is also checked that inputs and cotangents are left unchanged, and that gradients share no memory with anything.
    Returns the largest relative error found.  Raises GradientError, which names the function, the input and the entry.

    >>> from minidl import ops
    >>> error = gradcheck(ops.multiply, [[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0], order=2)
    >>> error < 1e-6
    True
    """
    if order < 1 or mode not in ("auto", "full", "directional"):
        raise ValueError(f"gradcheck: order {order} must be 1 or more, mode {mode!r} one of auto, full, directional")
    settings = dict(mode=mode, rtol=rtol, atol=atol, seed=seed)
    promoted = [_promoted(x) for x in inputs]
    if not any(map(_is_floating, promoted)):
        raise ValueError("gradcheck: there is no floating-point input to differentiate with respect to")
    return _check(_Function(f, inputs), promoted, order, allow_zero, settings)


class _Function:
    """What is checked: the callable, and words for it and its arguments."""

    def __init__(self, f, inputs):
        self.call = f
        self.name = getattr(f, "__name__", type(f).__name__)
        self.arguments = [f"argument {i}" for i in range(len(inputs))]
        try:
            parameters = list(inspect.signature(f).parameters.values())
        except (TypeError, ValueError):             # a built-in without a signature
            parameters = []
        for i, parameter in enumerate(parameters[:len(inputs)]):
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                self.arguments[i] += f" ({parameter.name!r})"

    def gradient(self, inputs, cotangents):
        """The function (inputs, cotangents) → gradients of the floating-point inputs."""
        def gradients(*arguments):
            recorded = any(x.requires_grad for x in arguments)
            with recording(True):
                xs = [x if x.requires_grad or not _is_floating(x) else Tensor(x, requires_grad=True)
                      for x in arguments[:len(inputs)]]
                return _gradients(_outputs(self.call(*xs)), xs, arguments[len(inputs):], recorded)

        made = _Function(gradients, ())
        made.name = f"gradient of {self.name}"
        made.arguments = self.arguments + [f"cotangent of output {k}" for k in range(len(cotangents))]
        return made


def _check(function, inputs, order, allow_zero, settings):
    rng = np.random.default_rng(settings["seed"])
    inputs = [Tensor(x, requires_grad=_is_floating(x)) for x in inputs]
    outputs = _outputs(function.call(*inputs))
    if not outputs:
        raise GradientError(f"gradcheck of {function.name}: it has no floating-point output")
    cotangents = [Tensor(_away_from_zero(rng, y.shape), device=y.device) for y in outputs]
    named = [*zip(function.arguments, inputs), *((f"cotangent {k}", gy) for k, gy in enumerate(cotangents))]
    before = [t.numpy() for _, t in named]
    gradients = iter(_gradients(outputs, inputs, cotangents, create_graph=False))

    where = f"gradcheck of {function.name}"
    shapes = f"shapes {', '.join(str(x.shape) for x in inputs)}; seed {settings['seed']}"
    for (name, t), values in zip(named, before):
        if not np.array_equal(t.numpy(), values, equal_nan=True):
            raise GradientError(f"{where}: {name} was changed in place; {shapes}")
    lines = {}
    for i, (argument, x) in enumerate(zip(function.arguments, inputs)):
        if not _is_floating(x):
            continue
        gradient = next(gradients)
        _check_memory(f"{where}: the gradient of {argument}", gradient, named)
        named.append((f"the gradient of {argument}", gradient))
        lines[argument] = gradient, _Line(function.call, inputs, i, before[len(inputs):])
    worst = max(_compare(f"{where}: gradient of {argument}", shapes, gradient, line, allow_zero, rng, settings)
                for argument, (gradient, line) in lines.items())
    if order > 1:       # a linear function has second derivatives of zero, so they are allowed from here on
        deeper = function.gradient(inputs, cotangents)
        worst = max(worst, _check(deeper, [x.detach() for x in inputs] + cotangents, order - 1, True, settings))
    return worst


def _compare(what, shapes, gradient, line, allow_zero, rng, settings):
    """The largest relative error of one input's gradient; raises GradientError if it is too large anywhere."""
    if gradient.shape != line.origin.shape:
        raise GradientError(f"{what} has shape {gradient.shape}; {shapes}")
    if gradient.size == 0:
        return 0.0
    gradient = gradient.numpy()
    largest, worst = float(np.max(np.abs(gradient))), 0.0
    if not allow_zero and largest == 0:
        raise GradientError(f"{what} is zero everywhere, which shows nothing; pass allow_zero=True if it should be; "
                            f"{shapes}")
    for words, direction in _directions(rng, gradient.shape, settings["mode"]):
        analytic = float(np.sum(gradient * direction))
        numeric, noise = line.slope(direction, analytic, settings["rtol"])
        error, larger = abs(analytic - numeric), max(abs(analytic), abs(numeric))
        if not error <= settings["atol"] + settings["rtol"] * larger + noise:           # `not <=`: NaN fails too
            raise GradientError(f"{what} {words} is {analytic:.10g}, differences say {numeric:.10g} "
                                f"(relative error {error / larger:.2g}){line.kink(direction)}; {shapes}")
        if error > 0:
            worst = max(worst, error / max(larger, largest))
    return worst


def _check_memory(what, gradient, named):
    """No gradient may share memory with an input, a cotangent or another gradient."""
    library = backend.of(gradient.data)
    for other, t in named:
        if backend.of(t.data) is library and library.may_share_memory(gradient.data, t.data):
            raise GradientError(f"{what} shares memory with {other}")


class _Line:
    """L = Σₖ ⟨ȳₖ, yₖ⟩ along lines through one input."""

    def __init__(self, f, inputs, position, cotangents):
        self.f, self.position, self.cotangents = f, position, cotangents
        self.inputs = [x.detach() for x in inputs]
        self.origin = inputs[position].numpy()
        self.size = float(np.max(np.abs(self.origin), initial=0.0)) or 1.0
        self.sum = sum(float(np.sum(np.abs(gy * y))) for gy, y in zip(cotangents, self.values(0.0, 0.0)))

    def values(self, direction, t):
        moved = list(self.inputs)
        moved[self.position] = Tensor(self.origin + t * direction, device=self.inputs[self.position].device)
        with no_grad():
            return [y.numpy() for y in _outputs(self.f(*moved))]

    def difference(self, direction, a, b):
        """(L(b) − L(a)) / (b − a), from the differences of the values: equal large parts cancel first."""
        pairs = zip(self.cotangents, self.values(direction, a), self.values(direction, b))
        return float(sum(np.sum(gy * (yb - ya)) for gy, ya, yb in pairs)) / (b - a)

    def steps(self, direction):
        """Steps to try: 10⁻³ of the size of the moving entries, or 10⁻⁴ of the largest entry's if that is more; smaller
        ones; at last 10⁻³ of the moving entries however small they are."""
        moving = float(np.max(np.abs(self.origin * (direction != 0))))
        unit = _STEP / float(np.max(np.abs(direction)))
        first = unit * max(moving, 0.1 * self.size)
        return [first, first / 10, first / 100, first / 1000] + [unit * moving] * (moving > 0)

    def slope(self, direction, expected, rtol):
        """dL/dt at 0, and how much of it may be rounding.

        If it is not what is expected, other steps are tried and the steadiest is taken: the function may bend sharply,
        or have a kink or the end of its domain nearby.
        """
        best = math.nan, math.nan, 0.0
        for h in self.steps(direction):
            coarse, fine = self.difference(direction, -h, h), self.difference(direction, -h / 2, h / 2)
            found = abs(fine - coarse), (4 * fine - coarse) / 3, _ROUNDING * self.sum / h
            if math.isnan(best[0]) or found[0] < best[0]:
                best = found
            if abs(best[1] - expected) <= rtol * abs(expected) + best[2]:
                break
        return best[1:]

    def kink(self, direction):
        """A remark, if the slopes on the two sides differ, however small the step: there is no derivative here."""
        h = self.steps(direction)[0]
        sides = [(self.difference(direction, -h, 0.0), self.difference(direction, 0.0, h)) for h in (h, h / 1000)]
        wide, (left, right) = abs(sides[0][1] - sides[0][0]), sides[1]
        if abs(right - left) > max(0.3 * wide, 0.01 * abs(left), 0.01 * abs(right)):
            return f": not differentiable there, the slopes on the two sides are {left:.6g} and {right:.6g}"
        return ""


def _directions(rng, shape, mode):
    """(words, direction) of every line along which an input of that shape is moved."""
    size = math.prod(shape)
    if mode == "directional" or mode == "auto" and size > _FULL:
        yield "along a random direction", _away_from_zero(rng, shape)
        return
    for index in np.ndindex(shape):
        direction = np.zeros(shape)
        direction[index] = 1.0
        yield f"at {index}", direction


def _away_from_zero(rng, shape):
    """Random numbers of either sign, of sizes between ½ and 3/2."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def _is_floating(x):
    return x.dtype.kind == "f"


def _promoted(x):
    """A constant of its own: float64 if floating-point, on the Tensor's device or the default one."""
    device = x.device if isinstance(x, Tensor) else backend.default_device().name
    x = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    return Tensor(x, dtype=np.float64 if _is_floating(x) else None, device=device)


def _outputs(y):
    return [t for t in (y if isinstance(y, (tuple, list)) else (y,)) if _is_floating(t)]


def _gradients(outputs, inputs, cotangents, create_graph):
    """dL/dx of the floating-point inputs for L = Σₖ ⟨ȳₖ, yₖ⟩."""
    wanted = [x for x in inputs if _is_floating(x)]
    per_output = [grad(y, wanted, gy, create_graph) for y, gy in zip(outputs, cotangents)]
    with recording(create_graph):
        return [sum(parts[1:], parts[0]) for parts in zip(*per_output)]


def adjointcheck(A, A_transpose, x, y, rtol=1e-12, allow_zero=False):
    """Check that two linear maps are each other's adjoint:  ⟨A x, y⟩ = ⟨x, Aᵀ y⟩  to rounding, without any step size.

    A, A_transpose: functions of one Tensor.  x, y: arrays or Tensors, promoted to float64; y has the shape of A x.
    Raises GradientError with both numbers, or if a shape is wrong, or if both are zero, which shows nothing, unless
    that is expected (allow_zero).
    """
    x, y = _promoted(x), _promoted(y)
    Ax, Aty = A(x), A_transpose(y)
    if Ax.shape != y.shape or Aty.shape != x.shape:
        raise GradientError(f"adjointcheck: A maps {x.shape} to {Ax.shape}, its transpose {y.shape} to {Aty.shape}")
    left, right = Ax.numpy() * y.numpy(), x.numpy() * Aty.numpy()
    if not allow_zero and not left.any() and not right.any():
        raise GradientError("adjointcheck: the products are zero everywhere, which shows nothing")
    error = abs(left.sum() - right.sum())
    if not error <= rtol * max(np.abs(left).sum(), np.abs(right).sum()):
        raise GradientError(f"adjointcheck: <A x, y> = {left.sum():.15g} but <x, A' y> = {right.sum():.15g} "
                            f"for x of shape {x.shape} and y of shape {y.shape}")


def jacobian(f, x):
    """All partial derivatives  J[i, j] = ∂yᵢ/∂xⱼ  of y = f(x), shape y.shape + x.shape; a sweep per yᵢ

    >>> from minidl import ops
    >>> jacobian(ops.square, [1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]], float64)
    """
    x = Tensor(_promoted(x), requires_grad=True)
    y = f(x)
    rows = []
    for index in np.ndindex(y.shape):
        unit = np.zeros(y.shape)
        unit[index] = 1.0
        rows.append(grad(y, x, Tensor(unit, device=y.device))[0])
    return ops.reshape(ops.stack(rows), y.shape + x.shape)
