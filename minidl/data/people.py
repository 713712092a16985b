"""Photographs of people: a folder for each person, and lists of pairs.

    folder/Ada_Lovelace/Ada_Lovelace_0001.jpg       Labeled Faces in the Wild, as it is distributed
    folder/s7/10.pgm                                AT&T's (ORL's) faces
    folder/Zoë/2019/party.jpg                       folders inside a person's are that person's too

Every file is used, or it is LeftOut: with its path and the reason, while the rest goes on.
"""
from collections import namedtuple
from collections.abc import Iterable, Sequence
import io
import os
from pathlib import Path
import unicodedata

import numpy as np

from .. import backend
from ..files import as_path, atomic_write, open_file
from ..operands import listed
from ..packages import FetchError
from ..settings import bounded, having, labels_of, numbers, whole
from .images import FORMATS, list_images, load_image

PAIRS_HEADER = ["image_a", "image_b", "same"]
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
        indices = _places("People", indices, len(self.paths))
        kept, labels = np.unique(self.labels[indices], return_inverse=True)
        return People([self.paths[i] for i in indices], labels, [self.names[i] for i in kept],
                      self.left_out, self.folder)

    def first(self, most: int) -> "People":
        """The People with at most the first `most` pictures of each."""
        most = whole("first", "1 ≤ most < inf", most)
        nth = np.arange(len(self.labels)) - np.searchsorted(self.labels, self.labels)
        return self.take(np.flatnonzero(nth < most))

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


class Pairs(namedtuple("Pairs", "a b same folder", defaults=[None])):
    """Questions "is it the same person?": a and b, lists of M paths; same bool (M,); folder: the
    one in which each person has a folder, where that is known."""
    __slots__ = ()

    def take(self, indices):
        """Some of the pairs."""
        indices = _places("Pairs", indices, len(self.a))
        return Pairs([self.a[i] for i in indices], [self.b[i] for i in indices], self.same[indices],
                     self.folder)

    def person(self, path: str | os.PathLike) -> str:
        """Who is on a picture: the name of the first folder below `folder`, or of the nearest."""
        path = as_path("person", "path", path)
        return composed(path.parent.name if self.folder is None else
                        _inside("person", path, self.folder).parts[0])


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


def check_pairs(operation, pairs, name="pairs"):
    """Raise TypeError for what are no Pairs."""
    having(operation, name, pairs, "Pairs, as read_pairs gives them", "a", "b", "same", "person")


def _inside(operation, path, folder):
    """The path from the folder to it; raises ValueError where it lies outside."""
    if not Path(path).is_relative_to(folder):
        raise ValueError(f"{operation}: {shown(path)} does not lie in {shown(folder)}")
    return Path(path).relative_to(folder)


def _places(kind, indices, count):
    """Indices (M,) as integers; raises ValueError for one that is out of range."""
    array = numbers(f"take of {kind}", "indices", indices, "(M,)", None)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"take of {kind}: indices must be whole numbers, got {array.dtype}")
    if array.size and not (-count <= array.min() and array.max() < count):
        raise ValueError(f"take of {kind}: indices must be in 0..{count - 1}, got "
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


def read_pairs(file: str | os.PathLike, folder: str | os.PathLike) -> Pairs:
    """Read pairs from a table in CSV with the columns image_a,image_b,same: paths relative to
    `folder`; 1 or 0.

    Returns Pairs.  Raises ValueError, naming the file and the line, for another header, a line that
    is not two paths and 0 or 1, a picture that is not there or lies outside of the folder, or no
    pairs at all; OSError for an unreadable file, and for a pipe or a device, which might never end.
    """
    import csv
    folder, a, b, same = as_path("read_pairs", "folder", folder), [], [], []
    with io.TextIOWrapper(open_file(file), encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines)
        try:
            header = [word.strip() for word in next(rows, [])]
            if header != PAIRS_HEADER:
                raise ValueError(f"expected the columns {','.join(PAIRS_HEADER)}, got "
                                 f"{','.join(header)[:100] or 'nothing'}")
            for row in rows:
                if row:
                    first, second, truth = _pair(row, folder)
                    a.append(first)
                    b.append(second)
                    same.append(truth)
        except (ValueError, csv.Error) as error:  # a ValueError also for bytes that are not UTF-8
            raise ValueError(f"{file}, line {max(1, rows.line_num)}: {error}") from None
    if not a:
        raise ValueError(f"{file} holds no pairs below its header")
    return Pairs(a, b, np.array(same), folder)


def _pair(row, folder):
    words = [word.strip() for word in row]
    if len(words) != 3 or words[2] not in ("0", "1"):
        raise ValueError(f"expected two paths and 0 or 1, got {','.join(words)[:100]!r}")
    first, second = (_picture(word, folder) for word in words[:2])
    if first == second:
        raise ValueError(f"{words[0]!r} is paired with itself")
    return first, second, words[2] == "1"


def _picture(word, folder):
    """The path of a picture in a folder, whichever way the accents are written here and there."""
    for form in (word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)):
        path = Path(form)
        if not path.is_absolute() and ".." not in path.parts and (folder / path).is_file():
            return folder / path
    raise ValueError(f"there is no picture {word!r} in {folder}")


def write_pairs(file: str | os.PathLike, pairs: Pairs, folder: str | os.PathLike) -> None:
    """Write pairs as the table that `read_pairs` reads, paths relative to `folder`, in one step."""
    import csv
    check_pairs("write_pairs", pairs)
    folder, text = as_path("write_pairs", "folder", folder), io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(PAIRS_HEADER)
    for a, b, same in zip(pairs.a, pairs.b, pairs.same):
        table.writerow([_inside("write_pairs", path, folder).as_posix() for path in (a, b)]
                       + [int(same)])
    with atomic_write(file) as stream:
        stream.write(text.getvalue().encode())


def names_of(pairs: Pairs) -> tuple[list[str], list[str]] | None:
    """Who is on each picture of Pairs: two lists of M names, see `Pairs.person`.

    None where these contradict `same`: then the folders do not say who somebody is.
    """
    check_pairs("names_of", pairs)
    a, b = ([pairs.person(path) for path in paths] for paths in (pairs.a, pairs.b))
    return (a, b) if all((x == y) == same for x, y, same in zip(a, b, pairs.same)) else None


def balanced_pairs(labels: Sequence | np.ndarray, count: int,
                   seed: np.random.Generator | int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` pairs of indices into labels (N,), half of the same label and half of two: (a, b,
    same), each (count,).

    No index is paired with itself and no pair comes twice, in either order.  same: bool, True
    first.  With fewer than count/2 pairs of the same label, all of them are taken, and as many of
            two.
    Drawn by person rather than by picture, so that nobody with hundreds of pictures fills the list:
    first a label (or two), then its pictures.  seed: a numpy Generator or an integer.
    Raises ValueError for a count below 2, or where no label comes twice or all labels are one.
    """
    labels, rng = labels_of("balanced_pairs", labels), backend.generator(seed)
    count = whole("balanced_pairs", "2 ≤ count < inf", count)
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    several = [own for own in places if len(own) >= 2]
    if not several or len(places) < 2:
        raise ValueError(f"balanced_pairs: {len(labels):,} pictures of {len(places):,} people make "
                         "no "
                         + ("pair of one person: nobody has a second picture" if not several
                            else "pair of two people"))
    half = min(count // 2, sum(len(own) * (len(own) - 1) // 2 for own in several),
               (len(labels)**2 - sum(len(own)**2 for own in places)) // 2)

    def same():
        return rng.choice(several[rng.integers(len(several))], 2, replace=False)

    def different():
        return [rng.choice(places[i]) for i in rng.choice(len(places), 2, replace=False)]

    a, b = np.array(_distinct(same, half) + _distinct(different, half)).T
    return a, b, np.arange(2 * half) < half


def _distinct(draw, count):
    """`count` distinct pairs (i, j), i < j, from repeated draws."""
    found = {}
    while len(found) < count:
        i, j = sorted(int(index) for index in draw())
        found[i, j] = None
    return list(found)


def pairs_of(people: People, count: int, seed: np.random.Generator | int) -> Pairs:
    """`balanced_pairs` of People, as Pairs of paths."""
    check_people("pairs_of", people)
    a, b, same = balanced_pairs(people.labels, count, seed)
    return Pairs([people.paths[i] for i in a], [people.paths[i] for i in b], same, people.folder)


def split_people(people: People, share: float, seed: np.random.Generator | int,
                 apart: Pairs | None = None) -> tuple[People, People]:
    """(training, validation): People split by person, `share` (0 to 1) of those with a second
    picture for validation.

    apart: Pairs that will be asked later; everybody on a picture of them goes to neither part.
    People with one picture go to training.  seed: a numpy Generator or an integer.
    Raises ValueError for a share outside of 0..1, or where a part would hold fewer than two people
    with two pictures.
    """
    share = bounded("split_people", "0 < share < 1", share)
    check_people("split_people", people)
    if apart is not None:
        check_pairs("split_people", apart, "apart")
    asked = set() if apart is None else {apart.person(path) for path in [*apart.a, *apart.b]}
    counts = np.bincount(people.labels, minlength=len(people.names))
    free = [name for name in people.names if name not in asked]
    several = [name for name, count in zip(people.names, counts) if count >= 2
               and name not in asked]
    kept = max(2, round(share * len(several)))
    if len(several) - kept < 2:
        raise ValueError(f"split_people: {len(several)} people with a second picture"
                         + (" who are in none of the pairs" if asked else "")
                         + " are too few for two parts of two or more")
    validation = set(backend.generator(seed).permutation(several)[:kept].tolist())
    return people.only(set(free) - validation), people.only(validation)
