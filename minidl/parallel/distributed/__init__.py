"""Several processes that train one model: who takes part, and what they say to each other.

    mpiexec -n 2 python -m mpi4py -m demos.faces train …

starts the same program twice.  Each process is a rank, 0 … size − 1, and all of them meet in the
same collective operations, in the same order:

    communicator        the ranks of this run: Solo, or Mpi; communicator("nccl") for GPUs
    Communicator        what ranks can do:
                            .rank .size     who this is, and how many there are
                            .all_sum .all_gather .reduce_scatter .broadcast .reduce .send .receive
                            .barrier        collective operations on arrays
    Solo                one process alone
    use                 within `with use(c):`, communicator() is c
    joint               within `with joint(c):`, a process has its rows of a joined batch
    joint_now           the communicator of the innermost `joint`, or None
    rows_of             which rows of a batch belong to a rank

All of these are linear, and `ops/communication.py` gives them their adjoints.  Training stands in
`training/processes.py`.  Nothing of MPI is imported unless a launcher has started several.

>>> communicator()
Solo(rank 0 of 1)
"""
from contextlib import contextmanager
from contextvars import ContextVar
import functools
from importlib import import_module
from importlib.util import find_spec
import os
import sys

from minidl.parallel.distributed.communicator import Communicator, Solo
from minidl.parallel.distributed.rows import rows_of

__all__ = ["Communicator", "Solo", "communicator", "joint", "joint_now", "rows_of", "use"]

# where launchers say in the environment how many they have started: MPICH's, Open MPI's, MVAPICH's
SIZES = "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"

_chosen = ContextVar("communicator", default=None)
_joint = ContextVar("joint", default=None)


def communicator(kind=None):
    """The communicator of this process.

    kind: "solo", "mpi" or "nccl"; by default the one of `use`, or "mpi" where a launcher (mpiexec)
        has started several processes, else "solo".  There is one of each kind, made when it is
        first asked for, by all processes together.
    Raises ValueError for other kinds, ImportError where mpi4py, or CuPy's NCCL, is missing.
    """
    if kind is None:
        return _chosen.get() or _made("mpi" if processes() > 1 else "solo")
    if not isinstance(kind, str) or kind not in ("solo", "mpi", "nccl"):
        raise ValueError(f'communicator: kind must be "solo", "mpi" or "nccl", got {kind!r}')
    return _made(kind)


def ranks_of(operation, given):
    """The communicator that an operation was given, or that of the run where it is None."""
    return communicator() if given is None else _checked(operation, given)


def _checked(operation, given):
    """The Communicator; raises TypeError for anything else."""
    if not isinstance(given, Communicator):
        raise TypeError(f"{operation}: expected a Communicator, as communicator() gives it, got "
                        f"{type(given).__name__}")
    return given


def processes():
    """How many processes the launcher has started; 1 without one."""
    for name in SIZES:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    if "PMIX_NAMESPACE" in os.environ and find_spec("mpi4py"):      # Slurm's srun does not say it
        import_module("minidl.parallel.distributed.mpi").library()
    return sys.modules["mpi4py.MPI"].COMM_WORLD.size if "mpi4py.MPI" in sys.modules else 1


@functools.cache
def _made(kind):
    if kind == "solo":
        return Solo()
    if kind == "mpi":
        from minidl.parallel.distributed.mpi import Mpi
        return Mpi()
    from minidl.parallel.distributed.nccl import Nccl
    return Nccl()


@contextmanager
def use(chosen):
    """Within `with use(c):`, `communicator()` is c: in this thread, and what it calls."""
    token = _chosen.set(_checked("use", chosen))
    try:
        yield chosen
    finally:
        _chosen.reset(token)


@contextmanager
def joint(chosen):
    """Within `with joint(c):`, arrays hold this process's rows of a batch that is joined over c.

    Batch normalisation then takes the moments of the joined batch, dropout its rows of the joined
    mask.
    """
    token = _joint.set(_checked("joint", chosen))
    try:
        yield chosen
    finally:
        _joint.reset(token)


def joint_now():
    """The communicator of the innermost `joint`, or None."""
    return _joint.get()
