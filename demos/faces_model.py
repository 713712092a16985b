"""What the commands of demos.faces share: an encoder by its name, and pictures as it wants to see them."""
from pathlib import Path

import numpy as np

from demos.command_line import counting
from minidl.data import crop_middle
from minidl.data.people import load_picture
from minidl.faces import encode, prepare
from minidl.models import Mirrored, face128, load_encoder
from minidl.weights import WeightsError

FACE128 = {"threshold": 0.6}        # what its author recommends (King 2017)


class Model:
    """An encoder, what was noted when it was trained, and how it is shown pictures.

    name: "face128", or a path: a file that `train` wrote, or a folder or manifest (.json) of face128's weights.
    threshold: the τ that suits it; seen: names of the people whom its training saw.
    crop: the middle share of each side that it is shown; None for what it was trained with, or else all.
    """

    def __init__(self, name, crop=None, quiet=False):
        path, notes = Path(name), FACE128
        if name == "face128" or path.is_dir() or path.suffix in (".json", ".bin"):
            self.encoder = face128(name).eval()
        else:
            encoder = load_encoder(path)
            self.encoder, notes = Mirrored(encoder).eval(), encoder.notes
        try:
            self.threshold, self.seen = float(notes.get("threshold", 1)), set(notes.get("seen", ()))
            self.crop = float(notes.get("crop", 1)) if crop is None else crop
        except (TypeError, ValueError) as error:
            raise WeightsError(f"{path}: its notes are not those of `train`: {error}") from None
        self.quiet = quiet

    def read(self, path, load=load_picture):
        """A picture file as this encoder is shown it: uint8 (H, W, 3)."""
        return crop_middle(load(path), self.crop)

    def encode(self, paths, load=load_picture, batch=64):
        """Encodings (N, D) of picture files, which are read a batch at a time, by `load`."""
        encodings = []
        with counting(len(paths), "looking at pictures", self.quiet or len(paths) <= batch) as bar:
            for start in range(0, len(paths), batch):
                encodings.append(encode(self.encoder, [self.read(path, load) for path in paths[start:start + batch]]))
                bar.update(len(encodings[-1]))
        return np.concatenate(encodings)

    def distances(self, pairs):
        """Of Pairs: Euclidean distances (M,); the pictures seen, each once, as paths, and their encodings (N, D)."""
        paths = sorted({*pairs.a, *pairs.b})
        encodings, place = self.encode(paths), {path: i for i, path in enumerate(paths)}
        a, b = (encodings[[place[path] for path in side]] for side in (pairs.a, pairs.b))
        return np.linalg.norm(a - b, axis=1), paths, encodings


def read_prepared(paths, size, channels, crop, quiet):
    """Picture files as an encoder of that size takes them, for training: uint8 (N, size, size, channels)."""
    pictures = np.empty((len(paths), size, size, channels), np.uint8)
    with counting(len(paths), "reading pictures", quiet) as bar:
        for i, path in enumerate(paths):
            pictures[i] = np.rint(prepare(crop_middle(load_picture(path), crop), size, channels))
            bar.update()
    return pictures
