"""The product of two matrices, shared between threads by cutting the longest of its three lengths."""
import math

import numpy as np

from minidl.kernels.memory import empty
from minidl.kernels.workers import even, number_of_threads, share

FEW, MUCH = 2 ** 18, 2 ** 24        # multiplications: what BLAS does on one thread anyway; what pays for waking ours


def matmul(a, b):
    """a @ b  of (…, m, k) and (…, k, n).

    BLAS has threads of its own, but they go on spinning for a while after each product, on the cores that the next kernel
    wants.  So it is held to one, and much work is cut for ours.
    """
    work = a.size * b.shape[-1]
    if type(a) is not np.ndarray or work < FEW:
        return a @ b
    hands, alone = number_of_threads(), math.prod(a.shape[:-2]) == math.prod(b.shape[:-2]) == 1
    if work < MUCH or hands == 1 or not alone:
        return share(lambda _: a @ b, [None], np)[0]
    product = _cut(a.reshape(a.shape[-2:]), b.reshape(b.shape[-2:]), hands)
    return product.reshape(max(a.shape[:-2], b.shape[:-2], key=len) + product.shape)


def _cut(a, b, hands):
    """a @ b  of (m, k) and (k, n), in `hands` parts."""
    (m, k), n = a.shape, b.shape[1]
    longest = max(m, k, n)
    parts = even(longest, hands)
    if longest == k:
        first, *others = share(lambda part: np.dot(a[:, part], b[part]), parts, np)     # no lock: see backend.matmul
        for other in others:
            first += other
        return first
    y = empty((m, n), np.result_type(a, b))
    if longest == m:
        share(lambda part: np.matmul(a[part], b, out=y[part]), parts, np)
    else:
        share(lambda part: np.matmul(a, b[:, part], out=y[:, part]), parts, np)
    return y
