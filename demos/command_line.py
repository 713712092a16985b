"""What all demos share: the common options, what is printed and how, progress bars, and how a
user's mistake is reported."""
import argparse
import codecs
import contextlib
import json
import logging
import math
import os
from pathlib import Path
import signal
import sys
import tempfile
import time

from demos import company
import minidl as md
from minidl.files import atomic_write


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, where there are any, and leaves the description's lines as they are."""

    def _get_help_string(self, action):
        without = action.default is None or action.default is False
        return action.help if without else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with the options that every demo takes, and errors of one line."""

    def __init__(self, name, description):
        super().__init__(prog=f"python -m demos.{name}", description=description,
                         formatter_class=_Help)
        add = self.add_argument
        add("--device", help="cpu or gpu (default: MINIDL_DEVICE, else cpu)")
        add("--seed", type=int, default=0, help="of everything random")
        add("--output", type=Path, default=Path("output") / name, metavar="FOLDER",
            help="where files go")
        add("--json", type=Path, metavar="FILE", help="also write the measured figures there")
        add("--quiet", action="store_true", help="nothing but the answer: no progress, no messages")

    def error(self, message):
        self.exit(2, f"{self.prog}: {printable(message)}\n")


def answer(*lines):
    """Print what was asked for, also with --quiet."""
    print(*map(printable, map(str, lines)), sep="\n")


def say(options, *lines):
    """Print how it goes, unless --quiet."""
    if not options.quiet:
        answer(*lines)


def warn(*lines):
    """Print on stderr what one must know, also with --quiet."""
    print(*map(printable, map(str, lines)), sep="\n", file=sys.stderr)


def printable(text):
    r"""A text in which what could move a terminal's cursor is escaped: \x1b, but for line ends."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


SPELT = str.maketrans({"τ": "tau", "λ": "lambda", "α": "alpha", "β": "beta", "γ": "gamma",
                       "η": "eta",
                       "≤": "<=", "≥": ">=", "→": "->", "−": "-", "–": "-", "…": "...", "×": "x",
                       "·": "*", "±": "+-", "²": "^2", "⁴": "^4", "‖": "||", "✓": "ok", "✗": "x",
                       "½": "1/2", "ȳ": "dL/dy", "Σ": "sum", "⟨": "<", "⟩": ">", "₀": "0",
                       "₁": "1"})


def _spelt(error):
    """For an encoding without some characters, as Windows' and a redirected output's may be: what
    stands for them in ASCII, or else their escape."""
    missing = error.object[error.start:error.end]
    spelt = missing.translate(SPELT)
    return spelt.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("spelt", _spelt)


def run(main, arguments=None):
    """Run main(arguments), which may give an exit code.

    A user's mistake (a bad value, file or device, a missing package) ends with one line on stderr
    and exit code 2.  Where nobody reads on (… | head -1), it ends as other programs do, quietly.
    Of several processes (mpiexec) the first alone prints, and where one ends so, all do.
    """
    company.join()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)     # a home in which it cannot write
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spelt")
    try:
        code = main(arguments)
        print(end="", flush=True)
        if code:
            sys.exit(code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it is flushed at exit
        sys.exit(141)                                                   # 128 + SIGPIPE's 13
    except (ValueError, OSError, ImportError, md.DeviceError) as error:
        _end(2, _one_line(error))
    except MemoryError as error:
        _end(2, f"out of memory ({error}): smaller pictures need less")
    except KeyboardInterrupt:
        _end(130, "interrupted")


def _end(code, line):
    """Say why, in one line, and exit."""
    company.end(code, printable(line))
    warn(line)
    sys.exit(code)


LIBRARIES = ("matplotlib", "safetensors", "tqdm")   # which not everybody has


def _one_line(error):
    what = str(error)
    if isinstance(error, OSError) and error.filename:
        what = f"{error.strerror}: {error.filename}"
    elif getattr(error, "name", None) in LIBRARIES:
        what += f": pip install {error.name}"
    return " ".join(what.split())


def start(options, output=True, together=False):
    """Choose the device and make the folders of --output and --json, so that mistakes there show
    before the work, and before anything is changed.

    output: whether any file will go there.  together: whether several processes may do the work;
    all but the first then write into a folder that is thrown away.
    """
    company.begin(options, together)
    if options.seed < 0:
        raise ValueError(f"--seed must not be negative, got {options.seed}")
    if options.device:
        md.use_device(options.device)
    if options.output.exists() and not options.output.is_dir():
        raise ValueError(f"--output {options.output} is a file, not a folder")
    if output:
        _make("--output", options.output)
    if options.json is not None:
        if options.json.exists() and not options.json.is_file() or str(options.json) == "-":
            raise ValueError(f"--json {options.json} is not a file; the figures go into one")
        _make("--json", options.json.parent)


def _make(option, folder):
    """Make a folder, and see whether files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"{option} {folder}: nothing can be written in this folder "
                         f"({error.strerror}); {option} names another") from None


def progress(total, description, quiet):
    """A tqdm bar, or something that does nothing where quiet is asked for or tqdm is missing."""
    if not quiet:
        try:
            from tqdm import tqdm
            return tqdm(total=total, desc=description, dynamic_ncols=True)
        except ImportError:
            warn(f"{description} … (pip install tqdm for a progress bar)")
    return _NoBar()


@contextlib.contextmanager
def counting(total, description, quiet):
    """`progress` for a `with` block, closed at its end; what an exception leaves unfinished is
    wiped off the screen."""
    bar = progress(total, description, quiet)
    try:
        yield bar
    except BaseException:
        bar.leave = False
        raise
    finally:
        bar.close()


@contextlib.contextmanager
def undisturbed():
    """A `with` block in which Ctrl-C does nothing: what was computed is written to its end."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _NoBar:
    def update(self, n=1):
        pass

    def set_postfix_str(self, text):
        pass

    def close(self):
        pass


def write_json(path, figures):
    """Write a dictionary of figures, atomically; what is no number (NaN, infinity) as null, which
    JSON has."""
    if path is not None:
        with atomic_write(path) as file:
            file.write((json.dumps(_finite(figures), indent=2) + "\n").encode())


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def above(bound, kind=int):
    """An option's type: a number above `bound`."""
    def number(text):
        value = kind(text)
        if not value > bound:
            raise argparse.ArgumentTypeError(f"must be above {bound}, got {text}")
        return value
    return number


def at_least(lowest, kind=int):
    """An option's type: a finite number not below `lowest`."""
    def number(text):
        value = kind(text)
        if not lowest <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be {lowest} or more, got {text}")
        return value
    return number


def share(lowest=0, whole=False):
    """An option's type: a number between 0 and 1, not below `lowest`; 1 itself where `whole`."""
    def number(text):
        value = float(text)
        if not (0 < value < 1 or whole and value == 1) or value < lowest:
            least = f"from {lowest:g}" if lowest else "above 0"
            most = "at most" if whole else "below"
            raise argparse.ArgumentTypeError(f"must be {least}, and {most} 1, got {text}")
        return value
    return number


def point(text):
    """An option's type: "X,Y", two numbers."""
    x, y = map(float, text.split(","))
    return x, y


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self):
        self.started = time.perf_counter()

    @property
    def seconds(self):
        return time.perf_counter() - self.started
