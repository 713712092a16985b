"""Landmarks by regression: a small convolutional network says where 68 points of a face are.

Source: face-api (Mühler 2018), whose weights it has.  Its blocks follow Huang et al. 2017
(DenseNet), with sums where those concatenate.  The 68 points are those of Sagonas et al. 2013,
left in the picture before right: 0–16 jaw, 17–26 brows, 27–35 nose, 36–41 and 42–47 eyes, 48–67
lips.
"""
import os

from minidl import ops
from minidl.models.face_api import Separable, read, separable_arrays
from minidl.models.pictures import Centred
from minidl.nn import Conv2d, Dense, GlobalAveragePool, Module, Reshape, Sequential
from minidl.operands import check_sizes

MEAN = (122.782, 117.001, 104.298)                      # of the training pictures, RGB in 0..255
CHANNELS = 32, 64, 128, 256                             # after each block, which halves the sides


class SummingBlock(Module):
    """Convolutions of which each sees the sum of all before it:

        y₀ = relu(c₀(x)),   yⱼ = relu(y₀ + c₁(y₀) + … + cⱼ(yⱼ₋₁)),   and the last yⱼ is given.

    (N, H, W, in_channels) → (N, ⌈H/2⌉, ⌈W/2⌉, out_channels).
    c₀ halves the sides.  It is a full convolution of colours, else a Separable, as the other
    count − 1 are.
    """

    def __init__(self, in_channels, out_channels, count):
        first = (Conv2d(3, out_channels, 3, 2, "same", rng=0) if in_channels == 3
                 else Separable(in_channels, out_channels, 2))
        self.convs = [first] + [Separable(out_channels, out_channels) for _ in range(count - 1)]

    def forward(self, x):
        first, *others = self.convs
        total = y = ops.relu(first(x))
        for conv in others:
            total = total + conv(y)
            y = ops.relu(total)
        return y


class FaceLandmarks(Sequential):
    """net(x) → (N, 68, 2): x and y of the points, in 0..1 of the picture, perhaps outside.

    x: (N, 112, 112, 3), RGB in 0..255, a face and a little around it.
    The names are mean, block0, block1, …, average, dense, points.
    blocks: how many SummingBlocks, of `count` convolutions each.
    Raises ValueError for another shape.
    """
    size, channels = 112, 3

    def __init__(self, blocks: int, count: int):
        check_sizes("FaceLandmarks", blocks=blocks, count=count)
        if blocks > len(CHANNELS) or count > 16:
            raise ValueError(f"FaceLandmarks: at most {len(CHANNELS)} blocks of 16 convolutions, "
                             f"got {blocks:.3g} and {count:.3g}")
        layers: dict = {"mean": Centred("face_landmarks", MEAN, 1 / 255, self.size)}
        before = self.channels
        for b, after in enumerate(CHANNELS[:blocks]):
            layers[f"block{b}"] = SummingBlock(before, after, count)
            before = after
        layers |= {"average": GlobalAveragePool(), "dense": Dense(before, 136, rng=0),
                   "points": Reshape(68, 2)}
        super().__init__(layers)


def face_landmarks(weights: str | os.PathLike = "face_landmarks") -> FaceLandmarks:
    """The landmark network with pre-trained weights.

    weights: "face_landmarks" (fetched once), or a path, as `face128` takes it.
    """
    return _landmarks("face_landmarks", weights, 4, 4)


def tiny_face_landmarks(weights: str | os.PathLike = "tiny_face_landmarks") -> FaceLandmarks:
    """A landmark network a fifth the size: it takes half the time, and errs by a tenth more."""
    return _landmarks("tiny_face_landmarks", weights, 3, 3)


def _landmarks(network, weights, blocks, count):
    def translate(arrays):
        state = {"layers.dense.weight": arrays["fc/weights"],
                 "layers.dense.bias": arrays["fc/bias"],
                 "layers.block0.convs.0.weight": arrays["dense0/conv0/filters"],
                 "layers.block0.convs.0.bias": arrays["dense0/conv0/bias"]}
        for b in range(blocks):
            for i in range(0 if b else 1, count):
                state |= separable_arrays(arrays, f"layers.block{b}.convs.{i}", f"dense{b}/conv{i}")
        return state

    return read(network, FaceLandmarks(blocks, count), weights, translate)
