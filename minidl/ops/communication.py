"""Operations between processes: linear, each with its adjoint.

With p ranks let x = (x₀, …, x₍ₚ₋₁₎) be what they hold together, with the inner product
⟨x, y⟩ = Σᵣ ⟨xᵣ, yᵣ⟩; and let the number that is differentiated be L = Σᵣ Lᵣ, the sum of what the
ranks end with.  An operation y = A x takes from every rank and gives to every rank, so

    dL = Σᵣ ⟨ȳᵣ, dyᵣ⟩ = ⟨ȳ, A dx⟩ = ⟨Aᵀ ȳ, dx⟩        and   x̄ = Aᵀ ȳ.

    A               yᵣ                              Aᵀ
    all_sum         Σₛ xₛ                           all_sum             x̄ₛ = Σᵣ ȳᵣ
    all_gather      x₀, x₁, … one below the other   reduce_scatter      x̄ₛ = rows s of Σᵣ ȳᵣ
    broadcast       x_root                          reduce              x̄_root = Σᵣ ȳᵣ, else 0
    send, receive   x_from on one rank              receive, send       x̄_from = ȳ_to

The rules are the operations themselves, so there are derivatives of any order.  Every rank calls
the same operations in the same order, forward and in its sweep: what leads to the loss on one rank
leads to it on all.

Where every rank computes the same loss, L = Σᵣ Lᵣ is p times that loss: each rank differentiates
its own with the cotangent 1/p (`training/processes.py` does so).

communicator: the ranks; by default those of the run (`md.distributed.communicator()`).  In one
process every operation gives x.
"""
import math

import numpy as np

from minidl import backend, kernels
from minidl.operands import function, operand
from minidl.ops.elementwise import sqrt, square
from minidl.ops.normalization import batch_norm_with_moments, channelwise, dropped
from minidl.ops.precision import cast
from minidl.ops.reduction import sum
from minidl.ops.shape import stack
from minidl.parallel import distributed
from minidl.recording import is_recording
from minidl.settings import bounded, whole
from minidl.tensor import constant, record, with_output


def all_sum(x, communicator=None):
    """yᵣ = Σₛ xₛ, the same on every rank; all x of one shape.

    dL = Σᵣ ⟨ȳᵣ, Σₛ dxₛ⟩ = Σₛ ⟨Σᵣ ȳᵣ, dxₛ⟩        so   x̄ₛ = Σᵣ ȳᵣ: it is its own adjoint.
    Raises ValueError, on all ranks, where they come with different shapes or dtypes.
    """
    x, ranks = operand("all_sum", x), distributed.ranks_of("all_sum", communicator)
    return record(ranks.all_sum(x.data), (x, lambda gy: all_sum(gy, ranks)))


def all_gather(x, communicator=None):
    """yᵣ = the rows of x₀, of x₁, …, one below the other: (nₛ, …) → (Σ nₛ, …), on every rank.

    With ȳᵣₛ the rows of ȳᵣ that came from rank s,
    dL = Σᵣ Σₛ ⟨ȳᵣₛ, dxₛ⟩ = Σₛ ⟨Σᵣ ȳᵣₛ, dxₛ⟩        so   x̄ = reduce_scatter(ȳ).
    Raises ValueError, on all ranks, where more than the first axis differs.
    """
    x, ranks = operand("all_gather", x), distributed.ranks_of("all_gather", communicator)
    y, counts = ranks.gathered(x.data)
    return record(y, (x, lambda gy: reduce_scatter(gy, counts, ranks)))


def reduce_scatter(x, counts, communicator=None):
    """yᵣ = the rows of rank r in Σₛ xₛ: (Σ nᵣ, …) → (nᵣ, …), with counts = (n₀, n₁, …).

    The adjoint of `all_gather`, so   x̄ = all_gather(ȳ).
    Raises ValueError where the counts are not those of x's rows, and for x that differ in shape.
    """
    x, ranks = operand("reduce_scatter", x), distributed.ranks_of("reduce_scatter", communicator)
    return record(ranks.reduce_scatter(x.data, counts), (x, lambda gy: all_gather(gy, ranks)))


def broadcast(x, root=0, communicator=None):
    """yᵣ = x_root on every rank; the others' x has its shape, and does not matter.

    dL = Σᵣ ⟨ȳᵣ, dx_root⟩        so   x̄_root = Σᵣ ȳᵣ, and 0 elsewhere: `reduce`.
    """
    x, ranks = operand("broadcast", x), distributed.ranks_of("broadcast", communicator)
    return record(ranks.broadcast(x.data, root), (x, lambda gy: reduce(gy, root, ranks)))


def reduce(x, root=0, communicator=None):
    """y_root = Σₛ xₛ, and 0 on the other ranks.

    The adjoint of `broadcast`, so   x̄ₛ = ȳ_root on every rank.
    """
    x, ranks = operand("reduce", x), distributed.ranks_of("reduce", communicator)
    return record(ranks.reduce(x.data, root), (x, lambda gy: broadcast(gy, root, ranks)))


def send(x, to, *after, communicator=None):
    """Bring x to rank `to`, which calls `receive`.  y is empty, (0,).

    x̄ = the cotangent of what rank `to` has received, which it sends back in its sweep.  So y is to
    lead to what is differentiated here: add its sum, 0, to it.   after: see `receive`.
    """
    ranks = distributed.ranks_of("send", communicator)
    x, *after = (operand("send", each) for each in (x, *after))
    ranks.send(x.data, to)

    def rule(gy, y):
        back = receive(to, x, y, gy, *after, communicator=ranks)
        return back, *(0 * each.detach() for each in after)

    return record(x.data.ravel()[:0], ((x, *after), with_output(rule)))


def receive(source, *after, communicator=None):
    """y = what rank `source` sends.

    after: Tensors of this rank, with respect to which it differentiates, or that lead to such: by
    them the sweep finds its way here, where ȳ is sent back.  Their cotangents are 0.  (The rules
    send messages, too, and name as `after` what they were given: so a second sweep finds those.)
    """
    ranks = distributed.ranks_of("receive", communicator)
    after = [operand("receive", each, "after") for each in after]

    def rule(gy, y):
        nothing = sum(send(gy, source, y, *after, communicator=ranks))
        return tuple(0 * each.detach() + nothing for each in after)

    return record(ranks.receive(source), (tuple(after), with_output(rule)))


def drawn(draw, rows):
    """draw(rows), an array of random numbers with so many rows; within `distributed.joint` this
    rank's rows of what is drawn for the joined batch, so that all Generators stay alike."""
    function("drawn", "draw", draw, "of a number of rows")
    rows, ranks = whole("drawn", "0 ≤ rows < inf", rows), distributed.joint_now()
    if ranks is None:
        return draw(rows)
    counts = ranks.counts(rows)
    start = int(counts[:ranks.rank].sum())
    return draw(int(counts.sum()))[start:start + rows]


def dropout(x, rate, rng):
    """`ops.dropout`; within `distributed.joint` by this rank's rows of the joined batch's mask."""
    x, rng = operand("dropout", x), backend.generator(rng)
    if x.ndim == 0:
        return dropped(x, rng.random(()), rate)
    return dropped(x, drawn(lambda n: rng.random((n, *x.shape[1:])), x.shape[0]), rate)


def batch_norm(x, scale, shift, eps=1e-5):
    """(y, mean, variance, m): `ops.batch_norm` in training, the moments, and of how many values a
    channel they are; within `distributed.joint`, those of the joined batch.

    Chan's formula merges the counts nᵣ, means μᵣ and sums of squared deviations Mᵣ of the ranks:

        m = Σ nᵣ,    μ = Σ nᵣ μᵣ / m,    m σ² = Σ Mᵣ + nᵣ (μᵣ − μ)²

    for  Σ (x − μ)² = Σ ((x − μᵣ) + (μᵣ − μ))²,  whose mixed term is 0 on each rank.  dy is that of
    `ops.batch_norm` with means over all ranks; so  β̄ᵣ = Σ ȳ,  γ̄ᵣ = Σ x̂ ȳ  on each rank, and

        x̄ = γ r (ȳ − Σₛ β̄ₛ / m − x̂ Σₛ γ̄ₛ / m),

    2C + 1 numbers from each rank forward, and 2C back.
    Source: Chan, Golub and LeVeque 1983; Peng et al. 2018 (MegDet).
    """
    ranks = distributed.joint_now()
    if ranks is None:
        y, mean, variance = batch_norm_with_moments(x, scale, shift, eps)
        return y, mean, variance, math.prod(y.shape[:-1])
    eps = bounded("batch_norm", "0 ≤ eps < inf", eps)
    (x, scale, shift), dtype = channelwise("batch_norm", x, scale=scale, shift=shift)
    m, mean, variance = _merged(x.data, ranks)
    if m < 2:
        raise ValueError("batch_norm: the joined batch must hold more than one value per channel, "
                         f"to have a variance; this rank's x is {x.shape}")
    r = 1 / backend.of(x.data).sqrt(variance + x.dtype.type(eps))

    def rule(gy):
        if is_recording():
            return _batch_norm_rule(gy, x, scale, eps, m, ranks)
        return tuple(g if g is None else constant(g) for g in _batch_norm_back(
            gy.data, x.data, mean, r, scale.data, m, ranks))

    y = record(kernels.channels.affine(x.data, scale.data * r, shift.data, mean),
               ((x, scale, shift), rule))
    return cast(y, dtype), mean, variance, m


def _merged(x, ranks):
    """(m, μ, σ²) of all ranks' x (…, C), merged by Chan's formula in float64."""
    where, n, channels = backend.device_of(x), math.prod(x.shape[:-1]), x.shape[-1]
    own = backend.to_host(kernels.channels.moments(x)) if n else np.zeros((2, channels))
    mine = np.concatenate([[n], own[0], n * own[1]], dtype="float64")[None]
    found = ranks.all_gather(mine)
    n, means, squares = found[:, :1], found[:, 1:channels + 1], found[:, channels + 1:]
    m = n.sum()
    mean = (n * means).sum(0) / max(m, 1)
    variance = (squares + n * (means - mean) ** 2).sum(0) / max(m, 1)
    return int(m), *(backend.move(v.astype(x.dtype), where) for v in (mean, variance))


def _batch_norm_back(gy, x, mean, r, scale, m, ranks):
    """(x̄, γ̄, β̄) as arrays; see `batch_norm`."""
    xp = backend.of(x)
    of_shift, of_scale = own = kernels.channels.sums(gy, x, mean) * xp.stack([xp.ones_like(r), r])
    all_shift, all_scale = ranks.all_sum(own) / x.dtype.type(m)
    a = scale * r
    return (kernels.channels.blend(gy, a, x, -a * r * all_scale, -a * all_shift, mean),
            of_scale, of_shift)


def _batch_norm_rule(gy, x, scale, eps, m, ranks):
    """(x̄, γ̄, β̄) in operations that can be differentiated again; see `batch_norm`."""
    axes = tuple(range(x.ndim - 1))
    mean = all_sum(sum(x, axes), ranks) / m
    r = 1 / sqrt(all_sum(sum(square(x - mean), axes), ranks) / m + eps)
    normal = (x - mean) * r
    of_shift, of_scale = sum(gy, axes), sum(normal * gy, axes)
    all_shift, all_scale = all_sum(stack([of_shift, of_scale]), ranks) / m
    return scale * r * (gy - all_shift - normal * all_scale), of_scale, of_shift
