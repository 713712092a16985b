"""Which face of a picture is meant, and the picture with everybody's name in it."""
import itertools

import numpy as np
from PIL import Image
import pytest

from minidl.faces.choosing import middle, one_face
from minidl.faces.drawing import KNOWN, SIDES, UNKNOWN, draw_faces
from minidl.faces.finding import Face

BOXES = np.array([[10, 20, 50, 80], [100, 20, 140, 80], [20, 30, 40, 60]], float)


def faces(*boxes):
    return [Face(np.zeros((100, 200, 3), "uint8"), np.array(box), 0.9, None) for box in boxes]


def test_one_face():
    first, second, inner = found = faces(*BOXES)
    assert one_face([first]) is first
    assert one_face(found, (120, 50)) is second and one_face(found, (12, 21)) is first
    assert one_face(found, (30, 40)) is inner  # both hold it: the smaller is pointed at
    assert one_face([first], (10, 20)) is first               # the corner belongs to it
    assert one_face(face for face in [first]) is first


@pytest.mark.parametrize("boxes, at, words", [
    (BOXES[:2], None,
     "2 faces were found in it, and one is wanted; one at 30,50, 40 wide; one at 120,50, 40 wide"),
    ([], None, "no face was found in it"), ([], (3, 4), "no face was found in it"),
    (BOXES[:1], (51, 50), "no face was found at 51,50; one at 30,50, 40 wide"),
    (BOXES[:1], (float("nan"), 50), "no face was found at nan,50"),
    (np.repeat(BOXES, 4, 0), None, "; 4 more"),
])
def test_which_face_is_not_clear(boxes, at, words):
    with pytest.raises(ValueError, match=words):
        one_face(faces(*boxes), at)


def test_the_middle_of_a_box():
    assert middle([10.4, 20, 51, 80]) == "31,50"


def colour(code):
    return [int(code[i:i + 2], 16) for i in (1, 3, 5)]


def share(picture, code):
    return np.mean((abs(picture - np.float64(colour(code))) < 40).all(-1))


def test_boxes_and_names_are_drawn(tmp_path):
    """At the boxes' places, in the two colours, at a size at which they can be read."""
    path = draw_faces(tmp_path / "p.png", np.full((100, 200), 90, "uint8"), BOXES[:2],
                      ["Zoë\n0.30 ≤ 0.49", "no"],
                      [True, False])
    picture = np.asarray(Image.open(path))
    assert picture.shape == (SIDES[0] // 2, SIDES[0], 3)
    scale = SIDES[0] / 200
    for box, code in zip(BOXES, (KNOWN, UNKNOWN)):
        x0, y0, x1, y1 = (scale * box).round().astype(int)
        assert (picture[y0, x0 + 5:x1 - 5] == colour(code)).all()
        assert (picture[y0 + 5:y1 - 5, x0] == colour(code)).all()
        assert (picture[y0 + 20:y1 - 20, x0 + 20:x1 - 20] == 90).all()  # the face is not hidden
    assert share(picture, "#ffffff") > 5e-4 and share(picture, KNOWN) > share(picture, UNKNOWN)


def test_no_text_hides_another(tmp_path):
    """Four faces side by side, long names: every text is seen whole, as when it is alone."""
    boxes = [[100 * i + 5, 100, 100 * i + 95, 220] for i in range(4)]
    alone = 0
    for i, box in enumerate(boxes):
        texts = ["A rather long name indeed" if j == i else "" for j in range(4)]
        path = draw_faces(tmp_path / "one.png", np.zeros((400, 400, 3), "uint8"), [box], [texts[i]],
                          [True])
        alone += share(np.asarray(Image.open(path)), "#ffffff")
    path = draw_faces(tmp_path / "all.png", np.zeros((400, 400, 3), "uint8"), boxes,
                      ["A rather long name indeed"] * 4,
                      [True] * 4)
    assert share(np.asarray(Image.open(path)), "#ffffff") == pytest.approx(alone, rel=0.02)


def test_sizes_and_nothing_found(tmp_path):
    for shape, expected in (((30, 3000, 3), (19, 1920)), ((4000, 2000), (1920, 960)),
                            ((1, 1, 1), (800, 800))):
        path = draw_faces(tmp_path / "p.png", np.zeros(shape, "uint8"), [], [], [])
        assert Image.open(path).size == expected[::-1]


def test_faces_at_the_corners(tmp_path):
    """A text that would lie outside of the picture is moved in."""
    corners = [[x, y, x + 10, y + 10] for x, y in itertools.product((0, 190), (0, 190))]
    path = draw_faces(tmp_path / "p.png", np.zeros((200, 200, 3), "uint8"), corners,
                      ["somebody"] * 4, [False] * 4)
    assert share(np.asarray(Image.open(path)), UNKNOWN) > 0.005


@pytest.mark.parametrize("arguments, error, words", [
    ({"boxes": [[1, 1], [5, 5], [2, 2], [6, 6]], "texts": ["a", "b"], "known": [True, False]},
     ValueError, r"2 texts need boxes \(2, 4\)"),
    ({"boxes": [[1, 1, np.nan, 5]]}, ValueError, "boxes must be .* finite"),
    ({"boxes": [[5, 5, 1, 1]]}, ValueError, "one ends before it begins"),
    ({"picture": np.zeros((9, 9, 3), "float32")}, TypeError, "picture must be uint8, got float32"),
])
def test_what_is_not_drawn(arguments, error, words, tmp_path):
    usual = {"picture": np.zeros((9, 9, 3), "uint8"), "boxes": [[1, 1, 5, 5]], "texts": ["a"],
             "known": [True]}
    with pytest.raises(error, match=f"draw_faces: .*{words}"):
        draw_faces(tmp_path / "p.png", **usual | arguments)
