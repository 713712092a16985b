"""The door to the three contractions of convolution, for arrays of any device.

`plain.py` defines them.  `fast/` computes the same faster; MINIDL_CONV=plain asks for the
definition itself.  float16 is added up in float32.
"""
from minidl.kernels import plain
from minidl.kernels.algorithm import is_plain
from minidl.kernels.fast import convolution as fast
from minidl.kernels.fast.channels import add_up
from minidl.kernels.fast.selection import relu
from minidl.kernels.precision import accumulated


@accumulated(arrays=3)
def conv(x, w, b, g, rectified=False):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] · w[k, c, o] + b[o].

    x (N, *S, C), w (*K, C/groups, O), b (O,) or None, g their Geometry → y (N, *P, O).
    rectified: max(y, 0) instead.
    """
    if is_plain():
        y = plain.conv(x, w, b, g)
        return relu(y) if rectified else y
    return fast.conv(x, w, b, g, rectified)


@accumulated(arrays=2)
def conv_input(u, w, g):
    """x̄[n, i, c] = Σ u[n, p, o] · w[k, c, o]  over all p, k, o with s·p + d·k − pad = i."""
    return plain.conv_input(u, w, g) if is_plain() else fast.conv_input(u, w, g)


@accumulated(arrays=2)
def conv_weight(x, u, g, bias=False):
    """w̄[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] · u[n, p, o].

    bias: the pair of it and  b̄[o] = Σ_{n, p} u[n, p, o].
    """
    if is_plain():
        w = plain.conv_weight(x, u, g)
        return (w, add_up(u)) if bias else w
    return fast.conv_weight(x, u, g, bias)
