"""A small convolutional encoder of handwritten characters."""
from collections.abc import Sequence
import os

import numpy as np

from minidl import weights as weight_files
from minidl.nn import BatchNorm, Conv2d, Flatten, MaxPool, Normalize, ReLU, Sequential
from minidl.nn.initializers import he_normal
from minidl.nn.module import Pointwise
from minidl.operands import check_sizes, listed, operand
from minidl.settings import whole
from minidl.weights import WeightsError


class CharacterEncoder(Sequential):
    """f(x): (N, size, size, 1), dark ink on white in 0..255 → (N, D), of length 1.

    Blocks of a 3×3 convolution, batch normalisation and, but for the last, ReLU; the first three
    halve the picture by max-pooling.  What is left of it, of 28 pixels 3 × 3 places, is flattened:
    where a stroke is tells characters apart.
    widths: the channels of each block; D = (size // 8)² · the last of them.
    The names are darkness, conv1, pool1, norm1, relu1, conv2, …, flatten, unit_length.
    """
    channels = 1

    def __init__(self, size: int = 28, widths: Sequence[int] = (32, 64, 128, 128), *,
                 rng: np.random.Generator | int):
        size = whole("CharacterEncoder", "8 ≤ size < inf", size)
        widths = listed("CharacterEncoder", "widths", widths, "channels")
        check_sizes("CharacterEncoder", **{f"widths[{i}]": n for i, n in enumerate(widths)})
        if len(widths) < 3:
            raise ValueError("CharacterEncoder: three halvings need three widths or more, got "
                             f"{widths}")
        layers: dict = {"darkness": Darkness()}
        for i, (before, width) in enumerate(zip((1, *widths), widths), 1):
            layers[f"conv{i}"] = Conv2d(before, width, 3, padding=1, bias=False,
                                        initializer=he_normal, rng=rng)
            if i <= 3:
                layers[f"pool{i}"] = MaxPool(2)     # before the rest, which has a quarter to do
            layers |= {f"norm{i}": BatchNorm(width), f"relu{i}": ReLU()}
        del layers[f"relu{i}"]                      # encodings of both signs
        super().__init__(layers | {"flatten": Flatten(), "unit_length": Normalize()})
        self.size = size


class Darkness(Pointwise):
    """y = 1 − x / 255: 1 where there is ink, 0 on white paper."""

    def forward(self, x):
        x = operand("CharacterEncoder", x)
        return 1 - (x if x.dtype.kind == "f" else x.astype("float32")) * (1 / 255)


def character_encoder(weights: str | os.PathLike) -> CharacterEncoder:
    """A trained CharacterEncoder of the default size from a file that `minidl.save` wrote.

    Raises WeightsError, naming the file, where it is damaged or holds something else; OSError where
    it cannot be opened.
    """
    encoder = CharacterEncoder(rng=0)
    arrays = weight_files.load(weights)
    if any(array.dtype.kind not in "biuf" for array in arrays.values()):
        raise WeightsError(
            f"{weights}: holds no encoder of characters: some of its arrays are no numbers"
        )
    try:
        encoder.load_state_dict(arrays)
    except ValueError as error:
        raise WeightsError(f"{weights}: holds no encoder of characters: "
                           f"{str(error)[:200]}") from None
    weight_files.check_numbers(weights, arrays)
    return encoder.eval()
