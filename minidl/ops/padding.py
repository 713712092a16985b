"""Padding of convolution and pooling that is more on one side of an axis than on the other.

padding: an integer; or for each spatial axis an integer or a pair (before, after); or "same",

    P = ceil(S / s),   before + after = max((P − 1)·s + d·(K − 1) + 1 − S, 0),   the odd one after,

as TensorFlow pads (S, K, P: lengths of x, window and result; s the stride, d the dilation).  The
kernels pad both sides alike.  So what one side has more than the other is first added to x by
`pad`, an operation with a rule of its own: every rule and adjoint follows by composition.
"""
from minidl.kernels.geometry import same_padding
from minidl.operands import sides
from minidl.ops.shape import pad


def widths(operation, padding, sizes, window, stride, dilation):
    """(before, after) for each spatial axis of those sizes."""
    pairs = sides(operation, padding, len(sizes))
    return tuple(map(same_padding, sizes, window, stride, dilation)) if pairs == "same" else pairs


def evened(x, pairs, value=0):
    """x padded by what one side of an axis has more than the other, and the padding left for both.

    x (N, *S, C), pairs: (before, after) for each of *S.
    """
    both = tuple(min(pair) for pair in pairs)
    more = [(before - least, after - least) for (before, after), least in zip(pairs, both)]
    if any(map(any, more)):
        x = pad(x, [(0, 0), *more, (0, 0)], constant_values=value)
    return x, both
