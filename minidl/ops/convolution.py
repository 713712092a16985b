"""Convolution in 1, 2 and 3 dimensions, as one trilinear form.

    T(x, w, u) = Σ  x[n, s·p + d·k − pad, c] · w[k, c, o] · u[n, p, o]        over n, p, k, c, o

It is linear in each of its three arguments.  So it is an inner product with an array made of the
other two:

    T(x, w, u) = ⟨u, conv(x, w)⟩ = ⟨x, conv_input(u, w)⟩ = ⟨w, conv_weight(x, u)⟩    for all x, w, u

That says that conv_input is the adjoint (the transpose) of x ↦ conv(x, w), and conv_weight that of
w ↦ conv(x, w).  Differentiating one of the three gives the other two: the set is closed under
differentiation, to any order.

    y = conv(x, w)            dL = ⟨ȳ, dy⟩ = T(dx, w, ȳ) + T(x, dw, ȳ)
                              so   x̄ = conv_input(ȳ, w),    w̄ = conv_weight(x, ȳ)
    x' = conv_input(u, w)     dL = T(x̄', w, du) + T(x̄', dw, u)
                              so   ū = conv(x̄', w),         w̄ = conv_weight(x̄', u)
    w' = conv_weight(x, u)    dL = T(dx, w̄', u) + T(x, w̄', du)
                              so   x̄ = conv_input(u, w̄'),   ū = conv(x, w̄')

Shapes, channels last: x (N, *S, C), w (*K, C/groups, O), u and y (N, *P, O), along each axis with

    P = floor((S + 2·pad − d·(K − 1) − 1) / s) + 1

p, k, s, d and pad have one entry for each spatial axis.  Where an index of x is outside of
0 … S − 1, x counts as 0.  As the field says it, "convolution" is cross-correlation: the filter is
not mirrored.
stride, padding, dilation: an integer, or one per spatial axis.
groups: channels are cut into that many blocks, each with its own filters.
The padding of conv and conv_relu may differ before and after, or be "same": see padding.py.
"""
from minidl import kernels  # plain.py's or faster ones; also conv(rectified=), conv_weight(bias=)
from minidl.kernels.geometry import Geometry, output_sizes
from minidl.operands import operand, per_axis, promoted, same_device
from minidl.ops.activation import keep_positive
from minidl.ops.padding import evened, widths
from minidl.ops.reduction import sum
from minidl.ops.shape import broadcast_to
from minidl.tensor import record, with_output


def conv(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """y[n, p, o] = Σ_{k, c} x[n, s·p + d·k − pad, c] · w[k, c, o] + b[o]

    x (N, *S, C), w (*K, C/groups, O), b (O,) → y (N, *P, O); 1, 2 or 3 spatial axes.
    padding: an integer, or for each axis an integer or a pair (before, after);
        or "same", for P = ceil(S/s).  In the sums pad is what stands before; the formula for P, at
        the top of this file, then has before + after for 2·pad.
    dL = T(dx, w, ȳ) + T(x, dw, ȳ) + ⟨Σ_{n, p} ȳ, db⟩
    so   x̄ = conv_input(ȳ, w),   w̄ = conv_weight(x, ȳ),   b̄ = Σ_{n, p} ȳ
    Raises ValueError where the shapes do not fit, or the filter is larger than the padded input.

    >>> x = [[[1.0], [2.0], [3.0], [4.0]]]                  # (N, T, C) = (1, 4, 1)
    >>> w = [[[1.0]], [[-1.0]]]                             # (K, C, O) = (2, 1, 1)
    >>> conv(x, w).numpy().ravel()                          # y[p] = x[p] − x[p + 1]
    array([-1., -1., -1.])
    """
    return _conv(*_arguments("conv", x, w, b, stride, padding, dilation, groups))


def conv_relu(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """y = max(z, 0), entry by entry, with z = conv(x, w) + b; arguments, shapes, errors: as conv's.

    It is one operation because ReLU costs almost nothing while the sum is still in the cache.
    With u = ȳ where y > 0, 0 elsewhere, dL = ⟨ȳ, dy⟩ = ⟨u, dz⟩
    so   x̄ = conv_input(u, w),   w̄ = conv_weight(x, u),   b̄ = Σ_{n, p} u
    For the second derivative: ȳ ↦ u multiplies each entry by 0 or 1, so it is linear, and its own
    adjoint.  Through the test y > 0 no gradient flows: where z ≠ 0, small steps do not change it.

    >>> conv_relu([[[1.0], [2.0], [0.0]]], [[[1.0]], [[-1.0]]]).numpy().ravel()
    array([0., 2.])
    """
    x, w, b, g = _arguments("conv_relu", x, w, b, stride, padding, dilation, groups)
    y = kernels.conv(x.data, w.data, b if b is None else b.data, g, rectified=True)
    # z stands in for conv(x, w) + b: its rules never look at its array, which is y here
    z = _with_rules(y, x, w, b, g)
    return record(y, (z, with_output(keep_positive)))


def conv_input(u, w, shape, *, stride=1, padding=0, dilation=1, groups=1):
    """x'[n, i, c] = Σ u[n, p, o] · w[k, c, o]  over all p, k, o with s·p + d·k − pad = i.

    The adjoint of conv in x.
    u (N, *P, O), w (*K, C/groups, O), shape: the spatial sizes *S of the result (N, *S, C).
    dL = T(x̄', w, du) + T(x̄', dw, u)        so   ū = conv(x̄', w),   w̄ = conv_weight(x̄', u)
    Raises ValueError where conv would not map that shape to u's.

    >>> conv_input([[[1.0], [0.0], [0.0]]], [[[1.0]], [[-1.0]]], 4).numpy().ravel()
    array([ 1., -1.,  0.,  0.])
    """
    u, w = operand("conv_input", u, "u"), operand("conv_input", w, "w")
    same_device("conv_input", u=u, w=w)
    sizes = per_axis("conv_input", "shape", shape, _spatial("conv_input", u.shape, w.shape, "u"), 1)
    groups, = per_axis("conv_input", "groups", groups, 1, 1)                # an integer ≥ 1
    x_shape = u.shape[:1] + sizes + (w.shape[-2] * groups,)
    g = _geometry("conv_input", x_shape, w.shape, stride, padding, dilation, groups)
    _check_places("conv_input", u, w.shape[-1], g)
    return _conv_input(*promoted(u, w), g)


def conv_weight(x, u, kernel_size, *, stride=1, padding=0, dilation=1, groups=1):
    """w'[k, c, o] = Σ_{n, p} x[n, s·p + d·k − pad, c] · u[n, p, o]: the adjoint of conv in w.

    x (N, *S, C), u (N, *P, O), kernel_size: the spatial sizes *K of the result (*K, C/groups, O).
    dL = T(dx, w̄', u) + T(x, w̄', du)        so   x̄ = conv_input(u, w̄'),   ū = conv(x, w̄')
    Raises ValueError where conv with such a filter would not map x's shape to u's.

    >>> conv_weight([[[1.0], [2.0], [4.0]]], [[[1.0], [1.0]]], 2).numpy().ravel()
    array([3., 6.])
    """
    x, u = operand("conv_weight", x), operand("conv_weight", u, "u")
    same_device("conv_weight", x=x, u=u)
    spatial = _spatial("conv_weight", x.shape)
    kernel_size = per_axis("conv_weight", "kernel_size", kernel_size, spatial, 1)
    _spatial("conv_weight", u.shape, name="u")                      # raises
    groups, = per_axis("conv_weight", "groups", groups, 1, 1)
    w_shape = kernel_size + (x.shape[-1] // groups, u.shape[-1])
    g = _geometry("conv_weight", x.shape, w_shape, stride, padding, dilation, groups)
    _check_places("conv_weight", u, u.shape[-1], g)
    if u.shape[0] != x.shape[0]:
        raise ValueError(f"conv_weight: x holds {x.shape[0]} examples, u {u.shape[0]}")
    return _conv_weight(*promoted(x, u), g)


def conv_transpose(x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """y[n, i, o] = Σ x[n, p, c] · w[k, o, c] + b[o]  over all p, k, c with s·p + d·k − pad = i.

    Transposed convolution: conv_input onto a size that conv's formula takes back to P:
    S = s·(P − 1) + d·(K − 1) + 1 − 2·pad + output_padding.
    x (N, *P, C), w (*K, O/groups, C), the filter of the convolution that this transposes, b (O,)
    → y (N, *S, O).
    output_padding < stride picks one of the sizes that the convolution maps to the same P.
    dL = T(ȳ, w, dx) + T(ȳ, dw, x) + ⟨Σ_{n, i} ȳ, db⟩
    so   x̄ = conv(ȳ, w),   w̄ = conv_weight(ȳ, x),   b̄ = Σ_{n, i} ȳ
    Raises ValueError where the shapes do not fit, or nothing would be left.
    Source: Dumoulin and Visin 2016.

    >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[10.0]]], stride=2).numpy().ravel()
    array([ 1., 10.,  2., 20.])
    """
    x, w = operand("conv_transpose", x), operand("conv_transpose", w, "w")
    b = b if b is None else operand("conv_transpose", b, "b")
    same_device("conv_transpose", x=x, w=w, b=b)
    n = _spatial("conv_transpose", x.shape, w.shape)
    stride = per_axis("conv_transpose", "stride", stride, n, 1)
    padding = per_axis("conv_transpose", "padding", padding, n, 0)
    dilation = per_axis("conv_transpose", "dilation", dilation, n, 1)
    extra = per_axis("conv_transpose", "output_padding", output_padding, n, 0)
    groups, = per_axis("conv_transpose", "groups", groups, 1, 1)
    if any(e >= s for e, s in zip(extra, stride)):
        raise ValueError(f"conv_transpose: output_padding {extra} must be smaller than stride "
                         f"{stride}")
    sizes = tuple(s * (p - 1) + d * (k - 1) + 1 - 2 * q + e
                  for s, p, d, k, q, e in zip(stride, x.shape[1:-1], dilation, w.shape[:-2],
                                              padding, extra))
    if min(sizes) < 1:
        raise ValueError(f"conv_transpose: padding {padding} leaves nothing: the result would have "
                         f"sizes {sizes}")
    if x.shape[-1] != w.shape[-1]:
        raise ValueError(f"conv_transpose: filter {w.shape} expects {w.shape[-1]} input channels, "
                         f"x {x.shape} has {x.shape[-1]}")
    y_shape = x.shape[:1] + sizes + (w.shape[-2] * groups,)
    g = _geometry("conv_transpose", y_shape, w.shape, stride, padding, dilation, groups)
    y = _conv_input(*promoted(x, w), g)
    if b is None:
        return y
    if b.shape != y.shape[-1:]:
        raise ValueError(f"conv_transpose: b of shape {b.shape} must have one entry for each of "
                         f"the {y.shape[-1]} channels")
    return y + b


def _conv(x, w, b, g):
    return _with_rules(kernels.conv(x.data, w.data, b if b is None else b.data, g), x, w, b, g)


def _with_rules(value, x, w, b, g):
    """The value with the rules of z = conv(x, w) + b beside it, none of which looks at z."""
    if b is None:
        return record(value, (x, lambda gz: _conv_input(gz, w, g)),
                      (w, lambda gz: _conv_weight(x, gz, g)))

    def filter_rule(gz):
        return _conv_weight_and_bias(x, gz, g) if w.requires_grad else (None, _sum_of_places(gz))

    return record(value, (x, lambda gz: _conv_input(gz, w, g)), ((w, b), filter_rule))


def _conv_weight_and_bias(x, u, g):
    """w' = conv_weight(x, u) and b' = Σ_{n, p} u, found together, as both read all of u."""
    w, b = kernels.conv_weight(x.data, u.data, g, bias=True)
    return (record(w, *_rules_of_weight(x, u, g)),
            record(b, (u, lambda gb: broadcast_to(gb, u.shape))))


def _sum_of_places(u):
    return sum(u, tuple(range(u.ndim - 1)))


def _conv_input(u, w, g):
    return record(kernels.conv_input(u.data, w.data, g),
                  (u, lambda gx: _conv(gx, w, None, g)), (w, lambda gx: _conv_weight(gx, u, g)))


def _conv_weight(x, u, g):
    return record(kernels.conv_weight(x.data, u.data, g), *_rules_of_weight(x, u, g))


def _rules_of_weight(x, u, g):
    """w' = conv_weight(x, u)        so   x̄ = conv_input(u, w̄'),   ū = conv(x, w̄')"""
    return (x, lambda gw: _conv_input(u, gw, g)), (u, lambda gw: _conv(x, gw, None, g))


def _arguments(operation, x, w, b, stride, padding, dilation, groups):
    """x, w and b (or None) as Tensors of one dtype, and their Geometry."""
    x, w = operand(operation, x), operand(operation, w, "w")
    b = b if b is None else operand(operation, b, "b")
    same_device(operation, x=x, w=w, b=b)
    if not hasattr(padding, "__index__"):       # for each axis an integer or a pair, or "same"
        x, padding = _evened(operation, x, w.shape, stride, padding, dilation)
    g = _geometry(operation, x.shape, w.shape, stride, padding, dilation, groups)
    if b is None:
        return *promoted(x, w), None, g
    if b.shape != w.shape[-1:]:
        raise ValueError(f"{operation}: b of shape {b.shape} must have one entry for each of the "
                         f"{w.shape[-1]} filters")
    return *promoted(x, w, b), g


def _evened(operation, x, w_shape, stride, padding, dilation):
    """(x, padded by what one side gets more than the other; the padding left for both sides)."""
    n = _spatial(operation, x.shape, w_shape)
    stride = per_axis(operation, "stride", stride, n, 1)
    dilation = per_axis(operation, "dilation", dilation, n, 1)
    return evened(x, widths(operation, padding, x.shape[1:-1], w_shape[:-2], stride, dilation))


def _spatial(operation, x_shape, w_shape=None, name="x"):
    """The number of spatial axes.  Raises ValueError, with that name of x, unless it is 1 to 3."""
    n = len(x_shape) - 2
    if n not in (1, 2, 3):
        raise ValueError(f"{operation}: {name} must be (N, *S, C) with 1 to 3 spatial axes, "
                         f"got shape {x_shape}")
    if w_shape is not None and len(w_shape) != n + 2:
        raise ValueError(f"{operation}: filter {w_shape} must have {n + 2} axes (*K, C/groups, O), "
                         f"as {name} is {x_shape}")
    return n


def _geometry(operation, x_shape, w_shape, stride, padding, dilation, groups):
    """The checked Geometry of x (N, *S, C) and w (*K, C/groups, O)."""
    n = _spatial(operation, x_shape, w_shape)
    stride = per_axis(operation, "stride", stride, n, 1)
    padding = per_axis(operation, "padding", padding, n, 0)
    dilation = per_axis(operation, "dilation", dilation, n, 1)
    groups, = per_axis(operation, "groups", groups, 1, 1)
    if x_shape[-1] != w_shape[-2] * groups:
        expected = f"{w_shape[-2] * groups} input channels" + f" (groups={groups})" * (groups > 1)
        raise ValueError(f"{operation}: filter {w_shape} expects {expected}, x {x_shape} has "
                         f"{x_shape[-1]}")
    if w_shape[-1] % groups:
        raise ValueError(f"{operation}: the {w_shape[-1]} filters of {w_shape} do not divide into "
                         f"{groups} groups")
    if min(w_shape) < 1:
        raise ValueError(f"{operation}: filter {w_shape} has no taps, no channels or no filters")
    output_sizes(operation, x_shape[1:-1], w_shape[:-2], stride, padding, dilation)     # raises
    return Geometry(x_shape[1:-1], w_shape[:-2], stride, padding, dilation, groups)


def _check_places(operation, u, filters, g):
    if u.shape[1:] != g.output + (filters,):
        raise ValueError(f"{operation}: u {u.shape} must be (N, *P, O) with *P = {g.output} and "
                         f"O = {filters}")
