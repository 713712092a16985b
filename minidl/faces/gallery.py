"""A gallery: who is enrolled, with the encodings of their pictures.

Verification (1:1): is it who they say?  Recognition (1:K): who is it?
Distances here are Euclidean, d(x, x') = ‖f(x) − f(x')‖.  The lecture's ‖f(x) − f(x')‖² ≤ τ² is the
same rule.  Nothing is trained when a person is enrolled: one picture's encoding is stored.
"""
import contextlib
from dataclasses import dataclass
import json
from pathlib import Path
from threading import RLock

import numpy as np

from minidl import files, weights
from minidl.data.people import check_name, composed
from minidl.faces.answers import Match, Verification
from minidl.faces.calibration import Impostors
from minidl.faces.copies import copies
from minidl.faces.encoding import encode, fingerprint, whose
from minidl.faces.measured import measured
from minidl.kernels import two_nearest

KIND = "minidl gallery 1"
LONGEST = 1e18                  # of an encoding: its square, and that of a difference, is a float32

_changing = RLock()             # held while rows or names change, not while one encodes or searches


class Gallery:
    """People and the encodings of their pictures, by one encoder.

        gallery = Gallery(models.face128())
        face, = find(picture)                       # where there is more than a face in it
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
    other encoders nothing is known, and τ is 0, which recognizes only the very same picture.
    crop is a note: the middle share of each side that the encoder was shown (None: not noted).
    Only pictures that were cut alike can be compared.

    Threads may ask and change a gallery at once: a question sees it as it is at one moment.
    Processes that change one file at once: see `changed`.

    Memory: 4 (D + 2) bytes a picture, 520 MB for a million with D = 128.  A query reads all of it
    once, so that memory bandwidth is the limit.  Beyond one machine's memory: give each of several
    machines a part, ask all, and keep the two nearest people of their answers
    (`kernels.two_nearest` does so with the parts that its threads searched); or keep only 8 bits
    of each number, search those, and compare the best few hundred in full; or look only into the
    cells of a k-means clustering near the query, which misses some (product quantisation, FAISS).
    """

    def __init__(self, encoder, threshold=None, false_accept_rate=0.01, impostors=None, crop=None):
        if crop is not None and not 0 < crop <= 1:
            raise ValueError(f"Gallery: crop must be a share above 0, got {crop}")
        self.encoder, self.threshold = encoder, threshold
        self.false_accept_rate = false_accept_rate
        self.impostors, self._elsewhere = impostors, measured(encoder)
        self.crop = crop
        self._names, self._number = [], {}              # number -> name, name -> number
        # Rows in use never change, so that a search may go on: enrolling writes behind them.
        self._rows = 0                                  # used rows of the three arrays below
        self._encodings = np.zeros((0, 0), "float32")   # (capacity, D)
        self._squares = np.zeros(0, "float32")          # ‖f‖² of each row
        self._people = np.zeros(0, "int32")             # whose each row is: a number

    @property
    def threshold(self):
        """τ of `identify` now.  May be assigned: a number, or None for one that follows."""
        return self._threshold_of(self._rows)

    @threshold.setter
    def threshold(self, value):
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError("Gallery: threshold must be a distance, at least 0 and finite, "
                             f"got {value}")
        self._threshold = None if value is None else float(value)

    @property
    def false_accept_rate(self):
        """The share of strangers who may be named, which may be assigned."""
        return self._false_accept_rate

    @false_accept_rate.setter
    def false_accept_rate(self, value):
        if not 0 < value < 1:
            raise ValueError(f"Gallery: false_accept_rate must lie between 0 and 1, got {value}")
        self._false_accept_rate = float(value)

    @property
    def calibrated(self):
        """Whether it is known what τ costs: how near other people come, on pictures like these."""
        return self.impostors is not None

    @property
    def names(self):
        """Names of the people, in the order of enrolment."""
        return list(self._names)

    @property
    def encodings(self):
        """(pictures, D) float32: the rows in use."""
        return self._encodings[:self._rows]

    @property
    def people(self):
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

    def enroll(self, name, *images):
        """Add one or more pictures of a person, who is added where new.  Nothing is trained.

        A picture that is there already is not added again.  Raises ValueError where it is there as
        somebody else's; nothing is added then.
        """
        if not images:
            raise ValueError(f"enroll: {name!r} needs at least one picture")
        names = [check_name("enroll", name)] * len(images)
        encodings = encode(self.encoder, images)
        with _changing:
            for i, holder in enumerate(self._held_by(names, encodings)):
                if holder not in (None, names[0]):
                    raise ValueError(f"enroll: picture {i} of {name!r} is enrolled as {holder!r}")
            self.enroll_encodings(names, encodings)

    def enroll_encodings(self, names, encodings):
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
        encodings = np.asarray(encodings, "float32")
        names = [check_name("enroll", name) for name in names]
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
        _check("enroll", names, encodings, self._encodings.shape[1])
        old = self.encodings if self._rows else encodings[:0]
        return [None if row < 0 else names[row - len(old)] if row >= len(old)
                else self._names[self._people[row]] for row in copies(old, encodings).tolist()]

    def verify(self, image, claimed):
        """Is this `claimed`?  A Verification: accepted where the nearest of their pictures is
        within τ.

        Raises ValueError for a person who is not enrolled.
        """
        self._find("verify", claimed)
        query = encode(self.encoder, [image])
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

    def identify(self, image):
        """Who is this?  A Match: the nearest person, or name None, "not recognized", beyond τ.

        Raises ValueError where nobody is enrolled.
        """
        return self.identify_all([image])[0]

    def identify_all(self, images):
        """A Match for each picture, by one pass of the encoder and one search."""
        return self.identify_encodings(encode(self.encoder, images))

    def identify_encodings(self, encodings):
        """A Match for each of the encodings (N, D)."""
        with _changing:
            rows = self._as_it_is()
        numbers, distances = rows.search("identify", np.asarray(encodings, "float32"))
        threshold = self._threshold_of(len(rows.people))
        rate, matches = self._rate_of(threshold, len(rows.people)), []
        for (first, second), (near, next_) in zip(numbers.tolist(), distances.tolist()):
            nearest = rows.names[first]
            matches.append(Match(nearest if near <= threshold else None, nearest, near,
                                 rows.name(second), next_, threshold, rate))
        return matches

    def remove(self, name):
        """Forget a person and all their pictures."""
        with _changing:
            number = self._find("remove", name)
            kept = self.people != number
            people = self.people[kept]
            self._encodings, self._squares = self.encodings[kept], self._squares[:self._rows][kept]
            self._people, self._rows = people - (people > number), len(people)
            self._call(self._names[:number] + self._names[number + 1:])

    def rename(self, name, new):
        """Give a person another name.  Raises ValueError where somebody has it."""
        new = check_name("rename", new)
        with _changing:
            number = self._find("rename", name)
            if self._number.get(new, number) != number:
                raise ValueError(f"rename: {new!r} is somebody else; to join two people, "
                                 "enroll the pictures again")
            self._call(self._names[:number] + [new] + self._names[number + 1:])

    def save(self, path):
        """Write the gallery to `path`, in one step: an interrupted save leaves the file that was there.

        The file is an .npz of names, encodings, what τ follows from, and the encoder's fingerprint;
        the encoder itself is not in it.
        """
        with _changing:
            rows, names = self._as_it_is(), json.dumps(self._names).encode()
        arrays = {"kind": np.array(KIND), "fingerprint": np.array(fingerprint(self.encoder)),
                  "false_accept_rate": np.float64(self.false_accept_rate), "people": rows.people,
                  "names": np.frombuffer(names, "uint8"), "encodings": rows.encodings}
        if self.crop is not None:
            arrays["crop"] = np.float64(self.crop)
        if self._threshold is not None:
            arrays["threshold"] = np.float64(self._threshold)
        if self.calibrated:
            arrays["impostors"] = np.array([self.impostors.rates, self.impostors.distances])
            arrays["impostor_counts"] = np.array([self.impostors.people, self.impostors.pairs])
        weights.save(path, arrays)

    @classmethod
    def load(cls, path, encoder):
        """The gallery that `save` wrote, for the same encoder.

        Raises WeightsError for a file that is cut off, damaged, no gallery, or made with another
        encoder: its encodings would mean nothing here; OSError where it cannot be read.
        """
        arrays, own = weights.load(path), fingerprint(encoder)
        try:
            if str(arrays["kind"]) != KIND:
                raise ValueError(f"its kind is {str(arrays['kind'])[:40]!r}, expected {KIND!r}")
            made_with, gallery = str(arrays["fingerprint"]), cls(encoder, **_settings(arrays))
            if made_with == own:
                gallery._fill(json.loads(arrays["names"].tobytes()), arrays["people"],
                              arrays["encodings"])
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise weights.WeightsError(f"{path} is not a gallery: {reason}") from None
        if made_with != own:
            raise weights.WeightsError(
                f"{path} was made with {whose(made_with, encoder)}: its encodings mean "
                "nothing here; give that encoder, or enroll again")
        return gallery

    @classmethod
    @contextlib.contextmanager
    def changed(cls, path, encoder, new=None):
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
        width = getattr(self.encoder, "features", 0) if people.size else 0
        self._squares = _check("load", people, encodings, width)
        without = np.setdiff1d(np.arange(len(names)), people)
        if len(without):
            raise ValueError(f"its person {names[without[0]]!r} has no picture")
        self._rows, self._people = len(people), people.astype("int32")
        self._encodings = np.ascontiguousarray(encodings, "float32")

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
        return _Rows(self._names, self.encodings, self._squares[:self._rows], self.people)

    def _threshold_of(self, comparisons):
        """τ where a picture is compared with so many."""
        impostors = self.impostors or self._elsewhere
        if self._threshold is not None or impostors is None:
            return self._threshold or 0.0
        return impostors.threshold(self.false_accept_rate, max(1, comparisons))

    def _rate_of(self, threshold, comparisons):
        return self.impostors.rate(threshold, comparisons) if self.calibrated else None

    def _find(self, operation, name):
        if name not in self:
            raise ValueError(f"{operation}: {name!r} is not enrolled; {len(self)} people are")
        return self._number[composed(name)]


@dataclass(frozen=True, eq=False)
class _Rows:
    """A gallery at one moment: names; of each picture the encoding, its ‖f‖², and whose it is."""
    names: list
    encodings: np.ndarray
    squares: np.ndarray
    people: np.ndarray

    def search(self, operation, queries):
        if not len(self.people):
            raise ValueError(f"{operation}: nobody is enrolled")
        width = self.encodings.shape[1]
        if queries.ndim != 2 or queries.shape[1] != width:
            raise ValueError(f"{operation}: encodings must be (N, {width}), got {queries.shape}")
        _check(operation, queries, queries)
        return two_nearest(queries, self.encodings, self.squares, self.people)

    def name(self, number):
        return self.names[number] if number >= 0 else None


def _settings(arrays):
    """What `Gallery` takes, from the arrays of a file."""
    settings = {name: arrays[name].item() for name in ("threshold", "false_accept_rate", "crop")
                if name in arrays}
    if "impostors" in arrays:
        rates, distances = arrays["impostors"].tolist()
        settings["impostors"] = Impostors(rates, distances, *arrays["impostor_counts"].tolist())
    return settings


def _check(operation, names, encodings, width=0):
    """‖f‖² (N,) of encodings.  Raises ValueError unless they are (len(names), width) usable
    numbers, of any width where 0 is given."""
    if encodings.ndim != 2 or len(encodings) != len(names) or len(names) and not encodings.shape[1]:
        raise ValueError(f"{operation}: {len(names)} names need encodings ({len(names)}, D), "
                         f"got {encodings.shape}")
    if width and encodings.shape[1] != width:
        raise ValueError(f"{operation}: encodings have {encodings.shape[1]} numbers, "
                         f"those of this gallery {width}")
    if encodings.dtype != np.float32 or not np.isfinite(encodings).all():
        raise ValueError(f"{operation}: encodings must be finite float32 numbers")
    squares = np.einsum("nd,nd->n", encodings, encodings)
    if not (squares <= LONGEST ** 2).all():
        raise ValueError(f"{operation}: encodings must not be longer than {LONGEST:g}")
    return squares
