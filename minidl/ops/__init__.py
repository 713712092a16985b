"""The differentiable operations.

Each stands on one screen of its file: formula, shapes, derivation, example, code.  Arrays, lists
and numbers are taken where a Tensor is.

Elementwise arithmetic, by NumPy's names (elementwise.py)
    add, subtract, multiply, divide     + − ⊙ /, with NumPy's broadcasting
    floor_divide, remainder     ⌊a / b⌋ and what is left
    negative, absolute, sign    −x, |x|, and −1, 0 or 1
    power, square, sqrt         aᵇ, x², √x
    exp, expm1, log, log1p      eˣ, eˣ − 1, log x, log(1 + x)
    erf                         the error function
    maximum, minimum, clip      the larger, the smaller; between two bounds
    where                       a where a condition holds, b elsewhere
    astype, stop_gradient       in another dtype; as a constant
Trigonometric and hyperbolic functions (trigonometry.py)
    sin, cos, tan, arcsin, arccos, arctan           of angles in radians, and their inverses
    sinh, cosh, arcsinh, arccosh, arctanh           hyperbolic ones
Nonlinearities of networks (activation.py)
    relu, leaky_relu, elu       x where x > 0; elsewhere 0, a slope, an exponential
    gelu, softplus              smooth forms of relu
    sigmoid, tanh               from the reals to (0, 1) and (−1, 1)
Comparisons and logic, through which no gradient flows (logic.py)
    equal, not_equal, less, less_equal, greater, greater_equal      booleans
    bitwise_and, bitwise_or, bitwise_xor, invert    & | ^ ~ of booleans and integers
New arrays (creation.py)
    zeros, ones, full           of one number
    arange, linspace            numbers at equal distances
    eye                         the identity matrix
    zeros_like, ones_like       of another array's shape, dtype and device
Sums, products, means, norms over axes (reduction.py)
    sum, mean, prod, cumsum     Σ x, Σ x / m, Π x, running sums
    sum_to                      the sum that undoes a broadcast
    var, std                    the mean squared deviation, and its root
    norm, normalize             ‖x‖ and x / ‖x‖
Extremes over axes (extremes.py)
    max, min, argmax, argmin    the largest, the smallest, and where they are
    any, all                    whether any, whether all differ from 0
Exponentials over their sum (exponentials.py)
    softmax, log_softmax        eˣ / Σ eˣ and its logarithm
    logsumexp                   log Σ eˣ
Shapes (shape.py)
    reshape, flatten            the same elements in another shape, in one axis
    expand_dims, squeeze        an axis of length 1 added, removed
    transpose, swapaxes, moveaxis                   axes in another order
    broadcast_to, repeat, tile  elements repeated
    concatenate, stack, split   arrays joined, and cut
    pad, flip, roll             extended, reversed, moved around
Positions (indexing.py)
    index, take, take_along_axis    x at positions
    scatter, add_at, set_at     zeros with u added; x with values added, or put there
    one_hot                     rows of the identity matrix
Products of matrices (linear.py)
    matmul, dot, outer          a b, Σ aᵢ bᵢ, aᵢ bⱼ
    gram                        xᵀ x
    einsum                      sums of products in Einstein's notation
    diagonal, trace             the diagonal, and its sum
Convolution in 1, 2 and 3 dimensions (convolution.py)
    conv                        each output a filter's inner product with a window
    conv_relu                   conv, then relu, in one
    conv_transpose              conv's adjoint, as a layer
    conv_input, conv_weight     conv's adjoints in x and in w
Pooling (pooling.py)
    max_pool, average_pool      the largest and the mean of each window
    max_pool_with_switches, unpool      also where it was, and the way back
    global_max_pool, global_average_pool            over all positions
Pictures (resampling.py)
    resize, upsample            by linear interpolation; by an integer factor
    pixel_shuffle               blocks of channels as pixels
Normalisation (normalization.py)
    standardize                 mean 0 and variance 1 over axes
    batch_norm, layer_norm      over examples, channel by channel; over features
    group_norm, instance_norm   of each example, over groups of channels; channel by channel
    dropout                     random entries set to 0
Between processes: ops.communication, all linear, each with its adjoint (communication.py)
"""
from minidl.names import unknown as _unknown
from minidl.ops.activation import (
    elu,
    gelu,
    leaky_relu,
    relu,
    sigmoid,
    softplus,
    tanh,
)
from minidl.ops.convolution import (
    conv,
    conv_input,
    conv_relu,
    conv_transpose,
    conv_weight,
)
from minidl.ops.creation import (
    arange,
    eye,
    full,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from minidl.ops.elementwise import (
    absolute,
    add,
    astype,
    clip,
    divide,
    erf,
    exp,
    expm1,
    floor_divide,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    remainder,
    sign,
    sqrt,
    square,
    stop_gradient,
    subtract,
    where,
)
from minidl.ops.exponentials import (
    log_softmax,
    logsumexp,
    softmax,
)
from minidl.ops.extremes import (
    all,
    any,
    argmax,
    argmin,
    max,
    min,
)
from minidl.ops.indexing import (
    add_at,
    index,
    one_hot,
    scatter,
    set_at,
    take,
    take_along_axis,
)
from minidl.ops.linear import (
    diagonal,
    dot,
    einsum,
    gram,
    matmul,
    outer,
    trace,
)
from minidl.ops.logic import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    invert,
    less,
    less_equal,
    not_equal,
)
import minidl.ops.methods
from minidl.ops.normalization import (
    batch_norm,
    dropout,
    group_norm,
    instance_norm,
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
    cumsum,
    mean,
    norm,
    normalize,
    prod,
    std,
    sum,
    sum_to,
    var,
)
from minidl.ops.resampling import (
    pixel_shuffle,
    resize,
    upsample,
)
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
from minidl.ops.trigonometry import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    cos,
    cosh,
    sin,
    sinh,
    tan,
)

__all__ = [
    "absolute", "add", "add_at", "all", "any", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctanh", "argmax", "argmin", "astype", "average_pool", "batch_norm",
    "bitwise_and", "bitwise_or", "bitwise_xor", "broadcast_to", "clip", "concatenate", "conv",
    "conv_input", "conv_relu", "conv_transpose", "conv_weight", "cos", "cosh", "cumsum",
    "diagonal", "divide", "dot", "dropout", "einsum", "elu", "equal", "erf", "exp",
    "expand_dims", "expm1", "eye", "flatten", "flip", "floor_divide", "full", "gelu",
    "global_average_pool", "global_max_pool", "gram", "greater", "greater_equal", "group_norm",
    "index", "instance_norm", "invert", "layer_norm", "leaky_relu", "less", "less_equal",
    "linspace", "log", "log1p", "log_softmax", "logsumexp", "matmul", "max", "max_pool",
    "max_pool_with_switches", "maximum", "mean", "min", "minimum", "moveaxis", "multiply",
    "negative", "norm", "normalize", "not_equal", "one_hot", "ones", "ones_like", "outer",
    "pad", "pixel_shuffle", "power", "prod", "relu", "remainder", "repeat", "reshape", "resize",
    "roll", "scatter", "set_at", "sigmoid", "sign", "sin", "sinh", "softmax", "softplus",
    "split", "sqrt", "square", "squeeze", "stack", "standardize", "std", "stop_gradient",
    "subtract", "sum", "sum_to", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tile",
    "trace", "transpose", "unpool", "upsample", "var", "where", "zeros", "zeros_like",
]


def __getattr__(name):
    raise AttributeError(_unknown("minidl.ops", name))
