"""DCGAN: a generator of transposed convolutions, a discriminator of strided ones; with classes.

    generator      z, one-hot class → dense → (b, b, w₀) → [transposed 4/2/1, norm, ReLU]… → tanh
    discriminator  picture, class planes → [4/2/1 convolution, leaky ReLU 0.2]… → dense → score

b is the smallest side, w₀ its channels; each doubling of the side halves them.  4/2/1 is kernel,
stride, padding: of each doubling, and of each halving.  The kernel is a multiple of the stride, so
every pixel is made of as many taps: no checkerboard by construction.
Both get the class: the generator beside its noise, the discriminator as planes beside the picture,
1 in the plane of the class and 0 in the others.  So it judges pairs, and a picture of another class
than asked for is as wrong as a bad one.
The discriminator has no norm over the batch: R1 is of each example by itself (`penalties.py`).
Source: Radford, Metz and Chintala 2016; Mirza and Osindero 2014.
"""
import math

import numpy as np

from minidl import backend, nn, ops
from minidl.gan.spectral import SpectralNorm
from minidl.operands import check_labels, check_sizes, floating, operand
from minidl.settings import one_of, whole

UPSAMPLING = "transposed", "nearest"


def stages(size):
    """(smallest side, doublings): the side is halved until it is 7 or less, or odd.

    Raises ValueError for sizes that are not 4 to 7 times a power of 2, at least 8.
    """
    side, count = size, 0
    while side > 7 and side % 2 == 0:
        side, count = side // 2, count + 1
    if not 4 <= side <= 7 or count == 0:
        raise ValueError(f"size {size}: a side of 4 to 7 pixels is doubled until it is the size: "
                         "28, 32, 48 or 64, say")
    return side, count


class Generator(nn.Module):
    """G(z, labels): noise (N, noise), labels (N,) → pictures (N, size, size, channels) in −1..1.

    classes: 0 for none; then labels are None.  width: channels before the last layer; they double
    towards the noise.  upsampling: "transposed", or "nearest" with a 3 × 3 convolution after it.
    Raises ValueError for noise or labels that do not fit.
    """

    def __init__(self, size: int, channels: int, noise: int = 64, classes: int = 0, width: int = 64,
                 upsampling: str = "transposed", *, rng: np.random.Generator | int | None = None):
        check_sizes("Generator", size=size, channels=channels, noise=noise, width=width)
        classes = whole("Generator", "0 ≤ classes < inf", classes)
        one_of("Generator", "upsampling", upsampling, UPSAMPLING)
        side, count = stages(size)
        rng, widths = backend.generator(rng), [width * 2 ** i for i in reversed(range(count))]
        first = side * side * widths[0]
        layers = {"dense": nn.Dense(noise + classes, first, bias=False, rng=rng),
                  "places": nn.Reshape(side, side, widths[0])}
        for i, (before, after) in enumerate(zip(widths, [*widths[1:], channels]), 1):
            layers |= {f"norm{i}": nn.BatchNorm(before), f"relu{i}": nn.ReLU(),
                       f"up{i}": _up(before, after, upsampling, bias=i == count, rng=rng)}
        self.layers = nn.Sequential(layers | {"tanh": nn.Tanh()})
        self.settings = {"size": size, "channels": channels, "noise": noise, "classes": classes,
                         "width": width, "upsampling": upsampling}
        self.size, self.channels, self.noise, self.classes = size, channels, noise, classes

    def forward(self, z, labels=None):
        z = floating("Generator", z, "z")
        if z.ndim != 2 or z.shape[1] != self.noise:
            raise ValueError(f"Generator: z must be (N, {self.noise}), got {z.shape}")
        hot = one_hot("Generator", labels, self.classes, z)
        return self.layers(z if hot is None else ops.concatenate([z, hot], 1))


def _up(before, after, upsampling, bias, rng):
    if upsampling == "transposed":
        return nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias, rng=rng)
    return nn.Sequential(Upsample(2), nn.Conv2d(before, after, 3, 1, 1, bias=bias, rng=rng))


class Upsample(nn.Module):
    """Every pixel repeated `factor` times along both axes; see `ops.upsample`."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return ops.upsample(x, self.factor)


class Discriminator(nn.Module):
    """s(x, labels): pictures (N, size, size, channels), labels (N,) → scores (N, 1).

    classes: 0 for none.  width: channels after the first layer; they double up to the last.
    spectral: whether each layer is divided by its gain (`spectral.py`), as with the hinge game.
    Raises ValueError for pictures or labels that do not fit.
    """

    def __init__(self, size: int, channels: int, classes: int = 0, width: int = 32,
                 spectral: bool = False, *, rng: np.random.Generator | int | None = None):
        check_sizes("Discriminator", size=size, channels=channels, width=width)
        classes = whole("Discriminator", "0 ≤ classes < inf", classes)
        stages(size)
        rng = backend.generator(rng)
        layers: dict[str, nn.Module] = {}
        side, before, after, i = size, channels + classes, width, 1

        def wrapped(layer):
            return SpectralNorm(layer, rng=rng) if spectral else layer

        while side > 4:
            kernel = 4 - side % 2                           # an odd side: 3/2/1
            layers |= {f"conv{i}": wrapped(nn.Conv2d(before, after, kernel, 2, 1, rng=rng)),
                       f"relu{i}": nn.LeakyReLU(0.2)}
            side, before, after, i = math.ceil(side / 2), after, 2 * after, i + 1
        dense = wrapped(nn.Dense(side * side * before, 1, rng=rng))
        layers |= {"flatten": nn.Flatten(), "dense": dense}
        self.layers = nn.Sequential(layers)
        self.size, self.channels, self.classes = size, channels, classes

    def forward(self, x, labels=None):
        x = floating("Discriminator", x)
        expected = (self.size, self.size, self.channels)
        if x.ndim != 4 or x.shape[1:] != expected:
            raise ValueError(f"Discriminator: x must be (N, {', '.join(map(str, expected))}), got "
                             f"{x.shape}")
        hot = one_hot("Discriminator", labels, self.classes, x)
        if hot is not None:
            planes = ops.reshape(hot, (hot.shape[0], 1, 1, self.classes))
            x = ops.concatenate([x, ops.broadcast_to(planes, x.shape[:3] + (self.classes,))], 3)
        return self.layers(x)


def one_hot(owner, labels, classes, like):
    """Labels (N,) as rows (N, classes) in the dtype of `like` (N, …); None without classes.

    Raises ValueError where labels are missing, not asked for, out of range or of another number.
    """
    if classes == 0 or labels is None:
        if classes or labels is not None:
            raise ValueError(f"{owner}: it knows {classes} classes; labels must "
                             + ("be given" if classes else "be None"))
        return None
    labels = operand(owner, labels, "labels")
    check_labels(owner, labels, classes)
    if labels.shape != like.shape[:1]:
        raise ValueError(f"{owner}: {like.shape[0]} examples need labels ({like.shape[0]},), got "
                         f"{labels.shape}")
    return ops.one_hot(labels, classes).astype(like.dtype)
