"""A residual network that turns a face into 128 numbers, near for two pictures of one person:
dlib's face ResNet.

Source: King 2017 (dlib's face recognition model), after He et al. 2016; it was trained with a
pairwise hinge on three million pictures, and two encodings nearer than 0.6 (Euclidean) were meant
to be one person.
"""
import os

import numpy as np

from minidl import ops
from minidl import weights as weight_files
from minidl.models.face_api import find_weights
from minidl.models.pictures import Centred
from minidl.nn import Conv2d, ConvReLU, Dense, GlobalAveragePool, MaxPool, Module, Sequential
from minidl.settings import of_kind
from minidl.weights import WeightsError

MEAN = (122.782, 117.001, 104.298)                      # of the training pictures, RGB in 0..255
# every block's channels, and whether it halves the picture: 35 → 17 → 8 → 4 → 2 pixels a side
BLOCKS = {"conv32_1": (32, False), "conv32_2": (32, False), "conv32_3": (32, False),
          "conv64_down": (64, True), "conv64_1": (64, False), "conv64_2": (64, False),
          "conv64_3": (64, False),
          "conv128_down": (128, True), "conv128_1": (128, False), "conv128_2": (128, False),
          "conv256_down": (256, True), "conv256_1": (256, False), "conv256_2": (256, False),
          "conv256_down_out": (256, True)}


class Residual(Module):
    """y = relu(x + c₂(relu(c₁(x)))): two 3×3 convolutions learn what is to be added to x.

    first, second: their filters and biases.  halves: the first takes every second place, and pads
    nothing.
    """

    def __init__(self, first, second, halves):
        self.halves = halves
        self.conv1 = ConvReLU.from_weights(*first, **({"stride": 2} if halves else {"padding": 1}))
        self.conv2 = Conv2d.from_weights(*second, padding=1)

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        return ops.relu(add_padded(ops.average_pool(x, 2), y) if self.halves else x + y)

    def window(self):
        """Two windows of 3, the second over every s-th place of the first: 3 + 2s, of which the
        first padding counts once, the second s times.  The shortcut stays inside of them."""
        stride, padding = (2, 0) if self.halves else (1, 1)
        return 3 + 2 * stride, stride, padding + stride, 1


def add_padded(x, y):
    """x + y, where (N, H, W, C) and (N, H', W', C') are first brought to one shape by zeros at the
    bottom, at the right, and as last channels: a shortcut without weights from C channels to C'."""
    sizes = np.maximum(x.shape, y.shape)
    x, y = (ops.pad(z, [(0, int(missing)) for missing in sizes - z.shape]) for z in (x, y))
    return x + y


class FaceResNet(Sequential):
    """net(x) → encodings (N, 128), not normalised.  x: (N, 150, 150, 3), RGB in 0..255, a face that
    fills the picture.

    A 7×7/2 convolution and 3×3/2 max pooling, the BLOCKS, the mean over the places that are left,
    and a dense layer without bias.
    The names are mean, conv32_down, relu32_down, pool, those of the BLOCKS, average, dense.
    filters: {"conv32_down": (w, b), "conv32_1.conv1": (w, b), …}; dense: (256, 128).  The
        parameters are frozen.
    Raises ValueError for another shape.
    """
    size, channels = 150, 3
    # how `faces.encode` shows it a face: aligned, or else cut a little lower; and mirrored, too
    aligned, lowered, mirrored = True, 0.087, True

    def __init__(self, filters: dict[str, tuple[np.ndarray, np.ndarray]], dense: np.ndarray):
        of_kind("FaceResNet", "filters", filters, "a dictionary {name: (w, b)}", dict)
        missing = {"conv32_down", *(f"{name}.conv{i}" for name in BLOCKS for i in (1, 2))} - {
            *filters}
        if missing:
            raise ValueError(f"FaceResNet: filters lack {', '.join(sorted(missing)[:3])}, …")
        first = ConvReLU.from_weights(*filters["conv32_down"], stride=2)
        layers = {"mean": Centred("face128", MEAN, 1 / 255, self.size),
                  ("conv32_down", "relu32_down"): first, "pool": MaxPool(3, 2)}
        for name, (_, halves) in BLOCKS.items():
            layers[name] = Residual(filters[name + ".conv1"], filters[name + ".conv2"], halves)
        layers |= {"average": GlobalAveragePool(), "dense": Dense.from_weights(dense)}
        super().__init__(layers)
        self.freeze()


def face128(weights: str | os.PathLike = "face128") -> FaceResNet:
    """The face ResNet with pre-trained weights: "face128" (fetched once), or a path to the folder
    `model/` of the package @vladmandic/face-api, to the .bin or the .json of its face recognition
    model, or to what `minidl.save` wrote."""
    fetched = isinstance(weights, str) and weights == "face128"
    path = weight_files.fetch(weights) if fetched else find_weights("face128", weights)
    return FaceResNet(*read_filters(weight_files.load(path), path))


def read_filters(arrays, path):
    """({"conv32_down": (w, b), "conv32_1.conv1": (w, b), …}, dense (256, 128)) from the arrays of a
    file.

    conv32_1/conv1/conv/filters, …/conv/bias, …/scale/weights γ, …/scale/biases β: face-api's, where
        a unit is y = γ (w * x + b) + β, batch normalisation folded as far as γ and β.  They go into
        w and b here: wγ and bγ + β.
    layers.conv32_1.conv1.weight, …: what `minidl.save` wrote.
    Raises WeightsError, naming the file, for what is missing, misshapen, or no finite number.
    """
    weight_files.check_numbers(path, arrays)
    names = ["conv32_down"] + [f"{block}.conv{i}" for block in BLOCKS for i in (1, 2)]
    try:
        if "fc" in arrays:
            filters, dense = {name: _folded(arrays, name.replace(".", "/"), path)
                              for name in names}, arrays["fc"]
        else:
            filters = {name: (arrays[f"layers.{name}.weight"], arrays[f"layers.{name}.bias"])
                       for name in names}
            dense = arrays["layers.dense.weight"]
    except KeyError as error:
        raise WeightsError(f"{path}: is not a file of face128's weights: "
                           f"{error} is missing") from None
    previous, expected = 32, {"conv32_down": (7, 7, 3, 32)}
    for name, (channels, _) in BLOCKS.items():
        expected |= {name + ".conv1": (3, 3, previous, channels),
                     name + ".conv2": (3, 3, channels, channels)}
        previous = channels
    for name, (w, b) in filters.items():
        if w.shape != expected[name] or b.shape != expected[name][-1:]:
            raise WeightsError(f"{path}: {name} has filters {w.shape} and bias {b.shape}, face128 "
                               f"needs {expected[name]} and {expected[name][-1:]}")
    if dense.shape != (previous, 128):
        raise WeightsError(f"{path}: the dense layer has shape {dense.shape}, face128 needs "
                           f"{(previous, 128)}")
    return {name: (w.astype("float32"), b.astype("float32"))
            for name, (w, b) in filters.items()}, dense.astype("float32")


def _folded(arrays, key, path):
    w, b, scale, shift = (
        arrays[f"{key}/{part}"]
        for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
    )
    if not b.shape == scale.shape == shift.shape == w.shape[-1:]:
        raise WeightsError(f"{path}: {key} has filters {w.shape}, bias {b.shape}, scale "
                           f"{scale.shape} and shift {shift.shape}")
    return w * scale, b * scale + shift
