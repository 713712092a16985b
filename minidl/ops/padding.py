"""Padding of convolution and pooling that is more on one side of an axis than on the other.

padding: an integer; for each spatial axis an integer or a pair (before, after); or "same", as TensorFlow pads:

    P = ceil(S / s),   before + after = max((P − 1)·s + d·(K − 1) + 1 − S, 0),   the odd one after

Windows move over an array with as much on both sides.  What is more on one side is added to x first, which is an
operation with a rule of its own (`ops.pad`), so that every rule and adjoint follows by composition.
"""
from minidl.kernels.geometry import same_padding
from minidl.operands import sides
from minidl.ops.shape import pad


def widths(operation, padding, sizes, window, stride, dilation):
    """(before, after) for each spatial axis of those sizes."""
    pairs = sides(operation, padding, len(sizes))
    return tuple(map(same_padding, sizes, window, stride, dilation)) if pairs == "same" else pairs


def evened(x, pairs, value=0):
    """x (N, *S, C) with what is more on one side of an axis added as so many values, and the padding of both sides."""
    both = tuple(min(pair) for pair in pairs)
    more = [(before - least, after - least) for (before, after), least in zip(pairs, both)]
    return pad(x, [(0, 0), *more, (0, 0)], value=value) if any(map(any, more)) else x, both
