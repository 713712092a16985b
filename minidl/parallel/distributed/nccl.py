"""Processes with a GPU each, whose arrays go from GPU to GPU by NCCL, through CuPy.

    MINIDL_DEVICE=gpu mpiexec -n 8 python -m mpi4py train.py

    with md.distributed.use(md.distributed.communicator("nccl")):       in train.py
        loop.run()

UNTRIED: it was written where there is no second GPU.  What MPI does better stays with it: whether
all ranks are in one operation (`meet`), Python's objects, single messages, arrays of the host.
Needs cupy ≥ 14 with NCCL (the wheel nvidia-nccl-cu12), and one GPU for each process of a machine.
"""
from minidl import backend
from minidl.parallel.distributed.communicator import Done
from minidl.parallel.distributed.mpi import Mpi


class Nccl(Mpi):
    """As Mpi, but sums, gathers and broadcasts of a GPU's arrays stay on GPUs."""

    def __init__(self, world=None):
        super().__init__(world)
        try:
            import cupy
            from cupy.cuda import nccl
        except ImportError as error:
            raise ImportError(f'communicator("nccl") needs CuPy with NCCL ({error}): pip install '
                              "cupy-cuda12x nvidia-nccl-cu12") from None
        self.cupy, self.nccl = cupy, nccl
        beside = self.comm.Split_type(self.mpi.COMM_TYPE_SHARED)
        gpus = cupy.cuda.runtime.getDeviceCount()
        if beside.size > gpus:
            raise backend.DeviceError(f'communicator("nccl"): {beside.size} processes of this '
                                      f"machine need a GPU each, and it has {gpus}")
        cupy.cuda.Device(beside.rank).use()
        name = self.objects(nccl.get_unique_id() if self.rank == 0 else None)[0]
        self.ring = nccl.NcclCommunicator(self.size, name, self.rank)
        self.beside_the_sweep = cupy.cuda.Stream(non_blocking=True)
        self.kinds = {"f": nccl.NCCL_FLOAT32, "d": nccl.NCCL_FLOAT64, "l": nccl.NCCL_INT64}

    def start_sum(self, x):
        """A sum on a stream of its own, while the sweep goes on with its kernels."""
        if not self._by_nccl(x):
            return super().start_sum(x)
        own, total = self.cupy.ascontiguousarray(x), self.cupy.empty(x.shape, x.dtype)
        self.beside_the_sweep.wait_event(self._now().record())
        self._reduce_all(own, total, self.beside_the_sweep)
        return _Later(self, total, self.beside_the_sweep.record(), own)

    def _all_sum(self, x):
        if not self._by_nccl(x):
            return super()._all_sum(x)
        own, total = self.cupy.ascontiguousarray(x), self.cupy.empty(x.shape, x.dtype)
        self._reduce_all(own, total, self._now())
        return total

    def _all_gather(self, x, counts):
        if not self._by_nccl(x):
            return super()._all_gather(x, counts)
        out = self.cupy.empty((int(counts.sum()), *x.shape[1:]), x.dtype)
        self._in_pieces(self.cupy.ascontiguousarray(x), out, counts, self._show)
        return out

    def _reduce_scatter(self, x, counts):
        if not self._by_nccl(x):
            return super()._reduce_scatter(x, counts)
        out = self.cupy.empty((int(counts[self.rank]), *x.shape[1:]), x.dtype)
        self._in_pieces(out, self.cupy.ascontiguousarray(x), counts, self._collect)
        return out

    def _broadcast(self, x, root):
        if not self._by_nccl(x):
            return super()._broadcast(x, root)
        out = self.cupy.ascontiguousarray(x).copy()
        self._show(out, out, root)
        return out

    def _by_nccl(self, x):
        return backend.of(x) is self.cupy and x.dtype.char in self.kinds

    def _now(self):
        return self.cupy.cuda.get_current_stream()

    def _reduce_all(self, own, total, stream):
        self.ring.allReduce(own.data.ptr, total.data.ptr, own.size, self.kinds[own.dtype.char],
                            self.nccl.NCCL_SUM, stream.ptr)

    def _in_pieces(self, own, whole, counts, act):
        """act(own, the rows of `whole` that are rank r's, r) for all ranks, in one group."""
        start = 0
        self.nccl.groupStart()
        for rank, count in enumerate(counts):
            act(own, whole[start:start + int(count)], rank)
            start += int(count)
        self.nccl.groupEnd()

    def _show(self, own, rows, rank):
        """rows ← rank's own"""
        self.ring.broadcast(own.data.ptr, rows.data.ptr, rows.size, self.kinds[rows.dtype.char],
                            rank, self._now().ptr)

    def _collect(self, own, rows, rank):
        """rank's own ← Σ rows"""
        self.ring.reduce(rows.data.ptr, own.data.ptr, rows.size, self.kinds[rows.dtype.char],
                         self.nccl.NCCL_SUM, rank, self._now().ptr)


class _Later(Done):
    """A sum that the GPU will have when it comes to what is asked of it next."""

    def __init__(self, owner, value, event, own):
        super().__init__(value)
        self.owner, self.event, self.own = owner, event, own    # memory that is still read

    def wait(self):
        self.owner._now().wait_event(self.event)
        return self.value
