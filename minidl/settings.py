"""The settings of layers, optimisers and applications: numbers, checked where they are given."""
from minidl import operands

EPS = "1e-37 ≤ eps < inf"       # a smaller ε is 0 in float32, and 0 / 0 no number


def bounded(owner, condition, value):
    """A setting as a Python float, which never promotes an array, unless it breaks the condition.

    condition: "0 ≤ momentum < 1": low, sign, name of the setting, sign, high.
    Raises ValueError where the condition does not hold (it never does for NaN), TypeError for what
    is no number, and for a Tensor that requires a gradient, which would be lost.

    >>> bounded("SGD", "0 ≤ momentum < 1", 0.5)
    0.5
    """
    low, left, *words, right, high = condition.split()
    name = " ".join(words)
    number = float(operands.number(owner, name, value))
    fits = {"≤": lambda a, b: a <= b, "<": lambda a, b: a < b}
    if not (fits[left](float(low), number) and fits[right](number, float(high))):
        raise ValueError(f"{owner}: {name} must be in {condition}, got {value}")
    return number


def learnable(owner, condition, value):
    """A setting that may be learned: as `bounded` gives it, but a Tensor that requires a gradient,
    of zero dimensions, stays itself."""
    if not getattr(value, "requires_grad", False):
        return bounded(owner, condition, value)
    bounded(owner, condition, value.detach())
    return value
