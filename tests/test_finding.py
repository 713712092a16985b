"""From a picture to its faces: with stand-ins for the networks everywhere, with the real ones where
they are cached."""
from dataclasses import replace
import pathlib

import numpy as np
import pytest

import minidl as md
from minidl.data import load_image
from minidl.faces import finding
from minidl.faces.alignment import MEAN_FACE
from minidl.faces.finding import (
    NEAR,
    Face,
    Look,
    aligned,
    cut,
    detect,
    find,
    fitted,
    landmarks,
    parts,
    whole_faces,
)
from minidl.files import cache_folder
from minidl.models.face_resnet import FaceResNet

IMAGES = pathlib.Path(__file__).parent.parent / "demos" / "images"
POINTS = 0.2 + 0.6 * np.concatenate([np.random.default_rng(0).random((17, 2)), MEAN_FACE])


def spots(x):
    """A detector as a rule: of each picture the boxes of its red, pure squares, as (boxes in 0..1,
    scores)."""
    picture, = x
    red = (picture[..., 0] > 200) & (picture[..., 1] < 50)
    boxes, scores, size = [], [], len(picture)
    for level in range(251, 256):                       # one square for each shade of red
        y, x = np.nonzero(red & (np.rint(picture[..., 0]) == level))
        if len(x):
            boxes.append([x.min() / size, y.min() / size, (x.max() + 1) / size,
                          (y.max() + 1) / size])
            scores.append(0.5 + (level - 250) / 11)
    return np.reshape(boxes, (-1, 4)), np.array(scores)


@pytest.fixture
def stand_ins(monkeypatch):
    """Detectors that find red squares; landmarks that lie at the same places of every frame."""
    seen = []

    def run(name, x):
        seen.append((name, x.shape))
        assert x.dtype == "float32" and 0 <= x.min() and x.max() <= 255
        return np.broadcast_to(POINTS, (len(x), 68, 2)) if name == "face_landmarks" else spots(x)

    look = Look("spots", lambda output: output, 128, 0, 4, (0.1, -0.1, 0.2, 0.3))
    monkeypatch.setattr(finding, "run", run)
    monkeypatch.setattr(finding, "DETECTORS",
                        {"ssd": (look,), "tiny": (replace(look, border=1 / 6), look)})
    return seen


def painted(height, width, *squares):
    picture = np.zeros((height, width, 3), "uint8")
    for level, (x0, y0, x1, y1) in zip(range(255, 250, -1), squares):
        picture[y0:y1, x0:x1] = level, 0, 0
    return picture


@pytest.mark.parametrize("detector", ["ssd", "tiny"])
def test_faces_come_surest_first_where_they_are(stand_ins, detector):
    squares = [(10, 20, 40, 60), (60, 64, 100, 128), (0, 100, 20, 128)]
    picture = painted(128, 128, *squares)
    faces = find(picture, detector)
    assert [face.score for face in faces] == sorted((face.score for face in faces),
                                                    reverse=True) and len(faces) == 3
    for face, square in zip(faces, squares):
        np.testing.assert_allclose(face.box, square, atol=2)
        x0, y0, x1, y1 = np.floor(face.box).astype(int)
        assert not face.whole
        np.testing.assert_array_equal(face.cut(), picture[y0:y1, x0:x1])
    assert [face.score for face in find(picture, detector, 0.8)] == [
        face.score for face in faces if face.score > 0.8
    ]


def test_landmarks_lie_in_the_grown_box(stand_ins):
    """20 × 40 pixels, grown by 2, −4, 4 and 12: 26 × 48, in the middle of a square of 48."""
    face, = find(painted(128, 128, (50, 40, 70, 80)))
    np.testing.assert_allclose(face.landmarks, [48 - 11, 44] + POINTS * 48, atol=1)
    assert stand_ins[-1] == ("face_landmarks", (1, 112, 112, 3))
    assert face.chip(40).shape == (40, 40, 3)


def near(monkeypatch, share, score):
    """The nearest look sees so wide a box in the middle of its square."""
    box = np.array([[0.5 - share / 2, 0, 0.5 + share / 2, 1]])
    monkeypatch.setattr(finding, "NEAR",
                        Look("near", lambda _: (box, np.array([score])), 160, 1 / 6, 36, (0,) * 4))


def test_whole_pictures(stand_ins, monkeypatch):
    near(monkeypatch, 1, 0.06)
    picture = np.full((60, 30, 3), 128, "uint8")
    face, = find(picture)
    assert face.whole and face.score is None and face.box.tolist() == [0, 0, 30, 60]
    np.testing.assert_allclose(face.landmarks, [-15, 0] + POINTS * 60, atol=1e-6)
    assert find(picture, whole=False) == []
    found = len(stand_ins)
    assert find(painted(60, 30, (5, 5, 20, 20)), whole=True)[0].whole
    assert [name for name, _ in stand_ins[found:]] == ["face_landmarks"]  # no detector was asked
    assert not find(painted(60, 30, (5, 5, 20, 20)))[0].whole


def test_a_picture_without_a_face_is_none(stand_ins, monkeypatch):
    """Points that lie anyhow: only who says that it is a face gets one."""
    near(monkeypatch, 1, 0.06)
    monkeypatch.setattr(finding, "run", lambda name, x: np.random.default_rng(0).random((1, 68, 2))
                        if name == "face_landmarks" else spots(x))
    picture = np.full((60, 30, 3), 128, "uint8")
    assert find(picture) == [] and find(picture, whole=True)[0].whole
    picture = painted(60, 30, (5, 5, 20, 20))
    assert find(picture) == [] and len(finding.detect(picture, finding.DETECTORS["ssd"], 0.5,
                                                      80)[0])


@pytest.mark.parametrize("share, score", [(1, 0.004), (0.3, 0.4)])
def test_a_face_that_fills_the_picture_must_be_seen(stand_ins, monkeypatch, share, score):
    """Faintly is enough, but it must be more than half of the picture."""
    near(monkeypatch, share, score)
    picture = np.full((60, 60, 3), 128, "uint8")
    assert find(picture) == [] and find(picture, whole=True)[0].whole


def test_nothing_is_looked_for_beside_a_face_that_fills_the_picture(stand_ins):
    large, small = (10, 5, 90, 95), (0, 0, 8, 8)
    assert len(find(painted(100, 100, large, small), "tiny")) == 2  # the first look sees both
    assert [name for name, _ in stand_ins] == ["spots", "face_landmarks"]
    find(painted(100, 100, (10, 5, 60, 95), small), "tiny")                         # less than half
    assert [name for name, _ in stand_ins[2:]] == ["spots", "spots", "face_landmarks"]


def test_small_faces_in_large_pictures(stand_ins):
    """8 pixels in a picture of 600: found in parts of it alone, once, also where a part's edge runs
    through it."""
    places = [(x, y, x + 8, y + 8)
              for x, y in ((3, 5), (250, 310), (124, 200), (300, 592), (592, 100))]
    picture = painted(600, 600, *places)
    faces = find(picture, smallest=8, whole=False)
    assert len(faces) == 5
    np.testing.assert_allclose(sorted(face.box.tolist() for face in faces), sorted(places),
                               atol=2.5)
    assert len(find(picture, smallest=600, whole=False)) < 5


def test_parts_cover_the_picture():
    look = Look("", None, 100, 0, 10, (0,) * 4)
    for height, width in (1, 1), (400, 300), (401, 400), (1000, 3000), (5000, 20), (799, 1203):
        found = parts(np.zeros((height, width, 3), "uint8"), look, 40)          # squares of 400
        assert found[0] == (0, 0, width, height)
        if max(height, width) <= 400:
            assert len(found) == 1
            continue
        seen = np.zeros((height, width), bool)
        for x0, y0, x1, y1 in found[1:]:
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height and max(x1 - x0, y1 - y0) <= 400
            seen[y0:y1, x0:x1] = True
        assert seen.all()
        # whatever is a quarter of a part wide is whole in one of them
        for x, y in np.random.default_rng(0).random((50, 2)) * np.maximum(
            [width - 100, height - 100], 0
        ):
            assert any(x0 <= x and y0 <= y and min(x + 100, width) <= x1
                       and min(y + 100, height) <= y1
                       for x0, y0, x1, y1 in found[1:])


@pytest.mark.parametrize("shape", [(100, 100), (50, 200), (200, 50), (1, 1), (1, 999), (333, 1)])
@pytest.mark.parametrize("border", [0, 1 / 6])
@pytest.mark.parametrize("middle", [True, False])
def test_places_in_the_square_and_in_the_picture(shape, border, middle):
    """A picture that is white: where the square is white lies the picture."""
    shown, corner, extent = fitted(np.full((*shape, 3), 255, "uint8"), 96, border, middle)
    assert shown.shape == (96, 96, 3)
    y, x = np.nonzero(shown[..., 0] > 0)
    start, end = np.array([x.min(), y.min()]) / 96, np.array([x.max() + 1, y.max() + 1]) / 96
    np.testing.assert_allclose(corner + start * extent, [0, 0], atol=1e-9)
    np.testing.assert_allclose(corner + end * extent, shape[::-1], atol=1e-9)
    assert (shown[y, x] == 255).all() and len(x) == (x.max() + 1
                                                     - x.min()) * (y.max() + 1 - y.min())
    edge = round(96 * border)
    assert x.min() >= edge and y.min() >= edge and max(np.ptp(x), np.ptp(y)) + 1 == 96 - 2 * edge
    if not middle:
        assert x.min() == y.min() == edge


def test_cutting_ends_at_the_border():
    picture = np.arange(60).reshape(6, 10)[..., None]
    for box, expected in (((2.9, 1.2, 5.1, 4.9), picture[1:4, 2:5]),
                          ((-3, -3, 2, 2), picture[:2, :2]),
                          ((8, 4, 30, 30), picture[4:, 8:]), ((3, 3, 3, 3), picture[3:4, 3:4]),
                          ((30, 30, 40, 40), picture[5:, 9:])):
        found, corner = cut(picture, np.array(box))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(picture[corner[1], corner[0]], found[0, 0])


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 1), (40, 30, 3), (1, 1, 3), (1, 1), (1, 500)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_grey_pictures_and_tiny_ones(stand_ins, shape, dtype):
    face, = find(np.full(shape, 100, dtype), whole=True)
    assert face.picture.shape == (*shape[:2], 3) and face.picture.dtype == np.uint8
    assert (face.picture == 100).all()
    assert np.isfinite(face.landmarks).all() and face.chip(20).shape == (20, 20, 3)


@pytest.mark.parametrize("arguments, error, words", [
    ({"picture": np.zeros((9, 9, 4), "uint8")}, ValueError,
     r"find: picture must be .*got \(9, 9, 4\)"),
    ({"picture": np.zeros((0, 9, 3), "uint8")}, ValueError, "with pixels"),
    ({"picture": np.zeros((9, 9), int)}, TypeError, "find: picture must be uint8"),
    ({"picture": np.full((9, 9), np.nan)}, ValueError, "not finite"),
    ({"detector": "yolo"}, ValueError, "detector must be one of ssd, tiny, got 'yolo'"),
    ({"threshold": 1.5}, ValueError, "threshold must be in 0 ≤ threshold ≤ 1"),
    ({"threshold": float("nan")}, ValueError, "threshold"),
    ({"smallest": 7}, ValueError, "smallest must be in 8 ≤ smallest < inf, got 7"),
    ({"smallest": float("inf")}, ValueError, "smallest"),
    ({"whole": "yes"}, ValueError, "whole must be 'auto', True or False, got 'yes'"),
])
def test_what_is_refused(stand_ins, arguments, error, words):
    with pytest.raises(error, match=words):
        find(**{"picture": np.zeros((9, 9, 3), "uint8")} | arguments)
    assert stand_ins == []


def test_many_faces_go_in_batches(stand_ins):
    pictures = [np.full((20 + i, 30, 3), i, "uint8") for i in range(5)]
    boxes = [np.array([0, 0, 30, 20 + i]) for i in range(5)]
    together = landmarks(list(zip(pictures, boxes)), batch=2)
    assert [shape[0] for _, shape in stand_ins] == [2, 2, 1] and together.shape == (5, 68, 2)
    np.testing.assert_allclose(together, [face.landmarks for face in whole_faces(pictures)])
    assert landmarks([]).shape == (0, 68, 2) and aligned([]).shape == (0, 150, 150, 3)
    assert aligned(pictures, 30).shape == (5, 30, 30, 3)


# How encoders see faces

class Encoder(md.nn.Module):
    """f(x) = the picture's mean colour, and that of its upper half."""
    size, channels = 24, 3

    def __init__(self, aligned):
        self.aligned, self.w = aligned, md.nn.Parameter(np.ones(1, "float32"))

    def forward(self, x):
        means = [md.ops.mean(part, (1, 2)) for part in (x, x[:, :12])]
        return md.ops.concatenate(means, 1) * self.w


@pytest.mark.parametrize("own", [True, False])
def test_encode_sees_chips_or_boxes(stand_ins, own):
    picture = painted(128, 128, (50, 40, 70, 80))
    picture[..., 2] = np.arange(128)
    face, = find(picture)
    tight = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype("uint8")
    encoder = Encoder(own)

    def means(x):
        return np.concatenate([x.mean((0, 1)), x[:12].mean((0, 1))])

    chips = [means(face.chip(24)), means(aligned([tight], 24)[0])]
    boxes = [means(md.faces.prepare(image, 24, 3)) for image in (face.cut(), tight)]
    for align, expected in ((True, chips), (False, boxes), (None, chips if own else boxes)):
        np.testing.assert_allclose(md.faces.encode(encoder, [face, tight], align=align), expected,
                                   rtol=1e-4)
    np.testing.assert_allclose(md.faces.encode(encoder, [tight, face, tight], batch=2, align=True),
                               [chips[1], chips[0], chips[1]], rtol=1e-4)


def test_a_gallery_takes_faces(stand_ins):
    picture = painted(128, 128, (50, 40, 70, 80))
    face, = find(picture)
    gallery = md.faces.Gallery(Encoder(True), 1.0)
    gallery.enroll("Ann", face)
    assert gallery.identify(face).name == "Ann"


def test_the_fingerprint_tells_aligned_encoders_from_others():
    assert FaceResNet.aligned
    prints = {md.faces.fingerprint(Encoder(own)) for own in (True, False)}
    assert len(prints) == 2
    bare = Encoder(False)
    del bare.aligned
    assert md.faces.fingerprint(bare) in prints


@pytest.mark.parametrize("align", [True, False])
def test_what_is_no_picture_is_named_by_the_operation(stand_ins, align):
    with pytest.raises(ValueError, match=r"encode: picture must be .* got \(9, 9, 4\)"):
        md.faces.encode(Encoder(align), [np.zeros((9, 9, 4), "uint8")])
    with pytest.raises(ValueError, match="aligned: picture must be"):
        aligned([np.zeros(4, "uint8")])
    for alone in np.zeros((9, 9, 3), "uint8"), np.zeros((9, 9, 1)):  # no nine rows, each a picture
        with pytest.raises(ValueError, match="encode: images must be several pictures, got one"):
            md.faces.encode(Encoder(align), alone)
        with pytest.raises(ValueError, match="aligned: pictures must be several pictures"):
            aligned(alone)
    assert len(md.faces.encode(Encoder(align), np.zeros((2, 9, 9), "uint8"))) == 2


# With the published networks

@pytest.fixture(scope="module")
def real_nets():
    for name in ("ssd_face_detector", "tiny_face_detector", "face_landmarks"):
        if not (cache_folder() / md.weights.FILES[name]["name"]).exists():
            pytest.skip(f"{name} is not in the cache; md.weights.fetch brings it")


@pytest.mark.parametrize("detector, box, score, points", [
    ("ssd", (180.986, 71.125, 264.720, 175.664), 0.97306,
     {0: (176.9, 99.4), 8: (220.8, 177.7), 16: (271.5, 105.6), 30: (222.9, 127.5),
      36: (195.6, 99.7), 45: (253.0, 103.3),
      48: (201.3, 140.2), 54: (245.0, 142.1)}),
    ("tiny", (163.167, 75.570, 279.601, 186.229), 0.97474,
     {0: (176.3, 100.2), 8: (221.2, 177.7), 30: (222.9, 127.5), 36: (195.0, 100.0),
      45: (253.4, 103.7), 48: (201.5, 140.9),
      54: (245.1, 142.5)})])
def test_the_astronaut(real_nets, detector, box, score, points):
    """Boxes, scores and points that an independent program gave."""
    face, = find(load_image(IMAGES / "astronaut.jpg"), detector)
    np.testing.assert_allclose(face.box, box, atol=1)
    assert face.score == pytest.approx(score, abs=0.002)
    for i, point in points.items():
        np.testing.assert_allclose(face.landmarks[i], point, atol=1)


def test_a_painting_has_no_face(real_nets):
    picture = load_image(IMAGES / "starry_night.jpg")
    for detector in ("ssd", "tiny"):
        assert find(picture, detector) == []
    assert find(picture, whole=True)[0].whole


def test_a_face_near_and_far(real_nets):
    """The astronaut's face as most of a picture, and 20 pixels wide in one of 4,000."""
    picture = load_image(IMAGES / "astronaut.jpg")
    near, = find(picture[50:210, 140:300], whole=False)
    np.testing.assert_allclose(near.box, np.array([23, 26, 140, 136]), atol=20)
    far = np.full((1500, 4000, 3), 90, "uint8")
    far[900:1028, 2500:2628] = md.data.resize(picture, 128)
    found, = find(far, smallest=20, whole=False)
    np.testing.assert_allclose(found.box,
                               np.array([181, 71, 265, 176]) / 4 + [2500, 900, 2500, 900], atol=8)
    assert detect(far, (NEAR,), 0.5, 80)[0].shape == (0, 4)


def test_a_face_cut_by_the_border(real_nets):
    """Half of the face is left: its box ends where the picture does."""
    picture = load_image(IMAGES / "astronaut.jpg")[:, 215:]
    face, = find(picture, threshold=0.2)
    assert face.box[0] == pytest.approx(0, abs=3) and face.box[2] == pytest.approx(50, abs=8)
    assert np.isfinite(face.chip()).all() and isinstance(face, Face)
