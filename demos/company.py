"""Several processes that run one demo, started as `mpiexec -n 2 python -m mpi4py -m demos.…`: they
work together, and the first of them alone prints, writes and is asked."""
import atexit
import os
from pathlib import Path
import shutil
import sys
import tempfile

import minidl as md
from minidl.parallel.distributed import processes

WRITTEN = "output", "model", "checkpoint", "json"       # options that name what is written


def join():
    """Meet the other processes, if there are any; all but the first become silent."""
    if processes() > 1 and md.distributed.communicator().rank > 0:
        sys.stdout = sys.stderr = open(os.devnull, "w")     # an end too early is said all the same


def begin(options, together):
    """Take up the options of the command line.

    Raises ValueError where several processes have started what one does.
    """
    if processes() > 1 and not together:
        raise ValueError("this command is for one process; mpiexec is for `train` of demos.faces, "
                         "demos.gan and demos.one_shot")
    if processes() > 1 and md.distributed.communicator().rank > 0:
        scratch = tempfile.mkdtemp(dir=md.distributed.communicator().folder)
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        options.quiet = True
        for name in WRITTEN:
            given = getattr(options, name, None)
            if given is not None:
                setattr(options, name, Path(scratch) / Path(given).name)


def of_first(value):
    """What the first process has found, for all of them."""
    return value if processes() == 1 else md.distributed.communicator().objects(value)[0]


def end(code, line):
    """With others, end all of them, after a line that says which process it was."""
    if processes() > 1:
        from minidl.parallel.distributed import ending
        ending.fail(code, line)
