"""A face detector in one look: MobileNet, six feature maps from 32×32 cells to a single one, anchor boxes on each.

Sources: Liu et al. 2016 (SSD), Howard et al. 2017 (MobileNet), in the form of Huang et al. 2017; the weights are those
of face-api (Mühler 2018), trained on faces (Yang et al. 2016).  `faces.detection` says what its output means.
"""
import numpy as np

from minidl import ops
from minidl.models.face_api import depthwise, depthwise_filter, read
from minidl.models.pictures import Centred
from minidl.nn import Conv2d, Module, Sequential
from minidl.nn.module import Pointwise

WIDTHS = 32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024       # after conv0, conv1, …, conv13
HALVING = 2, 4, 6, 12                       # the convolutions of these numbers halve the sides, as conv0 does
EXTRA = 256, 512, 128, 256, 128, 256, 64, 128               # after extra0, …, extra7: 1×1, then 3×3 of stride 2
# the feature maps that are looked at: their channels, and how many anchors a cell has
MAPS = {"relu11": (512, 3), "relu13": (1024, 6), "extra_relu1": (512, 6), "extra_relu3": (256, 6), "extra_relu5": (256, 6),
        "extra_relu7": (128, 6)}
EPS = 0.001                                 # of its batch normalisation


class ReLU6(Pointwise):
    """y = min(max(x, 0), 6)"""

    def forward(self, x):
        return ops.clip(x, 0, 6)


class SSDFaceDetector(Module):
    """net(x) → (codes (N, 5118, 4), logits (N, 5118, 3)), a row for each anchor: what `faces.detection.decode_maps` reads.
    x: (N, 512, 512, 3), RGB in 0..255.

    trunk: named layers mean, conv0, relu0, then depthwise1, depthwise_relu1, conv1, relu1, … up to 13, extra0, extra_relu0,
    … up to 7, all ReLU6.  On the MAPS, which are outputs of it, the 1×1 convolutions `boxes` give 4 numbers for each
    anchor, and `classes` give 3.  Raises ValueError for another shape.
    """
    size = 512

    def __init__(self):
        layers = {"mean": Centred("ssd_face_detector", (127.5,) * 3, 1 / 127.5, self.size),
                  "conv0": Conv2d(3, WIDTHS[0], 3, 2, "same", rng=0), "relu0": ReLU6()}
        for i in range(1, len(WIDTHS)):
            layers |= {f"depthwise{i}": depthwise(WIDTHS[i - 1], 2 if i in HALVING else 1), f"depthwise_relu{i}": ReLU6(),
                       f"conv{i}": Conv2d(WIDTHS[i - 1], WIDTHS[i], 1, rng=0), f"relu{i}": ReLU6()}
        before = WIDTHS[-1]
        for i, after in enumerate(EXTRA):
            conv = Conv2d(before, after, 3, 2, "same", rng=0) if i % 2 else Conv2d(before, after, 1, rng=0)
            layers |= {f"extra{i}": conv, f"extra_relu{i}": ReLU6()}
            before = after
        self.trunk = Sequential(layers)
        self.boxes, self.classes = ([Conv2d(width, anchors * numbers, 1, rng=0) for width, anchors in MAPS.values()]
                                    for numbers in (4, 3))

    def forward(self, x):
        maps = self.trunk(x, layers=list(MAPS)).values()
        return tuple(ops.concatenate([ops.reshape(head(x), (x.shape[0], -1, numbers)) for x, head in zip(maps, heads)], 1)
                     for numbers, heads in ((4, self.boxes), (3, self.classes)))


def ssd_face_detector(weights="ssd_face_detector"):
    """The SSD detector with pre-trained weights: "ssd_face_detector" (fetched once), or a path, as `face128` takes it."""
    return read("ssd_face_detector", SSDFaceDetector(), weights, _translate)


def _translate(arrays):
    state = {}
    for kind, name, numbers in (("conv", "MobilenetV1", len(WIDTHS)), ("extra", "Prediction", len(EXTRA))):
        for i in range(numbers):
            key = f"{name}/Conv2d_{i}_pointwise/"
            state |= {f"trunk.layers.{kind}{i}.weight": arrays[key + "weights"],
                      f"trunk.layers.{kind}{i}.bias": arrays[key + "convolution_bn_offset"]}
    for i in range(1, len(WIDTHS)):
        w, b = _folded(arrays, f"MobilenetV1/Conv2d_{i}_depthwise/")
        state |= {f"trunk.layers.depthwise{i}.weight": w, f"trunk.layers.depthwise{i}.bias": b}
    for i in range(len(MAPS)):
        for own, theirs in ("boxes", "BoxEncodingPredictor"), ("classes", "ClassPredictor"):
            key = f"Prediction/BoxPredictor_{i}/{theirs}/"
            state |= {f"{own}.{i}.weight": arrays[key + "weights"], f"{own}.{i}.bias": arrays[key + "biases"]}
    return state


def _folded(arrays, key):
    """A depthwise convolution and the batch normalisation behind it as one convolution with a bias.

        γ (w * x − μ) / √(σ² + ε) + β = (g w) * x + (β − g μ),        g = γ / √(σ² + ε), channel by channel
    """
    gamma, beta, mean, variance = (arrays[f"{key}BatchNorm/{part}"]
                                   for part in ("gamma", "beta", "moving_mean", "moving_variance"))
    if not gamma.shape == beta.shape == mean.shape == variance.shape or (variance < 0).any():
        raise ValueError(f"{key}BatchNorm has shapes {gamma.shape}, {beta.shape}, {mean.shape}, {variance.shape}, or a "
                         "variance below 0")
    g = gamma / np.sqrt(variance + np.float32(EPS))
    return depthwise_filter(arrays[key + "depthwise_weights"]) * g, beta - g * mean
