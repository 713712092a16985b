"""A small convolutional encoder of pictures, to be trained on a laptop: one set of weights for all
pictures compared."""
from collections.abc import Sequence
import json
import math
import os

import numpy as np

from minidl import backend, ops, weights
from minidl.models.pictures import check_pictures
from minidl.nn import BatchNorm, Conv2d, Dense, Flatten, Module, Normalize, ReLU, Sequential
from minidl.operands import check_sizes, listed, operand
from minidl.settings import having, of_kind, whole
from minidl.tensor import Tensor
from minidl.weights import WeightsError


def siamese_encoder(size: int = 72, channels: int = 1, *, border: int = 4,
                    widths: Sequence[int] = (32, 64, 128, 256), features: int = 128,
                    nonnegative: bool = False,
                    seed: np.random.Generator | int = 0) -> "SiameseEncoder":
    """The encoder f of a Siamese pair: pictures → embeddings of length 1; see `SiameseEncoder`."""
    return SiameseEncoder(size, channels, border, widths, features, nonnegative, seed)


class SiameseEncoder(Sequential):
    """f: (N, size, size, channels), pixels in 0..255  →  (N, features), ‖f‖ = 1.

    1. light: `border` pixels are cut off on each side; each picture is brought to mean 0 and
       deviation 1, so that exposure and contrast are gone.
    2. conv1, norm1, relu1, conv2, …: a 3×3 convolution of stride 2 to widths[0] channels; then for
       each further width one of stride 2 and one of stride 1, every one with batch normalisation
       and a ReLU.  64 pixels become 32, 16, 8, 4.
    3. flatten, dense, norm, unit_length: one dense layer on all positions that are left, batch
       normalisation, and division by the length.

    nonnegative: a ReLU before the division, for the χ² head.
    Attributes: size, channels, features; notes, a dictionary of whatever is worth knowing, see
        `save_encoder`: nothing here depends on it.
    With the defaults it has 1.7 million parameters, and 43 million multiplications a picture.
    Raises ValueError for pictures of another shape, TypeError for pixels that are not numbers.
    """

    def __init__(self, size: int, channels: int, border: int, widths: Sequence[int], features: int,
                 nonnegative: bool, seed: np.random.Generator | int):
        widths = listed("siamese_encoder", "widths", widths, "channels")
        side = last_side(size, channels, border, widths, features)
        rng = backend.generator(seed)
        layers: dict = {"light": Light(size, channels, border)}
        for i, (before, width, stride) in enumerate(convolutions(channels, widths), 1):
            # without a bias, as batch normalisation has one
            layers |= {f"conv{i}": Conv2d(before, width, 3, stride, 1, bias=False, rng=rng),
                       f"norm{i}": BatchNorm(width), f"relu{i}": ReLU()}
        dense = Dense(side * side * widths[-1], features, bias=False, rng=rng)
        layers |= {"flatten": Flatten(), "dense": dense, "norm": BatchNorm(features)}
        if nonnegative:
            layers["relu"] = ReLU()
        super().__init__(layers | {"unit_length": Normalize()})
        self.settings = {"size": int(size), "channels": int(channels), "border": int(border),
                         "widths": [int(width) for width in widths], "features": int(features),
                         "nonnegative": bool(nonnegative)}                      # as JSON has them
        self.size, self.channels, self.features = size, channels, features
        self.notes: dict = {}


class Light(Module):
    """Pictures without their borders, each of mean 0 and deviation nearly 1: `standard_light`."""

    def __init__(self, size, channels, border):
        self.size, self.channels, self.border = size, channels, border

    def forward(self, x):
        x = check_pictures("SiameseEncoder", x, self.size, self.channels, "pixels in 0..255")
        kept = slice(self.border, self.size - self.border)
        return standard_light(x[:, kept, kept].astype("float32"))

    def window(self):
        """Its place in the picture, which begins `border` pixels before: a negative padding.  That
        a picture's mean and deviation come from all of it is left aside."""
        return 1, 1, -self.border, 1


def last_side(size, channels, border, widths, features):
    """How many pixels a side the dense layer sees; ValueError for settings that make no encoder."""
    check_sizes("siamese_encoder", size=size, channels=channels, features=features)
    if not widths:
        raise ValueError(
            "siamese_encoder: widths must name the channels of one layer or more, got none"
        )
    check_sizes("siamese_encoder", **{f"widths[{i}]": width for i, width in enumerate(widths)})
    border = whole("siamese_encoder", "0 ≤ border < inf", border)
    side = size - 2 * border
    if side < 2 ** len(widths):
        raise ValueError(
            f"siamese_encoder: size {size} less two borders of {border} leaves {side} pixels; "
            f"{len(widths)} halvings need at least {2 ** len(widths)}"
        )
    for _ in widths:
        side = (side + 1) // 2
    return side


def convolutions(channels, widths):
    """(channels in, channels out, stride) of each convolution."""
    return [(channels, widths[0], 2)] + [convolution for before, width in zip(widths, widths[1:])
                                         for convolution in ((before, width, 2), (width, width, 1))]


class Mirrored(Module):
    """f'(x) = (f(x) + f(x mirrored)) / ‖…‖: an encoder that sees every picture twice, left and
    right exchanged.

    For use, not for training: a face and its mirror image differ by chances of pose and light, and
    the mean of both encodings is steadier.
    """

    def __init__(self, encoder):
        having("Mirrored", "encoder", encoder, "an encoder with size, channels and features",
               "size", "channels", "features", "__call__")
        self.encoder = encoder
        self.size, self.channels, self.features = encoder.size, encoder.channels, encoder.features

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        x = operand("Mirrored", x)
        return ops.normalize(self.encoder(x) + self.encoder(ops.flip(x, 2)))


def save_encoder(path: str | os.PathLike, encoder: SiameseEncoder, **notes) -> None:
    """Write a SiameseEncoder to `path`, in one step: its state, the settings that `load_encoder`
    makes it from, and notes of what JSON can hold (a threshold, the names of the people whom it has
    seen), which come back as `encoder.notes`.

    Raises TypeError for notes that JSON cannot hold, ValueError for NaN or infinity among them.
    """
    of_kind("save_encoder", "encoder", encoder, "a SiameseEncoder", SiameseEncoder)
    try:
        texts = {"siamese_encoder": json.dumps(encoder.settings),
                 "notes": json.dumps(notes, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"save_encoder: notes {sorted(notes)} must be what JSON can hold: {error}"
        ) from None
    weights.save(path, encoder.state_dict() | {name: np.array(text)
                                               for name, text in texts.items()})


def load_encoder(path: str | os.PathLike) -> SiameseEncoder:
    """The SiameseEncoder in a file of `save_encoder`, in eval mode.

    Its settings are compared with the arrays beside them before anything is made of them.
    Raises WeightsError for any other file, for numbers that are not finite, and for a noted
    threshold that is no distance.
    """
    arrays = weights.load(path)
    try:
        settings, notes = (_parsed(arrays.pop(name)) for name in ("siamese_encoder", "notes"))
        _check_threshold(notes.get("threshold", 0))
        _compare(arrays, **settings)
        weights.check_numbers(path, arrays)
        encoder = siamese_encoder(**settings).load_state_dict(arrays)
    except WeightsError:
        raise
    except KeyError:
        raise WeightsError(f"{path}: is a file of weights, but not of a Siamese encoder "
                           "(models.save_encoder)") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path}: does not describe a Siamese encoder: {str(error)[:300]}"
        ) from None
    encoder.notes = notes
    return encoder.eval()


def _parsed(text):
    """The dictionary in an array of JSON text."""
    found = json.loads(str(text))
    if type(found) is not dict:
        raise ValueError(f"expected a dictionary in JSON, got a {type(found).__name__}")
    return found


def _check_threshold(threshold):
    if type(threshold) not in (int, float) or not 0 <= threshold < math.inf:
        raise ValueError(f"its threshold must be a distance ≥ 0, got {str(threshold)[:40]!r}")


def _compare(arrays, size, channels, border, widths, features, nonnegative):
    """Raise ValueError unless the arrays have the shapes that such an encoder's weights have."""
    if type(widths) is not list or type(nonnegative) is not bool:
        raise ValueError("its settings are not of their kinds")
    if 2 * len(widths) > len(arrays):
        raise ValueError(
            f"its settings name {len(widths):,} widths, the file has {len(arrays):,} arrays"
        )
    if any(type(number) is not int for number in (size, channels, border, features, *widths)):
        raise ValueError("its settings are not whole numbers")
    side = last_side(size, channels, border, widths, features)
    # a border costs no weights, but every picture is brought to its size
    if size > 16 * (size - 2 * border):
        raise ValueError(
            f"of pictures of {size} pixels it would see the middle {size - 2 * border}"
        )
    expected = {f"layers.conv{i}.weight": (3, 3, before, width)
                for i, (before, width, _) in enumerate(convolutions(channels, widths), 1)}
    expected["layers.dense.weight"] = side * side * widths[-1], features
    for name, shape in expected.items():
        if name not in arrays or arrays[name].shape != shape:
            came = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
            raise ValueError(f"{name} {came}, its settings ask for {shape}")


def standard_light(x, least=5.0):
    """(x − μ) / (σ + least)        of each picture of (N, H, W, C) by itself

    least: in pixel values, so that the noise of a flat picture is not stretched to deviation 1.
    """
    x = x - ops.mean(x, (1, 2, 3), keepdims=True)
    deviation = ops.norm(x, (1, 2, 3), keepdims=True) * (1 / math.prod(x.shape[1:]) ** 0.5)
    return x / (deviation + least)
