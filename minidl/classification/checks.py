"""What classifiers are given: examples, and numbers of classes."""
from minidl.settings import numbers


def examples_of(owner, x, name="x"):
    """At least one example, as an array (N, …) of the host.

    Raises TypeError for what are no real numbers, ValueError for another shape.
    """
    x = numbers(owner, name, x, dtype=None)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{owner}: {name} must be examples (N, …), at least one, got shape "
                         f"{x.shape}")
    return x


def classes_of(owner, labels, count=None, classes=None, name="labels"):
    """Of which class each of N examples is: integers (N,) of the host.

    Raises TypeError for other numbers, ValueError where N is not `count`, and outside of
    0 … classes − 1; neither is checked where it is None.
    """
    labels = numbers(owner, name, labels, "(N,)", None)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{owner}: {name} must be integers, got {labels.dtype}")
    if count not in (None, len(labels)):
        raise ValueError(f"{owner}: expected {count} {name}, one for each example, got "
                         f"{len(labels)}")
    if classes is not None and labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"{owner}: {name} lie between {labels.min()} and {labels.max()}; "
                         f"allowed are 0 to {classes - 1}")
    return labels
