"""A face detector in one look: MobileNet, and anchor boxes on six of its feature maps.

Sources: Liu et al. 2016 (SSD), Howard et al. 2017 (MobileNet), in the form of Huang et al. 2017.
The weights are face-api's (Mühler 2018), trained on faces.
`faces.detection` says what its output means.
"""
import os

import numpy as np

from minidl import ops
from minidl.models.face_api import depthwise, depthwise_filter, read
from minidl.models.pictures import Centred
from minidl.nn import Conv2d, Module, Sequential
from minidl.nn.module import Pointwise
from minidl.tensor import Tensor

# channels after conv0, conv1, …, conv13
WIDTHS = 32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024
HALVING = 2, 4, 6, 12                       # the numbers of those that halve the sides, beside 0
EXTRA = 256, 512, 128, 256, 128, 256, 64, 128       # after extra0, …: 1×1, then 3×3 of stride 2
# the feature maps that are looked at: their channels, and how many anchors a cell has
MAPS = {"relu11": (512, 3), "relu13": (1024, 6), "extra_relu1": (512, 6), "extra_relu3": (256, 6),
        "extra_relu5": (256, 6), "extra_relu7": (128, 6)}
EPS = 0.001                                 # of its batch normalisation


class ReLU6(Pointwise):
    """y = min(max(x, 0), 6)"""

    def forward(self, x):
        return ops.clip(x, 0, 6)


class SSDFaceDetector(Module):
    """net(x) → (codes (N, 5118, 4), logits (N, 5118, 3)): what `faces.detection.decode_maps` reads.

    x: (N, 512, 512, 3), RGB in 0..255.  Each row is an anchor's.
    trunk: layers named mean, conv0, relu0; then, up to 13, depthwise1, depthwise_relu1, conv1,
        relu1; then, up to 7, extra0, extra_relu0.  All of their nonlinearities are ReLU6.
    boxes, classes: 1×1 convolutions on the MAPS, which are outputs of the trunk.  They give 4 and 3
        numbers for each anchor.
    Raises ValueError for another shape.
    """
    size = 512

    def __init__(self):
        layers = {"mean": Centred("ssd_face_detector", (127.5,) * 3, 1 / 127.5, self.size),
                  "conv0": Conv2d(3, WIDTHS[0], 3, 2, "same", rng=0), "relu0": ReLU6()}
        for i in range(1, len(WIDTHS)):
            before, after = WIDTHS[i - 1:i + 1]
            layers |= {f"depthwise{i}": depthwise(before, 2 if i in HALVING else 1),
                       f"depthwise_relu{i}": ReLU6(),
                       f"conv{i}": Conv2d(before, after, 1, rng=0), f"relu{i}": ReLU6()}
        for i, (before, after) in enumerate(zip((WIDTHS[-1], *EXTRA), EXTRA)):
            kernel_size, stride = (3, 2) if i % 2 else (1, 1)
            layers |= {f"extra{i}": Conv2d(before, after, kernel_size, stride, "same", rng=0),
                       f"extra_relu{i}": ReLU6()}
        self.trunk = Sequential(layers)
        self.boxes, self.classes = (
            [Conv2d(width, anchors * numbers, 1, rng=0) for width, anchors in MAPS.values()]
            for numbers in (4, 3))

    def forward(self, x: Tensor | np.ndarray) -> tuple[Tensor, Tensor]:
        found = self.trunk(x, layers=list(MAPS))
        maps = [found[name] for name in MAPS]
        return _rows(self.boxes, maps, 4), _rows(self.classes, maps, 3)


def _rows(heads, maps, numbers):
    """What the heads say about their maps, (N, anchors, numbers)."""
    said = [ops.reshape(head(x), (x.shape[0], -1, numbers)) for head, x in zip(heads, maps)]
    return ops.concatenate(said, 1)


def ssd_face_detector(weights: str | os.PathLike = "ssd_face_detector") -> SSDFaceDetector:
    """The SSD detector with pre-trained weights.

    weights: "ssd_face_detector" (fetched once), or a path, as `face128` takes it.
    """
    return read("ssd_face_detector", SSDFaceDetector(), weights, _translate)


def _translate(arrays):
    state = {}
    for kind, name, widths in ("conv", "MobilenetV1", WIDTHS), ("extra", "Prediction", EXTRA):
        for i in range(len(widths)):
            key = f"{name}/Conv2d_{i}_pointwise/"
            state |= {f"trunk.layers.{kind}{i}.weight": arrays[key + "weights"],
                      f"trunk.layers.{kind}{i}.bias": arrays[key + "convolution_bn_offset"]}
    for i in range(1, len(WIDTHS)):
        w, b = _folded(arrays, f"MobilenetV1/Conv2d_{i}_depthwise/")
        state |= {f"trunk.layers.depthwise{i}.weight": w, f"trunk.layers.depthwise{i}.bias": b}
    for i in range(len(MAPS)):
        for own, theirs in ("boxes", "BoxEncodingPredictor"), ("classes", "ClassPredictor"):
            key = f"Prediction/BoxPredictor_{i}/{theirs}/"
            state |= {f"{own}.{i}.weight": arrays[key + "weights"],
                      f"{own}.{i}.bias": arrays[key + "biases"]}
    return state


def _folded(arrays, key):
    """A depthwise convolution and the batch normalisation behind it as one convolution with a bias.

        γ (w * x − μ) / √(σ² + ε) + β = (g w) * x + (β − g μ),        g = γ / √(σ² + ε),

    channel by channel.
    """
    gamma, beta, mean, variance = (arrays[f"{key}BatchNorm/{part}"]
                                   for part in ("gamma", "beta", "moving_mean", "moving_variance"))
    if not gamma.shape == beta.shape == mean.shape == variance.shape or (variance < 0).any():
        raise ValueError(f"{key}BatchNorm has shapes {gamma.shape}, {beta.shape}, {mean.shape}, "
                         f"{variance.shape}, or a variance below 0")
    g = gamma / np.sqrt(variance + np.float32(EPS))
    return depthwise_filter(arrays[key + "depthwise_weights"]) * g, beta - g * mean
