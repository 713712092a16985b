"""What layers, optimisers and applications are given, checked there: numbers, arrays, functions.

Every function takes the owner's name and the argument's, so that an error can say them.
"""
import numpy as np

from minidl import operands

EPS = "1e-37 ≤ eps < inf"       # a much smaller ε is 0 in float32, and 0 / 0 no number


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
    try:
        number = float(operands.number(owner, name, value))
    except OverflowError:                   # an integer above all floats
        number = np.nan
    fits = {"≤": lambda a, b: a <= b, "<": lambda a, b: a < b}
    if not (fits[left](float(low), number) and fits[right](number, float(high))):
        raise ValueError(f"{owner}: {name} must be in {condition}, got {value!s:.60}")
    return number


def learnable(owner, condition, value):
    """A setting that may be learned: as `bounded` gives it, but a Tensor that requires a gradient,
    of zero dimensions, stays itself."""
    if not getattr(value, "requires_grad", False):
        return bounded(owner, condition, value)
    bounded(owner, condition, value.detach())
    return value


def whole(owner, condition, value):
    """A whole number as Python's, unless it breaks the condition, which is written as `bounded`'s.

    Raises TypeError for what is no integer, ValueError where the condition does not hold, and for
    more than there can be of anything.

    >>> whole("train", "1 ≤ steps < inf", 3)
    3
    """
    name = " ".join(condition.split()[2:-2])
    number = operands.integer(owner, name, value)
    bounded(owner, condition, number)
    if number >= operands.LARGEST:
        raise ValueError(f"{owner}: {name} must be below {operands.LARGEST}, got {value!r:.60}")
    return number


def check_seed(owner, seed):
    """A seed as a whole number ≥ 0, of any size; a Generator, whose state moves on, is refused.

    Raises TypeError for other kinds, ValueError for one below 0.
    """
    number = operands.integer(owner, "seed", seed)
    if number < 0:
        raise ValueError(f"{owner}: seed must be at least 0, got {seed}")
    return number


def betas_of(owner, betas):
    """Adam's two rates, each in 0 ≤ β < 1, as a tuple of Python floats."""
    first, second = numbers(owner, "betas", betas, "(2,)").tolist()
    return tuple(bounded(owner, "0 ≤ beta < 1", beta) for beta in (first, second))


def one_of(owner, name, value, choices):
    """The value, if it is among these texts (and None, if that is); raises ValueError for others.

    >>> one_of("distance", "form", "squared", ("squared", "euclidean"))
    'squared'
    """
    if (value is None or isinstance(value, str)) and value in choices:
        return value
    raise ValueError(f"{owner}: {name} must be one of {', '.join(map(str, choices))}, "
                     f"got {value!r:.60}")


def of_kind(owner, name, value, what, *kinds):
    """The value, if it is of one of the kinds; TypeError, which says what was expected, if not."""
    if not isinstance(value, kinds):
        raise TypeError(f"{owner}: {name} must be {what}, got {type(value).__name__}")
    return value


def having(owner, name, value, what, *attributes):
    """The value, if it has all of the attributes; TypeError, which says what was expected, if
    not."""
    for attribute in attributes:
        if not hasattr(value, attribute):
            raise TypeError(f"{owner}: {name} must be {what}, got {type(value).__name__}, which "
                            f"has no {attribute}")
    return value


def callback_of(owner, callback, signature, name="callback"):
    """The callback, a function or None; raises TypeError for others.  signature: how it is
    called."""
    if callback is not None:
        operands.function(owner, name, callback, f"{signature}, or None")
    return callback


def numbers(owner, name, values, shape="(…)", dtype="float64", finite=False):
    """Real numbers as an array of the host.

    shape: in words, as "(N, 2)", "(H, W, C)" or "(…, 2)": letters stand for any length.
    dtype: of the result, None for that which the values have.
    finite: whether NaN and infinities are refused.
    Raises TypeError for what are no real numbers, ValueError for another shape, and where an
    integer or boolean dtype would change them.

    >>> numbers("similarity", "source", [[0, 1], [2, 3]], "(N, 2)")
    array([[0., 1.],
           [2., 3.]])
    """
    what = "an array of numbers" if shape == "(…)" else f"numbers {shape}"
    expected = f"{owner}: {name} must be {what}"
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        raise TypeError(f"{expected}, got {type(values).__name__} of which NumPy makes no "
                        "array") from None
    if array.dtype.kind not in "biuf":
        came = f"an array of {array.dtype}" if array.ndim else type(values).__name__
        raise TypeError(f"{expected}, got {came}")
    if not fits(array.shape, shape):
        raise ValueError(f"{expected}, got shape {array.shape}")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{expected}, all finite, got {np.sum(~np.isfinite(array)):,} that are "
                         "not")
    if dtype is None:
        return array
    with np.errstate(invalid="ignore"):                     # NaN as an integer: found below
        found = array.astype(dtype, copy=False)
    if found.dtype.kind in "biu" and (found != array).any():
        raise ValueError(f"{expected} that {found.dtype} holds")
    return found


def check_brightness(owner, name, picture):
    """Raise ValueError for a floating-point picture of 0..1, which is all but black in 0..255."""
    if picture.dtype.kind == "f" and 0 < picture.max() <= 1:
        raise ValueError(f"{owner}: {name} must be in 0..255, got {picture.min()}.."
                         f"{picture.max()}: all but black; multiply by 255")


def fits(shape, words):
    """Whether a shape is as words say it: "(N, 2)", "(…, 2)".

    >>> fits((7, 2), "(N, 2)"), fits((7, 3), "(N, 2)"), fits((5, 7, 2), "(…, 2)")
    (True, False, True)
    """
    wanted = words.strip("()").replace(",", " ").split()
    if wanted[:1] == ["…"]:
        wanted = wanted[1:]
        shape = shape[max(0, len(shape) - len(wanted)):]
    return len(shape) == len(wanted) and all(
        not want.isdigit() or int(want) == n for want, n in zip(wanted, shape))


def labels_of(owner, labels, name="labels", shape="(N,)"):
    """Who or what each of N examples is: an array (N,), or of another shape, of numbers or texts.

    Raises TypeError for other kinds and for NaN and infinities, ValueError for another shape.
    """
    try:
        array = np.asarray(labels)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "biuUfT" or array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TypeError(f"{owner}: {name} must be finite numbers or names {shape}, got "
                        f"{type(labels).__name__}"
                        + (f" of {array.dtype}" if isinstance(labels, np.ndarray) else ""))
    if not fits(array.shape, shape):
        raise ValueError(f"{owner}: {name} must be {shape}, got shape {array.shape}")
    return array
