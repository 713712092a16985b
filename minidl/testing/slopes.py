"""The slope of a function at a point, from values of the function alone.

Let L = Σₖ ⟨ȳₖ, yₖ⟩ for the outputs yₖ of a function and given ȳₖ.  Along a direction v of one of
its inputs, L(t) has

    D(h) = (L(h) − L(−h)) / 2h = L' + h² L'''/6 + …          central differences
    (4 D(h/2) − D(h)) / 3 = L' + O(h⁴)                       Richardson's extrapolation
    Im L(i h) / h = L' + O(h²)                               complex step, for analytic functions

The differences lose digits where L(h) ≈ L(−h): with h = 10⁻³ of the input's size, truncation and
rounding both stay below 10⁻¹⁰ or so of the slope.  A function that turns faster, such as
sin(10⁶ x), needs a shorter step, and keeps fewer digits.  The complex step subtracts nothing, so
h = 10⁻¹⁰⁰ is small enough to make it exact.  Sources: Richardson 1911; Squire and Trapp 1998.
"""
from dataclasses import dataclass, replace
import math
import warnings

import numpy as np

from minidl import backend
from minidl.tensor import Tensor, constant
from minidl.testing.errors import NotAnalyticError
from minidl.testing.functions import is_floating

# Of the size of the moving entries, each a tenth of the last or so; but no period fits two of them.
_STEPS = [1e-3 * math.pi ** (-2 * k) for k in range(8)]
_KINK_STEP = 1e-6               # the first of those that look for a kink
_TINY = 1e-200                  # what is smaller counts as 0 where steps are chosen
_COMPLEX_STEP = 1e-100
_ROUNDINGS = 1e3                # errors of ½ ulp that a value may have collected
_BESIDE = 1e-4                  # what is less than this of another is not seen beside it
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Slope:
    """A measured slope.

    scatter: how much it changed as the step was halved, and with the next step if one was taken.
    rounding: how far it may be off since numbers are rounded to float64.
    step: the h at which it was measured.
    jump: how far the slopes on the two sides are apart, where that does not shrink with the step.
    approaches: whether shorter and shorter steps come nearer and nearer to what was expected.
    """
    value: float
    scatter: float
    rounding: float
    step: float = 0.0
    jump: float = 0.0
    approaches: bool = False
    source: str = "differences"


class Line:
    """A function on the line x + t v, where x is one of its inputs, the one at `position`.

    function: a Function.     start: its outputs at t = 0, as NumPy arrays.
    parts: the size of what outputs are sums of: where it cancels, its rounding stays.
    """

    def __init__(self, function, position, start, direction, parts=0.0):
        self.function, self.position, self.direction = function, position, direction
        self.origin = function.inputs[position].numpy()
        self._values, self.parts = {0.0: start}, parts
        moving = np.abs(self.origin[direction != 0])
        largest = float(np.max(np.abs(self.origin)))
        size = largest if largest > _TINY else 1.0
        self.speed = float(np.max(np.abs(direction)))
        self.longest = max(float(moving.max()), 0.1 * size) / self.speed
        smallest = max(float(moving[moving > _TINY].min(initial=size)), 1e-8 * float(moving.max()))
        self.shortest = _STEPS[0] * smallest / self.speed
        self.size = size

    def values(self, t):
        """The outputs at x + t v, as NumPy arrays."""
        if t not in self._values:
            moved = list(self.function.inputs)
            device = moved[self.position].device
            moved[self.position] = Tensor(self.origin + t * self.direction, device=device)
            with np.errstate(all="ignore"):         # a step may lead out of the domain, to NaN
                self._values[t] = self.function.values(moved)
        return self._values[t]

    def rise(self, cotangents, t):
        """(L(t) − L(0), its rounding error), from differences of the outputs: what is large and
        equal cancels first.

        Outputs that change have errors, their own and that of the move, which is rounded as it is
        added to the input.  Those that do not may have changed by less than an ulp.
        """
        moving = np.abs(self.origin[self.direction != 0])
        misplaced = 10 * _EPS * float(moving.max()) / (abs(t) * self.speed)
        total = rounding = 0.0
        with np.errstate(all="ignore"):
            for gy, here, there in zip(cotangents, self.values(0.0), self.values(t)):
                change = there - here
                errors = self._rounding(here, change) + misplaced * np.abs(change)
                total += float(np.sum(gy * change, dtype=np.float64))
                rounding += float(np.sum(np.abs(gy) * errors))
        return total, rounding

    def _rounding(self, here, change):
        """By how much the change of an output may be off as its values are rounded."""
        eps = np.finfo(here.dtype).eps
        ulps = eps * np.abs(here)
        return np.where(change != 0, _ROUNDINGS * ulps + 10 * eps * self.parts, ulps)

    def steps(self):
        """Steps to try: 10⁻³ of the size of the moving entries, or 10⁻⁴ of the largest entry's if
        that is more; shorter ones; at last 10⁻³ of the smallest moving entry."""
        steps = [step * self.longest for step in _STEPS]
        return steps + [self.shortest] if self.shortest < steps[-1] else steps

    def difference(self, cotangents, expected, rtol):
        """The Slope of L by central differences.

        If it is not what is expected, shorter steps are tried and the steadiest is taken: the
        function may turn fast, or have a kink or the end of its domain nearby.
        """
        found = []
        for h in self.steps():
            found.append(self._extrapolated(cotangents, h))
            best = _steadiest(found)
            if abs(best.value - expected) <= rtol * abs(expected) + best.rounding:
                return best
        errors = [abs(slope.value - expected) for slope in found[:4]]
        approaches = all(finer <= 0.2 * coarser for coarser, finer in zip(errors, errors[1:]))
        return replace(best, approaches=approaches)

    def _extrapolated(self, cotangents, h):
        rises = [self.rise(cotangents, t) for t in (-h, -h / 2, h / 2, h)]
        back, half_back, half, ahead = (rise / h for rise, _ in rises)
        coarse, fine = (ahead - back) / 2, half - half_back
        rounding = max(error for _, error in rises) / h
        jump, half_jump = abs(ahead + back), 2 * abs(half + half_back)
        stays = half_jump > 0.75 * jump + 4 * rounding
        return Slope((4 * fine - coarse) / 3, abs(fine - coarse), rounding, h,
                     half_jump if stays else 0.0)

    def kink(self, cotangents, step):
        """In words, why L has no derivative: a kink, a jump, values that are not finite; None if
        that is not seen.     step: one at which the slope is steady; shorter ones are looked at.

        The value here is left out, as it may be an outlier of a noisy function.  Along eight
        shrinking steps, the slope beyond h minus the one beyond −h stays at a kink, L(h) − L(−h)
        stays at a jump; both shrink where the function is smooth, and change sign in noise.
        """
        first = min(_KINK_STEP * self.longest, self.shortest, 1e-2 * step)
        sizes = [first * 1.6 ** k for k in range(8)]
        ahead, back = ([self.rise(cotangents, sign * h) for h in sizes] for sign in (1, -1))
        rounding = ahead[0][1] + back[0][1]
        ahead, back = [rise for rise, _ in ahead], [rise for rise, _ in back]
        if not all(map(math.isfinite, ahead + back)):
            return "the function is not finite on both sides"
        jumps = [a - b for a, b in zip(ahead, back)]
        rights, lefts = ([(side[k + 1] - side[k]) / (sizes[k + 1] - sizes[k]) for k in range(7)]
                         for side in (ahead, back))
        left, right = 0.0 - lefts[0], rights[0]
        if _stays([a + b for a, b in zip(rights, lefts)]) and abs(right - left) > max(
                4 * rounding / first, 1e-3 * abs(left), 1e-3 * abs(right)):
            return f"the slopes on the two sides are {left:.6g} and {right:.6g}"
        if _stays(jumps) and abs(jumps[0]) > rounding:
            return f"the function jumps by {jumps[0]:.6g}"
        return None

    def complex_step(self, cotangents):
        """The Slope of L by a complex step.

        Raises NotAnalyticError where the function refuses complex arrays.
        """
        moved = [_complex(x, x.numpy()) if is_floating(x) else x for x in self.function.inputs]
        step = 1j * _COMPLEX_STEP * self.direction
        moved[self.position] = _complex(moved[self.position], self.origin + step)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                outputs = self.function.values(moved)
        except Exception as error:              # it took real arrays: this is about complex ones
            reason = f"this one refuses complex arrays ({type(error).__name__}: {error})"
            raise NotAnalyticError(self.function.name, reason) from error
        total = moving = still = 0.0
        for gy, y in zip(cotangents, outputs):
            slopes = gy * y.imag / _COMPLEX_STEP
            sizes = self.speed / self.size * np.abs(gy * y.real)    # the slopes if y were ∝ x
            total += float(np.sum(slopes))
            moving += float(np.sum(np.abs(slopes) + sizes * (slopes != 0)))
            still += float(np.sum(sizes))
        return Slope(total, 0.0, _ROUNDINGS * _EPS * (moving or still), source="complex steps")

    def small_outputs(self):
        """Masks of the outputs that L does not show on this line, as larger ones stand beside them.

        An output hides as much of others as its own slope may be off: 10⁻⁶ of its change, and 10³
        ulps for rounding, or one where it does not change.  There is a list of masks for each size
        but the largest; what does not change is in none.
        """
        hides, moves = [], []
        for here, there in zip(self.values(0.0), self.values(self.steps()[0])):
            with np.errstate(all="ignore"):
                change = there - here
                hides.append(1e-6 * np.abs(change) + self._rounding(here, change))
                moves.append(change != 0)
        small = [[mask & move for mask, move in zip(masks, moves)] for masks in by_size(hides)[1:]]
        return [masks for masks in small if any(mask.any() for mask in masks)]

    def in_single_precision(self):
        """Whether the outputs change on this line, and all are numbers that float32 has."""
        here, there = (np.concatenate([y.ravel() for y in self.values(t)])
                       for t in (0.0, self.steps()[0]))
        with np.errstate(all="ignore"):
            narrow = [np.array_equal(y, y.astype(np.float32)) for y in (here, there)]
        return all(narrow) and not np.array_equal(here, there)


def by_size(arrays):
    """Groups of entries of like size, the largest first: for each a list of masks, one per array.

    The smallest entry of a group is 10⁴ times smaller than its largest at most.  What is 0, or not
    finite, is in none.
    """
    groups, limit = [], math.inf
    while True:
        left = [a[(a > 0) & (a < limit)] for a in arrays]
        largest = max((float(a.max(initial=0.0)) for a in left), default=0.0)
        if not largest:
            return groups
        groups.append([(a > 0) & (a < limit) & (a >= _BESIDE * largest) for a in arrays])
        limit = _BESIDE * largest


def _steadiest(slopes):
    """Of slopes by shorter and shorter steps the one that is least in doubt.

    How far the next one is off adds to the doubt.  Doubts of less than a tenth of the slope are
    compared relative to it, and come before larger ones, which are compared as they are.  (Steps
    far too long for a function that oscillates give small numbers, and small doubts.)
    """
    doubtful = []
    for slope, finer in zip(slopes, slopes[1:] + slopes[-1:]):
        scatter = slope.scatter + abs(slope.value - finer.value)
        doubt, size = scatter + slope.jump + slope.rounding, abs(slope.value)
        if math.isnan(doubt):
            key = (1, math.inf)
        else:
            key = (0, doubt / size) if doubt < 0.1 * size else (1, doubt)
        doubtful.append((key, replace(slope, scatter=scatter)))
    return min(doubtful, key=lambda pair: pair[0])[1]


def _stays(values):
    """Whether numbers, from the smallest step on, do not grow with the step and have one sign."""
    return abs(values[0]) > 0.3 * abs(values[-1]) and len(set(np.sign(values))) == 1


def _complex(x, values):
    """A complex Tensor, which only this method makes: the engine computes with it, but gives none
    to anybody."""
    return constant(backend.device(x.device).from_host(values.astype(np.complex128)))
