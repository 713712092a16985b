"""Exercises on minidl's own source.

    next              the next exercise: where its file is, and what is asked
    check [NAME]      is the answer right?
    hint [NAME]       one hint more
    solution [NAME]   what the source says
    skip [NAME]       leave it for later
    reset [NAME]      the exercise as it was at first; your answer is kept beside it
    show [NAME]       the exercise's file as it stands
    list              all exercises, and how far you are

Without NAME they mean the exercise that was shown last.  Edit the files with your own editor.
Exit code 0: done, or the answer is right;  1: the answer is wrong;  2: a mistake of use.
"""
import argparse
import os
from pathlib import Path
import sys
import textwrap

from minidl.learn import path
from minidl.learn.folder import PROGRESS, Folder, Mistake
from minidl.learn.judging import verdict_of

DEFAULT = Path("minidl-exercises")
SHOWN = 8               # lines of what an answer prints


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments=None):
    options = _options(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(options)
        print(end="", flush=True)
        return code
    except BrokenPipeError:                                 # nobody reads on: … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"learn: {error.strerror or error}: {error.filename or ''}".rstrip(": "),
              file=sys.stderr)
    except ValueError as error:                             # Mistake is one
        print(f"learn: {error}", file=sys.stderr)
    return 2


def _options(arguments):
    parser = Parser("python -m minidl.learn", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["next", *COMMANDS, "list"], nargs="?", default="next",
                        metavar="COMMAND", help="one of those above")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of an exercise, as `list` has it")
    parser.add_argument("--folder", type=Path, metavar="FOLDER",
                        help=f"where your files are (default: ./{DEFAULT})")
    options = parser.parse_args(arguments)
    if options.name and options.command in ("next", "list"):
        parser.error(f"{options.command} takes no name; `show {options.name}` shows an exercise")
    if options.folder is None:                              # also where one works inside of it
        options.folder = Path() if Path(PROGRESS).exists() else DEFAULT
    return options


def _run(options):
    folder = Folder(options.folder)
    if options.command == "list":
        return _list(folder)
    if options.command != "next":
        return COMMANDS[options.command](folder, path.find(options.name or _current(folder)))
    exercise = _next(folder)
    if exercise is None:
        print(f"All {len(path.EXERCISES)} exercises are solved or skipped: `list` shows them.")
        return 0
    return _show(folder, exercise)


def _next(folder):
    return next((exercise for exercise in path.EXERCISES
                 if folder.states.get(exercise.name) not in ("solved", "skipped")), None)


def _current(folder):
    if folder.current is None:
        raise Mistake("no exercise is begun; `python -m minidl.learn next` shows the first")
    return folder.current


def _page(exercise):
    return exercise.page(path.place(exercise), f"python -m minidl.learn check {exercise.name}")


def _show(folder, exercise):
    file = folder.begin(exercise, _page(exercise))
    print(folder.answer(exercise).read_text(encoding="utf-8", errors="replace"))
    print(f"Edit {file}, then:  python -m minidl.learn check    (or: hint, solution, skip)")
    return 0


def _check(folder, exercise):
    wrong, printed = verdict_of(exercise, folder.answer(exercise))
    if wrong is None:
        folder.mark(exercise, "solved")
        solved = sum(state == "solved" for state in folder.states.values())
        print(f"{exercise.name}: right.  {solved} of {len(path.EXERCISES)} are solved.  "
              "On:  python -m minidl.learn next")
    else:
        print(f"{exercise.name}: not right yet")
        print(textwrap.fill(wrong, 96, initial_indent="  ", subsequent_indent="  "))
    if printed:
        lines = printed.splitlines()
        print("Your file printed:", *lines[:SHOWN], *["…"] * (len(lines) > SHOWN), sep="\n  | ")
    return 0 if wrong is None else 1


def _hint(folder, exercise):
    hints = exercise.all_hints()
    shown = min(folder.hints.get(exercise.name, 0) + 1, len(hints))
    folder.hints[exercise.name] = shown
    folder.save()
    for number, hint in enumerate(hints[:shown], 1):
        print(textwrap.fill(f"{number}. {hint}", 96, subsequent_indent="   "))
    left = len(hints) - shown
    print(f"{left} more: hint again" if left else "That was the last hint: solution shows the rest")
    return 0


def _solution(folder, exercise):
    print(exercise.solution(), end="")
    return 0


def _skip(folder, exercise):
    folder.mark(exercise, "skipped")
    print(f"{exercise.name}: skipped.  On:  python -m minidl.learn next")
    return 0


def _reset(folder, exercise):
    kept = folder.write(exercise, _page(exercise))
    folder.states.pop(exercise.name, None)
    folder.hints.pop(exercise.name, None)
    file = folder.begin(exercise, _page(exercise))
    print(f"{file} is as it was at first" + f"; your answer is in {kept}" * bool(kept))
    return 0


def _list(folder):
    number = 0
    for chapter in path.CHAPTERS:
        print(f"\n{chapter.title}")
        for exercise in chapter.exercises:
            number += 1
            state = folder.states.get(exercise.name, "")
            print(f"{number:4}  {exercise.kind:15} {exercise.name:24} {state}".rstrip())
    solved = sum(state == "solved" for state in folder.states.values())
    print(f"\n{solved} of {number} solved")
    return 0


COMMANDS = {"check": _check, "hint": _hint, "solution": _solution, "skip": _skip, "reset": _reset,
            "show": _show}          # of an exercise


if __name__ == "__main__":
    sys.exit(main())
