"""A small convolutional encoder of pictures, to be trained on a laptop: one set of weights for all pictures compared."""
import json

from minidl import backend, ops, weights
from minidl.nn import BatchNorm, Conv2d, Dense, Module
from minidl.operands import check_sizes, operand
from minidl.weights import WeightsError


def siamese_encoder(size=72, channels=1, *, border=4, widths=(32, 64, 128, 256), features=128, nonnegative=False, seed=0):
    """The encoder f of a Siamese pair: pictures → embeddings of length 1; see `SiameseEncoder`."""
    return SiameseEncoder(size, channels, border, widths, features, nonnegative, seed)


class SiameseEncoder(Module):
    """f: (N, size, size, channels), pixels in 0..255  →  (N, features), ‖f‖ = 1.

    1. `border` pixels are cut off on each side; each picture is brought to mean 0 and deviation 1, so that exposure and
       contrast are gone.
    2. A 3×3 convolution of stride 2 to widths[0] channels; then for each further width one of stride 2 and one of stride
       1, every one with batch normalisation and a ReLU.  64 pixels become 32, 16, 8, 4.
    3. One dense layer on all that is left, position by position, batch normalisation, and division by the length.

    nonnegative: a ReLU before the division, for the χ² head.  Attributes: size, channels, features.
    notes: a dictionary of whatever is worth knowing, see `save_encoder`; nothing here depends on it.
    With the defaults 1.7 million parameters and 43 million multiplications a picture.
    Raises ValueError for pictures of another shape, TypeError for pixels that are not numbers.
    """

    def __init__(self, size, channels, border, widths, features, nonnegative, seed):
        check_sizes("siamese_encoder", size=size, channels=channels, features=features)
        if not widths:
            raise ValueError("siamese_encoder: widths must name the channels of one layer or more, got none")
        side = size - 2 * border
        if border < 0 or side < 2 ** len(widths):
            raise ValueError(f"siamese_encoder: size {size} less two borders of {border} leaves {side} pixels; "
                             f"{len(widths)} halvings need at least {2 ** len(widths)}")
        rng = backend.generator(seed)
        self.settings = {"size": size, "channels": channels, "border": border, "widths": list(widths), "features": features,
                         "nonnegative": nonnegative}
        self.size, self.channels, self.features = size, channels, features
        self.border, self.nonnegative, self.notes = border, nonnegative, {}
        self.stem = Block(channels, widths[0], 2, rng)
        self.blocks = [Block(i, o, stride, rng) for before, width in zip(widths, widths[1:])
                       for i, o, stride in ((before, width, 2), (width, width, 1))]
        for _ in widths:
            side = (side + 1) // 2
        self.dense = Dense(side * side * widths[-1], features, bias=False, rng=rng)
        self.norm = BatchNorm(features)

    def forward(self, x):
        x = operand("SiameseEncoder", x)
        if x.shape[1:] != (self.size, self.size, self.channels):
            raise ValueError(f"{type(self).__name__}: x must be (N, {self.size}, {self.size}, {self.channels}), pixels in "
                             f"0..255, got {x.shape}")
        kept = slice(self.border, self.size - self.border)
        x = self.stem(standard_light(x[:, kept, kept].astype(self.dense.weight.dtype)))
        for block in self.blocks:
            x = block(x)
        y = self.norm(self.dense(x.reshape(x.shape[0], self.dense.weight.shape[0])))
        return unit_length(ops.relu(y) if self.nonnegative else y)


class Block(Module):
    """y = max(0, BatchNorm(conv(x)))  with 3×3 filters, zero padding and no bias (batch normalisation has one)."""

    def __init__(self, channels, width, stride, rng):
        self.conv = Conv2d(channels, width, 3, stride, 1, bias=False, rng=rng)
        self.norm = BatchNorm(width)

    def forward(self, x):
        return ops.relu(self.norm(self.conv(x)))


class Mirrored(Module):
    """f'(x) = (f(x) + f(x mirrored)) / ‖…‖: an encoder that sees every picture twice, left and right exchanged.

    For use, not for training: pictures of faces mirror each other by chance of pose and light, and the mean is steadier.
    """

    def __init__(self, encoder):
        self.encoder = encoder
        self.size, self.channels, self.features = encoder.size, encoder.channels, encoder.features

    def forward(self, x):
        x = operand("Mirrored", x)
        return unit_length(self.encoder(x) + self.encoder(ops.flip(x, 2)))


def save_encoder(path, encoder, **notes):
    """Write a SiameseEncoder to `path`, in one step: its state, the settings that `load_encoder` makes it from, and notes
    of what JSON can hold (a threshold, the names of the people whom it has seen), which come back as `encoder.notes`."""
    texts = {"siamese_encoder": encoder.settings, "notes": notes}
    weights.save(path, encoder.state_dict() | {name: backend.CPU.module.array(json.dumps(text))
                                               for name, text in texts.items()})


def load_encoder(path):
    """The SiameseEncoder in a file of `save_encoder`, in eval mode.  Raises WeightsError for any other file."""
    arrays = weights.load(path)
    try:
        encoder = siamese_encoder(**json.loads(str(arrays.pop("siamese_encoder"))))
        encoder.notes = dict(json.loads(str(arrays.pop("notes", "{}"))))
        return encoder.load_state_dict(arrays).eval()
    except KeyError:
        raise WeightsError(f"{path}: is a file of weights, but not of a Siamese encoder (models.save_encoder)") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: does not describe a Siamese encoder: {error}") from None


def standard_light(x, least=5.0):
    """(x − μ) / (σ + least)  for each picture of (N, H, W, C) by itself; `least`, in pixel values, spares flat ones."""
    x = x - ops.mean(x, (1, 2, 3), keepdims=True)
    return x / (ops.norm(x, (1, 2, 3), keepdims=True) * (1 / (x.size / x.shape[0]) ** 0.5) + least)


def unit_length(x):
    """y = x / ‖x‖ along the last axis; 0 stays 0.        x̄ = (ȳ − y ⟨y, ȳ⟩) / ‖x‖, by composition"""
    length = ops.norm(x, -1, keepdims=True)
    return x / ops.where(length == 0, 1.0, length)
