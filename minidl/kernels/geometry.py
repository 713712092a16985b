"""Sizes of convolution and pooling along one axis, and the window view on which all of them stand."""
from dataclasses import dataclass
from functools import cached_property

from minidl import backend
from minidl.kernels.memory import empty
from minidl.kernels.workers import hands, share, strips, workspace


def per_axis(operation, name, value, ndim, lowest):
    """`value`, an integer or one per spatial axis, as a tuple of `ndim` integers of at least `lowest`."""
    if type(value) is int and value >= lowest:
        return (value,) * ndim
    try:
        values = (value,) * ndim if hasattr(value, "__index__") else tuple(value)
        values = tuple(v.__index__() for v in values)
    except (TypeError, AttributeError):
        raise TypeError(f"{operation}: {name} must be an integer or {ndim} of them, got {value!r}") from None
    if len(values) != ndim or any(v < lowest for v in values):
        raise ValueError(f"{operation}: {name} must be an integer ≥ {lowest} or {ndim} of them, got {value!r}")
    return values


def output_size(n, window, stride, padding, dilation=1):
    """floor((n + 2·padding − dilation·(window−1) − 1) / stride) + 1: how many places the window fits; below 1, none."""
    return (n + 2 * padding - dilation * (window - 1) - 1) // stride + 1


AXES = {1: "T", 2: "HW", 3: "DHW"}


def output_sizes(operation, sizes, window, stride, padding, dilation):
    """output_size per axis; raises ValueError, naming the axis, where the window does not fit once."""
    result = tuple(map(output_size, sizes, window, stride, padding, dilation))
    for axis, places in enumerate(result):
        if places < 1:
            name = AXES.get(len(sizes), "·" * len(sizes))[axis]
            reach = dilation[axis] * (window[axis] - 1) + 1
            raise ValueError(f"{operation}: window {window[axis]}" + f" (dilated: {reach})" * (dilation[axis] > 1)
                             + f" is larger than the padded input {sizes[axis] + 2 * padding[axis]} along {name}")
    return result


@dataclass(frozen=True)
class Geometry:
    """How a filter meets an array: spatial sizes of the input, the filter and the result, and the steps between."""
    sizes: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int

    @cached_property
    def output(self):
        return tuple(map(output_size, self.sizes, self.kernel, self.stride, self.padding, self.dilation))


def pad(x, widths, value=0):
    """x (N, *S, C) with (before, after) added along each spatial axis; a negative width cuts off instead."""
    cut = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape[1:-1], widths))
    x, grow = x[(slice(None),) + cut], [(max(before, 0), max(after, 0)) for before, after in widths]
    if not any(map(any, grow)):
        return x
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape[1:-1], grow))
    padded = empty(x.shape[:1] + shape + x.shape[-1:], x.dtype, backend.of(x))
    corner = [before for before, _ in grow]

    def fill(strip):
        images, _ = strip
        surround(padded[images], x[images], corner, value)

    threads = hands(padded.nbytes)
    share(fill, strips(len(x), 1, padded[:1].nbytes, backend.of(x), 2 ** 22, threads), backend.of(x), threads)
    return padded


def lines(x, images, rows, widths):
    """Some images and rows, as slices, of pad(x, widths): a view, or where something is added, a copy in the workspace."""
    first, last = rows.start - widths[0][0], rows.stop - widths[0][0]                           # among x's own rows
    cut = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape[2:-1], widths[1:]))
    kept = x[(images, slice(max(first, 0), max(last, 0))) + cut]
    sizes = (last - first, *(n + before + after for n, (before, after) in zip(x.shape[2:-1], widths[1:])))
    if kept.shape[1:-1] == sizes:
        return kept
    corner = (max(-first, 0), *(max(before, 0) for before, _ in widths[1:]))
    padded = workspace(backend.of(x), "lines", kept.shape[:1] + sizes + kept.shape[-1:], x.dtype)
    surround(padded, kept, corner, 0)
    return padded


def inner(corner, sizes):
    """Slices of those sizes that begin at the corner."""
    return tuple(slice(before, before + n) for before, n in zip(corner, sizes))


def surround(padded, x, corner, value):
    """padded = x from the corner on, and a value all around; on a GPU everywhere first, which takes fewer launches."""
    inside = inner(corner, x.shape[1:-1])
    on_gpu = backend.of(padded) is not backend.CPU.module
    if on_gpu:
        padded[...] = value
    padded[(slice(None),) + inside] = x
    for axis, kept in enumerate(() if on_gpu else inside, 1):
        for outside in slice(0, kept.start), slice(kept.stop, None):
            padded[(slice(None),) + inside[:axis - 1] + (outside,)] = value


def windows(x, kernel, stride, dilation):
    """View (N, *places, *kernel, C) of x (N, *S, C): what the filter sees at each place.  No element is copied."""
    places = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], kernel, stride, dilation))
    steps = x.strides[1:-1]
    strides = (x.strides[:1] + tuple(s * b for s, b in zip(stride, steps))
               + tuple(d * b for d, b in zip(dilation, steps)) + x.strides[-1:])
    return backend.of(x).lib.stride_tricks.as_strided(x, x.shape[:1] + places + tuple(kernel) + x.shape[-1:], strides)


def move(source, target):
    """target[...] = source, for arrays (…, C): NumPy moves all channels of a place at once, as one item of many bytes."""
    if backend.of(target) is backend.CPU.module and target.size:
        if all(x.strides[-1] == x.itemsize for x in (source, target)) and source.dtype == target.dtype:
            source, target = (x.view(f"V{x.shape[-1] * x.itemsize}") for x in (source, target))
    target[...] = source
