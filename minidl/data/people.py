"""Photographs of people: a folder for each person.

    folder/Ada_Lovelace/Ada_Lovelace_0001.jpg       Labeled Faces in the Wild, as it is distributed
    folder/s7/10.pgm                                AT&T's (ORL's) faces
    folder/Zoë/2019/party.jpg                       folders inside a person's are that person's too

Every file is used, or it is LeftOut: with its path and the reason, while the rest goes on.
"""
from collections import namedtuple
from collections.abc import Iterable
import os
from pathlib import Path
import unicodedata

import numpy as np

from ..files import as_path
from ..operands import listed
from ..packages import FetchError
from ..settings import having, numbers, whole
from .images import FORMATS, list_images, load_image

SYSTEM = {"thumbs.db", "desktop.ini"}           # what Windows hides in folders
UNSEEN = dict.fromkeys(map(ord, "\u200c\u200d\u200e\u200f\u061c"    # joiners, marks of direction
                                "\u2800\u115f\u1160\u3164\uffa0"))  # printable, and blank


class LeftOut(namedtuple("LeftOut", "path reason")):
    """A file or folder that could not be used, and why."""
    __slots__ = ()

    def __str__(self):
        return f"{shown(self.path)}: {self.reason}"


class People(namedtuple("People", "paths labels names left_out folder", defaults=[(), None])):
    """Who is on which picture: paths, a list of N; labels int64 (N,); names: the name of each
    label, sorted; left_out: what in `folder` is no picture of anybody, as LeftOut."""
    __slots__ = ()

    def load(self, size: int | tuple[int, int] | None = None) -> list[np.ndarray]:
        """All pictures, a list of uint8 arrays (H, W, 3) in 0..255; size as `load_image`'s.

        Raises ValueError, naming the person and the file, for one that cannot be read.
        """
        return [load_picture(path, size) for path in self.paths]

    def only(self, wanted: Iterable[str]) -> "People":
        """The People whose names are in `wanted`, numbered anew."""
        wanted = listed("only", "wanted", wanted, "names")
        names = [name in wanted for name in self.names]
        return self.take(np.flatnonzero(np.array(names, bool)[self.labels]))

    def take(self, indices):
        """The People of some of the pictures, numbered anew; whoever has none of them is gone."""
        indices = places_of("People", indices, len(self.paths))
        kept, labels = np.unique(self.labels[indices], return_inverse=True)
        return People([self.paths[i] for i in indices], labels, [self.names[i] for i in kept],
                      self.left_out, self.folder)

    def first(self, most: int) -> "People":
        """The People with at most the first `most` pictures of each."""
        most = whole("first", "1 ≤ most < inf", most)
        order = np.argsort(self.labels, kind="stable")
        labels = self.labels[order]
        nth = np.arange(len(labels)) - np.searchsorted(labels, labels)      # of its person's
        return self.take(np.sort(order[nth < most]))

    @property
    def with_second(self):
        """How many people have a second picture."""
        return int(np.count_nonzero(np.bincount(self.labels) >= 2))

    def check_trainable(self):
        """Raise ValueError unless two people or more have a second picture, without which nobody
        can be learned."""
        if self.with_second < 2:
            found = "nobody has" if self.with_second == 0 else "only one person has"
            raise ValueError(f"{self.folder}: {found} a second picture among {len(self.names):,} "
                             "people; to learn who is who, at least two people need two or more")


def read_people(folder: str | os.PathLike) -> People:
    """Find who is on which picture: the person is the name of the folder in which it lies, itself
    or in folders inside.  No picture is read yet.

    A name is one whichever way its accents are written (Unicode's composed form, NFC), and without
    spaces around it, so that two folders may hold one person.  A link to a folder in which `folder`
    itself lies is left out: everybody's pictures would be one more person's.  Hidden files are
    passed over, and beside the people's folders whatever has no picture's ending (a list of pairs,
    a licence).
    Returns People, sorted by name.  Raises ValueError where there are no folders with pictures:
    none at all, pictures without a folder for each person, or people one level deeper; OSError
    where the folder cannot be read.
    """
    folder, left_out = as_path("read_people", "folder", folder), []
    found: dict[str, list] = {}
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; expected one that holds a folder of pictures "
                         "for each person")
    places = sorted((path for path in folder.iterdir() if path.is_dir() and not _hidden(path)),
                    key=lambda path: path.name)
    for place in places:
        if place.is_symlink() and folder.resolve().is_relative_to(place.resolve()):
            left_out.append(LeftOut(place, "it is a link to a folder that holds all of them"))
            continue
        try:
            name = check_name("read_people", place.name)
        except ValueError:
            left_out.append(LeftOut(place, "its name is no printable text"))
            continue
        paths, others = find_pictures(place)
        left_out += others
        if paths:
            found.setdefault(name, []).extend(paths)
        elif not others:
            left_out.append(LeftOut(place, "there is no picture in it"))
    if not any(path.parent.parent == folder for paths in found.values() for path in paths):
        raise ValueError(f"{folder} holds no people: " + _what_is_there(folder, places)
                         + "; expected a folder for each person, as in NAME/NAME_0001.jpg")
    left_out += [LeftOut(path, "it lies in no person's folder") for path in list_images(folder)]
    names = sorted(found)
    labels = np.repeat(np.arange(len(names)), [len(found[name]) for name in names])
    paths = [path for name in names for path in found[name]]
    return People(paths, labels, names, tuple(left_out), folder)


def find_pictures(folder):
    """(paths, left out): the pictures in a folder and in all folders inside, known by their
    endings, in the order of their names, and as LeftOut whatever else is there and not hidden."""
    paths, left_out = [], []

    def refused(error):
        left_out.append(LeftOut(Path(error.filename), f"it cannot be read: {error.strerror}"))

    for place, inside, names in os.walk(folder, onerror=refused):
        inside[:] = sorted(name for name in inside if not _hidden(name))
        left_out += [LeftOut(Path(place, name), "it is a link to another folder") for name in inside
                     if Path(place, name).is_symlink()]
        for path in (Path(place, name) for name in sorted(names) if not _hidden(name)):
            if path.suffix.lower() not in FORMATS:
                left_out.append(LeftOut(path, "by its ending it is no picture that can be read"))
            elif not os.path.isfile(path):
                left_out.append(LeftOut(path, "it is no file"))
            else:
                paths.append(path)
    return paths, left_out


def _hidden(path):
    name = Path(path).name
    return name.startswith(".") or name.lower() in SYSTEM


def _what_is_there(folder, places):
    """Why no person was found, for the error."""
    if list_images(folder):
        return "its pictures lie in the folder itself"
    for place in places:
        deeper = next((path.parent for path in find_pictures(place)[0]), None)
        if deeper is not None:
            return f"the people seem to be one level deeper, in {place}"
    if places:
        return f"there are no pictures in its {len(places)} folders"
    return "it is empty or has no folders"


def check_people(operation, people):
    """Raise TypeError for what are no People."""
    having(operation, "people", people, "People, as read_people gives them",
           "paths", "labels", "names", "only")


def places_of(kind, indices, count):
    """Indices (M,) as integers; raises ValueError for one that is out of range."""
    array = numbers(f"take of {kind}", "indices", indices, "(M,)", None)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"take of {kind}: indices must be whole numbers, got {array.dtype}")
    if array.size and not (-count <= array.min() and array.max() < count):
        raise ValueError(f"take of {kind}: indices must be in {-count}..{count - 1}, got "
                         f"{array.min()} to {array.max()}")
    return array.astype(int)


def composed(name):
    """A name in Unicode's composed form (NFC): é is one character, as on Windows, not two; without
    spaces around it, which nobody sees."""
    return unicodedata.normalize("NFC", name).strip()


def check_name(operation, name):
    """A person's name, composed.  Raises TypeError unless it is text, ValueError unless it can be
    seen: printable, but for the joiners of Persian, Hindi and others, and marks of direction; and
    not blank."""
    if not isinstance(name, str):
        raise TypeError(f"{operation}: a name must be text, got {name!r}")
    if not _can_be_shown(name):
        raise ValueError(f"{operation}: a name must be printable text, got {name!r}")
    return composed(name)


def shown(path):
    """A path as text for a terminal: quoted where it holds what would move the cursor."""
    text = str(path)
    return text if _can_be_shown(text) else repr(text)


def _can_be_shown(text):
    seen = text.translate(UNSEEN)
    return bool(seen.strip()) and seen.isprintable()


def load_picture(path, size=None):
    """`load_image` for a person's picture: the ValueError for one that cannot be read names the
    person as well."""
    try:
        return load_image(path, size)
    except ValueError as error:
        raise ValueError(f"person {Path(path).parent.name}: {error}") from error


def load_usable(paths, load=load_image):
    """(pictures, indices, left out): of those that can be read, the pictures and their places in
    `paths`; the others as LeftOut.  What `load` could not fetch is an error: no picture is to
    blame."""
    pictures, indices, left_out = [], [], []
    for i, path in enumerate(paths):
        try:
            pictures.append(load(path))
            indices.append(i)
        except FetchError:
            raise
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{path} ")
            left_out.append(LeftOut(path, reason))
    return pictures, indices, left_out
