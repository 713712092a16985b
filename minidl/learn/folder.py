"""The learner's folder: a file for each exercise begun, and progress.json, what is remembered."""
import json
from pathlib import Path

from minidl.files import atomic_write

PROGRESS = "progress.json"
STATES = ("begun", "solved", "skipped")


class Mistake(ValueError):
    """A mistake of use, in one line."""


class Folder:
    """progress.json holds {"current": name, "states": {name: state}, "hints": {name: how many}}."""

    def __init__(self, folder):
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise Mistake(f"{self.folder} is a file, not a folder")
        self.current, self.states, self.hints = None, {}, {}
        if self._progress.exists():
            self._load()

    @property
    def _progress(self):
        return self.folder / PROGRESS

    def _load(self):
        try:
            found = json.loads(self._progress.read_text(encoding="utf-8"))
            self.current, self.states, self.hints = (found["current"], found["states"],
                                                     found["hints"])
            good = (self.current is None or isinstance(self.current, str)) \
                and isinstance(self.states, dict) and isinstance(self.hints, dict) \
                and set(self.states.values()) <= set(STATES) \
                and all(type(n) is int and n >= 0 for n in self.hints.values())
        except (ValueError, KeyError, TypeError, RecursionError):
            good = False
        if not good:
            raise Mistake(f"{self._progress} is damaged; remove it to begin again (your answers "
                          "stay where they are)")

    def save(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"current": self.current, "states": self.states, "hints": self.hints},
                          indent=1)
        with atomic_write(self._progress) as stream:
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
        """Write the exercise's file; one that is there is kept as NAME.before.py."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.file(exercise)
        kept = file.with_suffix(".before.py") if file.is_file() else None
        if kept:
            file.replace(kept)
        with atomic_write(file) as stream:
            stream.write(page.encode())
        return kept

    def answer(self, exercise):
        """The exercise's file; raises Mistake where there is none, or where it is no file."""
        file = self.file(exercise)
        if not file.exists():
            again = "reset" if exercise.name in self.states else "show"
            raise Mistake(f"{file} is not there; `python -m minidl.learn {again} {exercise.name}` "
                          "writes it")
        if not file.is_file():
            raise Mistake(f"{file} is not a file")
        if file.stat().st_size > 10 ** 6:
            raise Mistake(f"{file} is larger than a megabyte")
        return file

    def mark(self, exercise, state):
        self.states[exercise.name] = state
        self.save()
