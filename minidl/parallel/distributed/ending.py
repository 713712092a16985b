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

LATER = 2.5         # seconds that other ranks wait for rank 0 to speak
HEARD = 0.5         # seconds in which the launcher passes on what was said, before all are ended
COMES = 10          # seconds in which the witness comes, or does not

_watched = []       # the communicator, once there is one


def watch(communicator):
    """From now on, end all when one ends before its time.

    communicator.folder: removed at the end of all, whatever becomes of them; None on Windows.
    """
    if _watched:
        return
    here = socket.gethostname()
    found = communicator.objects((here, os.getpid()))
    beside = [(rank, pid) for rank, (host, pid) in enumerate(found) if host == here]
    first = beside[0][0]
    folder = _with_witness(communicator.size, beside) if communicator.rank == first else None
    communicator.folder = folder = communicator.objects(folder)[first]
    if folder is not None:
        communicator.pipe = _opened(f"{folder}/{communicator.rank}")
    _watched.append(communicator)
    atexit.register(_finish)
    sys.excepthook = _failed


def _with_witness(size, beside):
    """The folder of a new witness's pipes; None on a system that has no such pipes."""
    if not hasattr(os, "mkfifo"):
        return None
    folder = tempfile.mkdtemp(prefix="minidl-")
    for rank, _ in beside:
        os.mkfifo(f"{folder}/{rank}")
    without = {name: value for name, value in os.environ.items() if not name.startswith("PMI")}
    subprocess.Popen(
        [sys.executable, "-S", "-E", str(Path(__file__).with_name("witness.py")), folder, str(size),
         *(f"{rank}:{pid}" for rank, pid in beside)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=without, start_new_session=True)
    return folder


def _opened(pipe):
    """The pipe, as soon as the witness reads there; None if it does not come."""
    until = time.monotonic() + COMES
    while time.monotonic() < until:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:                 # nobody reads yet
            time.sleep(0.01)
    return None


def note(what):
    """Tell the witness that this process ends by itself (b"."), or that all do (b"!")."""
    if getattr(_watched[0], "pipe", None) is not None:
        try:
            os.write(_watched[0].pipe, what)
        except BrokenPipeError:
            pass                        # it has gone: all are ending


def fail(code, line, before=""):
    """End all processes, after one line on stderr, "rank 1 of 2: …", of one rank."""
    communicator = _watched[0]
    if communicator.rank:
        time.sleep(LATER)
    print(f"{before}rank {communicator.rank} of {communicator.size}: {line}; all processes end",
          file=sys.__stderr__, flush=True)
    note(b"!")
    time.sleep(HEARD)
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
    note(b".")
