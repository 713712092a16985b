"""Detection, by hand: overlaps, suppression, anchors, and what detectors say of them."""
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl.faces.boxes import intersection_over_union, non_maximum_suppression
from minidl.faces.detection import GRID_ANCHORS, decode_grid, decode_maps, map_anchors
from minidl.files import cache_folder


def boxes_of(seed, count):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 8, (count, 2))
    return np.concatenate([start, start + rng.uniform(0.1, 4, (count, 2))], 1)


def test_overlaps_by_hand():
    a = [[0, 0, 2, 2]]
    b = [[0, 0, 2, 2], [1, 1, 3, 3], [1, 0, 3, 2], [2, 0, 4, 2], [5, 5, 6, 6], [0.5, 0.5, 1.5, 1.5],
         [1, 1, 1, 1]]
    np.testing.assert_allclose(intersection_over_union(a, b), [[1, 1 / 7, 1 / 3, 0, 0, 1 / 4, 0]])
    assert intersection_over_union([[1, 1, 1, 1]], [[1, 1, 1, 1]]) == 0
    assert intersection_over_union(np.zeros((0, 4)), b).shape == (0, 7)


@given(st.integers(0, 2 ** 32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_overlaps_as_counted(seed, n, m):
    """Of boxes with whole corners, against the unit squares in one, the other, both; symmetric, and
    blind to shift and scale."""
    def boxes(rng, count):
        start = rng.integers(0, 10, (count, 2))
        return np.concatenate([start, start + rng.integers(0, 6, (count, 2))], 1)

    rng = np.random.default_rng(seed)
    a, b = boxes(rng, n), boxes(rng, m)
    found = intersection_over_union(a, b)
    np.testing.assert_allclose(found, intersection_over_union(b, a).T)
    np.testing.assert_allclose(found, intersection_over_union(0.3 * a + 5, 0.3 * b + 5), atol=1e-12)
    squares = np.indices((16, 16)).reshape(2, -1).T[:, None]  # their left upper corners
    in_a, in_b = (((squares >= c[:, :2]) & (squares < c[:, 2:])).all(-1).astype(int)
                  for c in (a, b))
    both = in_a.T @ in_b
    either = in_a.sum(0)[:, None] + in_b.sum(0) - both
    np.testing.assert_allclose(found, both / np.maximum(either, 1), rtol=1e-12)


def test_suppression_by_hand():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 5],
                      [21, 1, 31, 11]], float)
    scores = [0.8, 0.9, 0.6, 0.7, 0.95]
    # IoU(0, 1) = 9/11, IoU(1, 3) = 45/105, IoU(2, 4) = 81/119
    assert non_maximum_suppression(boxes, scores, 0.5).tolist() == [4, 1, 3]
    assert non_maximum_suppression(boxes, scores, 0.4).tolist() == [4, 1]
    assert non_maximum_suppression(boxes, scores, 1).tolist() == [4, 1, 0, 3, 2]
    assert non_maximum_suppression(boxes[[0, 0, 0]], [0.5, 0.5, 0.5], 0.5).tolist() == [0]
    assert non_maximum_suppression(np.zeros((0, 4)), [], 0.5).tolist() == []


def test_what_is_dropped_drops_nothing():
    """A chain: the middle one overlaps both its neighbours, which do not overlap each other."""
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], float)
    assert non_maximum_suppression(boxes, [0.9, 0.8, 0.7], 0.4).tolist() == [0, 2]
    assert non_maximum_suppression(boxes, [0.8, 0.9, 0.7], 0.4).tolist() == [1]


@given(st.integers(0, 2 ** 32 - 1), st.integers(0, 30), st.floats(0, 1))
def test_laws_of_suppression(seed, count, overlap):
    boxes, scores = boxes_of(seed, count), np.random.default_rng(seed).random(count)
    kept = non_maximum_suppression(boxes, scores, overlap)
    assert (np.diff(scores[kept]) <= 0).all() and len(set(kept)) == len(kept)
    between = intersection_over_union(boxes, boxes)
    for i in kept:
        assert (between[i, kept[kept != i]] <= overlap).all()
    for i in set(range(count)) - set(kept):  # every dropped one has a better one, which stays
        assert any(between[i, j] > overlap and scores[j] >= scores[i] for j in kept)
    if count:
        assert kept[0] == scores.argmax()


@pytest.mark.parametrize("boxes, scores, overlap, words", [
    (np.zeros((2, 3)), [1, 1], 0.5, r"boxes must be numbers \(N, 4\)"),
    (np.zeros((2, 4)), [1], 0.5, "2 boxes need as many scores"),
    (np.zeros((2, 4)), [1, np.nan], 0.5, "scores must be numbers .* finite"),
    (np.zeros((1, 4)), [1], 1.5, "overlap must be in 0 ≤ overlap ≤ 1, got 1.5"),
    ([[0, 0, 1, np.inf]], [1], 0.5, "boxes must be numbers .* finite"),
])
def test_boxes_that_are_none(boxes, scores, overlap, words):
    with pytest.raises(ValueError, match=words):
        non_maximum_suppression(boxes, scores, overlap)


def test_a_grid_by_hand():
    """2 × 2 cells; one says something: row 1, column 0, anchor 2."""
    raw = np.full((2, 2, 25), -100.0)
    raw[1, 0, 10:15] = 0, np.log(3), np.log(0.5), np.log(0.25), np.log(9)
    boxes, scores = decode_grid(raw)
    assert boxes.shape == (20,
                           4) and scores.argmax() == 2 * 5 + 2 and scores[12] == pytest.approx(0.9)
    width, height = GRID_ANCHORS[2] * [0.5, 0.25] / 2
    x, y = 0.5 / 2, (1 + 0.75) / 2
    np.testing.assert_allclose(boxes[12],
                               [x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    assert np.delete(scores, 12).max() < 1e-40


def test_silent_grids_say_their_anchors():
    boxes, scores = decode_grid(np.zeros((3, 3, 25)))
    np.testing.assert_allclose(scores, 0.5)
    size = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(size.reshape(9, 5, 2), np.broadcast_to(GRID_ANCHORS / 3, (9, 5, 2)))
    np.testing.assert_allclose((boxes[:, :2] + size / 2).reshape(3, 3, 5, 2)[2, 0, 0],
                               [0.5 / 3, 2.5 / 3])


def test_the_anchors_of_the_maps():
    anchors = map_anchors()
    assert anchors.shape == (3 * 1024 + 6 * (256 + 64 + 16 + 4 + 1), 4) == (5118, 4)
    np.testing.assert_allclose(anchors[0], [1 / 64, 1 / 64, 0.1, 0.1])
    np.testing.assert_allclose(anchors[3 * 33 + 1],
                               [3 / 64, 3 / 64, 0.2 * 2 ** 0.5, 0.2 / 2 ** 0.5])
    np.testing.assert_allclose(anchors[-5], [0.5, 0.5, 0.95 ** 0.5, 0.95 ** 0.5])
    np.testing.assert_allclose(anchors[-2], [0.5, 0.5, 0.95 * 3 ** 0.5, 0.95 / 3 ** 0.5])
    np.testing.assert_allclose(anchors[3072 + 6 * 17, :2], [1.5 / 16, 1.5 / 16])


def test_the_anchors_of_the_file():
    """The published file carries them as y₀, x₀, y₁, x₁."""
    if not (cache_folder() / md.weights.FILES["ssd_face_detector"]["name"]).exists():
        pytest.skip("the detector's weights are not cached; md.weights.fetch('ssd_face_detector') "
                    "brings them")
    arrays = md.weights.load(md.weights.fetch("ssd_face_detector"))
    y0, x0, y1, x1 = arrays["Output/extra_dim"][0].astype(float).T
    np.testing.assert_allclose(
        map_anchors(), np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], -1), atol=5e-7
    )


def test_codes_by_hand():
    anchors = np.array([[0.5, 0.4, 0.2, 0.4], [0.1, 0.1, 0.5, 0.5]])
    codes = [[5, -10, 5 * np.log(0.5), 5 * np.log(2)], [0, 0, 0, 0]]
    boxes, scores = decode_maps(codes, [[0, np.log(4), 7], [3, 0, 0]], anchors)
    # centre (0.5 − 0.2, 0.4 + 0.5 · 0.4), size (0.4, 0.2); the second is cut at the border
    np.testing.assert_allclose(boxes, [[0.1, 0.5, 0.5, 0.7], [0, 0, 0.35, 0.35]])
    np.testing.assert_allclose(scores, [0.8, 0.5])


def test_extreme_answers_overflow_nowhere():
    with np.errstate(over="raise", invalid="raise"):
        _, scores = decode_grid(np.where(np.arange(25) % 5 == 4, -5000.0, 0) * np.ones((1, 1, 25)))
        assert (scores == 0).all()
        _, scores = decode_maps(np.zeros((1, 4)), [[0, 5000, 0]], np.ones((1, 4)))
        assert scores == 1


@pytest.mark.parametrize("call, words", [
    (lambda: decode_grid(np.zeros((2, 3, 25))),
     r"raw must be \(n, n, 25\), got shape \(2, 3, 25\)"),
    (lambda: decode_grid(np.zeros((2, 2, 20))), r"\(n, n, 25\)"),
    (lambda: decode_maps(np.zeros((2, 4)), np.zeros((2, 2)), np.ones((2, 4))), r"logits \(2, 3\)"),
    (lambda: decode_maps(np.zeros((3, 4)), np.zeros((3, 3)), np.ones((2, 4))),
     "2 anchors need codes"),
    (lambda: decode_grid(0.0), r"raw must be \(n, n, 25\), got shape \(\)"),
    (lambda: decode_maps([0.0] * 4, [[0] * 3], [[1.0] * 4]), r"need codes \(1, 4\)"),
])
def test_answers_of_another_shape(call, words):
    with pytest.raises(ValueError, match=words):
        call()
