"""Pairs of photographs, at random or in a table: is it the same person?  And people in two parts,
so that nobody who is asked about was learned from.
"""
from collections import namedtuple
from collections.abc import Sequence
import io
import os
from pathlib import Path
import unicodedata

import numpy as np

from .. import backend
from ..files import as_path, atomic_write, open_file
from ..settings import bounded, having, labels_of, whole
from .people import People, check_people, composed, places_of, shown

PAIRS_HEADER = ["image_a", "image_b", "same"]


class Pairs(namedtuple("Pairs", "a b same folder", defaults=[None])):
    """Questions "is it the same person?": a and b, lists of M paths; same bool (M,); folder: the
    one in which each person has a folder, where that is known."""
    __slots__ = ()

    def take(self, indices):
        """Some of the pairs."""
        indices = places_of("Pairs", indices, len(self.a))
        return Pairs([self.a[i] for i in indices], [self.b[i] for i in indices], self.same[indices],
                     self.folder)

    def person(self, path: str | os.PathLike) -> str:
        """Who is on a picture: the name of the first folder below `folder`, or of the nearest."""
        path = as_path("person", "path", path)
        return composed(path.parent.name if self.folder is None else
                        _inside("person", path, self.folder).parts[0])


def check_pairs(operation, pairs, name="pairs"):
    """Raise TypeError for what are no Pairs."""
    having(operation, name, pairs, "Pairs, as read_pairs gives them", "a", "b", "same", "person")


def _inside(operation, path, folder):
    """The path from the folder to it; raises ValueError where it lies outside."""
    if not Path(path).is_relative_to(folder) or Path(path) == Path(folder):
        raise ValueError(f"{operation}: {shown(path)} does not lie in {shown(folder)}")
    return Path(path).relative_to(folder)


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
    first, second = (_picture(word, folder) for word in row[:2])
    if first == second:
        raise ValueError(f"{words[0]!r} is paired with itself")
    return first, second, words[2] == "1"


def _picture(word, folder):
    """The path of a picture in a folder, whichever way the accents are written here and there, and
    with the spaces around it, or without."""
    bare = word.strip()
    for form in (word, bare, *(unicodedata.normalize(form, bare) for form in ("NFC", "NFD"))):
        path = Path(form)
        if not path.is_absolute() and ".." not in path.parts and os.path.isfile(folder / path):
            return folder / path
    raise ValueError(f"there is no picture {bare[:100]!r} in {folder}")


def write_pairs(file: str | os.PathLike, pairs: Pairs, folder: str | os.PathLike) -> None:
    """Write pairs as the table that `read_pairs` reads, paths relative to `folder`, in one step.

    Raises ValueError for a path outside of the folder, or one that is no UTF-8.
    """
    import csv
    check_pairs("write_pairs", pairs)
    folder, text = as_path("write_pairs", "folder", folder), io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(PAIRS_HEADER)
    for a, b, same in zip(pairs.a, pairs.b, pairs.same):
        table.writerow([_cell(path, folder) for path in (a, b)] + [int(same)])
    with atomic_write(file) as stream:
        stream.write(text.getvalue().encode())


def _cell(path, folder):
    text = _inside("write_pairs", path, folder).as_posix()
    if text != text.encode("utf-8", "replace").decode():        # bytes that some other system wrote
        raise ValueError(f"write_pairs: {shown(path)} is no UTF-8, as the table is")
    return text


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
    first.  Of one kind there may be fewer than count/2: then all of them, and as many of the other.
    Drawn by person rather than by picture, so that nobody with hundreds of pictures fills the list:
    first a label (or two), then its pictures.  seed: a numpy Generator or an integer.
    Raises ValueError for a count below 2, or where no label comes twice or all labels are one.
    """
    labels, rng = labels_of("balanced_pairs", labels), backend.generator(seed)
    count = whole("balanced_pairs", "2 ≤ count < inf", count)
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    several = [own for own in places if len(own) >= 2]
    if not several or len(places) < 2:
        none = "one person: nobody has a second picture" if not several else "two people"
        raise ValueError(f"balanced_pairs: {len(labels):,} pictures of {len(places):,} people make "
                         f"no pair of {none}")
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
