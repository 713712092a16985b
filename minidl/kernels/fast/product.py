"""Products of matrices: `matmul`, shared between the threads, and `multiply`, for one thread."""
import math

import numpy as np

from minidl import backend
from minidl.kernels.precision import NARROW, accumulated
from minidl.parallel.memory import empty
from minidl.parallel.threads import even, number_of_threads, parallel_map, with_one_blas_thread

ON_ONE_THREAD = 2 ** 18     # multiplications below which BLAS stays on one thread anyway
FOR_THREADS = 2 ** 24       # multiplications from which waking our own threads pays
SMALL = 10 ** 6             # multiplications up to which OpenBLAS multiplies without copying first
ROWS, DEPTH = 64, 128       # of m and of k that a small product takes


def matmul(a, b):
    """a @ b  of (…, m, k) and (…, k, n).

    BLAS has threads of its own, but they go on spinning for a while after each product, on the
    cores that the next kernel wants.  So it is held to one, and a large product is cut for ours.
    """
    if a.dtype != b.dtype or a.dtype.char in NARROW:
        return _matmul_of_others(a, b)
    work = a.size * b.shape[-1]
    if type(a) is not np.ndarray or work < ON_ONE_THREAD:
        return a @ b
    single = math.prod(a.shape[:-2]) == math.prod(b.shape[:-2]) == 1
    if work < FOR_THREADS or number_of_threads() == 1 or not single:
        return with_one_blas_thread(lambda: a @ b)
    y = _shared(a.reshape(a.shape[-2:]), b.reshape(b.shape[-2:]))
    return y.reshape(max(a.shape[:-2], b.shape[:-2], key=len) + y.shape)


@accumulated(arrays=2)
def _matmul_of_others(a, b):
    """a @ b of float16, which is added up in float32, of whole numbers, or of two types."""
    return matmul(a, b) if a.dtype.char in "fd" else a @ b


def einsum(subscripts, *arrays):
    """numpy.einsum: the sum of products in Einstein's notation."""
    @accumulated(arrays=len(arrays))
    def contract(*arrays):
        return backend.of(arrays[0]).einsum(subscripts, *arrays, optimize=True)

    return contract(*arrays)


def _shared(a, b):
    """a @ b  of (m, k) and (k, n): each thread makes some rows or columns of it."""
    y = empty((len(a), b.shape[1]), a.dtype)
    if len(a) < b.shape[1]:
        a, b, columns = b.T, a.T, y.T
    else:
        columns = y
    parts = even(len(a), min(len(a), number_of_threads()))
    parallel_map(lambda part: multiply(a[part], b, columns[part]), parts, np)
    return y


def multiply(a, b, out):
    """out[...] = a @ b  for stacks (…, m, k), (…, k, n) and (…, m, n), on this thread.

    BLAS first copies what it multiplies into an order of its own.  OpenBLAS has kernels without
    that copy for products of up to SMALL multiplications; with few channels they take down to half
    the time.  So a long product is cut into a stack of small ones, which is one call of NumPy's.
    """
    if type(out) is not np.ndarray:
        return backend.matmul(a, b, out)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if m * k * n <= SMALL:
        np.matmul(a, b, out=out)
    elif k == max(m, k, n) and m * n * DEPTH <= SMALL:      # a sum over pieces of k
        first, second = _stack(a.swapaxes(-1, -2), DEPTH).swapaxes(-1, -2), _stack(b, DEPTH)
        np.add.reduce(np.matmul(first, second), axis=-3, out=out)
        whole = k // DEPTH * DEPTH
        out += a[..., whole:] @ b[..., whole:, :]
    elif m >= n and k * n * ROWS <= SMALL:
        _by_rows(a, b, out)
    elif n > m and k * m * ROWS <= SMALL:
        _by_rows(b.swapaxes(-1, -2), a.swapaxes(-1, -2), out.swapaxes(-1, -2))
    else:
        np.matmul(a, b, out=out)


def _by_rows(a, b, out):
    """In pieces of m.  Where k is the inner axis of both, small products are slow: b is copied."""
    if a.strides[-1] == b.strides[-2] == a.itemsize:
        b = np.ascontiguousarray(b)
    np.matmul(_stack(a, ROWS), b[..., None, :, :], out=_stack(out, ROWS))
    whole = a.shape[-2] // ROWS * ROWS
    np.matmul(a[..., whole:, :], b, out=out[..., whole:, :])


def _stack(x, rows):
    """The whole pieces of x (…, m, n) of so many rows: (…, m // rows, rows, n), a view."""
    pieces = x.shape[-2] // rows
    return x[..., :pieces * rows, :].reshape(*x.shape[:-2], pieces, rows, x.shape[-1])
