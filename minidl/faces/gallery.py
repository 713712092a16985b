"""A gallery: who is enrolled, with the encodings of their pictures.

Verification (1:1): is it who they say?  Recognition (1:K): who is it?
Distances here are Euclidean, d(x, x') = ‖f(x) − f(x')‖.  The lecture's ‖f(x) − f(x')‖² ≤ τ² is the
same rule.  Nothing is trained when a person is enrolled: one picture's encoding is stored.
"""
from collections.abc import Iterable, Iterator, Sequence
import contextlib
import json
import os
from pathlib import Path
from threading import RLock

import numpy as np

from minidl import files, weights
from minidl.data.people import check_name, composed
from minidl.faces.answers import Match, Verification
from minidl.faces.calibration import Impostors
from minidl.faces.copies import copies
from minidl.faces.encoding import Encoder, encode, fingerprint, whose
from minidl.faces.measured import measured
from minidl.faces.rows import Rows, squared_lengths
from minidl.operands import listed
from minidl.settings import bounded, numbers, of_kind

KIND = "minidl gallery 1"

_changing = RLock()             # held while rows or names change, not while one encodes or searches


class Gallery:
    """People and the encodings of their pictures, by one encoder.

        gallery = Gallery(models.face128())
        face, = find(picture)                       # where the face does not fill it
        gallery.enroll("Ann", face)
        gallery.verify(other_picture, "Ann")        # <Ann: 0.412 ≤ 0.5825; not calibrated>
        gallery.identify(other_picture)

    A picture is what `encode` takes: a `Face` that `find` has found, or an array that one face
    fills.  Nobody is looked for here: of a photograph with more in it, the whole is encoded.
    τ is the largest distance that counts as one person.  A stranger is compared with all pictures
    enrolled, so τ must fall as the gallery grows:
        threshold           None: τ follows, for each question, from false_accept_rate and from how
                            many pictures are compared: all in `identify` (1:K), those of the
                            claimed in `verify` (1:1).  A number: τ is that, whatever it costs.
        false_accept_rate   the share of strangers who may be named, or be accepted as the claimed
        impostors           how near other people come on pictures like yours: see Impostors, which
                            has the formula.  Impostors.measure(encode(encoder, pictures), names)
    Without impostors a gallery is not `calibrated`, as every answer says.  Then τ of face128 goes
    by what was `measured` on pictures that may be unlike yours, and no answer promises a rate; of
    other encoders nothing is known, and τ is 0: at best the very same picture is recognized.
    crop and encoder_file are notes, None where nothing is noted: the middle share of each side that
    the encoder was shown, as only pictures that were cut alike can be compared; and where the
    encoder is kept, "face128" or a path.

    Threads may ask and change a gallery at once: a question sees it as it is at one moment.
    Processes that change one file at once: see `changed`.

    Memory: 4 (D + 2) bytes a picture, 520 MB for a million with D = 128.  A query reads all of it
    once, so that memory bandwidth is the limit.  Beyond one machine's memory: give each of several
    machines a part, ask all, and keep the two nearest people of their answers
    (`kernels.two_nearest` does so with the parts that its threads searched); or keep only 8 bits
    of each number, search those, and compare the best few hundred in full; or look only into the
    cells of a k-means clustering near the query, which misses some (product quantisation, FAISS).
    """

    def __init__(self, encoder: Encoder | None, threshold: float | None = None,
                 false_accept_rate: float = 0.01, impostors: Impostors | None = None,
                 crop: float | None = None, encoder_file: str | None = None):
        crop = None if crop is None else bounded("Gallery", "0 < crop ≤ 1", crop)
        of_kind("Gallery", "impostors", impostors, "Impostors or None", Impostors, type(None))
        of_kind("Gallery", "encoder_file", encoder_file, "a path or None", str, os.PathLike,
                type(None))
        self.encoder, self.threshold = encoder, threshold
        self.false_accept_rate = false_accept_rate
        self.impostors = impostors
        self._made_with = "none" if encoder is None else fingerprint(encoder)
        self.crop, self.encoder_file = crop, encoder_file
        self._names: list[str] = []                     # number -> name
        self._number: dict[str, int] = {}               # name -> number
        # Rows in use never change, so that a search may go on: enrolling writes behind them.
        self._rows = 0                                  # used rows of the three arrays below
        self._encodings = np.zeros((0, 0), "float32")   # (capacity, D)
        self._squares = np.zeros(0, "float32")          # ‖f‖² of each row
        self._people = np.zeros(0, "int32")             # whose each row is: a number

    @property
    def threshold(self) -> float:
        """τ of `identify` now.  May be assigned: a number, or None for one that follows."""
        return self._threshold_of(self._rows)

    @threshold.setter
    def threshold(self, value):
        self._threshold = (None if value is None
                           else bounded("Gallery", "0 ≤ threshold < inf", value))

    @property
    def false_accept_rate(self) -> float:
        """The share of strangers who may be named, which may be assigned."""
        return self._false_accept_rate

    @false_accept_rate.setter
    def false_accept_rate(self, value):
        self._false_accept_rate = bounded("Gallery", "0 < false_accept_rate < 1", value)

    @property
    def measured(self) -> Impostors | None:
        """The Impostors of this encoder on pictures that may be unlike yours, or None."""
        return measured(self._made_with)

    @property
    def calibrated(self) -> bool:
        """Whether it is known what τ costs: how near other people come, on pictures like these."""
        return self.impostors is not None

    @property
    def names(self) -> list[str]:
        """Names of the people, in the order of enrolment."""
        return list(self._names)

    @property
    def encodings(self) -> np.ndarray:
        """(pictures, D) float32: the rows in use."""
        return self._encodings[:self._rows]

    @property
    def people(self) -> np.ndarray:
        """(pictures,): whose each row is, as an index into names."""
        return self._people[:self._rows]

    def __len__(self):
        """The number of people."""
        return len(self._names)

    def __contains__(self, name):
        return isinstance(name, str) and composed(name) in self._number

    def __repr__(self):
        return (f"Gallery({len(self)} people, {self._rows} pictures, threshold={self.threshold:.4g}"
                f"{'' if self.calibrated else ', not calibrated'})")

    def enroll(self, name: str, *images) -> None:
        """Add one or more pictures of a person, who is added where new.  Nothing is trained.

        A picture that is there already is not added again.  Raises ValueError where it is there as
        somebody else's; nothing is added then.
        """
        if not images:
            raise ValueError(f"enroll: {name!r} needs at least one picture")
        names = [check_name("enroll", name)] * len(images)
        encodings = self._encode("enroll", images)
        with _changing:
            for i, holder in enumerate(self._held_by(names, encodings)):
                if holder not in (None, names[0]):
                    raise ValueError(f"enroll: picture {i} of {name!r} is enrolled as {holder!r}")
            self.enroll_encodings(names, encodings)

    def enroll_encodings(self, names: Sequence[str], encodings) -> list[str | None]:
        """Add encodings (N, D) that `encode` has made, of the people `names`, one name for each.

        The arrays grow by doubling, so that n pictures cost O(n) copies, however they come.  A name
        is one whichever way its accents are written: Unicode's composed form is kept.

        Gives, for each, None where it was added; or else the name under which the same encoding is
        there already, up to rounding.  A copy of the same person's adds nothing but one more
        comparison, for which τ would fall for everybody.  One of somebody else's is not added
        either: every answer to that picture would be both, and the one who was there first stays.
        Raises ValueError where lengths, widths or values do not fit, TypeError for a name that is
        no text; nothing is added then.
        """
        encodings = numbers("enroll", "encodings", encodings, dtype="float32")
        names = [check_name("enroll", name) for name in listed("enroll", "names", names, "names")]
        with _changing:
            held = self._held_by(names, encodings)
            new = [i for i, holder in enumerate(held) if holder is None]
            names, encodings = [names[i] for i in new], encodings[new]
            for name in dict.fromkeys(names):
                if name not in self._number:
                    self._number[name] = len(self._names)
                    self._names.append(name)
            rows = slice(self._rows, self._rows + len(names))
            if rows.stop > len(self._people):
                self._resize(max(16, 2 * len(self._people), rows.stop), encodings.shape[1])
            self._encodings[rows] = encodings
            self._squares[rows] = np.einsum("nd,nd->n", encodings, encodings)
            self._people[rows] = [self._number[name] for name in names]
            self._rows = rows.stop
        return held

    def _held_by(self, names, encodings):
        """The name under which each encoding is there already, or comes before; else None."""
        squared_lengths("enroll", names, encodings, self._encodings.shape[1])
        old = self.encodings if self._rows else encodings[:0]
        return [None if row < 0 else names[row - len(old)] if row >= len(old)
                else self._names[self._people[row]] for row in copies(old, encodings).tolist()]

    def verify(self, image, claimed: str) -> Verification:
        """Is this `claimed`?  A Verification: accepted where the nearest of their pictures is
        within τ.

        Raises ValueError for a person who is not enrolled.
        """
        self._find("verify", claimed)
        query = self._encode("verify", [image])
        with _changing:
            number, rows = self._find("verify", claimed), self._as_it_is()
        (numbers,), (distances,) = rows.search("verify", query)
        own = rows.encodings[rows.people == number] - query
        distance = float(np.sqrt(np.einsum("nd,nd->n", own, own).min()))
        other = 0 if numbers[0] != number else 1        # the nearest who is not the claimed one
        threshold = self._threshold_of(len(own))
        return Verification(
            rows.names[number], distance <= threshold, distance, rows.name(numbers[other]),
            float(distances[other]), threshold, self._rate_of(threshold, len(own)))

    def identify(self, image) -> Match:
        """Who is this?  A Match: the nearest person, or name None, "not recognized", beyond τ.

        Raises ValueError where nobody is enrolled.
        """
        return self.identify_all([image])[0]

    def identify_all(self, images: Iterable) -> list[Match]:
        """A Match for each picture, by one pass of the encoder and one search."""
        return self.identify_encodings(self._encode("identify", images))

    def identify_encodings(self, encodings) -> list[Match]:
        """A Match for each of the encodings (N, D)."""
        encodings = numbers("identify", "encodings", encodings, dtype="float32")
        with _changing:
            rows = self._as_it_is()
        people, distances = rows.search("identify", encodings)
        threshold = self._threshold_of(len(rows.people))
        rate, matches = self._rate_of(threshold, len(rows.people)), []
        for (first, second), (near, next_) in zip(people.tolist(), distances.tolist()):
            nearest = rows.names[first]
            matches.append(Match(nearest if near <= threshold else None, nearest, near,
                                 rows.name(second), next_, threshold, rate))
        return matches

    def remove(self, name: str) -> None:
        """Forget a person and all their pictures."""
        with _changing:
            number = self._find("remove", name)
            kept = self.people != number
            people = self.people[kept]
            self._encodings, self._squares = self.encodings[kept], self._squares[:self._rows][kept]
            self._people, self._rows = people - (people > number), len(people)
            self._call(self._names[:number] + self._names[number + 1:])

    def rename(self, name: str, new: str) -> None:
        """Give a person another name.  Raises ValueError where somebody has it."""
        new = check_name("rename", new)
        with _changing:
            number = self._find("rename", name)
            if self._number.get(new, number) != number:
                raise ValueError(f"rename: {new!r} is somebody else; to join two people, "
                                 "enroll the pictures again")
            self._call(self._names[:number] + [new] + self._names[number + 1:])

    def save(self, path: str | os.PathLike) -> None:
        """Write the gallery to `path`, in one step: an interrupted save leaves the file that was
        there.

        The file is an .npz of names, encodings, what τ follows from, and the encoder's fingerprint;
        the encoder itself is not in it.
        """
        with _changing:
            rows, names = self._as_it_is(), json.dumps(self._names).encode()
        made_with = self._made_with if self.encoder is None else fingerprint(self.encoder)
        arrays = {"kind": np.array(KIND), "fingerprint": np.array(made_with),
                  "false_accept_rate": np.float64(self.false_accept_rate), "people": rows.people,
                  "names": np.frombuffer(names, "uint8"), "encodings": rows.encodings}
        if self.crop is not None:
            arrays["crop"] = np.float64(self.crop)
        if self.encoder_file is not None:
            arrays["encoder_file"] = np.array(str(self.encoder_file))
        if self._threshold is not None:
            arrays["threshold"] = np.float64(self._threshold)
        if self.impostors is not None:
            arrays["impostors"] = np.array([self.impostors.rates, self.impostors.distances])
            arrays["impostor_counts"] = np.array([self.impostors.people, self.impostors.pairs])
        weights.save(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike, encoder: Encoder | None = None) -> "Gallery":
        """The gallery that `save` wrote, for the same encoder.

        Without an encoder it takes encodings, no pictures; `use` gives it the encoder later.
        Raises WeightsError for a file that is cut off, damaged, no gallery, or made with another
        encoder: its encodings would mean nothing here; OSError where it cannot be read.
        """
        try:
            arrays = weights.load(path)
        except weights.WeightsError as error:
            raise weights.WeightsError(f"{path} is not a gallery: {error}") from None
        try:
            if str(arrays["kind"]) != KIND:
                raise ValueError(f"its kind is {str(arrays['kind'])[:40]!r}, expected {KIND!r}")
            gallery = cls(None, **_settings(arrays))
            gallery._made_with = str(arrays["fingerprint"])
            gallery._fill(json.loads(arrays["names"].tobytes()), arrays["people"],
                          arrays["encodings"])
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise weights.WeightsError(f"{path} is not a gallery: {reason}") from None
        return gallery if encoder is None else gallery.use(encoder, path)

    def use(self, encoder: Encoder, path: str | os.PathLike = "this gallery") -> "Gallery":
        """Give a gallery that was loaded without its encoder that encoder; the gallery itself.

        path: what errors call it.  Raises WeightsError for another encoder.
        """
        if self._made_with != fingerprint(encoder):
            raise weights.WeightsError(
                f"{path} was made with {whose(self._made_with, encoder)}: its encodings mean "
                "nothing here; give that encoder, or enroll again")
        width = getattr(encoder, "features", 0)
        if self._rows and width and self.encodings.shape[1] != width:
            raise weights.WeightsError(f"{path} is not a gallery: its encodings have "
                                       f"{self.encodings.shape[1]} numbers, those of this gallery "
                                       f"{width}")
        self.encoder = encoder
        return self

    @classmethod
    @contextlib.contextmanager
    def changed(cls, path: str | os.PathLike, encoder: Encoder | None = None,
                new: "Gallery | None" = None) -> "Iterator[Gallery]":
        """The gallery in a file, to be changed in a `with` block and saved at its end.

        Others who change the file so, in this process or another, wait: nobody's change is lost.
        After an error in the block the file stays as it was.
        new: the gallery to begin with where there is no file yet.  None: FileNotFoundError.
        """
        with files.locked(path):
            gallery = cls.load(path, encoder) if new is None or Path(path).exists() else new
            yield gallery
            gallery.save(path)

    def _fill(self, names, people, encodings):
        if not isinstance(names, list):
            raise ValueError("its names are not a list")
        self._call([check_name("load", name) for name in names])
        if len(self._number) < len(names):
            raise ValueError("its names are not a list of different names")
        if people.dtype.kind not in "iu" or not np.isin(people, np.arange(len(names))).all():
            raise ValueError("its people are not indices into its names")
        self._squares = squared_lengths("load", people, encodings)
        without = np.setdiff1d(np.arange(len(names)), people)
        if len(without):
            raise ValueError(f"its person {names[without[0]]!r} has no picture")
        self._rows, self._people = len(people), people.astype("int32")
        self._encodings = np.ascontiguousarray(encodings, "float32")

    def _encode(self, operation, images):
        if self.encoder is None:
            raise ValueError(f"{operation}: this gallery was loaded without its encoder; give it, "
                             "gallery.use(encoder)")
        return encode(self.encoder, images)

    def _call(self, names):
        self._names, self._number = names, {name: i for i, name in enumerate(names)}

    def _resize(self, capacity, width):
        shapes = {"_encodings": (capacity, width), "_squares": (capacity,), "_people": (capacity,)}
        for name, shape in shapes.items():
            old, new = getattr(self, name), np.zeros(shape, getattr(self, name).dtype)
            if self._rows:
                new[:self._rows] = old[:self._rows]
            setattr(self, name, new)

    def _as_it_is(self):
        return Rows(self._names, self.encodings, self._squares[:self._rows], self.people)

    def _threshold_of(self, comparisons):
        """τ where a picture is compared with so many."""
        impostors = self.impostors or self.measured
        if self._threshold is not None or impostors is None:
            return self._threshold or 0.0
        return impostors.threshold(self.false_accept_rate, max(1, comparisons))

    def _rate_of(self, threshold, comparisons):
        return self.impostors.rate(threshold, comparisons) if self.calibrated else None

    def _find(self, operation, name):
        if name not in self:
            raise ValueError(f"{operation}: {name!r} is not enrolled; {len(self)} people are")
        return self._number[composed(name)]


def _settings(arrays):
    """What `Gallery` takes, from the arrays of a file."""
    names = ("threshold", "false_accept_rate", "crop", "encoder_file")
    settings = {name: arrays[name].item() for name in names if name in arrays}
    if not isinstance(settings.get("encoder_file", ""), str):
        raise ValueError("the name of its encoder's file is no text")
    if "impostors" in arrays:
        rates, distances = arrays["impostors"].tolist()
        settings["impostors"] = Impostors(rates, distances, *arrays["impostor_counts"].tolist())
    return settings
