"""The differentiable operations.  Each stands on one screen of its file: formula, shapes, derivation, code."""
from minidl.ops.activation import elu, gelu, leaky_relu, relu, sigmoid, softplus, tanh
from minidl.ops.convolution import conv, conv_input, conv_relu, conv_transpose, conv_weight
from minidl.ops.elementwise import (
                                    absolute,
                                    add,
                                    astype,
                                    clip,
                                    cos,
                                    divide,
                                    equal,
                                    erf,
                                    exp,
                                    expm1,
                                    greater,
                                    greater_equal,
                                    less,
                                    less_equal,
                                    log,
                                    log1p,
                                    maximum,
                                    minimum,
                                    multiply,
                                    negative,
                                    not_equal,
                                    ones_like,
                                    power,
                                    sign,
                                    sin,
                                    sqrt,
                                    square,
                                    stop_gradient,
                                    subtract,
                                    where,
                                    zeros_like,
)
from minidl.ops.indexing import add_at, index, one_hot, scatter, set_at, take, take_along_axis
from minidl.ops.linear import diagonal, einsum, gram, matmul, outer, trace
import minidl.ops.methods
from minidl.ops.normalization import (
                                    batch_norm,
                                    dropout,
                                    layer_norm,
                                    standardize,
)
from minidl.ops.pooling import (
                                    average_pool,
                                    global_average_pool,
                                    global_max_pool,
                                    max_pool,
                                    max_pool_with_switches,
                                    unpool,
)
from minidl.ops.reduction import (
                                    argmax,
                                    argmin,
                                    cumsum,
                                    log_softmax,
                                    logsumexp,
                                    max,
                                    mean,
                                    min,
                                    norm,
                                    normalize,
                                    softmax,
                                    std,
                                    sum,
                                    sum_to,
                                    var,
)
from minidl.ops.resampling import pixel_shuffle, resize, upsample
from minidl.ops.shape import (
                                    broadcast_to,
                                    concatenate,
                                    expand_dims,
                                    flatten,
                                    flip,
                                    moveaxis,
                                    pad,
                                    repeat,
                                    reshape,
                                    roll,
                                    split,
                                    squeeze,
                                    stack,
                                    swapaxes,
                                    tile,
                                    transpose,
)
