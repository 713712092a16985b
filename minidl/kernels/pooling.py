"""The door to pooling and its adjoints, for arrays of any device; see `convolution.py`."""
from minidl.kernels import plain
from minidl.kernels.algorithm import is_plain
from minidl.kernels.fast import pooling as fast
from minidl.kernels.precision import accumulated


def max_pool(x, g, find=False):
    """y[n, p, c] = max_k x[n, s·p + k − pad, c], and its switches if it should find them.

    The padding is lower than every number.  A switch is 1 + the offset in the window, its number
    in C order, where x first is y; a NaN is the maximum.  It never names the padding, not even
    where all of x in the window is −∞.
    """
    return plain.max_pool(x, g) if is_plain() else fast.max_pool(x, g, find)


def select(x, switch, g):
    """y[n, p, c] = x at the offset that the switch names."""
    return plain.select(x, switch, g) if is_plain() else fast.select(x, switch, g)


@accumulated(arrays=1)
def unpool(u, switch, g):
    """The adjoint of select: u added at the offset that the switch names, zeros elsewhere."""
    return plain.unpool(u, switch, g) if is_plain() else fast.unpool(u, switch, g)


def window_mean(x, g):
    """y[n, p, c] = (1/|K|) Σ_k x[n, s·p + k − pad, c], padded with zeros."""
    return plain.window_mean(x, g) if is_plain() else fast.window_mean(x, g)


@accumulated(arrays=1)
def spread(u, g):
    """The adjoint of window_mean: u[n, p, c] / |K| added to every element of its window."""
    return plain.spread(u, g) if is_plain() else fast.spread(u, g)
