"""What a Loop is given, and given back: checks that say what was expected; and what it raises."""
import numpy as np

from minidl.operands import LARGEST


class Diverged(ValueError):
    """Numbers that are no longer finite: the run ends before they reach its checkpoint.

    step: the number of the step, from 1, or None outside of a Loop.
    """

    def __init__(self, message: str, step: int | None = None):
        super().__init__(message)
        self.step = step


def whole(owner, name, value, least):
    """A whole number as an int."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{owner}: {name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{owner}: {name} must be at least {least}, got {value}")
    if value >= LARGEST:
        raise ValueError(f"{owner}: {name} must be below {LARGEST}, got {value!r:.60}")
    return int(value)


def function(owner, name, value, hint=""):
    """The value, if it can be called."""
    if not callable(value):
        raise TypeError(f"{owner}: {name} must be a function, got {type(value).__name__}{hint}")
    return value


def of_kind(expected, value, *kinds):
    """The value, if it is of one of the kinds; `expected` begins the error."""
    if not isinstance(value, kinds):
        raise TypeError(f"{expected}, got {type(value).__name__}")
    return value


def progress_of(progress, kinds, steps):
    """A checkpoint's progress; raises ValueError or TypeError for what `Loop.save` did not
    write."""
    if progress.keys() != kinds.keys():
        raise ValueError(f"its progress has {', '.join(progress)}; expected {', '.join(kinds)}")
    for name, kind in kinds.items():
        if type(progress[name]) is not kind:
            raise TypeError(f"its {name} is {str(progress[name])[:40]!r}, expected {kind.__name__}")
    if not all(isinstance(row, dict) for row in progress["history"] + progress["recent"]):
        raise TypeError("its rows are no dictionaries")
    if not all(type(value) is float for row in progress["recent"] for value in row.values()):
        raise TypeError("its measures are no numbers")
    if not 0 <= progress["t"] <= steps:
        raise ValueError(f"its step {progress['t']} is none of {steps}")
    return progress
