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
import difflib
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
    except ValueError as error:                             # Mistake is one, Failed another
        print(f"learn: {error}", file=sys.stderr)
    return 2


def _options(arguments):
    parser = Parser("python -m minidl.learn", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="next", metavar="COMMAND",
                        help="one of those above")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of an exercise, as `list` has it")
    parser.add_argument("--folder", type=Path, metavar="FOLDER",
                        help=f"where your files are (default: ./{DEFAULT})")
    options = parser.parse_args(arguments)
    if options.command not in ALL:
        parser.error(f"there is no command {options.command!r}; {_meant(options.command)}")
    if options.name and options.command in ("next", "list"):
        parser.error(f"{options.command} takes no name; `show {options.name}` shows an exercise")
    return options


def _meant(word):
    """What somebody may mean who gives this in the place of a command."""
    names = [exercise.name for exercise in path.EXERCISES]
    close = [] if word in names else difflib.get_close_matches(word, ALL, 1)
    close += [f"show {name}" for name in difflib.get_close_matches(word, names, 1)]
    return f"is `{close[0]}` meant?" if close else f"the commands are {', '.join(ALL)}"


def _folder(options):
    if options.folder is not None:
        return Folder(options.folder, named=True)
    return Folder(Path() if Path(PROGRESS).exists() else DEFAULT)       # one works inside of it


def _run(options):
    folder = _folder(options)
    if options.command == "list":
        return _list(folder)
    if options.command != "next":
        exercise = path.find(options.name) if options.name else _current(folder)
        return COMMANDS[options.command](folder, exercise)
    exercise = _next(folder)
    if exercise is None:
        print(f"All {len(path.EXERCISES)} exercises are solved or skipped: `list` shows them.")
        return 0
    return _show(folder, exercise)


def _next(folder):
    return next((exercise for exercise in path.EXERCISES
                 if folder.states.get(exercise.name) not in ("solved", "skipped")), None)


def _current(folder):
    """The exercise that was shown last."""
    if folder.current is None:
        raise Mistake(f"no exercise is begun in {folder.folder.resolve()}; "
                      f"`{folder.command('next')}` shows the first")
    try:
        return path.find(folder.current)
    except ValueError:
        raise Mistake(f"{folder.progress} says that {folder.current!r} was shown last, which is no "
                      f"exercise; `{folder.command('next')}` shows one") from None


def _solved(folder):
    """How many exercises are solved."""
    return sum(folder.states.get(exercise.name) == "solved" for exercise in path.EXERCISES)


def _page(folder, exercise):
    return exercise.page(path.place(exercise), folder.command(f"check {exercise.name}"))


def _show(folder, exercise):
    file = folder.begin(exercise, _page(folder, exercise))
    print(folder.answer(exercise).read_text(encoding="utf-8-sig", errors="replace"))
    print(f"Edit {file}, then:  {folder.command('check')}    (or: hint, solution, skip)")
    return 0


def _check(folder, exercise):
    wrong, printed = verdict_of(exercise, folder.answer(exercise))
    if wrong is None:
        folder.mark(exercise, "solved")
        print(f"{exercise.name}: right.  {_solved(folder)} of {len(path.EXERCISES)} are solved.  "
              f"On:  {folder.command('next')}")
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
    solved = folder.states.get(exercise.name) == "solved"
    if not solved:
        folder.mark(exercise, "skipped")
    state = "is solved" if solved else "is skipped"
    print(f"{exercise.name} {state}.  On:  {folder.command('next')}")
    return 0


def _reset(folder, exercise):
    kept = folder.write(exercise, _page(folder, exercise))
    folder.states.pop(exercise.name, None)
    folder.hints.pop(exercise.name, None)
    file = folder.begin(exercise, _page(folder, exercise))
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
    print(f"\n{_solved(folder)} of {number} solved")
    return 0


COMMANDS = {"check": _check, "hint": _hint, "solution": _solution, "skip": _skip, "reset": _reset,
            "show": _show}          # of an exercise
ALL = ["next", *COMMANDS, "list"]


if __name__ == "__main__":
    sys.exit(main())
