"""Schedules: what share of its peak the learning rate has at step t = 0, 1, 2, …

Each is a plain function of t, and they are put together by multiplying:

    optimizer.learning_rate = 3e-4 * warm_up(t, 100) * cosine(t, 2000)

They raise TypeError for a t that is no number, ValueError for −1 and below.  (Half a step before
the first, t = −½, is in the middle of its way up.)

>>> [round(1e-3 * warm_up_cosine(t, steps=4, share=0.5), 6) for t in range(4)]
[0.0005, 0.000854, 0.0005, 0.000146]
"""
from bisect import bisect
from collections.abc import Sequence
from itertools import pairwise
import math

import numpy as np

from minidl.settings import bounded


def _checked(owner, t):
    """The number of a step; raises TypeError for no number, ValueError for −1 and below."""
    return bounded(owner, "-1 < t < inf", t)


def constant(t: float) -> float:
    """1"""
    _checked("constant", t)
    return 1.0


def warm_up(t: float, steps: float) -> float:
    """min(1, (t + 1) / steps): up a line, at its top in step number `steps`.

    The first steps go from weights that know nothing, along gradients that change fast.
    Raises ValueError unless 0 ≤ steps < ∞.  Source: Goyal et al. 2017.
    """
    t, steps = _checked("warm_up", t), bounded("warm_up", "0 ≤ steps < inf", steps)
    return (t + 1) / steps if t + 1 < steps else 1.0


def linear(t: float, steps: float) -> float:
    """max(0, 1 − t / steps): down a line, and 0 after `steps`.

    Raises ValueError unless 0 < steps < ∞.
    """
    t, steps = _checked("linear", t), bounded("linear", "0 < steps < inf", steps)
    return max(0.0, 1 - t / steps)


def cosine(t: float, steps: float) -> float:
    """½ (1 + cos(π t / steps)): down half a cosine, flat at both ends, and 0 after `steps`.

    Raises ValueError unless 0 < steps < ∞.  Source: Loshchilov and Hutter 2017.
    """
    t, steps = _checked("cosine", t), bounded("cosine", "0 < steps < inf", steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, t / steps)))


def exponential(t: float, half_life: float) -> float:
    """2^(−t / half_life): half of it every `half_life` steps.

    Raises ValueError unless 0 < half_life < ∞.
    """
    t = _checked("exponential", t)
    return 2.0 ** (-t / bounded("exponential", "0 < half_life < inf", half_life))


def staircase(t: float, milestones: Sequence[float] | np.ndarray, factor: float = 0.1) -> float:
    """factor^n, where n of the milestones (steps, ascending) are not above t.

    Raises TypeError for milestones that are no sequence of numbers, ValueError unless they ascend
    from 0 or more, and unless 0 < factor ≤ 1.  Source: He et al. 2016.
    """
    t = _checked("staircase", t)
    if (not isinstance(milestones, (list, tuple, range, np.ndarray))
            or getattr(milestones, "ndim", 1) == 0):
        raise TypeError("staircase: milestones must be a sequence of steps, got "
                        f"{type(milestones).__name__}")
    steps = [bounded("staircase", "0 ≤ milestone < inf", step) for step in milestones]
    if not all(a < b for a, b in pairwise(steps)):
        raise ValueError(f"staircase: milestones must ascend, got {milestones}")
    return bounded("staircase", "0 < factor ≤ 1", factor) ** bisect(steps, t)


def inverse_root(t: float, warm_up_steps: float) -> float:
    """min((t + 1) / W, √(W / (t + 1))), W = warm_up_steps: up a line, then down as 1 / √t.

    It has no end.  Raises ValueError unless 1 ≤ W < ∞.
    Source: Vaswani et al. 2017, with a peak of 1.
    """
    t = _checked("inverse_root", t)
    ratio = (t + 1) / bounded("inverse_root", "1 ≤ warm_up_steps < inf", warm_up_steps)
    return min(ratio, ratio ** -0.5)


def warm_up_cosine(t: float, steps: float, share: float = 0.05) -> float:
    """warm_up(t, share · steps) · cosine(t, steps)

    Raises ValueError unless 0 ≤ share ≤ 1 and 0 < steps < ∞.
    """
    t, share = _checked("warm_up_cosine", t), bounded("warm_up_cosine", "0 ≤ share ≤ 1", share)
    steps = bounded("warm_up_cosine", "0 < steps < inf", steps)
    return warm_up(t, share * steps) * cosine(t, steps)
