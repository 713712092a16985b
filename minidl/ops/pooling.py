"""Pooling over windows, in 1, 2 and 3 dimensions, channels last: x (N, *S, C) → y (N, *P, C).

P = floor((S + 2·pad − K) / s) + 1 along each axis, K the kernel_size.
kernel_size, stride, padding: an integer, or one per spatial axis; the stride is by default the
kernel_size.  The padding of max_pool and average_pool may differ before and after, (before, after)
for an axis, or be "same", for P = ceil(S / s): see padding.py.

Average pooling is linear, and max pooling is linear once its switches are fixed, so both come in
adjoint pairs: average-pool with spreading, select with unpool.
"""
from dataclasses import dataclass
from typing import Any

from minidl import kernels
from minidl.kernels.geometry import Geometry, output_sizes
from minidl.kernels.precision import lowest
from minidl.operands import operand, per_axis, same_device
from minidl.ops.extremes import max
from minidl.ops.padding import evened, widths
from minidl.ops.reduction import mean
from minidl.recording import is_recording
from minidl.tensor import constant, record


@dataclass(frozen=True)
class Switches:
    """Where each maximum was found: array (N, *P, C), 1 + the element's number in its window, in C
    order; and the windows' geometry."""
    array: Any
    geometry: Geometry


def max_pool(x, kernel_size, stride=None, padding=0):
    """y[n, p, c] = max_k x[n, s·p + k − pad, c]: (N, *S, C) → (N, *P, C).

    padding counts as −∞, and is at most half the window.
    dL = ⟨ȳ, dx at the switches⟩        so   x̄ = unpool(ȳ, switches)
    A tie sends ȳ to the first maximum of the window.
    Raises ValueError where the window is larger than the padded input, or the padding than half the
    window.

    >>> max_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
    array([3., 5.])
    """
    x = operand("max_pool", x)
    window, stride, pairs, places = _windows("max_pool", x, kernel_size, stride, padding)
    # `pad` adds −∞ only after x: there a switch never points, as a tie goes to the first.  Before x
    # the kernel pads, as much after as before, and the places that are too many are cut off.
    pairs = [(before, after if after > before else before) for before, after in pairs]
    x, padding = evened(x, pairs, lowest(x.dtype))
    y, _ = _max_pool(x, _geometry(x, window, stride, padding), x.requires_grad and is_recording())
    return y if y.shape[1:-1] == places else y[(slice(None), *map(slice, places))]


def max_pool_with_switches(x, kernel_size, stride=None, padding=0):
    """(max_pool(x), its Switches), to go back with `unpool`; padding is the same before and after.

    Shapes, rule and errors are max_pool's.  Source: Zeiler and Fergus 2013.

    >>> y, switches = max_pool_with_switches([[[1.0], [3.0], [2.0], [5.0]]], 2)
    >>> unpool(y, switches).numpy().ravel()
    array([0., 3., 0., 5.])
    """
    x = operand("max_pool_with_switches", x)
    axes = _spatial_axes("max_pool_with_switches", x)
    padding = per_axis("max_pool_with_switches", "padding", padding, len(axes), 0)
    window, stride, *_ = _windows("max_pool_with_switches", x, kernel_size, stride, padding)
    return _max_pool(x, _geometry(x, window, stride, padding), True)


def _max_pool(x, g, find):
    """The maxima and their Switches, found in one pass; the rule needs nothing else."""
    value, found = kernels.max_pool(x.data, g, find)
    switches = Switches(found, g)
    return record(value, (x, lambda gy: unpool(gy, switches))), switches


def _select(x, switches):
    """y[n, p, c] = x at the switch.

    The adjoint of unpool        so   x̄ = unpool(ȳ, switches)
    """
    return record(kernels.select(x.data, switches.array, switches.geometry),
                  (x, lambda gy: unpool(gy, switches)))


def unpool(u, switches):
    """Zeros (N, *S, C) with u (N, *P, C) added where the switches point.

    ū = x̄ at the switches
    Raises ValueError where u does not have the switches' shape, TypeError for what is no Switches.

    >>> _, switches = max_pool_with_switches([[[1.0], [3.0], [2.0], [5.0]]], 2)
    >>> unpool([[[10.0], [20.0]]], switches).numpy().ravel()
    array([ 0., 10.,  0., 20.])
    """
    u = operand("unpool", u, "u")
    if not isinstance(switches, Switches):
        raise TypeError("unpool: switches must be those of max_pool_with_switches, "
                        f"got {type(switches).__name__}")
    if u.shape != switches.array.shape:
        raise ValueError(f"unpool: u of shape {u.shape} does not fit switches of shape "
                         f"{switches.array.shape}")
    same_device("unpool", u=u, switches=constant(switches.array))
    return record(kernels.unpool(u.data, switches.array, switches.geometry),
                  (u, lambda gx: _select(gx, switches)))


def average_pool(x, kernel_size, stride=None, padding=0):
    """y[n, p, c] = (1/|K|) Σ_k x[n, s·p + k − pad, c]: (N, *S, C) → (N, *P, C).

    padding counts as zeros (TensorFlow leaves it out of the mean).
    dL = ⟨ȳ, mean dx⟩        so   x̄ = each ȳ / |K| spread over its window
    Raises ValueError as max_pool does.

    >>> average_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
    array([2. , 3.5])
    """
    x = operand("average_pool", x)
    window, stride, pairs, _ = _windows("average_pool", x, kernel_size, stride, padding)
    x, padding = evened(x, pairs)
    return _window_mean(x, _geometry(x, window, stride, padding))


def _window_mean(x, g):
    return record(kernels.window_mean(x.data, g), (x, lambda gy: _spread(gy, g)))


def _spread(u, g):
    return record(kernels.spread(u.data, g), (u, lambda gx: _window_mean(gx, g)))


def global_average_pool(x):
    """Mean over all positions: (N, *S, C) → (N, C).

    x̄ = ȳ / |S| at every position.  Raises ValueError where there are none.

    >>> global_average_pool([[[1.0], [3.0]]])
    tensor([[2.]], float64)
    """
    x = operand("global_average_pool", x)
    return mean(x, _spatial_axes("global_average_pool", x))


def global_max_pool(x):
    """Maximum over all positions: (N, *S, C) → (N, C).

    x̄ = ȳ at the first position that has it, 0 elsewhere.  Raises ValueError where there are none.

    >>> global_max_pool([[[1.0], [3.0]]])
    tensor([[3.]], float64)
    """
    x = operand("global_max_pool", x)
    return max(x, _spatial_axes("global_max_pool", x))


def _spatial_axes(operation, x):
    if x.ndim < 3:
        raise ValueError(f"{operation}: x must be (N, *S, C) with at least one spatial axis, "
                         f"got shape {x.shape}")
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{operation}: x of shape {x.shape} has no pixels")
    return tuple(range(1, x.ndim - 1))


def _windows(operation, x, window, stride, padding):
    """Window, stride, padding (before, after) and the places *P, for each spatial axis; checked."""
    n = len(_spatial_axes(operation, x))
    window = per_axis(operation, "kernel_size", window, n, 1)
    stride = window if stride is None else per_axis(operation, "stride", stride, n, 1)
    pairs = widths(operation, padding, x.shape[1:-1], window, stride, (1,) * n)
    if any(2 * p > k for pair, k in zip(pairs, window) for p in pair):
        raise ValueError(f"{operation}: padding {padding} is more than half the window {window}")
    padded = [before + size + after for size, (before, after) in zip(x.shape[1:-1], pairs)]
    places = output_sizes(operation, padded, window, stride, (0,) * n, (1,) * n)
    return window, stride, pairs, places


def _geometry(x, window, stride, padding):
    return Geometry(x.shape[1:-1], window, stride, padding, (1,) * len(window), 1)
