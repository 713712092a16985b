"""The three contractions of convolution (see minidl/ops/convolution.py), over a grid of shapes."""
from dataclasses import dataclass
import math

import minidl as md
from minidl import ops

from .case import Case, normal
from .libraries import filters_to_torch, load, to_torch


@dataclass
class Convolution(Case):
    """conv, conv_input or conv_weight of x (N, *S, C) with filters (*K, C/groups, O), padded by
    half the filter."""
    what: str
    x_shape: tuple
    kernel: int
    filters: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    section = "convolution"

    def __post_init__(self):
        self.ndim = len(self.x_shape) - 2
        # PyTorch has no channels-last signals
        self.layouts = Case.layouts if self.ndim > 1 else ("default",)
        self.padding = self.dilation * (self.kernel // 2)
        places = ((s - 1) // self.stride + 1 for s in self.x_shape[1:-1])   # odd filters
        self.y_shape = (self.x_shape[0], *places, self.filters)
        self.w_shape = (self.kernel,) * self.ndim + (self.x_shape[-1] // self.groups, self.filters)
        self.operations = 2 * math.prod(self.y_shape) * math.prod(self.w_shape[:-1])
        options = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        taps = "×".join([str(self.kernel)] * self.ndim)
        self.name = f"{self.what} {'×'.join(map(str, self.x_shape))} → {self.filters}, {taps}"
        self.name += "".join(f", {name} {value}" for name, value in options.items() if value > 1)
        self.options = options | {"padding": self.padding}

    def arrays(self):
        """x, w and u, a cotangent of the result."""
        return normal(self.x_shape), normal(self.w_shape, 1), normal(self.y_shape, 2)

    def minidl(self):
        x, w, u = map(md.tensor, self.arrays())
        return {"conv": lambda: ops.conv(x, w, **self.options),
                "conv_input": lambda: ops.conv_input(u, w, self.x_shape[1:-1], **self.options),
                "conv_weight": lambda: ops.conv_weight(x, u, self.w_shape[:-2],
                                                       **self.options)}[self.what]

    def torch(self, layout):
        aten = load("torch").ops.aten
        x, w, u = self.arrays()
        x, w, u = to_torch(x, layout), filters_to_torch(w, layout), to_torch(u, layout)
        stride, padding, dilation = ([n] * self.ndim
                                     for n in (self.stride, self.padding, self.dilation))
        places = stride, padding, dilation, False, [0] * self.ndim, self.groups
        if self.what == "conv":
            return lambda: aten.convolution(x, w, None, *places)
        wanted = self.what == "conv_input", self.what == "conv_weight", False
        return lambda: aten.convolution_backward(u, x, w, None, *places, wanted)[wanted.index(True)]


#   x                    taps filters
SHAPES = [
    ((1, 512, 512, 3), 3, 64, {}),  # VGG-19 at 512²: first layer, then one of each block
    ((1, 512, 512, 64), 3, 64, {}),
    ((1, 256, 256, 128), 3, 128, {}),
    ((1, 128, 128, 256), 3, 256, {}),
    ((1, 64, 64, 512), 3, 512, {}),
    ((1, 32, 32, 512), 3, 512, {}),
    ((96, 64, 64, 1), 3, 32, {}),                               # batches of small pictures
    ((96, 32, 32, 32), 3, 64, {}),
    ((96, 16, 16, 64), 3, 128, {}),
    ((128, 28, 28, 1), 5, 16, {}),
    ((32, 224, 224, 3), 7, 64, {"stride": 2}),                  # ResNet's first layer
    ((32, 56, 56, 64), 1, 256, {}),                             # 1 × 1
    ((32, 56, 56, 256), 1, 64, {}),
    ((32, 56, 56, 128), 3, 128, {"stride": 2}),
    ((8, 64, 64, 64), 3, 64, {"dilation": 2}),
    ((8, 64, 64, 128), 3, 128, {"groups": 4}),
    ((32, 4096, 1), 9, 32, {}),                                 # signals
    ((32, 1024, 64), 9, 64, {}),
    ((32, 1024, 64), 3, 64, {"dilation": 8}),
    ((32, 1024, 64), 5, 128, {"stride": 4}),
    ((2, 32, 64, 64, 3), 3, 32, {}),                            # volumes
    ((2, 16, 32, 32, 32), 3, 64, {}),
    ((2, 16, 32, 32, 64), 3, 64, {"stride": 2}),
    ((2, 16, 32, 32, 64), 1, 128, {}),
]
QUICK = (1, 3, 9, 13, 17, 21)


def cases(quick):
    chosen = [SHAPES[i] for i in QUICK] if quick else SHAPES
    return [Convolution(what, *shape, **options) for *shape, options in chosen
            for what in ("conv", "conv_input", "conv_weight")]
