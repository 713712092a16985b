"""What the commands of demos.faces share: an encoder by its name, and pictures as it wants to see them."""
from pathlib import Path

import numpy as np

from demos.command_line import counting
from minidl.data import crop_middle, load_image
from minidl.data.people import composed, load_usable
from minidl.faces import Gallery, Impostors, encode, prepare
from minidl.models import Mirrored, face128, load_encoder
from minidl.weights import WeightsError

NAMED = 20                          # pictures that cannot be used, in one line; of more the number
FACE128 = {"threshold": 0.6}        # what its author recommends (King 2017)


class Model:
    """An encoder, what was noted when it was trained, and how it is shown pictures.

    name: "face128", or a path: a file that `train` wrote, or a folder or manifest (.json) of face128's weights.
    threshold: the τ that suits it for pairs; impostors: how near other people come, None where that
    is not noted; seen: names of the people whom its training saw.
    crop: the middle share of each side that it is shown; None for what it was trained with, or else all.
    left_out: a list to which LeftOut is added for every picture that cannot be read.
    """

    def __init__(self, name, crop=None, quiet=False, left_out=None):
        path, notes = Path(name), FACE128
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
            self.gallery()                          # which looks at the threshold
        except (TypeError, ValueError) as error:
            raise WeightsError(f"{path}: its notes are not those of `train`: {error}") from None
        self.quiet, self.left_out = quiet, [] if left_out is None else left_out

    def gallery(self):
        """An empty gallery for this encoder; where nothing is known of other people, it has the τ
        for pairs."""
        gallery = Gallery(self.encoder, impostors=self.impostors, crop=self.crop)
        if gallery.threshold == 0:
            gallery.threshold = self.threshold
        return gallery

    def read(self, path):
        """A picture file as this encoder is shown it: uint8 (H, W, 3)."""
        return crop_middle(load_image(path), self.crop)

    def read_usable(self, paths):
        """(pictures, their places in `paths`) of those that can be read; the others go to left_out.

        Raises ValueError where there are none.
        """
        pictures, places, left_out = load_usable(paths, self.read)
        return pictures, usable(places, paths, left_out, self.left_out)

    def encode(self, paths, batch=64):
        """(encodings (N, D), their places in `paths`) of the picture files that can be read, a
        batch at a time; the others go to left_out.  Raises ValueError where there are none."""
        encodings, used, left_out = [], [], []
        with counting(len(paths), "looking at pictures", self.quiet or len(paths) <= batch) as bar:
            for start in range(0, len(paths), batch):
                pictures, places, others = load_usable(paths[start:start + batch], self.read)
                if pictures:
                    encodings.append(encode(self.encoder, pictures))
                used += [start + place for place in places]
                left_out += others
                bar.update(len(pictures) + len(others))
        used = usable(used, paths, left_out, self.left_out)
        return np.concatenate(encodings), used

    def distances(self, pairs):
        """Of Pairs: Euclidean distances (M,); the pairs whose pictures can both be read; the
        pictures seen, each once, as paths, and their encodings (N, D)."""
        paths = sorted({*pairs.a, *pairs.b})
        encodings, used = self.encode(paths)
        paths = [paths[i] for i in used]
        place = {path: i for i, path in enumerate(paths)}
        pairs = pairs.take([i for i, (a, b) in enumerate(zip(pairs.a, pairs.b))
                            if a in place and b in place])
        a, b = (encodings[[place[path] for path in side]] for side in (pairs.a, pairs.b))
        return np.linalg.norm(a - b, axis=1), pairs, paths, encodings


def model_of(options):
    """The Model that the options name."""
    return Model(options.model, options.crop, options.quiet, options.left_out)


def say(options, *lines):
    """Print, unless --quiet."""
    if not options.quiet:
        print(*lines, sep="\n")


def read_prepared(paths, size, channels, crop, quiet, left_out):
    """(pictures, their places in `paths`): picture files as an encoder of that size takes them, for
    training: uint8 (N, size, size, channels).  Those that cannot be read go to left_out."""
    pictures, used, others = np.empty((len(paths), size, size, channels), np.uint8), [], []
    with counting(len(paths), "reading pictures", quiet) as bar:
        for i, path in enumerate(paths):
            found, _, out = load_usable([path])
            if found:
                pictures[len(used)] = np.rint(prepare(crop_middle(*found, crop), size, channels))
                used.append(i)
            others += out
            bar.update()
    return pictures[:len(used)], usable(used, paths, others, left_out)


def usable(used, paths, others, left_out):
    """`used`, after noting the others; raises ValueError where nothing is used."""
    if not used:
        named = "; ".join(map(str, others[:NAMED]))
        if len(others) > NAMED:
            named += f"; {len(others) - NAMED:,} more"
        if len(paths) > 1:
            named = f"none of {len(paths):,} pictures can be used: {named}"
        raise ValueError(named)
    left_out += others
    return used
