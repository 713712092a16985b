"""Several processes train one model as one process would: data parallelism.

Every process runs the same program on the same joined batch, and computes its rows of what costs
time:

    z = jointly(encoder, x)         each process: the encodings of its rows; then all have all rows
    loss = …                        of all rows, on every process
    descend((loss, optimizer))      gradients are summed over the processes while the sweep runs

Let L be the loss of the joined batch.  Every rank computes the number L, so what is differentiated
is Σᵣ L/p = L, with the cotangent 1/p on each of p ranks.  Rank r's sweep gives gᵣ, its part of
∂L/∂w, in which each row counts once, however the rows are dealt; and

    ∂L/∂w = Σᵣ gᵣ.

So no loss has to be a mean of the shards' means: triplets and episodes see all rows.  Within
`jointly` batch normalisation takes the moments of the joined batch, and dropout its rows of the
joined mask (`ops/communication.py`), so the number of processes changes nothing but rounding.
What `batch(t)` draws follows from t and a seed: it is the same everywhere, too.

In one process `jointly(f, x)` is f(x), and nothing is sent.
"""
from collections.abc import Callable
import math

import numpy as np

from minidl import backend
from minidl.operands import check_sizes, function
from minidl.ops.communication import all_gather
from minidl.parallel.distributed import communicator, joint, joint_now, rows_of
from minidl.parallel.distributed.buckets import Buckets
from minidl.settings import check_seed, whole
from minidl.tensor import constant, grad
from minidl.training.checks import Diverged


def jointly(f: Callable, *inputs):
    """f(*inputs) of a joined batch: each process computes f of its rows, and receives all rows.

    inputs: arrays or Tensors (N, …) with one N, the same on every process, or None.
    f: gives a Tensor, or a tuple of them, with a row for each of its inputs' rows; what is random
        in it is drawn by `Dropout`, or by `ops.communication.drawn`.
    Raises ValueError where the inputs have different numbers of rows, or a result another one.
    """
    function("jointly", "f", f, "of the inputs")
    ranks = communicator()
    if ranks.size == 1 or joint_now() is not None:
        return f(*inputs)
    lengths = {len(x) for x in inputs if x is not None}
    if len(lengths) != 1:
        raise ValueError(f"jointly: inputs must have one number of rows, got {sorted(lengths)}")
    mine = rows_of(lengths.pop(), ranks.rank, ranks.size)
    with joint(ranks):
        made = f(*(x if x is None else x[mine] for x in inputs))
    several = made if isinstance(made, tuple) else (made,)
    for y in several:
        shape = getattr(y, "shape", ())
        if shape[:1] != (mine.stop - mine.start,):
            raise ValueError(f"jointly: f must give a row for each of {mine.stop - mine.start} "
                             f"rows, it gave {type(y).__name__} of shape {shape}")
    gathered = tuple(all_gather(y, ranks) for y in several)
    return gathered if isinstance(made, tuple) else gathered[0]


def indices(t: int, n: int, batch_size: int, seed: int) -> np.ndarray:
    """Which of n examples make batch t = 0, 1, …: a new order in each epoch, of which every batch
    takes the next `batch_size`, and the last one what is left.

    It follows from the seed, the epoch and t alone, not from how many processes there are.
    Raises TypeError for a t or seed that is no integer, ValueError for one below 0, and for an n
    or batch_size that is no integer ≥ 1.

    >>> [indices(t, 5, 2, seed=0).tolist() for t in range(4)]
    [[2, 4], [3, 0], [1], [1, 4]]
    """
    t, seed = whole("indices", "0 ≤ t < inf", t), check_seed("indices", seed)
    check_sizes("indices", n=n, batch_size=batch_size)
    epoch, place = divmod(t, math.ceil(n / batch_size))
    order = np.random.default_rng([seed, epoch]).permutation(n)
    return order[place * batch_size:(place + 1) * batch_size]


def gradients(loss, weights):
    """∂loss/∂w for each of the weights: Σᵣ gᵣ over the ranks, of a loss that all of them have
    computed.

    Raises Diverged, on all ranks, where such a sum is not finite.
    """
    ranks = communicator()
    if ranks.size == 1:
        return grad(loss, weights)
    sums, where = Buckets(ranks), {id(w): i for i, w in enumerate(weights)}
    share = backend.of(loss.data).full(loss.shape, 1 / ranks.size, loss.dtype)
    grad(loss, weights, share, ready=lambda w, g: sums.add(where[id(w)], g.data))
    found = sums.sums()
    if not all(backend.of(g).isfinite(g).all() for g in found.values()):
        ranks.all_gather(np.array([0.0 if sums.is_finite() else math.nan]))     # who was it?
        raise Diverged(f"a gradient is not finite{culprits()}")
    return [constant(found[i]) for i in range(len(weights))]


def agreed(losses):
    """(the losses as rank 0 has computed them, who brought numbers that are not finite: text).

    losses: a list of floats.  Raises ValueError where ranks have computed other ones: then they are
    not losses of the joined batch.
    """
    ranks = communicator()
    if ranks.size == 1:
        return losses, ""
    found = ranks.all_gather(np.array([losses]))
    finite = np.isfinite(found).all(1)
    if not finite.all():
        return found[np.argmin(finite)].tolist(), culprits()
    if (abs(found - found[0]) > 1e-3 * np.maximum(abs(found[0]), 1e-3)).any():
        other = int(np.argmax(abs(found - found[0]).max(1)))
        raise ValueError(f"descend: the loss is {found[0].tolist()} on rank 0 and "
                         f"{found[other].tolist()} on rank {other}; every process must compute the "
                         "loss of the joined batch, of what jointly(net, x) gives it")
    return found[0].tolist(), ""


def culprits():
    """Which ranks brought the first numbers that are not finite, for an error."""
    who = communicator().not_finite
    return f" (rank {', '.join(map(str, who))} brought the first numbers that are not)" * bool(who)


def first_word(text):
    """The first of the ranks' texts that is not empty, in their order."""
    ranks = communicator()
    return text if ranks.size == 1 else next(filter(None, ranks.objects(text)), "")


def several():
    """Whether there are others."""
    return communicator().size > 1


def is_first():
    """Whether this process is the one that reads and writes files."""
    return communicator().rank == 0


def as_first(progress, checkpoint):
    """Bring all ranks to the state of rank 0, which alone has loaded a Checkpoint: its parts, their
    Generators, and the progress that it holds, which is given back."""
    ranks = communicator()
    if ranks.size == 1:
        return progress
    state = checkpoint.state() if ranks.rank == 0 else None
    progress, state = ranks.objects((progress, state))[0]
    if ranks.rank:
        checkpoint.set_state(state)
    return progress
