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

ENDLESS = "stopped after {} seconds of computing: is there a loop that never ends?"
WAITING = "stopped after {} seconds by the clock: does it wait for something, or is there a loop " \
          "that never ends?"


class Failed(ValueError):
    """The judge itself does not work, whatever the answer is."""


def verdict_of(exercise, file):
    """(None, or what is wrong; what the answer printed) of an answer in a file."""
    command = [sys.executable, "-m", "minidl.learn.judging", exercise.name, str(file), str(SECONDS)]
    ended = None
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE * SECONDS,
                              env={**os.environ, "MINIDL_DEVICE": "cpu"})
        if resource and done.returncode == -signal.SIGXCPU:
            ended = ENDLESS.format(SECONDS)
    except subprocess.TimeoutExpired as late:
        done, ended = late, WAITING.format(PATIENCE * SECONDS)
    lines = list(_lines(done.stdout or b""))
    if not lines and not ended:
        said = (done.stderr or b"").decode(errors="replace").split("\n")
        raise Failed("the judge did not start: " + next((s for s in said[::-1] if s), "no reason"))
    printed = "".join(line for line in lines if isinstance(line, str))
    verdict = [line for line in lines if not isinstance(line, str)]
    if verdict:
        return *verdict[0], printed
    return ended or f"the answer ended Python itself (exit code {done.returncode})", printed


def _lines(output):
    """What the judge wrote: texts that were printed, and [the verdict]; see `main`."""
    for line in output.splitlines():
        with contextlib.suppress(ValueError):               # the last one may be cut off
            yield json.loads(line)


def judged(exercise, file):
    """What is wrong with an answer in a file, or None, found in this process."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")   # some editors begin with a mark
    except UnicodeDecodeError:
        return "the file is not text in UTF-8"
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}"
    try:
        exercise.judge(text, str(file))
    except Wrong as error:
        return str(error)
    return None


class Overheard(io.TextIOBase):
    """A stream that hands on the beginning of what is written, at once."""

    def __init__(self, hand_on):
        self.left, self.hand_on = PRINTED, hand_on

    def writable(self):
        return True

    def write(self, text):
        shown = text[:self.left]
        self.left -= len(shown)
        if shown:
            self.hand_on(shown)
        return len(text)


def main(name, file, seconds):
    """Judge, and write lines of JSON to the stream that standard output was: "", to begin with;
    what the answer prints, in texts; [what is wrong, or null]."""
    stream = os.fdopen(os.dup(1), "w")

    def write(line):
        print(json.dumps(line), file=stream, flush=True)

    exercise = path.find(name)
    write("")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.stdout = sys.stderr = Overheard(write)
    _limit(int(seconds))
    try:
        write([judged(exercise, file)])
    except Exception as error:
        write([f"the judge failed, which may not be the answer's fault: {type(error).__name__}: "
               f"{error}"])
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
