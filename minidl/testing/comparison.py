"""The gradient of one input against slopes, along one random direction or entry by entry."""
from dataclasses import dataclass, replace
import math

import numpy as np

from minidl.testing.errors import NotAnalyticError, NotDifferentiableError
from minidl.testing.slopes import Slope

FULL = 64                       # mode "auto": inputs up to this size are checked entry by entry
RTOL = {"central": 1e-6, "complex": 1e-10}
NOISE = 1e-9                    # of the largest gradient


@dataclass(frozen=True)
class Settings:
    mode: str
    method: str
    rtol: float
    atol: float


@dataclass(frozen=True)
class Verdict:
    """⟨gradient, direction⟩, the slope that was measured there, and how far they may be apart.

    unseen: differences show noise only, of parts that cancel; what is no larger than this may be noise too.
    """
    gradient: float
    slope: Slope
    atol: float
    rtol: float
    unseen: float = 0.0

    @property
    def larger(self):
        return max(abs(self.gradient), abs(self.slope.value))

    @property
    def error(self):
        return abs(self.gradient - self.slope.value)

    @property
    def measured(self):
        """Whether they are the same."""
        return self.error <= self.atol + self.rtol * self.larger + self.slope.rounding          # NaN is not

    @property
    def right(self):
        return self.measured or self.slope.approaches or self.error <= self.unseen

    @property
    def bent(self):
        return not self.right or self.measured and self.slope.jump > 0

    @property
    def evident(self):
        """Whether two digits or more were compared."""
        return self.measured and self.larger > 100 * self.slope.rounding


class Comparison:
    """function: what `gradcheck` checks, with words for it.  gradient: of one argument, as a NumPy array.
    near: its Neighbourhood.  scale: the largest entry of any gradient of this check."""

    def __init__(self, function, argument, gradient, near, settings, scale):
        self.function, self.argument, self.gradient = function, argument, gradient
        self.near, self.settings, self.scale = near, settings, scale

    def worst(self, rng, allow_zero):
        """The largest relative error; raises GradientError if it is too large anywhere."""
        largest, worst = float(np.max(np.abs(self.gradient), initial=0.0)), 0.0
        evident = allow_zero or self.gradient.size == 0
        for index, direction in directions(rng, self.gradient.shape, self.settings.mode):
            found = self.along(direction)
            if found.bent:
                self._check_kink(index, direction, found)
            if not found.right:
                raise self._wrong(index, direction, found)
            if found.evident:
                evident, worst = True, max(worst, found.error / max(found.larger, largest))
        if not evident and largest == 0:
            raise self._error(" is zero everywhere, which shows nothing; pass allow_zero=True if it should be")
        if not evident:
            raise self._error(f", {largest:.3g} at most, is lost in the rounding of the outputs, which shows nothing; pass "
                              "allow_zero=True if it may be")
        return worst

    def along(self, direction):
        """The Verdict along one direction, by the method of the settings.

        By complex steps: what differences see clearly and otherwise is wrong; what they see as the gradient does, and
        complex steps do not, is a matter of the last digits, or else the function is not analytic.
        """
        rtol, atol, moving = self.settings.rtol, self.settings.atol, direction != 0
        gradient = float(np.sum(self.gradient[moving] * direction[moving]))
        loose = max(rtol, RTOL["central"])
        central = self.near.difference(direction, gradient, loose)
        uncertain = max(2 * (central.spread + central.jump), central.rounding)
        unseen = NOISE * self.scale if abs(central.value) < uncertain else 0.0
        if self.settings.method == "central":
            return Verdict(gradient, central, atol, rtol, unseen)
        unsteady = not central.spread <= 0.1 * abs(central.value)
        exact = replace(self.near.complex_step(direction), jump=0.0 if unsteady else central.jump)
        by_differences = Verdict(gradient, central, atol + central.spread, loose, unseen)
        by_complex_step = Verdict(gradient, exact, atol, rtol, unseen)
        if not by_differences.right and not (by_complex_step.right and unsteady):
            return by_differences
        if not by_complex_step.right and central.jump and self.near.kink(direction):
            return by_differences
        if not by_complex_step.right and not Verdict(exact.value, central, atol + central.spread, loose).measured:
            raise NotAnalyticError(self.function.name, f"of this one complex steps say {exact.value:.6g}, central "
                                                       f"differences {central.value:.6g} and the gradient {gradient:.6g}")
        return by_complex_step

    def _error(self, words, **facts):
        return self.function.error(f"gradient of {self.argument}{words}", argument=self.argument, **facts)

    def _check_kink(self, index, direction, found):
        kink = self.near.kink(direction)
        if kink:
            words = (f"it is not differentiable in {self.argument} {_place(index)}: {kink}, the gradient is "
                     f"{found.gradient:.6g}")
            raise self.function.error(words, NotDifferentiableError, argument=self.argument, index=index)

    def _wrong(self, index, direction, found):
        """The GradientError for a direction that failed, narrowed down to one entry where that fails too."""
        if index is None:
            entry = self._most_wrong(direction)
            alone = self.along(_unit(self.gradient.shape, entry))
            index, found = (None, found) if alone.right else (entry, alone)
        slope, relative = found.slope, found.error / found.larger
        uncertain = slope.spread + slope.jump
        measured = f"{slope.value:.10g}" + f" ± {uncertain:.2g}" * (uncertain > 0.1 * found.error)
        place = _place(index)
        what = f"{place} is {found.gradient:.10g}," if self.gradient.any() else f"is zero everywhere, {place}"
        return self._error(f" {what} {slope.source} say {measured} (relative error {relative:.2g})", index=index,
                           gradient=found.gradient, difference=slope.value, relative_error=relative)

    def _most_wrong(self, direction):
        """The index of an entry to blame: of two halves of a direction, one has at least half of its error."""
        entries = np.flatnonzero(direction)
        while len(entries) > 1:
            errors = []
            for half in np.array_split(entries, 2):
                part = np.zeros(direction.shape)
                part.flat[half] = direction.flat[half]
                error = self.along(part).error
                errors.append((math.inf if math.isnan(error) else error, half))
            entries = max(errors, key=lambda pair: pair[0])[1]
        return tuple(int(i) for i in np.unravel_index(entries[0], direction.shape))


def _place(index):
    return "along a random direction" if index is None else f"at {index}"


def directions(rng, shape, mode):
    """(index or None, direction) of every line along which an input of that shape is moved."""
    size = math.prod(shape)
    if size and (mode == "directional" or mode == "auto" and size > FULL):
        yield None, away_from_zero(rng, shape)
        return
    for index in np.ndindex(shape):
        yield index, _unit(shape, index)


def _unit(shape, index):
    direction = np.zeros(shape)
    direction[index] = 1.0
    return direction


def away_from_zero(rng, shape):
    """Random numbers of either sign, of sizes between ½ and 3/2."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
