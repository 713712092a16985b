"""Work channel by channel on tall arrays (…, C), a strip of rows at a time: what a strip needs again is still in the cache.

Sums over rows are products with a row of ones: NumPy would add row after row into a running sum, which in float32 loses
digits as the rows become many.
"""
import math

from minidl import backend
from minidl.kernels.memory import empty
from minidl.kernels.workers import deal, share, strips, workspace

BUDGET = 2 ** 18        # bytes of a strip


def add_up(x):
    """Σ x over all axes but the last: (C,)."""
    return _total(lambda x: x, _rows(x))


def dot(x, u):
    """Σ x ⊙ u over all axes but the last: (C,)."""
    xp = backend.of(x)
    return _total(lambda x, u: xp.multiply(x, u, out=workspace(xp, "channels", x.shape, x.dtype)), _rows(x), _rows(u))


def moments(x):
    """Mean and variance over all axes but the last: (2, C)."""
    xp, rows = backend.of(x), _rows(x)
    mean = _total(lambda x: x, rows) / x.dtype.type(len(rows))

    def squared_deviation(x):
        deviation = xp.subtract(x, mean, out=workspace(xp, "channels", x.shape, x.dtype))
        return xp.multiply(deviation, deviation, out=deviation)

    return xp.stack([mean, _total(squared_deviation, rows) / x.dtype.type(len(rows))])


def affine(x, a, c):
    """x ⊙ a + c,  with a and c (C,)."""
    xp, rows = backend.of(x), _rows(x)
    y = empty(rows.shape, x.dtype, xp)

    def fill(part):
        out = xp.multiply(rows[part], a, out=y[part])
        out += c

    _in_strips(fill, rows)
    return y.reshape(x.shape)


def _rows(x):
    return backend.of(x).ascontiguousarray(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _total(term, first, *others):
    """Σ over the rows of term(rows), an array of their shape."""
    xp = backend.of(first)

    def of(part):
        rows = term(first[part], *(x[part] for x in others))
        if rows.dtype.char not in "fd":                 # no BLAS
            return rows.sum(0)
        return (xp.ones((1, len(rows)), rows.dtype) @ rows)[0]

    parts = _in_strips(of, first)
    return sum(parts[1:], parts[0]) if parts else xp.zeros(first.shape[1:], first.dtype)


def _in_strips(job, rows):
    """Results of job(slice of rows), in order."""
    xp = backend.of(rows)
    todo = strips(min(1, len(rows)), len(rows), rows.shape[1] * rows.itemsize, xp, BUDGET)
    done = share([lambda mine=mine: [job(part) for _, part in mine] for mine in deal(todo, xp)], xp)
    return [result for results in done for result in results]
