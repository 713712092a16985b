"""Work on arrays, behind the operations: no Tensor is known here, and no derivative is taken here.

    plain.py            what convolution and pooling are: their definition, one tap at a time
    convolution.py      the door to convolution: by the definition, or faster
    pooling.py          the door to pooling
    precision.py        in which type numbers are computed
    sums.py             sums that keep their digits
    interpolation.py    linear interpolation
    geometry.py         sizes
    fast/               the same, faster; its README says what each piece gains
"""
from minidl.kernels import sums
from minidl.kernels.convolution import conv, conv_input, conv_weight
from minidl.kernels.fast import channels
from minidl.kernels.fast.elementwise import elementwise
from minidl.kernels.fast.neighbours import two_nearest
from minidl.kernels.fast.product import einsum, matmul
from minidl.kernels.fast.selection import add, add_transpose, keep, keep_positive, leak, relu
from minidl.kernels.interpolation import interpolate, interpolate_back
from minidl.kernels.pooling import max_pool, select, spread, unpool, window_mean
from minidl.kernels.precision import accumulator
