"""What processes say to each other: collective operations on arrays.

With p ranks, rank r brings xᵣ and gets yᵣ:

    all_sum         yᵣ = Σₛ xₛ
    all_gather      yᵣ = x₀, x₁, …, x₍ₚ₋₁₎, their rows one below the other
    reduce_scatter  yᵣ = the rows of rank r in Σₛ xₛ
    broadcast       yᵣ = x_root
    reduce          y_root = Σₛ xₛ, and 0 elsewhere
    send, receive   y_to = x_from

Every rank calls the same one at the same time, with arrays that fit.  All but `send` and `receive`
make sure of it by a message, so that a program in which ranks go different ways ends with an error,
and does not hang.  Small arrays travel in that message.  float16 is added up in float32.
"""
import pickle

import numpy as np

from minidl import backend
from minidl.parallel.distributed.checks import check_array, whole, whole_numbers

TEXT, SMALL = 112, 2048     # bytes of a message: what it is, and an array that fits


class Communicator:
    """The ranks of a run.  A subclass of several gives `meet`, `start_sum`, `_all_sum`,
    `_all_gather`, `_reduce_scatter`, `_broadcast`, `_send` and `_receive`.

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
        return self._sum("all_sum", x)

    def all_gather(self, x):
        """The rows of all ranks, in their order: (Σ nᵣ, …) of arrays (nᵣ, …)."""
        return self.gathered(x)[0]

    def gathered(self, x):
        """`all_gather(x)`, and how many rows each rank has brought: an array (p,) of the host."""
        counts, small = self.agree("all_gather", x, rows=True)
        if small is None:
            found = self._all_gather(x, counts)
        else:
            found = backend.move(np.concatenate(small), backend.device_of(x))
        if not self.not_finite and found.dtype.kind == "f":
            finite = backend.of(x).isfinite(found)
            if not finite.all():
                ends = np.cumsum(counts).tolist()
                self.not_finite = tuple(rank for rank, (n, end) in enumerate(zip(counts, ends))
                                        if not finite[end - int(n):end].all())
        return found, counts

    def counts(self, rows):
        """How many rows each rank has: an array (p,) of the host."""
        return self.agree("counts", np.empty((rows, 0)), rows=True)[0]

    def reduce_scatter(self, x, counts):
        """This rank's rows of Σ x: counts[r] rows go to rank r."""
        check_array("reduce_scatter", x)
        counts = whole_numbers("reduce_scatter", "counts", counts)
        if x.shape[:1] != (sum(counts),) or len(counts) != self.size:
            raise ValueError(f"reduce_scatter: counts {counts} must be one for each of {self.size} "
                             f"ranks, and add up to the rows of x {x.shape}")
        start = sum(counts[:self.rank])
        mine = slice(start, start + counts[self.rank])
        return self._sum("reduce_scatter", x, mine, lambda x: self._reduce_scatter(x, counts),
                         detail=f", counts {counts}")

    def broadcast(self, x, root=0):
        """x of rank `root`, on all ranks."""
        _, small = self.agree("broadcast", x, root)
        if small is None:
            return self._broadcast(x, root)
        return backend.move(small[root].copy(), backend.device_of(x))

    def reduce(self, x, root=0):
        """Σ x on rank `root`, and zeros on the others."""
        total = self._sum("reduce", x, root=root)
        return total if self.rank == root else backend.of(x).zeros_like(total)

    def send(self, x, to):
        """Bring x to rank `to`, which calls `receive`."""
        self._check_other("send", "to", to)
        self._count("send", x)
        self._send(x, to)

    def receive(self, source):
        """The array that rank `source` sends."""
        self._check_other("receive", "source", source)
        return self._receive(source)

    def barrier(self):
        """Wait for all ranks."""
        self.agree("barrier", np.empty(0))

    def objects(self, value):
        """What all ranks bring, Python's own objects: a list, in their order.

        They are pickled: they come from this run's own processes, never from a file.
        """
        own = np.frombuffer(pickle.dumps(value), "uint8")
        counts, small = self.agree("objects", own, rows=True)
        if small is None:
            small = np.split(self._all_gather(own, counts), np.cumsum(counts)[:-1])
        return [pickle.loads(each.tobytes()) for each in small]

    def agree(self, operation, x, root=0, rows=False, detail=""):
        """Make sure that all ranks are in the same operation with arrays that fit.

        rows: only the first axis may differ.  detail: what else is to agree.  Returns the lengths
        of the first axis, (p,), and all ranks' arrays on the host, where they are small, else None.
        Raises ValueError, on all ranks, that names the first one that differs.
        """
        self._count(operation, x)
        root = whole(operation, "root", root, 0, self.size - 1)
        if rows and x.ndim == 0:
            raise ValueError(f"{operation}: x must have rows, (n, …), got one number")
        lengths = np.array([len(x) if x.ndim else 1, x.nbytes])
        if self.size == 1:
            return lengths[:1], None
        shape = ("n", *x.shape[1:]) if rows else x.shape
        came = f"{operation} of {x.dtype} {shape}, root {root}".replace("'n'", "n")
        came = operation if x.shape == (0,) and not rows else came.removesuffix(", root 0")
        came += detail
        head = lengths.tobytes() + came.encode()[:TEXT].ljust(TEXT)
        inside = backend.to_host(x).tobytes() if x.nbytes <= SMALL else b""
        found = self.meet(np.frombuffer(head + inside.ljust(SMALL, b"\0"), "uint8"))
        begins = lengths.nbytes + TEXT
        said = [bytes(each[lengths.nbytes:begins]).decode().rstrip() for each in found]
        for other, text in enumerate(said):
            if text != said[0]:
                raise ValueError(f"the ranks have gone different ways: rank 0 came to {said[0]}, "
                                 f"rank {other} to {text}")
        counts, sizes = np.frombuffer(found[:, :lengths.nbytes].tobytes(), lengths.dtype).reshape(
            self.size, 2).T
        if sizes.max() > SMALL:
            return counts, None
        return counts, [np.frombuffer(each[begins:begins + size].tobytes(), x.dtype).reshape(
            (n, *x.shape[1:]) if rows else x.shape) for each, n, size in zip(found, counts, sizes)]

    def _sum(self, operation, x, part=..., add_up=None, root=0, detail=""):
        """(Σ x)[part] in x's type, float16 added up in float32 and booleans as integers; add_up
        gives it where x is large."""
        check_array(operation, x)
        wide = x.astype({"e": "float32", "?": "int64"}.get(x.dtype.char, x.dtype), copy=False)
        _, small = self.agree(operation, wide, root, detail=detail)
        if small is None:
            total = (add_up or self._all_sum)(wide)
        else:
            total = backend.move(np.asarray(sum(small[1:], small[0])[part]), backend.device_of(x))
        return total.astype(x.dtype, copy=False)

    def _count(self, operation, x):
        check_array(operation, x)
        if x.nbytes:
            self.bytes[operation] = self.bytes.get(operation, 0) + x.nbytes

    def _check_other(self, operation, name, rank):
        if whole(operation, name, rank, 0, self.size - 1) == self.rank:
            raise ValueError(f"{operation}: {name} must be another rank, got {rank} on it")


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


class Done:
    """A sum that is there."""

    def __init__(self, value):
        self.value = value

    def test(self):
        return True

    def wait(self):
        return self.value
