"""Array-level work behind the primitives: no Tensor is known here, and no derivative is taken here."""
from minidl.kernels import channels, sums
from minidl.kernels.convolution import conv, conv_input, conv_weight
from minidl.kernels.interpolation import interpolate, interpolate_back
from minidl.kernels.pooling import max_pool, select, spread, unpool, window_mean
from minidl.kernels.precision import accumulator
from minidl.kernels.product import einsum, matmul
from minidl.kernels.selection import add, add_transpose, keep, keep_positive, leak, relu
