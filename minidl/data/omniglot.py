"""Handwritten characters in Omniglot's two forms: alphabets to learn from, and one-shot runs to be
examined by.

Source: Lake, Salakhutdinov and Tenenbaum 2015.  Pictures are grey, dark ink on white, 105 × 105
pixels in the original.
"""
from collections import Counter, namedtuple
from collections.abc import Iterable
from contextlib import contextmanager
from functools import partial
import io
import os
from pathlib import Path, PurePosixPath
import unicodedata

import numpy as np

from ..files import as_path, open_file
from ..operands import listed
from .images import FORMATS, decode_image, list_images, load_image

MAX_MEMBER_BYTES = 1_000_000        # of one picture in a zip, unpacked; Omniglot's have some 300
MAX_PICTURE_PIXELS = 1_000_000
PIXELS_PER_BYTE = 100               # in a whole source; Omniglot has 22 as a zip, 3 as a folder
PIXELS_ANYWAY = 8_000_000
LEAST_ON_DISK = 4096                # bytes that a file takes in a folder


class Characters(namedtuple("Characters", "pictures labels names left_out", defaults=((),))):
    """pictures uint8 (N, H, W), 0 is ink and 255 paper; labels int64 (N,); names:
    "alphabet/character" of each label.

    left_out: a line for each file that was found and not used, which says why.
    """
    __slots__ = ()

    def alphabets(self):
        """The alphabet of each label."""
        return [name.split("/")[0] for name in self.names]

    def only(self, wanted: Iterable[str]) -> "Characters":
        """The Characters whose alphabet is in `wanted`, numbered anew."""
        wanted = listed("only", "wanted", wanted, "names of alphabets")
        kept = [label for label, alphabet in enumerate(self.alphabets()) if alphabet in wanted]
        chosen = np.isin(self.labels, kept)
        return Characters(self.pictures[chosen], np.searchsorted(kept, self.labels[chosen]),
                          [self.names[label] for label in kept], self.left_out)


class Run(namedtuple("Run", "training test answers")):
    """One examination: training uint8 (K, H, W), one picture of each class; test uint8 (M, H, W);
    answers int64 (M,), the place in `training` of each test picture's class."""
    __slots__ = ()


class Runs(dict):
    """{"run01": Run, …}; left_out: a line for each run that cannot be used, which says why."""

    def __init__(self):
        super().__init__()
        self.left_out = []


def read_characters(*sources: str | os.PathLike) -> Characters:
    """Read alphabets: each source a folder or a zip with …/alphabet/character/NAME.png.  Returns
    Characters.

    Every file in them is used, or named in `left_out`: what is damaged, no picture by its ending,
    in no folder of a character, or of another size than most.  Hidden files are none (.DS_Store,
    and what a Mac keeps beside each picture as ._NAME and in __MACOSX).
    Several sources are put together; a character that is in two of them (alphabet and name agree)
    is taken from the first.
    A zip is never unpacked to the disk: its members are read one by one, each checked for its size
    beforehand.
    Raises ValueError, naming the file, for a source that holds no characters, whose pictures have
    more pixels than its bytes justify, or a zip that is damaged; OSError for a source that cannot
    be opened.
    """
    found: dict[str, list] = {}
    left_out = []
    for source in sources:
        characters, problems = _read_source(as_path("read_characters", "source", source))
        for name in sorted(characters.keys() & found.keys()):
            problems += [f"{path} is of a character that an earlier source has"
                         for path, _ in characters[name]]
        if not characters:
            more = f"; of {len(problems):,} files the first: {problems[0]}" if problems else ""
            raise ValueError(f"{source} holds no characters: expected pictures "
                             f"alphabet/character/NAME.png, in a folder or a zip{more}")
        found = characters | found
        left_out += problems
    if not found:
        raise ValueError("read_characters: no source was given")
    shapes = Counter(picture.shape for named in found.values() for _, picture in named)
    shape, _ = shapes.most_common(1)[0]
    names: list[str] = []
    pictures, labels = [], []
    for name in sorted(found):
        fitting = [picture for _, picture in found[name] if picture.shape == shape]
        left_out += [f"{path} has {_size(picture.shape)} pixels, most have {_size(shape)}"
                     for path, picture in found[name] if picture.shape != shape]
        if fitting:
            labels += [len(names)] * len(fitting)
            names.append(name)
            pictures += fitting
    return Characters(np.stack(pictures), np.array(labels), names, left_out)


def read_runs(folder: str | os.PathLike) -> "Runs":
    """Read one-shot runs in Omniglot's format: folder/runNN/class_labels.txt and the pictures
    beside it.

    A line of class_labels.txt is `runNN/test/item01.png runNN/training/class08.png`: a test
    picture, and the training picture of the same character.  Returns {"run01": Run, …}, sorted by
    name, with `left_out`: a run in which anything is missing, damaged or does not fit is no
    examination, and is named there with the file and line.
    Raises ValueError where no run is left.
    """
    folder = as_path("read_runs", "folder", folder)
    found = sorted(path.parent for path in folder.glob("*/class_labels.txt"))
    if not found:
        raise ValueError(f"{folder} holds no one-shot runs: expected "
                         f"{folder}/run01/class_labels.txt and so on")
    runs = Runs()
    for path in found:
        try:
            runs[path.name] = _read_run(path)
        except (OSError, ValueError) as error:
            runs.left_out.append(_printable(f"{path.name}: {error}"))
    if not runs:
        raise ValueError(f"{folder} holds no one-shot run that can be used; {runs.left_out[0]}")
    return runs


def _read_run(folder):
    classes = list_images(folder / "training") if (folder / "training").is_dir() else []
    if not classes:
        raise ValueError(f"{folder / 'training'} holds no pictures: expected one of each class")
    places = {path.name: place for place, path in enumerate(classes)}
    tests, answers = [], []
    labels = folder / "class_labels.txt"
    with open_file(labels) as file:
        lines = file.read().decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            parts = [PurePosixPath(word).parts[-2:] for word in line.split()]
            if [part[0] for part in parts] != ["test", "training"] or parts[1][-1] not in places:
                raise ValueError(f"{labels}, line {number}: expected {folder.name}/test/NAME "
                                 f"{folder.name}/training/NAME, "
                                 f"the second a picture that is there, got {line.strip()[:100]!r}")
            path = folder / "test" / parts[0][-1]
            if not path.is_file():
                raise ValueError(f"{labels}, line {number}: there is no picture {path}")
            if path in tests:
                raise ValueError(f"{labels}, line {number}: names {path} again")
            tests.append(path)
            answers.append(places[parts[1][-1]])
    if not tests:
        raise ValueError(f"{labels} names no test pictures")
    pictures = _stack(classes + tests)
    return Run(pictures[:len(classes)], pictures[len(classes):], np.array(answers))


def _read_source(source):
    """Of a folder or a zip: ({"alphabet/character": [(name of the file, picture), …]}, why files
    were left out)."""
    characters, left_out, pixels = {}, [], 0
    with _files(source, left_out) as (files, size):
        allowed = _allowed(size)
        for path, name, read in files:
            if path.suffix.lower() not in FORMATS:
                left_out.append(f"{name} is no picture by its ending {path.suffix!r}")
            elif len(path.parts) < 3:
                left_out.append(f"{name} is in no folder alphabet/character")
            else:
                try:
                    picture = read()
                except (OSError, ValueError) as error:
                    left_out.append(_printable(error))
                    continue
                pixels += picture.size
                if pixels > allowed:
                    raise ValueError(f"{source}: its pictures have more than {allowed:,} pixels, "
                                     f"for {size:,} bytes: refused")
                character = unicodedata.normalize("NFC", "/".join(path.parts[-3:-1]))
                characters.setdefault(character, []).append((name, picture))
    return characters, left_out


def _allowed(size):
    """How many pixels, and unpacked bytes, a source of that many bytes may have."""
    return PIXELS_ANYWAY + PIXELS_PER_BYTE * size


@contextmanager
def _files(source, left_out):
    """Of the files in a folder or a zip: ([(path, name for people, function that reads the
    picture), …], bytes)."""
    if source.is_dir():
        paths, found = _walk(source, left_out), []
        for path in paths:
            inside = PurePosixPath(source.resolve().name, *path.relative_to(source).parts)
            found.append((inside, _printable(path), partial(_read_file, path)))
        yield found, sum(max(LEAST_ON_DISK, path.lstat().st_size) for path in paths)
        return
    import zipfile
    with open_file(source) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:                      # a damaged one provokes many kinds
            raise ValueError(f"{source} is neither a folder nor a usable zip: {error}") from error
        with archive:
            found = []
            members = sorted(archive.infolist(), key=lambda member: member.filename)
            size = file.seek(0, 2)
            unpacked = sum(member.file_size for member in members
                           if member.file_size <= MAX_MEMBER_BYTES)
            if unpacked > _allowed(size):
                raise ValueError(f"{source}: its files would unpack to {unpacked:,} bytes, "
                                 f"from {size:,}: refused")
            for member in members:
                path = PurePosixPath(member.filename)
                name = _printable(f"{source}: {member.filename}")
                if not member.is_dir() and not _is_hidden(path):
                    read = partial(_from_zip, archive, member, name)
                    found.append((path, name, read))
            yield found, size


def _walk(source, left_out):
    """The files below a folder, sorted; links are followed, each folder is entered once."""
    def note(error):
        left_out.append(_printable(error))

    found, seen = [], set()
    for folder, folders, names in os.walk(source, onerror=note, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = [name for name in sorted(folders) if not _is_hidden(Path(name))]
        found += [Path(folder, name) for name in names if not _is_hidden(Path(name))]
    return sorted(found)


def _is_hidden(path):
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _printable(name):
    """A name as it fits into one line."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   for sign in str(name))


def _read_file(path):
    return _grey(load_image(path, max_pixels=MAX_PICTURE_PIXELS))


def _from_zip(archive, member, name):
    import zipfile
    if member.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"{name} would unpack to {member.file_size:,} bytes, more than "
                         f"{MAX_MEMBER_BYTES:,}")
    # the other kinds may unpack to more than they say
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        kind = zipfile.compressor_names.get(member.compress_type, member.compress_type)
        raise ValueError(f"{name} cannot be unpacked: it is compressed by {kind}, only stored and "
                         "deflated ones are read")
    try:
        with archive.open(member) as stream:
            data = stream.read(member.file_size)
    except Exception as error:                          # encrypted, damaged, cut off: many kinds
        raise ValueError(f"{name} cannot be unpacked: {error}") from error
    return _grey(decode_image(io.BytesIO(data), name, MAX_PICTURE_PIXELS))


def _grey(picture):
    """(H, W, 3) → (H, W): characters are black and white, so every channel says the same."""
    return picture[..., 0].copy()


def _size(shape):
    return f"{shape[1]} × {shape[0]}"


def _stack(paths):
    """The pictures of a run, all of one size, as (N, H, W)."""
    pictures = [_read_file(path) for path in paths]
    for path, picture in zip(paths, pictures):
        if picture.shape != pictures[0].shape:
            raise ValueError(f"{path} has {_size(picture.shape)} pixels, {paths[0]} has "
                             f"{_size(pictures[0].shape)}: all characters must have one size")
    return np.stack(pictures)
