"""Settings: the numbers that layers, optimisers and applications are given when they are made."""
from minidl.tensor import Tensor

EPS = "1e-37 ≤ eps < inf"       # below, float32 has no ε, and where all is equal comes 0 / 0


def setting(owner, condition, value):
    """`value` as a Python float, which never promotes an array, unless it breaks the condition.

    condition: "0 ≤ momentum < 1": low, sign, name of the setting, sign, high.
    Raises ValueError where the condition does not hold (it never does for NaN), TypeError for what
    is no number, and for a Tensor that requires a gradient, which would be lost.

    >>> setting("SGD", "0 ≤ momentum < 1", 0.5)
    0.5
    """
    low, left, *words, right, high = condition.split()
    name = " ".join(words)
    if isinstance(value, Tensor) and value.requires_grad:
        raise TypeError(f"{owner}: {name} is a Tensor that requires a gradient, which does not flow "
                        "through a setting; give a number")
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r}") from None
    fits = {"≤": lambda a, b: a <= b, "<": lambda a, b: a < b}
    if not (fits[left](float(low), number) and fits[right](number, float(high))):
        raise ValueError(f"{owner}: {name} must be in {condition}, got {value}")
    return number
