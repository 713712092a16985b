"""A gallery: who is enrolled, with the encodings of their pictures.  Verification (1:1) and recognition (1:K).

Distances here are Euclidean, d(x, x') = ‖f(x) − f(x')‖.  The lecture's ‖f(x) − f(x')‖² ≤ τ² is the same rule.
Nothing is trained when a person is enrolled: one picture's encoding is stored, and that is all.
"""
from dataclasses import dataclass
import json

import numpy as np

from minidl import weights
from minidl.faces.encoding import encode, fingerprint
from minidl.faces.search import nearest_people

KIND = "minidl gallery 1"


@dataclass(frozen=True, repr=False)
class Match:
    """Whom a picture shows: `name`, or None for "not recognized", where even the nearest person is farther than τ.

    nearest, distance: the nearest person and the distance to the nearest of their pictures; runner_up,
    runner_up_distance: the next person (None and infinity where only one is enrolled).  A runner-up that is hardly
    farther is a reason for doubt.
    """
    name: str | None
    nearest: str
    distance: float
    runner_up: str | None
    runner_up_distance: float
    threshold: float

    def __repr__(self):
        said = self.name if self.name is not None else f"not recognized: nearest {self.nearest}"
        return f"<{said} at {_against(self.distance, self.threshold)}{_next(self)}>"


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether a picture shows the person it is claimed to show: `accepted` where distance ≤ τ; also its truth value.

    distance: to the nearest of the claimed person's pictures; runner_up, runner_up_distance: the nearest other person
    (None and infinity where there is none).
    """
    claimed: str
    accepted: bool
    distance: float
    runner_up: str | None
    runner_up_distance: float
    threshold: float

    def __bool__(self):
        return self.accepted

    def __repr__(self):
        return (f"<{'' if self.accepted else 'not '}{self.claimed}: {_against(self.distance, self.threshold)}{_next(self)}>")


class Gallery:
    """People and the encodings of their pictures, by one encoder.

    encoder: see `encoding.encode`.  threshold τ: the largest distance that counts as one person; `calibrate` finds it.

        gallery = Gallery(models.face128(), threshold=0.6)
        gallery.enroll("Ann", picture)
        gallery.verify(other_picture, "Ann")        # <Ann: 0.412 ≤ 0.6>
        gallery.identify(other_picture)

    Memory: 4 (D + 2) bytes a picture, 520 MB for a million with D = 128.  A query reads all of it once, so that memory
    bandwidth is the limit.  Beyond one machine's memory: give each of several machines a part, ask all, and keep the two
    nearest people of their answers (`search.nearest_people` does so with the parts that its threads searched); or keep
    only 8 bits of each number, search those, and compare the best few hundred in full; or look only into the cells of a
    k-means clustering near the query, which misses some (product quantisation, FAISS).
    """

    def __init__(self, encoder, threshold):
        self.encoder, self.threshold = encoder, threshold
        self._names, self._number = [], {}                      # number -> name, name -> number
        self._rows = 0                                          # used rows of the three arrays below
        self._encodings = np.zeros((0, 0), "float32")           # (capacity, D)
        self._squares = np.zeros(0, "float32")                  # ‖f‖² of each row
        self._people = np.zeros(0, "int32")                     # whose each row is: a number

    @property
    def threshold(self):
        """τ, which may be assigned."""
        return self._threshold

    @threshold.setter
    def threshold(self, value):
        if not value >= 0:                                      # below 0: nobody at all, as of two people with one picture
            raise ValueError(f"Gallery: threshold must be a distance ≥ 0, got {value}")
        self._threshold = float(value)

    names = property(lambda self: list(self._names), doc="Names of the people, in the order of enrolment.")
    encodings = property(lambda self: self._encodings[:self._rows], doc="(pictures, D) float32: the rows in use.")
    people = property(lambda self: self._people[:self._rows], doc="(pictures,): whose each row is, as an index into names.")

    def __len__(self):
        """The number of people."""
        return len(self._names)

    def __contains__(self, name):
        return name in self._number

    def __repr__(self):
        return f"Gallery({len(self)} people, {self._rows} pictures, threshold={self.threshold:g})"

    def enroll(self, name, *images):
        """Add one or more pictures of a person, who is added where new.  Nothing is trained."""
        if not images:
            raise ValueError(f"enroll: {name!r} needs at least one picture")
        self.enroll_encodings([name] * len(images), encode(self.encoder, images))

    def enroll_encodings(self, names, encodings):
        """Add encodings (N, D) that `encode` has made, of the people `names`, one name for each.

        The arrays grow by doubling, so that n pictures cost O(n) copies, however they come.
        Raises ValueError where lengths, widths or values do not fit, TypeError for a name that is no text; nothing is added
        then.
        """
        encodings, names = np.asarray(encodings, "float32"), list(names)
        _check("enroll", names, encodings, self._encodings.shape[1])
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

    def verify(self, image, claimed):
        """Is this `claimed`?  A Verification: accepted where the nearest of the person's pictures is within τ.

        Raises ValueError for a person who is not enrolled.
        """
        number = self._find("verify", claimed)
        query = encode(self.encoder, [image])
        own = self.encodings[self.people == number] - query
        distance = float(np.sqrt(np.einsum("nd,nd->n", own, own).min()))
        numbers, distances = self._search(query)
        other = 0 if numbers[0, 0] != number else 1                     # the nearest person who is not the claimed one
        return Verification(claimed, distance <= self.threshold, distance, self._name(numbers[0, other]),
                            float(distances[0, other]), self.threshold)

    def identify(self, image):
        """Who is this?  A Match: the nearest person, or name None, "not recognized", where nobody is within τ.

        Raises ValueError where nobody is enrolled.
        """
        return self.identify_all([image])[0]

    def identify_all(self, images):
        """A Match for each picture, by one pass of the encoder and one search."""
        return self.identify_encodings(encode(self.encoder, images))

    def identify_encodings(self, encodings):
        """A Match for each of the encodings (N, D)."""
        numbers, distances = self._search(np.asarray(encodings, "float32"))
        matches = []
        for (first, second), (near, next_) in zip(numbers.tolist(), distances.tolist()):
            name = self._names[first] if near <= self.threshold else None
            matches.append(Match(name, self._names[first], near, self._name(second), next_, self.threshold))
        return matches

    def remove(self, name):
        """Forget a person and all their pictures."""
        number = self._find("remove", name)
        kept = self.people != number
        people = self.people[kept]
        count = len(people)
        self._encodings[:count], self._squares[:count] = self.encodings[kept], self._squares[:self._rows][kept]
        self._encodings[count:self._rows] = 0                           # forgotten in memory too
        self._people[:count] = people - (people > number)
        self._rows = count
        del self._names[number]
        self._number = {name: i for i, name in enumerate(self._names)}

    def rename(self, name, new):
        """Give a person another name.  Raises ValueError where somebody has it."""
        number = self._find("rename", name)
        _check_name("rename", new)
        if new in self._number and new != name:
            raise ValueError(f"rename: {new!r} is somebody else; to join two people, enroll the pictures again")
        del self._number[name]
        self._names[number], self._number[new] = new, number

    def save(self, path):
        """Write the gallery to `path`, in one step: an interrupted save leaves the file that was there.

        The file is an .npz of names, encodings and the encoder's fingerprint; the encoder itself is not in it.
        """
        weights.save(path, {
            "kind": np.array(KIND), "fingerprint": np.array(fingerprint(self.encoder)),
            "threshold": np.float64(self.threshold), "names": np.frombuffer(json.dumps(self._names).encode(), "uint8"),
            "people": self.people, "encodings": self.encodings})

    @classmethod
    def load(cls, path, encoder):
        """The gallery that `save` wrote, for the same encoder.

        Raises WeightsError for a file that is cut off, damaged, no gallery, or made with another encoder: its encodings
        would mean nothing here; OSError where it cannot be read.
        """
        arrays = weights.load(path)
        try:
            if str(arrays["kind"]) != KIND:
                raise ValueError(f"its kind is {str(arrays['kind'])[:40]!r}, expected {KIND!r}")
            made_with, names = str(arrays["fingerprint"]), json.loads(arrays["names"].tobytes())
            people, encodings = arrays["people"], arrays["encodings"]
            gallery = cls(encoder, arrays["threshold"].item())
            if people.dtype.kind not in "iu" or people.size and not 0 <= people.min() <= people.max() < len(names):
                raise ValueError("its people are not indices into its names")
            gallery._fill(names, people, encodings)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise weights.WeightsError(f"{path} is not a gallery: {reason}") from None
        if made_with != (own := fingerprint(encoder)):
            raise weights.WeightsError(f"{path} was made with another encoder (fingerprint {made_with[:12]}…, this one's is "
                                       f"{own[:12]}…): its encodings mean nothing here; give that encoder, "
                                       "or enroll again")
        return gallery

    def _fill(self, names, people, encodings):
        if not isinstance(names, list) or len(set(names)) != len(names):
            raise ValueError("its names are not a list of different names")
        _check("load", [names[number] for number in people.tolist()], encodings)
        for name in names:
            _check_name("load", name)
        self._names, self._number = names, {name: i for i, name in enumerate(names)}
        self._rows, self._people = len(people), people.astype("int32")
        self._encodings = np.ascontiguousarray(encodings, "float32")
        self._squares = np.einsum("nd,nd->n", self._encodings, self._encodings)

    def _resize(self, capacity, width):
        for name, shape in (("_encodings", (capacity, width)), ("_squares", (capacity,)), ("_people", (capacity,))):
            old, new = getattr(self, name), np.zeros(shape, getattr(self, name).dtype)
            if self._rows:
                new[:self._rows] = old[:self._rows]
            setattr(self, name, new)

    def _search(self, queries):
        if not self._rows:
            raise ValueError("identify: nobody is enrolled")
        if queries.ndim != 2 or queries.shape[1] != self._encodings.shape[1]:
            raise ValueError(f"identify: encodings must be (N, {self._encodings.shape[1]}), got {queries.shape}")
        return nearest_people(queries, self.encodings, self._squares[:self._rows], self.people)

    def _find(self, operation, name):
        if name not in self._number:
            raise ValueError(f"{operation}: {name!r} is not enrolled; {len(self)} people are")
        return self._number[name]

    def _name(self, number):
        return self._names[number] if number >= 0 else None


def _check(operation, names, encodings, width=0):
    """Raise unless encodings are (len(names), width) finite numbers, of any width where 0 is given, and names are names."""
    if encodings.ndim != 2 or len(encodings) != len(names):
        raise ValueError(f"{operation}: {len(names)} names need encodings ({len(names)}, D), got {encodings.shape}")
    if width and encodings.shape[1] != width:
        raise ValueError(f"{operation}: encodings have {encodings.shape[1]} numbers, those of this gallery {width}")
    if encodings.dtype != np.float32 or not np.isfinite(encodings).all():
        raise ValueError(f"{operation}: encodings must be finite float32 numbers")
    for name in dict.fromkeys(names):
        _check_name(operation, name)


def _check_name(operation, name):
    if not isinstance(name, str):
        raise TypeError(f"{operation}: a name must be text, got {name!r}")
    if not name or not name.isprintable():
        raise ValueError(f"{operation}: a name must be printable text, got {name!r}")


def _against(distance, threshold):
    return f"{distance:.3f} {'≤' if distance <= threshold else '>'} {threshold:g}"


def _next(found):
    return f"; runner-up {found.runner_up} at {found.runner_up_distance:.3f}" if found.runner_up is not None else ""
