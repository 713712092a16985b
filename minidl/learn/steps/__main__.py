"""The programs of the twelve steps.

    python -m minidl.learn.steps                        their names
    python -m minidl.learn.steps 2                      run the program of page 2
    python -m minidl.learn.steps 2 --copy sweep.py      a copy of it, to change and to run

A program draws its picture into the folder in which it is started.
"""
import argparse
import contextlib
import os
from pathlib import Path
import sys

from minidl.learn.steps import PAGES, program, run, title


class Output:
    """Standard output; where its reader goes (`… | head -1`) the program goes on, and draws."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, words):
        try:
            self.stream.write(words)
            self.stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def flush(self):
        """What is written is flushed already."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments=None):
    parser = Parser("python -m minidl.learn.steps", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", nargs="?", type=int, choices=range(1, len(PAGES) + 1),
                        metavar="number", help=f"1 to {len(PAGES)}")
    parser.add_argument("--copy", metavar="FILE", type=Path,
                        help="write the program into a new file instead")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):             # of a terminal that lacks x̄
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if options.number is None and options.copy:
        parser.error("--copy needs the number of a step")
    try:
        with contextlib.redirect_stdout(Output(sys.stdout)):
            _do(options)
    except FileExistsError:
        parser.error(f"{options.copy} is there already, and stays as it is")
    except OSError as problem:                          # no room for the picture
        parser.error(": ".join(filter(None, (problem.strerror or str(problem),
                                                    str(problem.filename or "")))))
    except ImportError as problem:                      # no Matplotlib
        parser.error(" ".join(str(problem).split()))
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")


def _do(options):
    if options.number is None:
        for page in PAGES:
            print(title(page), f"    {page.name}", sep="")
        return
    page = PAGES[options.number - 1]
    if options.copy:
        with open(options.copy, "x", encoding="utf-8") as stream:
            stream.write(program(page)[0])
    else:
        run(page)


if __name__ == "__main__":
    main()
