"""How a run of several processes ends: all together, with one line that names the rank.

A process that dies alone leaves the others waiting for it.  So

- an exception that nobody catches prints its traceback and one line, and aborts all processes;
- a process that comes to its end tells the others, in `agree`: one that still expects something of
  it gets an error, and does not wait;
- one that is killed cannot say anything.  `witness.py`, a small process beside those of each
  machine, sees it, says which rank it was, and ends the others if the launcher does not.

Where all ranks fail alike (a mistake in the options), only rank 0 says so: the others wait a moment
before they speak, and are ended meanwhile.
"""
import atexit
import os
from pathlib import Path
import socket
import subprocess
import sys
import tempfile
import time
import traceback

LATER = 0.5         # seconds that other ranks wait for rank 0 to speak

_watched = []       # the communicator, once there is one


def watch(communicator):
    """From now on, end all when one ends before its time."""
    if _watched:
        return
    here = socket.gethostname()
    found = communicator.objects((here, os.getpid()))
    beside = [(rank, pid) for rank, (host, pid) in enumerate(found) if host == here]
    folder = None
    if beside[0][0] == communicator.rank:
        folder = tempfile.mkdtemp(prefix="minidl-")
    folders = communicator.objects(folder)
    communicator.notes = Path(folders[beside[0][0]])
    if folder is not None:
        _start_witness(folder, communicator.size, beside)
    _watched.append(communicator)
    atexit.register(_finish)
    sys.excepthook = _failed


def _start_witness(folder, size, beside):
    without = {name: value for name, value in os.environ.items() if not name.startswith("PMI")}
    subprocess.Popen(
        [sys.executable, "-S", "-E", str(Path(__file__).with_name("witness.py")), folder, str(size),
         *(f"{rank}:{pid}" for rank, pid in beside)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=without, start_new_session=True)


def is_watched():
    """Whether this process takes part in a run of several."""
    return bool(_watched)


def note():
    """Tell the witness that this process ends by itself."""
    try:
        (_watched[0].notes / str(_watched[0].rank)).touch()
    except OSError:
        pass                            # the folder is gone: the others have ended


def fail(code, line, before=""):
    """End all processes, after one line on stderr, "rank 1 of 2: …", of one rank."""
    communicator = _watched[0]
    if communicator.rank:
        time.sleep(LATER)
    print(f"{before}rank {communicator.rank} of {communicator.size}: {line}; all processes end",
          file=sys.__stderr__, flush=True)
    note()
    communicator.abort(code)


def _failed(kind, error, trace):
    """For an exception that nobody has caught."""
    whole = "".join(traceback.format_exception(kind, error, trace))
    line = " ".join(f"{kind.__name__}: {error}".removesuffix(": ").split())
    fail(130 if kind is KeyboardInterrupt else 1, line, whole)


def _finish():
    """At the end of the program: tell the others, and wait until they are there, too."""
    communicator = _watched[0]
    try:
        communicator.finish()
    except ValueError as error:
        fail(1, error)
    note()
