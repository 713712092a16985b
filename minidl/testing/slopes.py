"""The slope of a function at a point, from values of the function alone.

Let L = Σₖ ⟨ȳₖ, yₖ⟩ for the outputs yₖ of a function and given ȳₖ.  Along a direction v of one of its inputs, L(t) has

    D(h) = (L(h) − L(−h)) / 2h = L' + h² L'''/6 + …          central differences
    (4 D(h/2) − D(h)) / 3 = L' + O(h⁴)                       Richardson's extrapolation
    Im L(i h) / h = L' + O(h²)                               complex step, for analytic functions

The differences lose digits where L(h) ≈ L(−h): with h = 10⁻³ of the input's size, truncation and rounding both stay
below 10⁻¹⁰ or so of the slope.  The complex step subtracts nothing, so h = 10⁻¹⁰⁰ is small enough to make it exact.
Sources: Richardson 1911; Squire and Trapp 1998.
"""
from dataclasses import dataclass, replace
import math
import warnings

import numpy as np

from minidl import backend
from minidl.recording import no_grad
from minidl.tensor import Tensor, constant
from minidl.testing.errors import NotAnalyticError

_STEP = 1e-3
_TINY = 1e-200                  # what is smaller counts as 0 where steps are chosen
_COMPLEX_STEP = 1e-100
_ROUNDINGS = 1e3                # errors of ½ ulp that a value may have collected
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Slope:
    value: float
    spread: float               # how much it changed as the step was halved
    rounding: float             # how much of it may be rounding
    jump: float = 0.0           # between the slopes on the two sides, if it did not shrink with the step
    approaches: bool = False    # whether it tends to the gradient as the step shrinks, though it is not there yet
    source: str = "differences"


class Neighbourhood:
    """L = Σₖ ⟨ȳₖ, yₖ⟩ as one input moves away from where it is, the one at `position`.

    function: has a name, and can be called by `function.call`.
    """

    def __init__(self, function, inputs, position, cotangents):
        self.function, self.position = function, position
        self.inputs = [x.detach() for x in inputs]
        self.cotangents = [gy.numpy() for gy in cotangents]
        self.origin = inputs[position].numpy()
        largest = float(np.max(np.abs(self.origin), initial=0.0))
        self.size = largest if largest > _TINY else 1.0
        self.start = self.values(0.0)

    def values(self, move):
        """The outputs, as NumPy arrays, where the input is moved so far."""
        moved = list(self.inputs)
        moved[self.position] = Tensor(self.origin + move, device=moved[self.position].device)
        with no_grad(), np.errstate(all="ignore"):              # a step may lead out of the domain, to NaN
            return [y.numpy() for y in floating_outputs(self.function.call(*moved))]

    def rise(self, move):
        """(L there − L here, its rounding error), from differences of the outputs: equal large parts cancel first.

        Only outputs that change have errors, their own and that of the move, which is rounded as it is added to the
        input; where none changes, a change of less than an ulp cannot be seen.
        """
        moving = move != 0
        misplaced = _EPS * float(np.max(np.abs(self.origin[moving]))) / float(np.max(np.abs(move)))
        total = changed = unseen = 0.0
        with np.errstate(all="ignore"):
            for gy, here, there in zip(self.cotangents, self.start, self.values(move)):
                change, ulps = there - here, np.finfo(here.dtype).eps * np.abs(gy * here)
                total += float(np.sum(gy * change, dtype=np.float64))
                changed += float(np.sum((_ROUNDINGS * ulps + 10 * misplaced * np.abs(gy * change)) * (change != 0)))
                unseen += float(np.sum(ulps))
        return total, changed or unseen

    def steps(self, direction):
        """Steps to try: 10⁻³ of the size of the moving entries, or 10⁻⁴ of the largest entry's if that is more; smaller
        ones; at last 10⁻³ of the smallest moving entry."""
        moving = np.abs(self.origin[direction != 0])
        largest, smallest = float(moving.max()), float(moving[moving > _TINY].min(initial=self.size))
        unit = _STEP / float(np.max(np.abs(direction)))
        first, smallest = unit * max(largest, 0.1 * self.size), max(smallest, 1e-8 * largest)
        steps = [first, first / 10, first / 100, first / 1000]
        return steps + [unit * smallest] if unit * smallest < steps[-1] else steps

    def difference(self, direction, expected, rtol):
        """The Slope by central differences.

        If it is not what is expected, smaller steps are tried and the steadiest is taken: the function may bend sharply,
        or have a kink or the end of its domain nearby.
        """
        found = []
        for h in self.steps(direction):
            found.append(self._extrapolated(direction, h))
            best = _steadiest(found)
            if abs(best.value - expected) <= rtol * abs(expected) + best.rounding:
                return best
        errors = [abs(slope.value - expected) for slope in found[:4]]
        approaches = all(finer <= 0.2 * coarser for coarser, finer in zip(errors, errors[1:]))
        return replace(best, approaches=approaches)

    def _extrapolated(self, direction, h):
        rises = [self.rise(t * direction) for t in (-h, -h / 2, h / 2, h)]
        back, half_back, half, ahead = (rise / h for rise, _ in rises)
        coarse, fine = (ahead - back) / 2, half - half_back
        rounding = max(error for _, error in rises) / h
        jump, half_jump = abs(ahead + back), 2 * abs(half + half_back)
        bent = half_jump > 0.75 * jump + 4 * rounding
        return Slope((4 * fine - coarse) / 3, abs(fine - coarse), rounding, half_jump if bent else 0.0)

    def kink(self, direction):
        """In words, why there is no derivative: a kink, a jump, values that are not finite; None if that is not seen.

        The value here is left out, as it may be an outlier of a noisy function.  Along eight shrinking steps, the slope
        beyond h minus the one beyond −h stays at a kink, L(h) − L(−h) stays at a jump; both shrink where the function is
        smooth, and change sign where they are noise.
        """
        sizes = [self.steps(direction)[-1] * 1.6 ** k for k in range(8)]
        ahead, back = ([self.rise(sign * h * direction) for h in sizes] for sign in (1, -1))
        rounding = ahead[0][1] + back[0][1]
        ahead, back = [rise for rise, _ in ahead], [rise for rise, _ in back]
        if not all(map(math.isfinite, ahead + back)):
            return "the function is not finite on both sides"
        jumps = [a - b for a, b in zip(ahead, back)]
        rights, lefts = ([(side[k + 1] - side[k]) / (sizes[k + 1] - sizes[k]) for k in range(7)] for side in (ahead, back))
        left, right = 0.0 - lefts[0], rights[0]
        if _stays([a + b for a, b in zip(rights, lefts)]) and abs(right - left) > max(
                4 * rounding / sizes[0], 1e-3 * abs(left), 1e-3 * abs(right)):
            return f"the slopes on the two sides are {left:.6g} and {right:.6g}"
        if _stays(jumps) and abs(jumps[0]) > rounding:
            return f"the function jumps by {jumps[0]:.6g}"
        return None

    def complex_step(self, direction):
        """The Slope by a complex step.  Raises NotAnalyticError where the function refuses complex arrays."""
        moved = [_complex(x, x.numpy()) if is_floating(x) else x for x in self.inputs]
        moved[self.position] = _complex(moved[self.position], self.origin + 1j * _COMPLEX_STEP * direction)
        try:
            with no_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                outputs = [y.numpy() for y in floating_outputs(self.function.call(*moved))]
        except Exception as error:                              # it took real arrays, so this is about complex ones
            reason = f"this one refuses complex arrays ({type(error).__name__}: {error})"
            raise NotAnalyticError(self.function.name, reason) from error
        total = moving = still = 0.0
        relative = float(np.max(np.abs(direction))) / self.size
        for gy, y in zip(self.cotangents, outputs):
            slopes, sizes = gy * y.imag / _COMPLEX_STEP, relative * np.abs(gy * y.real)
            total += float(np.sum(slopes))
            moving += float(np.sum(np.abs(slopes) + sizes * (slopes != 0)))
            still += float(np.sum(sizes))
        return Slope(total, 0.0, _ROUNDINGS * _EPS * (moving or still), source="complex steps")


def _steadiest(slopes):
    """Of slopes by smaller and smaller steps the one that is least in doubt, also by what the next one says."""
    def doubt(slope, finer):
        total = slope.spread + slope.jump + slope.rounding + abs(slope.value - finer.value)
        return math.inf if math.isnan(total) else total
    return min(zip(slopes, slopes[1:] + slopes[-1:]), key=lambda pair: doubt(*pair))[0]


def _stays(values):
    """Whether numbers, from the smallest step on, do not grow with the step and have one sign."""
    return abs(values[0]) > 0.3 * abs(values[-1]) and len(set(np.sign(values))) == 1


def _complex(x, values):
    """A complex Tensor, which only this method makes: the engine computes with it, but gives none to anybody."""
    return constant(backend.device(x.device).from_host(values.astype(np.complex128)))


def is_floating(x):
    """Whether gradients go through it: real floating-point numbers, or the complex ones of a complex step."""
    return x.dtype.kind in "fc"


def floating_outputs(y):
    """The floating-point outputs of a function that gives one Tensor, or a tuple or list of them."""
    outputs = y if isinstance(y, (tuple, list)) else (y,)
    for t in outputs:
        if not isinstance(t, Tensor):
            raise TypeError(f"gradcheck: the function must give a Tensor or a tuple of them, got {type(t).__name__}")
    return [t for t in outputs if is_floating(t)]
