"""Differentiable augmentation: the critic sees real and generated pictures changed alike.

    discriminator:  real scores s(T(x)),  generated ones s(T(G(z)))        generator:  s(T(G(z)))

Of few pictures a critic knows each by heart.  If only the real ones were changed, the artist would
learn the changes; as both are, it learns the pictures, and its gradient goes back through T:
every part of T is linear in x (brightness adds a constant), so its rule is the transposed map.
x (N, H, W, C), each picture changed in its own way; outside of a picture is 0, the middle grey.
Source: Zhao et al. 2020.
"""
from collections.abc import Callable

import numpy as np

from minidl import backend, ops
from minidl.operands import floating
from minidl.ops.communication import drawn
from minidl.settings import one_of
from minidl.tensor import Tensor, constant


def translation(x: Tensor, rng: np.random.Generator, share: float = 1 / 8) -> Tensor:
    """Each picture moved by up to a share of its sides, in whole pixels; 0 comes in."""
    n, height, width, _ = x.shape
    most = [int(side * share + 0.5) for side in (height, width)]
    down, right = (drawn(lambda n, m=m: rng.integers(-m, m + 1, n), n) for m in most)
    padded = ops.pad(x, ((0, 0), (most[0],) * 2, (most[1],) * 2, (0, 0)))
    rows = most[0] - down[:, None] + np.arange(height)                  # (N, H): row of `padded`
    columns = most[1] - right[:, None] + np.arange(width)
    where = backend.device_of(x.data)
    return padded[tuple(constant(backend.asarray(place, None, where)) for place in (
        np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]))]


def cutout(x: Tensor, rng: np.random.Generator, share: float = 1 / 2) -> Tensor:
    """A rectangle of a share of each side put to 0, its middle anywhere."""
    n, height, width, _ = x.shape
    inside = []
    for side in (height, width):
        length = int(side * share + 0.5)
        last = side + (1 - length % 2)          # an even length: side + 1 places between pixels
        first = drawn(lambda n, last=last: rng.integers(0, last, n), n)[:, None] - length // 2
        place = np.arange(side)
        inside.append((place >= first) & (place < first + length))      # (N, side)
    keep = ~(inside[0][:, :, None] & inside[1][:, None, :])
    return x * _constant(keep[..., None], x)


def brightness(x: Tensor, rng: np.random.Generator) -> Tensor:
    """One number from −½ to ½ added to each picture."""
    return x + _uniform(-0.5, 0.5, x, rng)


def saturation(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Colours stretched from their grey by a factor from 0 to 2."""
    grey = ops.mean(x, -1, keepdims=True)
    return grey + (x - grey) * _uniform(0, 2, x, rng)


def contrast(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Everything stretched from the picture's mean by a factor from ½ to 3/2."""
    middle = ops.mean(x, (1, 2, 3), keepdims=True)
    return middle + (x - middle) * _uniform(0.5, 1.5, x, rng)


PARTS: dict[str, Callable[..., Tensor]] = {
    "brightness": brightness, "saturation": saturation, "contrast": contrast,
    "translation": translation, "cutout": cutout}
COLOUR = "brightness", "saturation", "contrast"


class DiffAugment:
    """T(x, rng): the parts in the order given, each with numbers of its own for each picture.

    parts: names among brightness, saturation, contrast, translation, cutout; none leaves x alone.
    Raises ValueError for other names, or x of another shape.
    """

    def __init__(self, *parts: str):
        for part in parts:
            one_of("DiffAugment", "a part", part, PARTS)
        self.parts = parts

    def __call__(self, x: Tensor, rng: np.random.Generator | int) -> Tensor:
        x = floating("DiffAugment", x)
        if x.ndim != 4:
            raise ValueError(f"DiffAugment: x must be pictures (N, H, W, C), got {x.shape}")
        rng = backend.generator(rng)
        for part in self.parts:
            x = PARTS[part](x, rng)
        return x


def _uniform(low, high, x, rng):
    """A number for each picture, (N, 1, 1, 1)."""
    numbers = drawn(lambda n: rng.random((n, 1, 1, 1)), x.shape[0])
    return _constant(numbers * (high - low) + low, x)


def _constant(array, x):
    """An array on the device and in the dtype of x."""
    return constant(backend.asarray(array, x.dtype, backend.device_of(x.data)))
