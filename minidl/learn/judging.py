"""An answer judged in a process of its own, which can be ended when it does not end by itself.

What the answer prints is kept apart from the verdict; it may not ask for input, nor use up the
memory.
"""
import contextlib
import io
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from minidl.learn import path
from minidl.learn.answers import Wrong

try:
    import resource
except ImportError:         # Windows
    resource = None

SECONDS = 10                # of computing for one check; the slowest exercise takes two
PATIENCE = 6                # times as long, by the clock, on a machine that is busy otherwise
MEMORY = 8 * 2 ** 30        # bytes of address space
PRINTED = 1000              # characters of what an answer prints that are shown

ENDLESS = "stopped after {} seconds: is there a loop that never ends?"


def verdict_of(exercise, file):
    """(None, or what is wrong; what the answer printed) of an answer in a file."""
    command = [sys.executable, "-m", "minidl.learn.judging", exercise.name, str(file), str(SECONDS)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=PATIENCE * SECONDS,
                              env={**os.environ, "MINIDL_DEVICE": "cpu"})
    except subprocess.TimeoutExpired:
        return ENDLESS.format(PATIENCE * SECONDS), ""
    if resource and done.returncode == -signal.SIGXCPU:
        return ENDLESS.format(SECONDS), ""
    try:
        return json.loads(done.stdout)
    except ValueError:
        return f"the answer ended Python itself (exit code {done.returncode})", ""


def judged(exercise, file):
    """What is wrong with an answer in a file, or None, found in this process."""
    try:
        exercise.judge(Path(file).read_text(encoding="utf-8"), str(file))
    except Wrong as error:
        return str(error)
    except UnicodeDecodeError:
        return "the file is not text in UTF-8"
    return None


class Overheard(io.TextIOBase):
    """A stream that keeps the beginning of what is written."""

    def __init__(self):
        self.text = ""

    def writable(self):
        return True

    def write(self, text):
        self.text = (self.text + text)[:PRINTED]
        return len(text)


def main(name, file, seconds):
    """Judge, and write the verdict as JSON to the stream that standard output was."""
    stream = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.stdout = sys.stderr = printed = Overheard()
    _limit(int(seconds))
    json.dump([judged(path.find(name), file), printed.text], stream)
    stream.flush()
    os._exit(0)             # whatever threads or exit functions the answer has left


def _limit(seconds):
    """Limit this process's memory and time, where the platform can (Windows cannot)."""
    if resource:
        for what, most in (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, seconds):
            _, hard = resource.getrlimit(what)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            with contextlib.suppress(ValueError, OSError):          # macOS has no limit of memory
                resource.setrlimit(what, (most, hard))


if __name__ == "__main__":
    main(*sys.argv[1:])
