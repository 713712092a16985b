"""Products of matrices: `matmul`, shared between the threads, and `multiply`, for one thread with its share of a kernel.

Both cut the longest of the three lengths: the first to give each thread its part, the second to make products small.
"""
import functools
import math

import numpy as np

from minidl import backend
from minidl.kernels.precision import NARROW, accumulated
from minidl.parallel.memory import empty
from minidl.parallel.threads import LOCKED, alone, blas, even, number_of_threads, share, workspace

LITTLE, MUCH = 2 ** 18, 2 ** 24     # multiplications: what BLAS does on one thread anyway; what pays for waking ours
AHEAD = 3 * 2 ** 20                 # multiplications: what this thread does while those that it called wake up
SMALL = 10 ** 6                     # multiplications of a small product
SHORTEST, SHORTEST_INSIDE = 60, 100 # pieces of m or n, and of k
IN_PLACE = "SkylakeX", "Cooperlake", "Sapphirerapids"          # OpenBLAS's names for processors with 512-bit vectors
PANEL, BLOCK = 64, 16               # columns of a panel, and rows that OpenBLAS takes at once
SQUARISH = (16, 64), (32, 32)       # height and width of a small product's result, and where the first matrix is turned
ACROSS = 4                          # so many of them side by side: with more, each reads too much of the first matrix anew
DEEP, LENGTH = 256, 512             # k from which that pays, and about what is then taken of it at once
PARTIAL = 2 ** 20                   # elements of results that are to be added up
LONG = 4                            # times the others, as long as k must be to be cut: the parts are added up
TURN = 1000                         # rows that are worth laying out the other matrix anew for


def matmul(a, b):
    """a @ b  of (…, m, k) and (…, k, n).

    BLAS has threads of its own, but they go on spinning for a while after each product, on the cores that the next kernel
    wants.  So it is held to one, and much work is cut for ours.
    """
    if a.dtype != b.dtype or a.dtype.char in NARROW:
        return _matmul_of_others(a, b)
    work = a.size * b.shape[-1]
    if type(a) is not np.ndarray or work < LITTLE:
        return a @ b
    threads, single = number_of_threads(), math.prod(a.shape[:-2]) == math.prod(b.shape[:-2]) == 1
    if work < MUCH or threads == 1 or not single:
        return alone(lambda: a @ b)
    product = _cut(a.reshape(a.shape[-2:]), b.reshape(b.shape[-2:]), threads)
    return product.reshape(max(a.shape[:-2], b.shape[:-2], key=len) + product.shape)


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


def _cut(a, b, threads):
    """a @ b  of (m, k) and (k, n), a part for each thread.  That of this thread is larger: the others have to wake up."""
    (m, k), n = a.shape, b.shape[1]
    longest = max(m, k, n)
    ahead = min(1, AHEAD / (m * k * n)) * longest
    own = min(longest, max(1, round((longest + (threads - 1) * ahead) / threads / BLOCK)) * BLOCK)
    parts = [slice(0, own), *(slice(own + part.start, own + part.stop) for part in even(longest - own, threads - 1))]
    if longest == k:
        first, *others = share(lambda part: np.dot(a[:, part], b[part]), parts, np)     # see LOCKED
        for other in others:
            first += other
        return first
    y = empty((m, n), np.result_type(a, b))
    if longest == m:
        share(lambda part: multiply(a[part], b, y[part]), parts, np)
    else:
        share(lambda part: multiply(a, b[:, part], y[:, part]), parts, np)
    return y


def multiply(a, b, out):
    """out[...] = a @ b  for stacks (…, m, k), (…, k, n) and (…, m, n), on this thread; out is given back.

    BLAS first copies what it multiplies into an order of its own.  OpenBLAS has kernels without that copy for products of up
    to SMALL multiplications, on processors with 512-bit vectors: in them, products of few channels run up to twice as fast,
    and no slower elsewhere.  So a long product is cut into a stack of small ones, which NumPy goes through in one call, and
    another into blocks of its result.
    """
    if type(out) is not np.ndarray:
        return backend.matmul(a, b, out)
    (m, k), n = a.shape[-2:], b.shape[-1]
    work, longest = m * n * k, max(m, n, k)
    most = SMALL * longest // max(1, work)                          # of the longest length, in a small product
    if longest == k:
        worth = work > SMALL and most >= SHORTEST_INSIDE and k >= LONG * max(m, n)
        unlocked = LOCKED // out.size + 1 if out.size * k > LITTLE else 1       # products that together exceed LOCKED
        pieces = max(-(-k // most) if worth else 1, unlocked)
        if pieces > 1:
            _sum_of_pieces(a, b, out, pieces, m, n)
            return out
    elif work > SMALL and most >= SHORTEST:
        length = _even(most)
        if longest == n:
            _pieces(b.swapaxes(-1, -2), a.swapaxes(-1, -2), out.swapaxes(-1, -2), length)
        else:
            _pieces(a, b, out, length)
        return out
    if work > SMALL and k >= DEEP:
        _in_blocks(a, b, out)
    else:
        np.matmul(a, b, out=out)
    return out


def in_panels(b):
    """A copy of b (S, k, n) as panels of columns (S, P, k, n/P), for `by_panels`; on a GPU, and where n has no factor near
    a panel's width, P = 1."""
    (stack, k, n), xp = b.shape, backend.of(b)
    width = math.gcd(n, _width(k))
    if 2 * width < _width(k) or xp is not np:
        width = n
    panels = empty((stack, n // width, k, width), b.dtype, xp)
    panels[...] = b.reshape(stack, k, n // width, width).swapaxes(1, 2)
    return panels


def panels_pay(rows, k):
    """Whether a matrix with k rows should be laid out in panels for so many rows to meet it: where small products serve."""
    return rows >= TURN and BLOCK * k * _width(k) <= SMALL


def _width(k):
    """Columns of a panel with k rows: half as many where small products would not serve otherwise."""
    return PANEL // 2 if BLOCK * k * PANEL > SMALL and _multiplies_in_place() else PANEL


def by_panels(a, panels, out):
    """out[s, i, p·n + j] = Σ_k a[s, i, k] · panels[s, p, k, j]  for a (S, m, k), panels (S, P, k, n), out (S, m, P·n);
    one a may meet all panels, or one set of panels all a.

    The right matrix lies in panels of few columns, each in one piece, so that a panel stays in the cache while rows meet it;
    and where OpenBLAS has kernels without a copy, rows are taken so few at a time that they serve.
    """
    stack, (_, count, k, n) = len(out), panels.shape
    if count == 1 and (n > PANEL or type(out) is not np.ndarray):
        return multiply(a, panels[:, 0], out)
    if out.size == 0:
        return out
    rows, apart = a.shape[1], out.reshape(stack, -1, count, n).swapaxes(1, 2)               # (S, P, m, n)
    most = SMALL // (k * n)
    together = min(rows, _even(most)) if most >= BLOCK and _multiplies_in_place() else rows
    whole = rows // together * together
    np.matmul(_stack(a[:, None, :whole], whole // together), panels[:, :, None],
              out=_stack(apart[:, :, :whole], whole // together))
    if whole < rows:
        np.matmul(a[:, None, whole:], panels, out=apart[:, :, whole:])
    return out


@functools.cache
def _multiplies_in_place():
    """Whether OpenBLAS has kernels that multiply small matrices where they are."""
    return any(library.architecture in IN_PLACE for library in blas())


def _pieces(a, b, out, length):
    """By m: a stack of pieces of that length, and what is left over.

    Where k is the inner axis of both, small products are slow: then b is turned, if it is little beside a, or nothing cut.
    """
    if a.strides[-1] == b.strides[-2] == a.itemsize:
        length, b = (length, np.ascontiguousarray(b)) if a.shape[-2] >= TURN else (a.shape[-2], b)
    pieces = a.shape[-2] // length
    whole = pieces * length
    np.matmul(_stack(a[..., :whole, :], pieces), b[..., None, :, :], out=_stack(out[..., :whole, :], pieces))
    if whole < a.shape[-2]:
        np.matmul(a[..., whole:, :], b, out=out[..., whole:, :])


def _even(most):
    """The largest power of two up to `most`: of it most lengths are multiples, so that nothing is left over."""
    return 2 ** (most.bit_length() - 1)


def _in_blocks(a, b, out):
    """Where a long product would be cut too short: out in blocks that are made in place, if it is narrow and divides."""
    turned = a.strides[-2] == a.itemsize
    if turned and out.shape[-1] > out.shape[-2]:
        a, b, out = b.swapaxes(-1, -2), a.swapaxes(-1, -2), out.swapaxes(-1, -2)
    height, width = SQUARISH[turned]
    (m, k), n = a.shape[-2:], b.shape[-1]
    pieces = max(1, k // LENGTH, -(-k * height * width // SMALL))
    divides = m % height == 0 and n % width == 0 and n <= ACROSS * width and (pieces == 1 or pieces * m * n <= PARTIAL)
    if divides and _multiplies_in_place():
        _sum_of_pieces(a, b, out, pieces, height, width)
    else:
        np.matmul(a, b, out=out)


def _sum_of_pieces(a, b, out, pieces, height, width):
    """By k, which is summed over, and out in blocks."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    whole = k // pieces * pieces
    first = _side_by_side(_stack(a[..., :whole].swapaxes(-1, -2), pieces), height).swapaxes(-1, -2)     # (…, m/h, h, k')
    second = _side_by_side(_stack(b[..., :whole, :], pieces), width)                                    # (…, n/w, k', w)
    parts = out[..., None, :, :]
    if pieces > 1:
        parts = workspace(np, "parts", (*out.shape[:-2], pieces + (whole < k), m, n), out.dtype)
    blocks = parts[..., :pieces, :, :].reshape(*out.shape[:-2], pieces, m // height, height, n // width, width)
    np.matmul(first[..., :, None, :, :], second[..., None, :, :, :], out=blocks.swapaxes(-3, -2))
    if whole < k:
        np.matmul(a[..., whole:], b[..., whole:, :], out=parts[..., -1, :, :])
    if pieces > 1:
        np.add.reduce(parts, axis=-3, out=out)


def _side_by_side(x, width):
    """(…, m, w · n) → (…, n, m, w), a view."""
    return x.reshape(*x.shape[:-1], x.shape[-1] // width, width).swapaxes(-3, -2)


def _stack(x, pieces):
    """(…, pieces · m, n) → (…, pieces, m, n), a view."""
    return x.reshape(x.shape[:-2] + (pieces, x.shape[-2] // pieces, x.shape[-1]))
