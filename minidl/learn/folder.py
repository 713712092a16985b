"""The learner's folder: a file for each exercise begun, and what is remembered of them."""
import itertools
import json
import os
from pathlib import Path
import shlex

from minidl.files import atomic_write

PROGRESS = "minidl-progress.json"
STATES = ("begun", "solved", "skipped")


class Mistake(ValueError):
    """A mistake of use, in one line."""


class Folder:
    """PROGRESS holds {"current": name, "states": {name: state}, "hints": {name: how many}}.

    named: whether the learner names the folder in every command.
    """

    def __init__(self, folder, named=False):
        self.folder, self.named = Path(folder), named
        if self.folder.exists() and not self.folder.is_dir():
            raise Mistake(f"{self.folder} is a file, not a folder")
        self.current, self.states, self.hints = None, {}, {}
        if self.progress.exists():
            self._load()

    @property
    def progress(self):
        """The file in which everything is remembered."""
        return self.folder / PROGRESS

    def command(self, words):
        """What to type for a command, given as "check square"."""
        option = f" --folder {shlex.quote(str(self.folder))}" if self.named else ""
        return f"python -m minidl.learn {words}{option}"

    def _load(self):
        try:
            found = json.loads(self.progress.read_text(encoding="utf-8"))
            self.current, self.states, self.hints = (found["current"], found["states"],
                                                     found["hints"])
            good = (self.current is None or isinstance(self.current, str)) \
                and isinstance(self.states, dict) and isinstance(self.hints, dict) \
                and set(self.states.values()) <= set(STATES) \
                and all(type(n) is int and n >= 0 for n in self.hints.values())
        except (ValueError, KeyError, TypeError, RecursionError):
            good = False
        if not good:
            raise Mistake(f"{self.progress} is damaged; remove it to begin again (your answers "
                          "stay where they are)")

    def save(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"current": self.current, "states": self.states, "hints": self.hints},
                          indent=1)
        with atomic_write(self.progress) as stream:
            stream.write(text.encode())

    def file(self, exercise):
        return self.folder / f"{exercise.name}.py"

    def begin(self, exercise, page):
        """The exercise's file, which is written unless it is there; the exercise is now current."""
        file = self.file(exercise)
        if not file.exists():
            self.write(exercise, page)
        self.current = exercise.name
        self.states.setdefault(exercise.name, "begun")
        self.save()
        return file

    def write(self, exercise, page):
        """Write the exercise's file.  Another text that is there is kept, under a name of its own,
        which is given back."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file, kept = self.file(exercise), None
        if file.is_file() and file.read_bytes() != page.encode():
            kept = self._free(exercise)
            file.replace(kept)
        with atomic_write(file) as stream:
            stream.write(page.encode())
        return kept

    def _free(self, exercise):
        """A name for an answer to be kept: NAME.before.py, or the first of NAME.before2.py, …"""
        names = (self.folder / f"{exercise.name}.before{number}.py"
                 for number in itertools.chain([""], itertools.count(2)))
        return next(name for name in names if not os.path.lexists(name))

    def answer(self, exercise):
        """The exercise's file; raises Mistake where there is none, or where it is no file."""
        file = self.file(exercise)
        if not file.exists():
            raise Mistake(f"{file} is not there; `{self.command(f'show {exercise.name}')}` "
                          "writes it")
        if not file.is_file():
            raise Mistake(f"{file} is not a file")
        if file.stat().st_size > 10 ** 6:
            raise Mistake(f"{file} is larger than a megabyte")
        if not os.access(file, os.R_OK):
            raise Mistake(f"{file} may not be read: its permissions forbid it")
        return file

    def mark(self, exercise, state):
        self.states[exercise.name] = state
        self.save()
