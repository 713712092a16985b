"""Processes that talk by MPI, through mpi4py.  Arrays of a GPU go by way of the host."""
import os
import time

import numpy as np

from minidl import backend
from minidl.parallel.distributed.communicator import Communicator

SPIN = 0.001        # seconds of asking without a pause
PAUSE = 1e-4        # seconds between two questions after that, in which others have the core


def library():
    """mpi4py's MPI; raises ImportError, in one line, where it or the MPI below it is missing."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:        # the second where there is no libmpi
        reason = str(error).partition("\n")[0]
        raise ImportError(f"several processes need mpi4py and an MPI ({reason}): "
                          "pip install mpi4py mpich, or minidl's extra `cluster`") from None
    return MPI


class Mpi(Communicator):
    """All processes that mpiexec has started.

    Each message is started, and MPI asked until it is there: a wait inside of MPI could not be
    interrupted.  Sums of gradients have a communicator of their own, so that they do not get mixed
    with what is said in between.
    """

    def __init__(self, world=None):
        super().__init__()
        self.mpi = library()
        world = world or self.mpi.COMM_WORLD
        self.comm, self.aside = world.Dup(), world.Dup()
        self.rank, self.size = world.rank, world.size
        if self.size > 1:
            from minidl.parallel.distributed import ending
            ending.watch(self)

    def meet(self, numbers):
        """The integers of all ranks: (p, …)."""
        found = np.empty((self.size, *numbers.shape), numbers.dtype)
        self._wait(self.comm.Iallgather(numbers, found))
        return found

    def start_sum(self, x):
        """Begin a sum over the ranks; what is given back has `test()` and `wait()`."""
        return _Sum(self, x)

    def finish(self):
        """Say that this rank is at the end of its program, and wait for the others' saying so."""
        self.agree("the end of its program", np.empty(0))

    def abort(self, code):
        """End all processes, now."""
        self.mpi.COMM_WORLD.Abort(code)
        os._exit(code)                                  # the launcher may take its time

    def _all_sum(self, x):
        return self._beside(x, _Sum(self, x, self.comm).wait())

    def _all_gather(self, x, counts):
        mine = _contiguous(x)
        out = np.empty((int(counts.sum()), *mine.shape[1:]), mine.dtype)
        each = int(np.prod(mine.shape[1:])) * mine.itemsize
        sizes = [int(n) * each for n in counts]
        self._wait(self.comm.Iallgatherv(_bytes(mine), [_bytes(out), sizes, self.mpi.BYTE]))
        return self._beside(x, out)

    def _reduce_scatter(self, x, counts):
        mine = _contiguous(x)
        each = int(np.prod(mine.shape[1:]))
        out = np.empty((int(counts[self.rank]), *mine.shape[1:]), mine.dtype)
        self._wait(self.comm.Ireduce_scatter(mine, out, [int(n) * each for n in counts]))
        return self._beside(x, out)

    def _broadcast(self, x, root):
        buffer = _contiguous(x).copy()
        self._wait(self.comm.Ibcast(_bytes(buffer), root))
        return self._beside(x, buffer)

    def _send(self, x, to):
        self._wait(self.comm.isend((_contiguous(x), backend.device_of(x).name), to))

    def _receive(self, source):
        self._until(lambda: self.comm.iprobe(source))
        array, device = self.comm.recv(source=source)
        return backend.move(array, backend.device(device))

    def _wait(self, request):
        self._until(request.Test)

    def _until(self, there):
        begun = time.perf_counter()
        while not there():
            if time.perf_counter() - begun > SPIN:
                time.sleep(PAUSE)

    def _beside(self, x, array):
        """An array of the host on the device of x."""
        return backend.move(array, backend.device_of(x))


class _Sum:
    """A sum over the ranks, under way."""

    def __init__(self, owner, x, comm=None):
        self.owner, self.device = owner, backend.device_of(x)
        self.own = _contiguous(x)
        self.total = np.empty_like(self.own)
        self.request = (comm or owner.aside).Iallreduce(self.own, self.total)

    def test(self):
        """Whether it is there; asked, MPI goes on with it."""
        return self.request.Test()

    def wait(self):
        self.owner._wait(self.request)
        return backend.move(self.total, self.device)


def _contiguous(x):
    return np.ascontiguousarray(backend.to_host(x)).reshape(x.shape)


def _bytes(array):
    return array.reshape(-1).view("uint8")
