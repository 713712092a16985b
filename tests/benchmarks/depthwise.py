"""Depthwise convolution, forward and both gradients, against as many shifted products in NumPy."""
from dataclasses import dataclass

import numpy as np

from .convolutions import Convolution


@dataclass
class Depthwise(Convolution):
    """conv, conv_input or conv_weight of pictures (N, H, W, C) with a filter for each channel."""
    section = "depthwise"

    def numpy(self):
        x, w, u = self.arrays()
        (_, height, width, _), (_, rows, columns, _) = self.x_shape, self.y_shape
        s, p, taps = self.stride, self.padding, list(np.ndindex(w.shape[:2]))
        padded = np.zeros((len(x), height + 2 * p, width + 2 * p, x.shape[-1]), x.dtype)

        def seen(i, j):
            return padded[:, i:i + s * (rows - 1) + 1:s, j:j + s * (columns - 1) + 1:s]

        def conv():
            padded[:, p:p + height, p:p + width] = x
            y = seen(0, 0) * w[0, 0, 0]
            for tap in taps[1:]:
                y += seen(*tap) * w[tap][0]
            return y

        def conv_input():
            padded[...] = 0
            for tap in taps:
                part = seen(*tap)
                part += u * w[tap][0]
            return padded[:, p:p + height, p:p + width]

        def conv_weight():
            padded[:, p:p + height, p:p + width] = x
            return np.stack([(seen(*tap) * u).sum((0, 1, 2)) for tap in taps])

        return {"conv": conv, "conv_input": conv_input, "conv_weight": conv_weight}[self.what]


#   side, channels, stride: the layers of MobileNet, and one of few channels
SHAPES = [(256, 32, 1), (256, 64, 2), (128, 128, 1), (64, 256, 1), (32, 512, 1), (16, 1024, 1),
          (208, 16, 1)]


def cases(quick):
    return [Depthwise(what, (1, side, side, channels), 3, channels, stride, groups=channels)
            for side, channels, stride in (SHAPES[4:] if quick else SHAPES)
            for what in ("conv", "conv_input", "conv_weight")]
