"""From a picture to its faces: detect, find the landmarks, align.

    for face in find(load_image("party.jpg")):
        face.box, face.score, face.landmarks, face.chip()
"""
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
import math

import numpy as np

from minidl import backend, models
from minidl.data.images import check_picture
from minidl.faces.alignment import chip, misfit
from minidl.faces.boxes import non_maximum_suppression
from minidl.faces.detection import decode_grid, decode_maps, map_anchors
from minidl.operands import listed
from minidl.recording import no_grad
from minidl.settings import bounded, one_of
from minidl.settings import whole as whole_number
from minidl.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    picture    (H, W, 3) uint8, the whole of it
    box        (4,): x₀, y₀, x₁, y₁ in its pixels, within its borders
    score      how sure the detector was, 0..1; None where the whole picture was taken for the face
    landmarks  (68, 2): x and y in its pixels, perhaps outside; see `models.face_landmarks`
    """
    picture: np.ndarray = field(repr=False)
    box: np.ndarray
    score: float | None
    landmarks: np.ndarray = field(repr=False)

    @property
    def whole(self):
        """Whether the whole picture was taken for the face."""
        return self.score is None

    def chip(self, size=150, padding=0.25):
        """The face upright in a square, (size, size, 3) float32 in 0..255; see `alignment.chip`."""
        return chip(self.picture, self.landmarks, size, padding)

    def cut(self):
        """The box cut out of the picture, as it is: (h, w, 3) uint8."""
        return cut(self.picture, self.box)[0]


@dataclass(frozen=True)
class Look:
    """One way to look at a picture, by one network and at one scale.

    network: its name in `md.models`;  decode: boxes and scores from its output.
    size: pixels a side of the square that it sees.
    border: the share of the side that stays black on each side, so that faces which nearly fill the
        picture have a size that it knows.
    reach: the width in the square of the smallest face that it sees.
    margins: by which shares of its width and height a box grows, left, top, right and bottom, to
        frame a face as those were framed from which the landmark network learned.
    """
    network: str
    decode: object
    size: int
    border: float
    reach: int
    margins: tuple


def _read_maps(output):
    (codes,), (logits,) = output
    return decode_maps(codes, logits, map_anchors())


def _read_grid(output):
    raw, = output
    return decode_grid(raw)


NEAR = Look("tiny_face_detector", _read_grid, 160, 1 / 6, 36, (0, 0, 0, 0))
# from near faces to far ones: only the last look is repeated on parts of large pictures
DETECTORS = {
    "ssd": (NEAR,
            Look("ssd_face_detector", _read_maps, 512, 0, 12, (0.15, -0.15, 0.15, 0.10))),
    "tiny": (NEAR,
             Look("tiny_face_detector", _read_grid, 416, 0, 36, (0, 0, 0, 0)),
             Look("tiny_face_detector", _read_grid, 800, 0, 36, (0, 0, 0, 0))),
}
OVERLAP = 0.3                               # IoU of two frames of one face
# the largest `misfit` of landmarks in a box that a detector found, and in a whole picture: a
# detector is seldom wrong, so it is believed where landmarks are doubtful
MISFIT, MISFIT_OF_WHOLE = 0.2, 0.07
FAINT = 0.005                               # the least score of a face that is a whole picture


def find(picture: np.ndarray, detector: str = "ssd", threshold: float = 0.5, *,
         smallest: float = 80, whole: bool | str = "auto") -> list[Face]:
    """The faces in a picture, a list of `Face`, the surest first.

    picture: (H, W), (H, W, 1) or (H, W, 3), uint8 or floating-point in 0..255, as `data.load_image`
        gives it.
    detector: "ssd", or "tiny", a smaller network that misses more of the small faces.
    threshold: of the score, 0..1.  A lower one finds more, and more that is no face.
    smallest: how wide a face is, in pixels, that should be found, 8 or more.  Where that is too
        small for the detector in the whole picture, parts of it are looked at as well, and half the
        width needs four times as many.  In a small picture smaller faces are found anyway.
    whole: what is done with a picture that a face fills, which detectors may miss.
        "auto": where nothing is found, the whole picture is taken as the box of a face, if one that
            fills it is seen at least faintly.
        True: it is taken so at once, whatever it shows.  False: never.
        The score of such a Face is None.
    Faces may be tilted by some 30°: turn a picture that lies on its side.
    A box in which the landmarks lie unlike a face's (`alignment.misfit`) is left out.  The list is
    empty where there is no face.
    The networks are fetched and loaded when they are first needed.
    Raises ValueError for another shape, values that are not finite, or other settings, TypeError
    for another dtype, and packages.FetchError where weights cannot be brought.
    """
    one_of("find", "detector", detector, DETECTORS)
    if not (isinstance(whole, str) and whole == "auto" or isinstance(whole, (bool, np.bool_))):
        raise ValueError(f"find: whole must be 'auto', True or False, got {whole!r}")
    threshold = bounded("find", "0 ≤ threshold ≤ 1", threshold)
    smallest = bounded("find", "8 ≤ smallest < inf", smallest)
    picture = _rgb("find", picture)
    if whole and whole != "auto":
        return whole_faces([picture])
    boxes, scores, frames = detect(picture, DETECTORS[detector], threshold, smallest)
    points = landmarks([(picture, frame) for frame in frames])
    faces = [Face(picture, box, float(score), own)
             for box, score, own in zip(boxes, scores, points) if misfit(own) <= MISFIT]
    if faces or not whole:
        return faces
    faint, _ = detect_in(picture, (0, 0, *picture.shape[1::-1]), NEAR, FAINT)
    faces = whole_faces([picture]) if fills(picture, faint) else []
    return [face for face in faces if misfit(face.landmarks) <= MISFIT_OF_WHOLE]


def whole_faces(pictures, operation="find"):
    """A Face for each picture that shows one and little else: its box is the whole picture.

    operation: which errors name.
    """
    pictures = [_rgb(operation, picture) for picture in pictures]
    boxes = [np.array([0.0, 0.0, picture.shape[1], picture.shape[0]]) for picture in pictures]
    points = landmarks(list(zip(pictures, boxes)))
    return [Face(picture, box, None, own) for picture, box, own in zip(pictures, boxes, points)]


def aligned(pictures: Iterable, size: int = 150, padding: float = 0.25) -> np.ndarray:
    """The chips of pictures that each show one face and little else.

    N pictures → (N, size, size, 3) float32 in 0..255.
    """
    size = whole_number("aligned", "1 ≤ size ≤ 16384", size)
    pictures = several("aligned", "pictures", pictures)
    chips = [face.chip(size, padding) for face in whole_faces(pictures, "aligned")]
    return np.stack(chips) if chips else np.zeros((0, size, size, 3), "float32")


def several(operation, argument, pictures):
    """Pictures and Faces as a list.  Raises ValueError for one picture in colour, an array whose
    rows would each be taken for a grey picture."""
    shape = getattr(pictures, "shape", ())
    if len(shape) == 3 and shape[-1] in (1, 3):
        raise ValueError(f"{operation}: {argument} must be several pictures, got one of shape "
                         f"{shape}; put it into a list")
    return listed(operation, argument, pictures, "pictures and faces")


def detect(picture, looks, threshold, smallest):
    """(boxes (N, 4), scores (N,), frames (N, 4)) of the faces in a picture, the surest first.

    picture: (H, W, 3) uint8.  frames: the boxes, grown by their look's margins.
    Looks come from near faces to far ones.  After one that found a face of more than half of the
    picture the others are left out.
    """
    found = []
    for look in looks:
        if any(fills(picture, boxes) for boxes, _, _ in found):
            break
        everything = parts(picture, look, smallest)
        for part in everything if look is looks[-1] else everything[:1]:
            boxes, scores = detect_in(picture, part, look, threshold)
            sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
            found.append((boxes, scores, boxes + sizes * np.array(look.margins) * [-1, -1, 1, 1]))
    boxes, scores, frames = map(np.concatenate, zip(*found))
    kept = non_maximum_suppression(frames, scores, OVERLAP)     # frames of two looks are alike
    return boxes[kept], scores[kept], frames[kept]


def fills(picture, boxes):
    """Whether one of the boxes (N, 4) is more than half of the picture."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return bool((2 * sizes.prod(1) > np.prod(picture.shape[:2])).any())


def parts(picture, look, smallest):
    """The parts of a picture that are looked at, as x₀, y₀, x₁, y₁: the whole is the first.

    Where a face `smallest` pixels wide is below the look's reach there, squares follow in which it
    is not.  They overlap by a quarter or more.
    """
    height, width, _ = picture.shape
    side = math.ceil(look.size * smallest / look.reach)

    def starts(length):
        beyond = max(length - side, 0)
        return np.linspace(0, beyond, math.ceil(beyond / (0.75 * side)) + 1).astype(int).tolist()

    whole = [(0, 0, width, height)]
    if max(width, height) <= side:
        return whole
    return whole + [(x, y, min(x + side, width), min(y + side, height))
                    for y in starts(height) for x in starts(width)]


def detect_in(picture, part, look, threshold):
    """(boxes (N, 4) in pixels of the picture, scores (N,)) that a look at a part of it gives.

    A box that touches an edge of the part where the picture goes on is left out: another part, or
    the whole picture, has all of that face.
    """
    height, width, _ = picture.shape
    x0, y0, x1, y1 = part
    shown, corner, extent = fitted(picture[y0:y1, x0:x1], look.size, look.border)
    boxes, scores = look.decode(run(look.network, shown[None]))
    boxes = np.tile(corner + [x0, y0], 2) + boxes * np.tile(extent, 2)
    inner = np.array([x0 > 0, y0 > 0, x1 < width, y1 < height])
    touches = np.concatenate([boxes[:, :2] <= [x0 + 1, y0 + 1],
                              boxes[:, 2:] >= [x1 - 1, y1 - 1]], 1)
    boxes = boxes.clip(0, [width, height, width, height])
    kept = (scores > threshold) & ~(touches & inner).any(1)
    kept &= (boxes[:, 2:] > boxes[:, :2]).all(1)
    return boxes[kept], scores[kept]


def landmarks(places, batch=64):
    """The 68 points (N, 68, 2), x and y in pixels, of faces at N places.

    places: pairs of a picture (H, W, 3), uint8, and a box in it.
    """
    points = []
    for start in range(0, len(places), batch):
        shown, corners, extents = [], [], []
        for picture, box in places[start:start + batch]:
            inside, corner = cut(picture, box)
            view, before, extent = fitted(inside, models.FaceLandmarks.size, middle=True)
            shown.append(view)
            corners.append(corner + before)
            extents.append(extent)
        found = run("face_landmarks", np.stack(shown))
        points.append(np.stack(corners)[:, None] + found * np.stack(extents)[:, None])
    return np.concatenate(points) if points else np.zeros((0, 68, 2))


def cut(picture, box):
    """(what is in a box, at least one pixel; the corner (x, y) where it begins).

    The box is brought to whole pixels, downwards, and ends where the picture does.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = np.floor(box).astype(int)
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    return picture[y0:max(y1, y0 + 1), x0:max(x1, x0 + 1)], np.array([x0, y0])


def fitted(picture, size, border=0, middle=False):
    """A picture (H, W, 3), uint8, resized to fit into a black square.

    middle: it lies in the middle of the square, else at the left top.
    border: the share of the square's side that stays black on each side.
    Gives the square, (size, size, 3) float32, and where it lies in the picture: corner and extent,
    in pixels (x, y), so that p in 0..1 of the square is at corner + p · extent.
    It is resized bilinearly, with the filter widened where it shrinks.
    """
    from PIL import Image
    edge = round(border * size)
    sides, room = np.array(picture.shape[1::-1]), size - 2 * edge
    inner = np.maximum(np.rint(room * sides / sides.max()).astype(int), 1)
    x, y = edge + (room - inner) // 2 if middle else (edge, edge)
    shown = np.zeros((size, size, 3), "float32")
    picture = Image.fromarray(np.ascontiguousarray(picture))
    resized = picture.resize(tuple(inner.tolist()), Image.Resampling.BILINEAR)
    shown[y:y + inner[1], x:x + inner[0]] = resized
    scale = sides / inner
    return shown, -scale * [x, y], scale * size


def run(name, x):
    """What the network `models.NAME` says about pictures x (N, S, S, 3), on the host."""
    with no_grad():
        output = _network(name, backend.default_device().name)(Tensor(x))
    return output.numpy() if isinstance(output, Tensor) else [y.numpy() for y in output]


@cache
def _network(name, device):
    """A network with its published weights, loaded when it is first needed and kept."""
    return getattr(models, name)().to(device).eval()


def _rgb(operation, picture):
    """A picture as (H, W, 3) uint8."""
    picture = check_picture(operation, picture)
    if picture.dtype != np.uint8:
        if not np.isfinite(picture).all():
            raise ValueError(f"{operation}: picture has values that are not finite")
        if 0 < picture.max(initial=0) <= 1:
            raise ValueError(f"{operation}: picture must be in 0..255, and its largest value is "
                             f"{picture.max():.4g}; multiply it by 255")
        picture = np.rint(picture.clip(0, 255)).astype("uint8")
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
