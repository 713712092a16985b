"""A face detector of 190,000 weights: seven convolutions, and a grid of cells with anchor boxes.

Source: face-api (Mühler 2018), after Redmon and Farhadi 2017 (YOLO9000).
`faces.detection` says what its output means.
"""
import os

from minidl.models.face_api import Separable, read, separable_arrays
from minidl.models.pictures import Centred
from minidl.nn import Conv2d, LeakyReLU, MaxPool, Sequential

MEAN = (117.001, 114.697, 97.404)                       # of the training pictures, RGB in 0..255
CHANNELS = 16, 32, 64, 128, 256, 512                    # after conv0, conv1, …
ANSWERS = 25                                            # of a cell: five anchors, five numbers each


class TinyFaceDetector(Sequential):
    """net(x) → (N, n, n, 25), n = S / 32: what `faces.detection.decode_grid` reads.

    x: (N, S, S, 3), RGB in 0..255, S any multiple of 32.  Faces that fill much of the square are
    found with a small S, little ones with a large S.
    The names are mean, conv0, leaky0, pool0, conv1, leaky1, pool1, …, pool5, answers.
    conv0 is a full convolution, and pads nothing; the others are Separable.  pool5 has stride 1.
    """

    def __init__(self):
        layers = {"mean": Centred("tiny_face_detector", MEAN, 1 / 255),
                  "conv0": Conv2d(3, CHANNELS[0], 3, rng=0)}
        for i, after in enumerate(CHANNELS):
            if i:
                layers[f"conv{i}"] = Separable(CHANNELS[i - 1], after)
            layers |= {f"leaky{i}": LeakyReLU(0.1),
                       f"pool{i}": MaxPool(2, 1 if i == 5 else 2, "same")}
        super().__init__(layers | {"answers": Conv2d(CHANNELS[-1], ANSWERS, 1, rng=0)})


def tiny_face_detector(weights: str | os.PathLike = "tiny_face_detector") -> TinyFaceDetector:
    """The tiny detector with pre-trained weights.

    weights: "tiny_face_detector" (fetched once), or a path, as `face128` takes it.
    """
    return read("tiny_face_detector", TinyFaceDetector(), weights, _translate)


def _translate(arrays):
    state = {f"layers.{own}.{part}": arrays[f"{theirs}/{name}"]
             for own, theirs in (("conv0", "conv0"), ("answers", "conv8"))
             for part, name in (("weight", "filters"), ("bias", "bias"))}
    for i in range(1, len(CHANNELS)):
        state |= separable_arrays(arrays, f"layers.conv{i}", f"conv{i}")
    return state
