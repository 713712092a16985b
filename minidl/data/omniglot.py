"""Handwritten characters in Omniglot's two forms: alphabets to learn from, and one-shot runs to be examined by.

Source: Lake, Salakhutdinov and Tenenbaum 2015.  Pictures are grey, dark ink on white, 105 × 105 pixels in the original.
"""
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from .images import decode_image, list_images, load_image

MAX_MEMBER_BYTES = 1_000_000        # of one picture in a zip, unpacked; Omniglot's have some 300
MAX_PICTURE_PIXELS = 1_000_000


class Characters(namedtuple("Characters", "pictures labels names")):
    """pictures uint8 (N, H, W), 0 is ink and 255 paper; labels int64 (N,); names: "alphabet/character" of each label."""
    __slots__ = ()

    def alphabets(self):
        """The alphabet of each label."""
        return [name.split("/")[0] for name in self.names]

    def only(self, wanted):
        """The Characters whose alphabet is in `wanted`, numbered anew."""
        kept = [label for label, alphabet in enumerate(self.alphabets()) if alphabet in wanted]
        chosen = np.isin(self.labels, kept)
        return Characters(self.pictures[chosen], np.searchsorted(kept, self.labels[chosen]),
                          [self.names[label] for label in kept])


class Run(namedtuple("Run", "training test answers")):
    """One examination: training uint8 (K, H, W), one picture of each class; test uint8 (M, H, W); answers int64 (M,), the
    place in `training` of each test picture's class."""
    __slots__ = ()


def read_characters(*sources):
    """Read alphabets: each source a folder or a zip with …/alphabet/character/NAME.png.  Returns Characters.

    Several sources are put together; a character that is in two of them (alphabet and name agree) is taken from the first.
    A zip is never unpacked to the disk: its members are read one by one, each checked for its size beforehand.
    Raises ValueError, naming the file, for a picture that is damaged or of another size than the first, a source that
    holds no characters, or a zip that is damaged; OSError for a source that cannot be opened.
    """
    found = {}
    for source in sources:
        characters = {}
        with _files(Path(source)) as files:
            for path, read in files:
                if len(path.parts) >= 3:
                    characters.setdefault("/".join(path.parts[-3:-1]), []).append(read())
        if not characters:
            raise ValueError(f"{source} holds no characters: expected pictures alphabet/character/NAME.png, in a folder or "
                             "a zip")
        found = characters | found
    if not found:
        raise ValueError("read_characters: no source was given")
    names = sorted(found)
    pictures = _stack([picture for name in names for picture in found[name]])
    return Characters(pictures, np.repeat(np.arange(len(names)), [len(found[name]) for name in names]), names)


def read_runs(folder):
    """Read one-shot runs in Omniglot's format: folder/runNN/class_labels.txt and the pictures beside it.

    A line of class_labels.txt is `runNN/test/item01.png runNN/training/class08.png`: a test picture, and the training
    picture of the same character.  Returns {"run01": Run, …}, sorted by name.
    Raises ValueError, naming the file and line, for what is missing, damaged or does not fit.
    """
    found = sorted(path.parent for path in Path(folder).glob("*/class_labels.txt"))
    if not found:
        raise ValueError(f"{folder} holds no one-shot runs: expected {folder}/run01/class_labels.txt and so on")
    return {path.name: _read_run(path) for path in found}


def _read_run(folder):
    classes = list_images(folder / "training") if (folder / "training").is_dir() else []
    if not classes:
        raise ValueError(f"{folder / 'training'} holds no pictures: expected one of each class")
    places = {path.name: place for place, path in enumerate(classes)}
    tests, answers = [], []
    labels = folder / "class_labels.txt"
    for number, line in enumerate(labels.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            parts = [PurePosixPath(word).parts[-2:] for word in line.split()]
            if [part[0] for part in parts] != ["test", "training"] or parts[1][-1] not in places:
                raise ValueError(f"{labels}, line {number}: expected {folder.name}/test/NAME {folder.name}/training/NAME, "
                                 f"the second a picture that is there, got {line.strip()[:100]!r}")
            path = folder / "test" / parts[0][-1]
            if not path.is_file():
                raise ValueError(f"{labels}, line {number}: there is no picture {path}")
            tests.append(path)
            answers.append(places[parts[1][-1]])
    if not tests:
        raise ValueError(f"{labels} names no test pictures")
    pictures = _stack([_grey(load_image(path, max_pixels=MAX_PICTURE_PIXELS), path) for path in classes + tests])
    return Run(pictures[:len(classes)], pictures[len(classes):], np.array(answers))


@contextmanager
def _files(source):
    """(path, function that reads it) of all PNG pictures under a folder or in a zip, sorted."""
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*.png") if not path.name.startswith("."))
        yield [(path, lambda path=path: _grey(load_image(path, max_pixels=MAX_PICTURE_PIXELS), path)) for path in paths]
        return
    import zipfile
    try:
        with zipfile.ZipFile(source) as archive:
            members = sorted((member for member in archive.infolist() if member.filename.lower().endswith(".png")
                              and not member.filename.startswith("__MACOSX/")), key=lambda member: member.filename)
            yield [(PurePosixPath(member.filename), lambda member=member: _from_zip(archive, member, source))
                   for member in members]
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ValueError(f"{source} is neither a folder nor a usable zip: {error}") from error


def _from_zip(archive, member, source):
    import io
    import zlib
    name = f"{source}: {member.filename}"
    if member.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"{name} would unpack to {member.file_size:,} bytes, more than {MAX_MEMBER_BYTES:,}")
    try:
        data = archive.read(member)
    except (RuntimeError, zlib.error) as error:         # encrypted; damaged
        raise ValueError(f"{name} cannot be unpacked: {error}") from error
    return _grey(decode_image(io.BytesIO(data), name, MAX_PICTURE_PIXELS), name)


def _grey(picture, name):
    """(name, (H, W, 3) → (H, W)): characters are black and white, so every channel says the same."""
    return name, picture[..., 0]


def _stack(named):
    first, shape = named[0][0], named[0][1].shape
    for name, picture in named:
        if picture.shape != shape:
            raise ValueError(f"{name} has {picture.shape[1]} × {picture.shape[0]} pixels, {first} has {shape[1]} × "
                             f"{shape[0]}: all characters must have one size")
    return np.stack([picture for _, picture in named])
