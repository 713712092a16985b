"""The gradient of one input against slopes, along one random direction or entry by entry."""
from collections.abc import Callable
from dataclasses import dataclass, replace
import math

import numpy as np

from minidl.testing.errors import NotAnalyticError, NotDifferentiableError
from minidl.testing.functions import Function, away_from_zero
from minidl.testing.slopes import Line, Slope, by_size

FULL = 64                       # mode "auto": inputs up to this size are checked entry by entry
RTOL = {"central": 1e-6, "complex": 1e-10}
SMALL_RTOL = 1e-3               # for outputs that are small beside others
NOISE = 1e-9                    # of the largest gradient


@dataclass(frozen=True)
class Settings:
    mode: str
    method: str
    rtol: float
    atol: float


@dataclass(frozen=True)
class Finding:
    """⟨gradient, direction⟩, the slope that was measured there, and how far they may be apart.

    noise: how large an error passes, where the slope is lost in the scatter of differences; else 0.
    """
    gradient: float
    slope: Slope
    atol: float
    rtol: float
    noise: float

    @property
    def larger(self):
        return max(abs(self.gradient), abs(self.slope.value))

    @property
    def error(self):
        return abs(self.gradient - self.slope.value)

    @property
    def agrees(self):
        return self.error <= self.atol + self.rtol * self.larger + self.slope.rounding     # NaN: no

    @property
    def wrong(self):
        return not (self.agrees or self.slope.approaches or self.error <= self.noise)

    @property
    def evident(self):
        """Whether two digits or more were compared."""
        return self.agrees and self.larger > 100 * self.slope.rounding


@dataclass(frozen=True)
class Pulled:
    """Cotangents of all outputs, and the gradient of one argument that they give; NumPy arrays.

    rtol: to which it must be right.      of: words for the outputs, where it is not all of them.
    """
    cotangents: list
    gradient: np.ndarray
    rtol: float
    of: str = ""


@dataclass(frozen=True)
class Comparison:
    """One argument of a function, the one at `position`, whose gradient is compared with slopes.

    start: the outputs, as NumPy arrays.      pull: gives the gradient for cotangents, as an array.
    scale: the largest entry of any gradient of this check.      parts: of any gradient of a lower
        order; from order 2 on the outputs are sums of such terms.
    """
    function: Function
    position: int
    start: list
    pull: Callable
    settings: Settings
    scale: float
    parts: float

    @property
    def argument(self):
        return self.function.arguments[self.position]

    def worst(self, cotangents, gradient, rng, allow_zero):
        """The largest relative error; raises GradientError if it is too large anywhere."""
        together, worst = Pulled(cotangents, gradient, self.settings.rtol), 0.0
        largest = float(np.max(np.abs(gradient), initial=0.0))
        evident = allow_zero or gradient.size == 0
        for index, direction in directions(rng, gradient, self.settings.mode):
            line = self._line(direction)
            found = self._judged(line, index, together)
            if found.evident:
                evident, worst = True, max(worst, found.error / max(found.larger, largest))
            for masks in line.small_outputs():
                evident |= self._judged(line, index, self._alone(cotangents, masks)).evident
        if not evident and largest == 0:
            raise self._error(" is zero everywhere, which shows nothing; pass allow_zero=True if "
                              "it should be")
        if not evident:
            raise self._error(f", {largest:.3g} at most, is lost in the rounding of the outputs, "
                              "which shows nothing; pass allow_zero=True if it may be")
        return worst

    def _alone(self, cotangents, masks):
        """The gradient of outputs that are small beside others, without those: their ȳₖ are 0."""
        alone = [gy * mask for gy, mask in zip(cotangents, masks)]
        outputs = [f"output {k}" + f" at {tuple(map(int, at))}" * bool(at.size)
                   for k, mask in enumerate(masks) for at in np.argwhere(mask)]
        words = outputs[0] + f" and {len(outputs) - 1} more" * (len(outputs) > 1)
        return Pulled(alone, self.pull(alone), max(self.settings.rtol, SMALL_RTOL),
                      f" of {words} alone, small beside others,")

    def _judged(self, line, index, pulled):
        """The Finding along a line; raises GradientError where it shows a mistake.

        What is seen                                                      What follows
        ----------------------------------------------------------------  ----------------------
        gradient and slope agree                                          right
          but the slopes on the two sides differ, however short the step  no derivative
        they differ, ever less, the shorter the step                      right: a slope of 0
        differences scatter more than they say, and the gradient is not   right: where parts
          further from them than 10⁻⁹ of the largest one                    cancel, rounding stays
        they differ otherwise                                             wrong
          and the slopes on the two sides differ, or values jump, or      no derivative
          are not finite on one side
        """
        found = self._found(line, pulled)
        if found.wrong or found.agrees and found.slope.jump:
            kink = line.kink(pulled.cotangents, found.slope.step)
            if kink:
                words = (f"it is not differentiable in {self.argument} {_place(index)}: {kink}, "
                         f"the gradient{pulled.of} is {found.gradient:.6g}")
                raise self.function.error(words, NotDifferentiableError, argument=self.argument,
                                          index=index)
        if found.wrong:
            raise self._wrong(line, index, found, pulled)
        return found

    def _found(self, line, pulled):
        """The Finding along a line, by the method of the settings."""
        moving, rtol = line.direction != 0, pulled.rtol
        expected = float(np.sum(pulled.gradient[moving] * line.direction[moving]))
        central = line.difference(pulled.cotangents, expected, max(rtol, RTOL["central"]))
        scatters = abs(central.value) < max(2 * (central.scatter + central.jump), central.rounding)
        noise = NOISE * self.scale if scatters else 0.0
        found = Finding(expected, central, self.settings.atol, rtol, noise)
        if self.settings.method == "central":
            return found
        return self._exactly(found, line, pulled.cotangents)

    def _exactly(self, central, line, cotangents):
        """The Finding by a complex step, given the one by differences.

        A complex step is exact, or wrong without a sign of it, so differences have a say.

        The gradient is    The gradient is     What follows
        that of            that of the
        differences        complex step
        ---------------    ---------------     ------------------------------------------------
        yes                yes                 right
        no                 no                  wrong
        no                 yes                 wrong if differences are steady, right otherwise
        yes                no                  wrong in a digit that differences cannot see; but
                                                 where they contradict the complex step it is
                                                 that which is wrong: NotAnalyticError
        """
        slope = central.slope
        steady = slope.scatter <= 0.1 * abs(slope.value)
        roughly = replace(central, atol=central.atol + slope.scatter,
                          rtol=max(central.rtol, RTOL["central"]))
        exact = replace(central, slope=replace(line.complex_step(cotangents), step=slope.step,
                                               jump=slope.jump if steady else 0.0))
        if roughly.wrong and (steady or exact.wrong):
            return roughly
        if exact.wrong and not replace(roughly, gradient=exact.slope.value).agrees:
            if slope.jump and line.kink(cotangents, slope.step):
                return roughly
            raise NotAnalyticError(self.function.name, (
                f"of this one complex steps say {exact.slope.value:.6g}, central differences "
                f"{slope.value:.6g} and the gradient {central.gradient:.6g}"))
        return exact

    def _line(self, direction):
        return Line(self.function, self.position, self.start, direction, self.parts)

    def _error(self, words, **facts):
        return self.function.error(f"gradient of {self.argument}{words}", argument=self.argument,
                                   **facts)

    def _wrong(self, line, index, found, pulled):
        """The GradientError for a line that failed, narrowed down to one entry where that fails."""
        def along(direction):
            return self._found(self._line(direction), pulled)
        if index is None:
            entry = _most_wrong(line.direction, along)
            alone = along(_unit(line.direction.shape, entry))
            index, found = (entry, alone) if alone.wrong else (None, found)
        slope, relative, place = found.slope, found.error / found.larger, _place(index)
        measured, uncertain = f"{slope.value:.10g}", slope.scatter + slope.jump
        if uncertain > 0.1 * found.error:
            measured += f" ± {uncertain:.2g}"
        says = f"{place} is {found.gradient:.10g},"
        if not pulled.of and not pulled.gradient.any():
            says = f"is zero everywhere, {place}"
        words = f"{pulled.of} {says} {slope.source} say {measured} (relative error {relative:.2g})"
        if line.in_single_precision():
            words += ("; the outputs hold numbers of float32: precision is lost inside, where "
                      "something is cast (astype, dtype=)")
        return self._error(words, index=index, gradient=found.gradient, difference=slope.value,
                           relative_error=relative)


def _most_wrong(direction, along):
    """The index of an entry to blame: of two halves of a direction, one has at least half of its
    error.     along(direction): the Finding there."""
    entries = np.flatnonzero(direction)
    while len(entries) > 1:
        errors = []
        for half in np.array_split(entries, 2):
            part = np.zeros(direction.shape)
            part.flat[half] = direction.flat[half]
            error = along(part).error
            errors.append((math.inf if math.isnan(error) else error, half))
        entries = max(errors, key=lambda pair: pair[0])[1]
    return tuple(int(i) for i in np.unravel_index(entries[0], direction.shape))


def _place(index):
    return "along a random direction" if index is None else f"at {index}"


def directions(rng, gradient, mode):
    """(index or None, direction) of every line along which an input is moved.

    Entries whose gradient is small beside that of others, but not zero, move once more, by
    themselves.
    """
    if gradient.size and (mode == "directional" or mode == "auto" and gradient.size > FULL):
        direction = away_from_zero(rng, gradient.shape)
        yield None, direction
        for small, in by_size([np.abs(gradient)])[1:]:
            yield None, direction * small
        return
    for index in np.ndindex(gradient.shape):
        yield index, _unit(gradient.shape, index)


def _unit(shape, index):
    direction = np.zeros(shape)
    direction[index] = 1.0
    return direction
