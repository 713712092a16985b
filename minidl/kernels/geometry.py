"""Sizes of convolution and pooling, and the checks of what they are asked for."""
from dataclasses import dataclass
import functools


def output_size(n, window, stride, padding, dilation=1):
    """floor((n + 2·padding − dilation·(window−1) − 1) / stride) + 1: how many places the window
    fits; below 1, none."""
    return (n + 2 * padding - dilation * (window - 1) - 1) // stride + 1


def same_padding(n, window, stride, dilation=1):
    """(before, after) with which the window fits ceil(n / stride) times; an odd one after.

    It is TensorFlow's "SAME".
    """
    places, reach = -(-n // stride), dilation * (window - 1) + 1
    missing = max((places - 1) * stride + reach - n, 0)
    return missing // 2, missing - missing // 2


AXES = {1: "T", 2: "HW", 3: "DHW"}


def output_sizes(operation, sizes, window, stride, padding, dilation):
    """output_size per axis; raises ValueError, naming the axis, where the window does not fit
    once."""
    result = tuple(map(output_size, sizes, window, stride, padding, dilation))
    for axis, places in enumerate(result):
        if places < 1:
            name = AXES.get(len(sizes), "·" * len(sizes))[axis]
            reach = dilation[axis] * (window[axis] - 1) + 1
            raise ValueError(f"{operation}: window {window[axis]}"
                             + f" (dilated: {reach})" * (dilation[axis] > 1)
                             + " is larger than the padded input "
                               f"{sizes[axis] + 2 * padding[axis]} along {name}")
    return result


@dataclass(frozen=True)
class Geometry:
    """How a filter meets an array: spatial sizes of the input, the filter and the result, and the
    steps between."""
    sizes: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int

    @functools.cached_property
    def output(self):
        return tuple(map(output_size, self.sizes, self.kernel, self.stride, self.padding,
                         self.dilation))
