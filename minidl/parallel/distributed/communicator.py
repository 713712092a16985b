"""What processes say to each other: collective operations on arrays.

With p ranks, rank r brings xᵣ and gets yᵣ:

    all_sum         yᵣ = Σₛ xₛ
    all_gather      yᵣ = x₀, x₁, …, x₍ₚ₋₁₎, their rows one below the other
    reduce_scatter  yᵣ = the rows of rank r in Σₛ xₛ
    broadcast       yᵣ = x_root
    reduce          y_root = Σₛ xₛ, and 0 elsewhere
    send, receive   y_to = x_from

Every rank calls the same one at the same time, with arrays that fit; all but `send` and `receive`
make sure of it first, so that a program in which ranks go different ways ends with an error, and
does not hang.  float16 is added up in float32.
"""
import zlib

import numpy as np

from minidl import backend


class Communicator:
    """The ranks of a run.  Subclasses give `meet` and the operations whose names begin with `_`.

    rank, size: who this is, and how many there are.
    not_finite: ranks that brought NaN or infinity to `all_gather`, the first time that anybody
        did; () as long as nobody has.
    bytes: {operation: bytes of the arrays that this rank has brought to it}.
    """
    rank, size = 0, 1

    def __init__(self):
        self.not_finite, self.bytes = (), {}

    def __repr__(self):
        return f"{type(self).__name__}(rank {self.rank} of {self.size})"

    def all_sum(self, x):
        """Σ x over the ranks, on all of them."""
        self.agree("all_sum", x)
        return self._summed(x, self._all_sum)

    def all_gather(self, x):
        """The rows of all ranks, in their order: (Σ nᵣ, …) of arrays (nᵣ, …)."""
        counts = self.agree("all_gather", x, rows=True)
        gathered = self._all_gather(x, counts)
        if not self.not_finite and gathered.dtype.kind == "f":
            finite = backend.of(x).isfinite(gathered)
            if not finite.all():
                ends = np.cumsum(counts)
                self.not_finite = tuple(rank for rank, end in enumerate(ends)
                                        if not finite[end - counts[rank]:end].all())
        return gathered

    def counts(self, rows):
        """How many rows each rank has: an array (p,) of the host."""
        return self.agree("counts", np.empty((rows, 0)), rows=True)

    def reduce_scatter(self, x, counts):
        """This rank's rows of Σ x: counts[r] rows go to rank r."""
        self.agree("reduce_scatter", x)
        if sum(counts) != len(x) or len(counts) != self.size:
            raise ValueError(f"reduce_scatter: counts {list(counts)} must be one for each of "
                             f"{self.size} ranks, and add up to the {len(x)} rows of x {x.shape}")
        return self._summed(x, lambda buffer: self._reduce_scatter(buffer, counts))

    def broadcast(self, x, root=0):
        """x of rank `root`, on all ranks."""
        self.agree("broadcast", x, root)
        return self._broadcast(x, root)

    def reduce(self, x, root=0):
        """Σ x on rank `root`, and zeros on the others."""
        self.agree("reduce", x, root)
        total = self._summed(x, self._all_sum)
        return total if self.rank == root else backend.of(x).zeros_like(total)

    def send(self, x, to):
        """Bring x to rank `to`, which calls `receive`."""
        self._check_rank("send", to)
        self._count("send", x)
        self._send(x, to)

    def receive(self, source):
        """The array that rank `source` sends."""
        self._check_rank("receive", source)
        return self._receive(source)

    def barrier(self):
        """Wait for all ranks."""
        self.agree("barrier", np.empty(0))

    def objects(self, value):
        """What all ranks bring, Python's own objects: a list, in their order."""
        self.agree("objects", np.empty(0))
        return self._objects(value)

    def agree(self, operation, x, root=0, rows=False):
        """Make sure that all ranks are in the same operation with arrays that fit.

        rows: only the first axis may differ.  Returns the lengths of the first axis: (p,).
        Raises ValueError, on all ranks, that names the first one that differs.
        """
        self._count(operation, x)
        if self.size == 1:
            return np.array([len(x)]) if x.ndim else np.zeros(1, int)
        if not 0 <= root < self.size:
            raise ValueError(f"{operation}: root must be a rank from 0 to {self.size - 1}, "
                             f"got {root}")
        if rows and x.ndim == 0:
            raise ValueError(f"{operation}: x must have rows, (n, …), got one number")
        shape = x.shape[1:] if rows else x.shape
        came = f"{operation} of {x.dtype} {tuple('n' * rows) + shape}, root {root}"
        came = operation if x.shape == (0,) else came.removesuffix(", root 0")
        found = self.meet(np.array([zlib.crc32(came.encode()), len(x) if x.ndim else 0]))
        if (found[:, 0] != found[0, 0]).any():
            self.disagree(came, found[:, 0])
        return found[:, 1]

    def disagree(self, came, found):
        """Raise the error of ranks that have come to different operations."""
        said = self._objects(came)
        other = int(np.argmax(found != found[0]))
        raise ValueError(f"the ranks have gone different ways: rank 0 came to {said[0]}, "
                         f"rank {other} to {said[other]}")

    def _summed(self, x, add_up):
        """add_up of x in a type that does not overflow, rounded to x's own."""
        wide = {"e": "float32", "?": "int64"}.get(x.dtype.char, x.dtype)
        return add_up(x.astype(wide, copy=False)).astype(x.dtype, copy=False)

    def _count(self, operation, x):
        self.bytes[operation] = self.bytes.get(operation, 0) + x.nbytes

    def _check_rank(self, operation, rank):
        if not 0 <= rank < self.size or rank == self.rank:
            raise ValueError(f"{operation}: expected another rank from 0 to {self.size - 1}, got "
                             f"{rank} on rank {self.rank}")


class Solo(Communicator):
    """One process alone: every sum is its only term."""

    def start_sum(self, x):
        return Done(x)

    def _all_sum(self, x):
        return x

    def _all_gather(self, x, counts):
        return x

    def _reduce_scatter(self, x, counts):
        return x

    def _broadcast(self, x, root):
        return x

    def _objects(self, value):
        return [value]


class Done:
    """A sum that is there."""

    def __init__(self, value):
        self.value = value

    def test(self):
        return True

    def wait(self):
        return self.value
