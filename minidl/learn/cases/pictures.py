"""Convolution, pooling and resampling; also batches of one and pictures of one pixel.

Values are compared with plain loops, and with PyTorch, in test_convolution.py and
test_pooling.py."""
import numpy as np
from scipy import ndimage

from minidl import ops
from minidl.learn.cases.registry import case
from minidl.learn.domains import distinct, integers, normal

case("conv", normal(2, 5, 3), normal(3, 3, 2), normal(2), words="1d")
case("conv", normal(2, 5, 3), normal(3, 3, 2), words="1d-plain", linear="each")
case("conv", normal(1, 5, 4, 2), normal(3, 2, 2, 3), options={"stride": (2, 1), "padding": 1},
     linear="each")
case("conv", normal(1, 6, 5, 2), normal(2, 2, 2, 2), options={"dilation": 2}, linear="each")
case("conv", normal(2, 4, 4, 4), normal(3, 3, 2, 6), options={"groups": 2, "padding": (0, 1)},
     linear="each")
case("conv", normal(1, 3, 3, 4, 2), normal(2, 2, 2, 2, 1), options={"padding": 1, "stride": 2},
     linear="each")
case("conv", normal(2, 3, 3, 2), normal(1, 1, 2, 3), words="1x1", linear="each")
case("conv", normal(1, 1, 1, 2), normal(1, 1, 2, 3), words="pixel", linear="each")
case("conv", normal(1, 1, 1, 2), normal(3, 3, 2, 2), normal(2), options={"padding": 1},
     words="pixel-padded")
for _x, _w, _options in [((2, 5, 3), (3, 3, 2), {}), ((1, 4, 4, 2), (3, 3, 2, 3), {"padding": 1}),
                         ((1, 3, 4, 3, 2), (2, 2, 1, 1, 2), {"stride": 2, "groups": 2}),
                         ((2, 7, 2), (3, 2, 2), {"dilation": 2})]:
    _words = "-".join([f"{len(_x) - 2}d", *_options])
    _value = lambda x, w, b=None, _o=_options: np.maximum(ops.conv(x, w, b, **_o).numpy(), 0)
    case("conv_relu", normal(*_x), normal(*_w), normal(_w[-1]), options=_options, value=_value,
         words=_words)
    case("conv_relu", normal(*_x), normal(*_w), options=_options, value=_value,
         words=f"{_words}-plain")
case("conv_relu", normal(1, 1, 1, 2), normal(1, 1, 2, 3), normal(3), words="pixel")
for _x, _w, _options in [((2, 5, 3), (3, 3, 2), {"padding": ((2, 0),)}),
                         ((1, 4, 6, 2), (3, 3, 1, 2), {"groups": 2, "stride": 2}),
                         ((1, 3, 4, 5, 1), (2, 3, 2, 1, 2), {"stride": (1, 2, 1)}),
                         ((1, 7, 4, 1), (2, 2, 1, 2), {"dilation": 3})]:
    _options = {"padding": "same", **_options}
    case("conv", normal(*_x), normal(*_w), options=_options, linear="each")
    case("conv_relu", normal(*_x), normal(*_w), normal(_w[-1]), options=_options,
         value=lambda x, w, b, _o=_options: np.maximum(ops.conv(x, w, b, **_o).numpy(), 0))
case("conv_input", normal(1, 2, 3, 3), normal(3, 2, 2, 3), linear="each",
     call=lambda u, w: ops.conv_input(u, w, (4, 4), stride=2, padding=(1, 1)))
case("conv_input", normal(1, 1, 1, 3), normal(2, 2, 2, 3), args=((2, 2),), words="pixel",
     linear="each")
case("conv_weight", normal(2, 5, 4), normal(2, 2, 2), linear="each",
     call=lambda x, u: ops.conv_weight(x, u, 2, stride=2, dilation=2, groups=2))
case("conv_weight", normal(1, 1, 1, 2), normal(1, 1, 1, 3), args=(1,), words="pixel", linear="each")
case("conv_transpose", normal(1, 2, 3, 2), normal(3, 3, 2, 2), normal(2),
     options={"stride": 2, "padding": 1, "output_padding": 1})
case("conv_transpose", normal(1, 3, 4), normal(3, 2, 4),
     options={"stride": 2, "groups": 2, "dilation": 2}, linear="each")
case("conv_transpose", normal(1, 1, 1, 2), normal(2, 2, 3, 2), normal(3), words="pixel")

case("max_pool", distinct(2, 5, 2), args=(2,))
case("max_pool", distinct(1, 4, 5, 2),
     options={"kernel_size": (3, 2), "stride": (1, 2), "padding": 1})
case("max_pool", distinct(1, 3, 2, 3, 1), options={"kernel_size": 2, "stride": 1})
case("max_pool", distinct(1, 1, 1, 2), args=(1,), words="pixel", linear="each")
case("max_pool", distinct(1, 1, 1, 2), args=(2, 1, 1), words="pixel-padded")
for _options in ({"kernel_size": 2, "padding": "same"},
                 {"kernel_size": 3, "stride": 1, "padding": ((1, 0), (0, 1))}):
    case("max_pool", distinct(1, 4, 5, 2), options=_options)
    case("average_pool", normal(1, 4, 5, 2), options=_options, linear="each")
for _x in (2, 5, 2), (1, 2, 3, 5, 1):
    case("max_pool", distinct(*_x), options={"kernel_size": 2, "padding": "same"},
         words=f"same-{len(_x) - 2}d")
    case("average_pool", normal(*_x), options={"kernel_size": 2, "padding": "same"}, linear="each",
         words=f"same-{len(_x) - 2}d")
case("max_pool_with_switches", distinct(1, 4, 5, 2),
     call=lambda x: ops.max_pool_with_switches(x, 2, 1, 0)[0])
case("max_pool_with_switches", distinct(1, 1, 1, 2),
     call=lambda x: ops.max_pool_with_switches(x, 1)[0], words="pixel")
case("unpool", normal(1, 2, 2, 2), integers(100, 1, 4, 4, 2), linear="each",
     call=lambda u, i: ops.unpool(u, ops.max_pool_with_switches(i, 2, 2, 0)[1]))
case("unpool", normal(1, 1, 1, 2), integers(9, 1, 1, 1, 2), linear="each", words="pixel",
     call=lambda u, i: ops.unpool(u, ops.max_pool_with_switches(i, 1)[1]))
case("average_pool", normal(1, 4, 5, 2),
     options={"kernel_size": (3, 2), "stride": (1, 2), "padding": 1}, linear="each")
case("average_pool", normal(2, 6, 2), args=(2,), linear="each",
     adjoint=lambda u: 0.5 * ops.repeat(u, 2, 1))
case("average_pool", normal(1, 1, 1, 2), args=(2, 1, 1), words="pixel-padded", linear="each")
case("global_average_pool", normal(2, 3, 2, 4), value=lambda x: x.mean((1, 2)), linear="each")
case("global_average_pool", normal(1, 1, 1, 2), value=lambda x: x[:, 0, 0], words="pixel",
     linear="each")
case("global_max_pool", distinct(2, 3, 2, 4), value=lambda x: x.max((1, 2)))
case("global_max_pool", distinct(1, 1, 1, 2), value=lambda x: x[:, 0, 0], words="pixel",
     linear="each")



def _resized(x, height, width):
    """Linear interpolation at the centres of the new pixels, held at the borders."""
    places = np.meshgrid((np.arange(height) + 0.5) * x.shape[1] / height - 0.5,
                         (np.arange(width) + 0.5) * x.shape[2] / width - 0.5, indexing="ij")
    channels = [ndimage.map_coordinates(x[0, :, :, c], places, order=1, mode="nearest")
                for c in range(x.shape[3])]
    return np.stack(channels, -1)[None]


case("upsample", normal(1, 2, 3, 2), args=(2,), value=lambda x: x.repeat(2, 1).repeat(2, 2),
     linear="each")
case("upsample", normal(1, 2, 3, 2), args=((2, 3), "bilinear"), value=lambda x: _resized(x, 4, 9),
     linear="each")
case("upsample", normal(1, 1, 1, 2), args=(3, "bilinear"),
     value=lambda x: x.repeat(3, 1).repeat(3, 2), words="pixel",
     linear="each")
case("resize", normal(1, 4, 3, 2), args=((3, 5),), value=lambda x: _resized(x, 3, 5), linear="each")
case("resize", normal(1, 4, 3, 2), args=((4, 3),), value=lambda x: x, words="same", linear="each")
case("resize", normal(1, 1, 1, 2), args=((2, 3),), value=lambda x: x.repeat(2, 1).repeat(3, 2),
     words="pixel",
     linear="each")
case("pixel_shuffle", normal(1, 2, 3, 8), args=(2,), linear="each",
     value=lambda x: x.reshape(1, 2, 3, 2, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(1, 4, 6, 2))
case("pixel_shuffle", normal(1, 1, 1, 4), args=(2,), value=lambda x: x.reshape(1, 2, 2, 1),
     words="pixel", linear="each")
