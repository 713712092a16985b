"""An encoder by its name, as it is kept in a file, and pictures shown to it as it wants to see
them.

    model = Model("face128")
    encodings, places = model.encode(["ann.jpg", "party.jpg"], choose=list)     # every face in them
"""
import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minidl.data import crop_middle, load_image
from minidl.data.pairs import check_pairs
from minidl.data.people import composed, load_usable
from minidl.faces.calibration import Impostors
from minidl.faces.choosing import one_face
from minidl.faces.encoding import encode, prepare
from minidl.faces.finding import Face, find
from minidl.faces.gallery import Gallery
from minidl.files import as_path
from minidl.models import Mirrored, face128, load_encoder
from minidl.operands import check_sizes, function, listed
from minidl.settings import bounded
from minidl.weights import WeightsError

NAMED = 20                          # pictures that cannot be used, in one line; of more the number
HELD = 16_000_000                   # bytes of pictures that wait to be encoded
FACE128 = {"threshold": 0.6, "aligned": True}       # what its author recommends (King 2017)


class NoneUsable(ValueError):
    """None of the pictures can be used; the message says why."""


class _NoBar:
    def update(self):
        pass


@contextlib.contextmanager
def not_counting(total, description):
    """Shows nothing of how work goes on; a bar like tqdm's is another way."""
    yield _NoBar()


@dataclass(frozen=True)
class Place:
    """Where a face is: in which of the paths; its box (x₀, y₀, x₁, y₁) in pixels of the picture, or
    of its middle where it is cropped; and the detector's score, None where the whole picture was
    taken for the face."""
    path: int
    box: tuple
    score: float | None


class Model:
    """An encoder, what was noted when it was trained, and how it is shown pictures.

    name: "face128", or a path: a file that `train` wrote, or face128's weights: their folder, .json
        or .bin.
    threshold: the τ that suits it for pairs; impostors: how near other people come, None where that
    is not noted; seen: names of the people whom its training saw.
    crop: the middle share of each side that it is shown; None for what it was trained with, or else
        all.
    align: False shows it whole pictures, as they are; None what suits it: face128 is shown the
        faces that are found in them, upright, and so is an encoder that was trained on such.
    detector, whole, smallest: see `faces.find`.
    left_out: a list to which LeftOut is added for every picture that cannot be read.
    counting: counting(total, description), a context manager that gives a bar with `update()`.
    """

    def __init__(self, name, crop=None, left_out=None, align=None, detector="ssd", whole="auto",
                 smallest=80, counting=not_counting):
        path, notes = as_path("Model", "name", name), FACE128
        crop = None if crop is None else bounded("Model", "0 < crop ≤ 1", crop)
        if name == "face128" or path.is_dir() or path.suffix in (".json", ".bin"):
            self.encoder = face128(name).eval()
        else:
            encoder = load_encoder(path)
            self.encoder, notes = Mirrored(encoder).eval(), encoder.notes
        try:
            self.impostors = Impostors(**notes["impostors"]) if "impostors" in notes else None
            self.threshold = float(notes.get("threshold", 1))
            self.seen = set(map(composed, notes.get("seen", ())))
            noted = float(notes.get("crop", 1))
            if not 0 < noted <= 1:
                raise ValueError(f"crop must be a share above 0, got {noted}")
            self.crop = noted if crop is None else crop
            self.encoder.aligned = notes.get("aligned", False) is True and align is not False
            self.gallery()                          # which looks at the threshold
        except (TypeError, ValueError) as error:
            raise WeightsError(f"{path}: its notes are not those of `train`: {error}") from None
        self.left_out, self.counting = [] if left_out is None else left_out, counting
        self.name, self.detector, self.whole, self.smallest = name, detector, whole, smallest

    @property
    def aligned(self):
        """Whether it is shown faces that were found and brought upright, not whole pictures."""
        return self.encoder.aligned

    def unaligned(self):
        """The same, shown whole pictures."""
        return Model(self.name, self.crop, align=False, counting=self.counting)

    def gallery(self):
        """An empty gallery for this encoder; where nothing is known of other people, it has the τ
        for pairs."""
        gallery = Gallery(self.encoder, impostors=self.impostors, crop=self.crop)
        if not (gallery.impostors or gallery.measured):
            gallery.threshold = self.threshold
        return gallery

    def read(self, path):
        """A picture file as this encoder is shown it: uint8 (H, W, 3)."""
        return crop_middle(load_image(path), self.crop)

    def see(self, path):
        """The faces in a picture file.  An encoder that is not shown aligned faces is shown the
        whole picture, as one."""
        picture = self.read(path)
        if self.aligned:
            return find(picture, self.detector, smallest=self.smallest, whole=self.whole)
        return [Face(picture, np.array([0.0, 0.0, picture.shape[1], picture.shape[0]]), None, None)]

    def chosen(self, path, choose):
        """The faces in a picture file that are wanted: a list, of the one or several that `choose`
        takes of those found."""
        found = self.see(path)
        if not found:
            raise ValueError("no face was found in it; where it shows one and little else, --whole "
                             "takes it for that")
        wanted = choose(found)
        if wanted == []:
            raise ValueError("none of the faces in it was chosen")
        return wanted if isinstance(wanted, list) else [wanted]

    def view(self, face):
        """A face as `encode` takes it for this encoder."""
        return face if self.aligned else face.picture

    def see_usable(self, paths, choose=one_face):
        """(faces, their Places) of the picture files that can be used; the others go to left_out.

        choose: see `chosen`.
        Raises NoneUsable, a ValueError, where there are none.
        """
        paths = listed("Model.see_usable", "paths", paths, "paths")
        function("Model.see_usable", "choose", choose, "of the faces found")
        found, used, left_out = load_usable(paths, lambda path: self.chosen(path, choose))
        usable(used, paths, left_out, self.left_out)
        faces = [(face, i) for i, several in zip(used, found) for face in several]
        return [face for face, _ in faces], [_place(face, i) for face, i in faces]

    def encode(self, paths, choose=one_face, batch=64):
        """(encodings (N, D), their Places) of the faces in picture files, a batch at a time; files
        that cannot be used go to left_out.  choose, and errors: see `see_usable`."""
        encodings, places, left_out, waiting = [], [], [], []

        def encode_waiting():
            if waiting:
                encodings.append(encode(self.encoder, map(self.view, waiting)))
                waiting.clear()

        paths = listed("Model.encode", "paths", paths, "paths")
        function("Model.encode", "choose", choose, "of the faces found")
        check_sizes("Model.encode", batch=batch)
        with self.counting(len(paths), "looking at pictures") as bar:
            for i, path in enumerate(paths):
                found, _, others = load_usable([path], lambda path: self.chosen(path, choose))
                faces = sum(found, [])
                waiting += faces
                places += [_place(face, i) for face in faces]
                left_out += others
                if len(waiting) >= batch or sum(face.picture.size for face in waiting) > HELD:
                    encode_waiting()
                bar.update()
            encode_waiting()
        usable(places, paths, left_out, self.left_out)
        return np.concatenate(encodings), places

    def distances(self, pairs):
        """Of Pairs: Euclidean distances (M,); the pairs whose pictures can both be read; the
        pictures seen, each once, as paths, and their encodings (N, D)."""
        check_pairs("Model.distances", pairs)
        paths = sorted({*pairs.a, *pairs.b})
        encodings, places = self.encode(paths)
        paths = [paths[place.path] for place in places]
        place = {path: i for i, path in enumerate(paths)}
        pairs = pairs.take([i for i, (a, b) in enumerate(zip(pairs.a, pairs.b))
                            if a in place and b in place])
        a, b = (encodings[[place[path] for path in side]] for side in (pairs.a, pairs.b))
        return np.linalg.norm(a - b, axis=1), pairs, paths, encodings


def noted(model, gallery):
    """How a gallery's file notes where its encoder is: "face128"; or a path, from the gallery's own
    folder where it is in there, so that both can be moved together."""
    if model == "face128":
        return model
    here, folder = Path(model).resolve(), Path(gallery).parent.resolve()
    return here.relative_to(folder).as_posix() if here.is_relative_to(folder) else str(here)


def _place(face, path):
    return Place(path, tuple(np.round(face.box, 1).tolist()), face.score)


def read_prepared(paths, size, channels, crop, left_out, align=None, counting=not_counting):
    """(pictures, their places in `paths`): picture files as an encoder of that size takes them, for
    training: uint8 (N, size, size, channels).  Those that cannot be used go to left_out.

    align: a function from a picture to the one Face in it, which is brought upright; or None.
    """
    pictures, used, others = np.empty((len(paths), size, size, channels), np.uint8), [], []

    def read(path):
        picture = crop_middle(load_image(path), crop)
        return prepare(picture if align is None else align(picture).chip(size), size, channels)

    with counting(len(paths), "reading pictures") as bar:
        for i, path in enumerate(paths):
            found, _, out = load_usable([path], read)
            if found:
                pictures[len(used)] = np.rint(*found)
                used.append(i)
            others += out
            bar.update()
    return pictures[:len(used)], usable(used, paths, others, left_out)


def usable(used, paths, others, left_out):
    """`used`, after noting the others; raises NoneUsable where nothing is used."""
    left_out += others
    if not used:
        named = "; ".join(map(str, others[:NAMED])) or "there are no pictures"
        if len(others) > NAMED:
            named += f"; {len(others) - NAMED:,} more"
        if len(paths) > 1:
            named = f"none of {len(paths):,} pictures can be used: {named}"
        raise NoneUsable(named)
    return used
