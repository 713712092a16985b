"""Batch normalisation, channel by channel on tall arrays (…, C), a strip of rows at a time.

What a strip needs again is still in the cache.  Few channels make short rows, over each of which
NumPy begins anew; so several are taken as one, (R, C) as (R/k, k·C).  On a GPU that is not needed:
k = 1.
Sums over rows are products with a row of ones: NumPy would add row after row into a running sum,
which in float32 loses digits as the rows become many.
"""
import math

from minidl import backend
from minidl.kernels.precision import accumulated
from minidl.parallel.memory import empty
from minidl.parallel.threads import (
    parallel_map,
    strips,
    threads_for,
    with_one_blas_thread,
    workspace,
)

BUDGET = 2 ** 21        # bytes of a strip
WIDE = 512              # elements of a row that is long enough
PART = 64               # a first mean is taken of one row in so many
SAMPLE = 64             # and of one row in so many it is judged how far from 0 that is,
FAR = 4                 # which counts from so many deviations on


def add_up(x):
    """Σ x over all axes but the last: (C,)."""
    x, channels = _rows(x), x.shape[-1]
    # read once, nothing written
    return _total(lambda part: _sum(x[part], channels), x, channels, work=1 / 2)


@accumulated(arrays=2)
def sums(u, x, m):
    """Σ u and Σ u ⊙ (x − m) over all axes but the last: (2, C), with m (C,)."""
    xp, u, x, channels = backend.of(x), _rows(u), _rows(x), x.shape[-1]
    center = _repeated(m, x) if _is_far(m, x, channels) else None

    def of(part):
        out = workspace(xp, "channels", x[part].shape, x.dtype)
        deviation = x[part] if center is None else xp.subtract(x[part], center, out=out)
        product = xp.multiply(u[part], deviation, out=out)
        return xp.stack([_sum(u[part], channels), _sum(product, channels)])

    first, second = found = _total(of, x, (2, channels))
    return found if center is not None else xp.stack([first, second - m * first])


@accumulated(arrays=1)
def moments(x):
    """Mean and variance over all axes but the last: (2, C).

    With d = x − μ₀ for some μ₀,  μ = μ₀ + ⟨d⟩  and  σ² = ⟨d²⟩ − ⟨d⟩²,  so x is read once.
    The closer μ₀ is to μ, the less cancels: it is the mean of a part of x, corrected as in
    `sums.mean`.  Of equal numbers d is 0, and all is exact.
    """
    xp, x, channels = backend.of(x), _rows(x), x.shape[-1]
    # else BLAS's own threads go on spinning, and the next convolution takes 1.4 times as long
    near = with_one_blas_thread(lambda: _mean(x[:max(1, len(x) // PART)], channels))
    m = _repeated(near, x)

    def of(part):
        d = xp.subtract(x[part], m, out=workspace(xp, "channels", x[part].shape, x.dtype))
        return xp.stack([_sum(d, channels), _sum(xp.multiply(d, d, out=d), channels)])

    first, second = _total(of, x, (2, channels)) / x.dtype.type(x.size // channels)
    return xp.stack([near + first, xp.maximum(second - first * first, 0)])


def _mean(x, channels):
    """The mean over all rows: (C,)."""
    n = x.dtype.type(x.size // channels)
    near = _sum(x, channels) / n
    return near + _sum(x - _repeated(near, x), channels) / n


def affine(x, a, c, m):
    """(x − m) ⊙ a + c,  with a, c and m (C,)."""
    return _affine(x, a, c, m) if _on_gpu(x) else _by_rows(x, a, c, m)


def blend(u, a, x, b, c, m):
    """u ⊙ a + (x − m) ⊙ b + c,  with a, b, c and m (C,)."""
    return _blend(u, a, x, b, c, m) if _on_gpu(x) else _by_rows(x, b, c, m, u, a)


def batch_norm_back(u, x, mean, r, scale, of_x=True):
    """x̄ = γ r (ȳ − β̄/m − x̂ γ̄/m)  or None,   γ̄ = Σ x̂ ȳ,   β̄ = Σ ȳ,
        with ȳ = u and x̂ = (x − μ) r.

    Two passes: one for both sums, one for x̄.
    """
    of_shift, of_scale = sums(u, x, mean) * backend.of(x).stack([backend.of(x).ones_like(r), r])
    if not of_x:
        return None, of_scale, of_shift
    a, m = scale * r, x.dtype.type(x.size // len(r))
    return blend(u, a, x, -a * r * of_scale / m, -a * of_shift / m, mean), of_scale, of_shift


def _is_far(m, x, channels):
    """Whether m (C,) is far from 0, beside how the first of the rows x scatter around it.

    Only then do sums of products with x lose digits that those with x − m have.  Else a pass over
    x is saved: 5 % of the Siamese training step (`python -m tests.benchmarks Siamese`).
    """
    if not x.size or _on_gpu(x):
        return True
    some = x[:max(1, len(x) // SAMPLE)]
    apart = with_one_blas_thread(lambda: _sum(abs(some - _repeated(m, x)), channels))
    scatter = apart / (some.size // channels)
    return not (abs(m) <= FAR * scatter).all()


def _on_gpu(x):
    return backend.of(x) is not backend.CPU.module


@backend.fused
def _affine(x, a, c, m):
    return (x - m) * a + c


@backend.fused
def _blend(u, a, x, b, c, m):
    return u * a + (x - m) * b + c


def _by_rows(x, a, c, m, u=None, b=None):
    """(x − m) ⊙ a + c,  and u ⊙ b beside it, on the CPU."""
    xp, shape, x, u = backend.of(x), x.shape, _rows(x), u if u is None else _rows(u)
    if not _is_far(m, x, len(m)):
        c, m = c - m * a, None
    y = empty(x.shape, x.dtype, xp)
    a, c, m, b = (v if v is None else _repeated(v, x) for v in (a, c, m, b))

    def fill(part):
        out = y[part]
        xp.multiply(x[part] if m is None else xp.subtract(x[part], m, out=out), a, out=out)
        if u is not None:
            out += xp.multiply(u[part], b, out=workspace(xp, "channels", out.shape, out.dtype))
        out += c

    _in_strips(fill, x, work=1 if u is None else 2)
    return y.reshape(shape)


def shift(y, b):
    """Add b (C,) to y (N, …, C), whose items each lie in one piece, in place."""
    items, rows, channels = len(y), math.prod(y.shape[1:-1]), y.shape[-1]
    k = _together(rows, channels, backend.of(y))
    long = y.reshape(items, rows // k, k * channels)
    long += _repeated(b, long)


def _rows(x):
    """x (…, C) as (R/k, k·C)."""
    xp, rows, channels = backend.of(x), math.prod(x.shape[:-1]), x.shape[-1]
    k = _together(rows, channels, xp)
    return xp.ascontiguousarray(x).reshape(rows // k, k * channels)


def _together(rows, channels, xp):
    """How many rows make a long one."""
    few = 0 < channels < WIDE and xp is backend.CPU.module
    return math.gcd(rows, 2 ** math.ceil(math.log2(WIDE / channels))) if few else 1


def _repeated(vector, x):
    """A vector (C,) for rows of k·C."""
    k = x.shape[-1] // max(1, len(vector))
    return backend.of(x).tile(vector, k) if k > 1 else vector


def _sum(rows, channels):
    """Σ over rows and over the k of each: (C,).

    By dot, which lets other threads run: NumPy's own sums of few results hold the interpreter.
    """
    xp = backend.of(rows)
    if rows.dtype.char not in "fd":                     # no BLAS
        return rows.reshape(-1, channels).sum(0)
    sums = xp.dot(xp.ones((1, len(rows)), rows.dtype), rows).reshape(-1, channels)
    return sums.sum(0) if len(sums) > 1 else sums[0]


def _total(of, x, shape, work=1):
    """Σ of(part) over the strips of x, each of that shape."""
    parts = _in_strips(of, x, work)
    return sum(parts[1:], parts[0]) if parts else backend.of(x).zeros(shape, x.dtype)


def _parts(x, work=1):
    """Slices of rows.  work: what is done with an element of x takes so many times as long as to
    copy it."""
    per_row, threads = x.shape[1] * x.itemsize, threads_for(work * x.nbytes)
    return [rows
            for _, rows in strips(min(1, len(x)), len(x), per_row, backend.of(x), BUDGET, threads)]


def _in_strips(job, x, work=1):
    """Results of job(slice of rows), in order."""
    return parallel_map(job, _parts(x, work), backend.of(x), threads_for(work * x.nbytes))
