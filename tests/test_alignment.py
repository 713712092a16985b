"""Alignment: known similarities are found again, and chips show what the picture shows there."""
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.faces.alignment import (
    MEAN_FACE,
    STEADY,
    bilinear,
    chip,
    chip_transform,
    misfit,
    sampled,
    similarity,
)

NAMES = st.floats(-100, 100)


def matrix(scale, angle, shift):
    """A similarity's matrix (2, 3)."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def carried(transform, points):
    return points @ transform[:, :2].T + transform[:, 2]


def landmarks(transform, side=100):
    """68 points: the mean face, `side` pixels wide, carried; the jaw, which is not used,
    anywhere."""
    return carried(transform, np.concatenate([np.full((17, 2), -7.0), side * MEAN_FACE]))


def test_the_published_vector():
    points = landmarks(1.5 * np.array([[.8, -.6, 0], [.6, .8, 0]]) + [[0, 0, 30], [0, 0, 40]])
    points[33] += 3, -2
    np.testing.assert_allclose(
        chip_transform(points),
        [[1.19914179, -0.89871267, 22.55900886], [0.89871267, 1.19914179, -12.40171554]],
        atol=1e-8,
    )


def test_the_used_points():
    assert len(MEAN_FACE) == 51 and len(STEADY) == 33
    assert set(STEADY) == set(range(17, 68)) - {*range(17, 27), *range(55, 60), *range(65, 68)}
    assert (MEAN_FACE > 0).all() and (MEAN_FACE < 1).all()
    # brows above eyes above nose above lips, and left of the picture before right
    brows, eyes, lips = MEAN_FACE[:10], MEAN_FACE[19:31], MEAN_FACE[31:]
    assert brows[:, 1].max() < eyes[:, 1].min()
    assert eyes[:, 1].max() < MEAN_FACE[16, 1] < lips[:, 1].min()
    assert brows[:5, 0].max() < brows[5:, 0].min() and eyes[:6, 0].max() < eyes[6:, 0].min()


@given(st.floats(0.01, 100), st.floats(-3.1, 3.1), st.tuples(NAMES, NAMES),
       st.integers(0, 2 ** 32 - 1), st.integers(2, 40))
def test_known_similarities_are_found_again(scale, angle, shift, seed, count):
    source = np.random.default_rng(seed).standard_normal((count, 2))
    expected = matrix(scale, angle, shift)
    found = similarity(source, carried(expected, source))
    np.testing.assert_allclose(found, expected, atol=1e-8 * (1 + scale + abs(expected).max()))


@given(st.integers(0, 2 ** 32 - 1), st.integers(2, 30), st.booleans())
def test_it_is_the_least_squares(seed, count, mirrored):
    """No other similarity is nearer, and not even a mirrored target brings a mirror."""
    rng = np.random.default_rng(seed)
    source, target = rng.standard_normal((2, count, 2))
    if mirrored:
        target = source * [-1, 1]
    found = similarity(source, target)
    assert np.linalg.det(found[:, :2]) >= 0
    assert found[0, 0] == found[1, 1] and found[0, 1] == -found[1, 0]

    def loss(transform):
        return np.square(carried(transform, source) - target).sum()

    for _ in range(5):
        a, b, x, y = 1e-3 * rng.standard_normal(4)
        assert loss(found) <= loss(found + [[a, -b, x], [b, a, y]]) + 1e-12


@pytest.mark.parametrize("source, target, words", [
    ([[0, 0], [1, 1]], [[0, 0]], "source has 2 points, target 1"),
    ([[1, 1], [1, 1]], [[0, 0], [1, 0]], "two points of source must differ"),
    ([[0, 0]], [[1, 1]], "must differ"),
    ([[0.1, 0.7]] * 10, [[i, 2 * i] for i in range(10)], "must differ"),
    (np.zeros((0, 2)), np.zeros((0, 2)), "points"),
    ([[0, 0], [1, np.nan]], [[0, 0], [1, 0]], "source must be numbers .* finite"),
    ([[0, 0], [1, 0]], [[0, 0, 0], [1, 1, 1]], r"target must be numbers \(N, 2\)"),
])
def test_points_that_determine_nothing(source, target, words):
    with pytest.raises(ValueError, match=words):
        similarity(source, target)


def ramp(height, width):
    """A picture whose colours tell where they are: x, y, x + y."""
    y, x = np.mgrid[:height, :width].astype("float32")
    return np.stack([x, y, x + y], -1)


@given(st.floats(0.2, 1), st.floats(-3.1, 3.1), st.floats(45, 55), st.floats(45, 55))
def test_a_plane_is_sampled_exactly(scale, angle, right, down):
    """Bilinear interpolation is exact on x and y, inside."""
    transform = matrix(scale, angle, (right, down))
    found = sampled(ramp(100, 110), transform, 20)
    x, y = np.mgrid[:20, :20][::-1]
    place = carried(transform, np.stack([x, y], -1))
    np.testing.assert_allclose(found[..., :2], place, atol=1e-4)


@pytest.mark.parametrize("scale", [1.5, 2, 3.0, 7.3])
def test_a_shrunk_plane_keeps_its_middles(scale):
    """The samples lie evenly around a pixel's centre, so their mean on a plane is its value
    there."""
    found = sampled(ramp(200, 200), matrix(scale, 0.3, (50, 30)), 12)
    x, y = np.mgrid[:12, :12][::-1]
    np.testing.assert_allclose(found[..., :2], carried(matrix(scale, 0.3, (50, 30)),
                                                       np.stack([x, y], -1)), atol=1e-3)


def test_shrinking_misses_nothing():
    """A checkerboard of single pixels becomes even grey."""
    picture = 255.0 * (np.indices((64, 64)).sum(0) % 2)[..., None]
    found = sampled(picture, matrix(4, 0, (8, 8)), 10)
    np.testing.assert_allclose(found, np.full_like(found, 127.5), atol=1e-3)


def test_the_four_pixels_by_hand():
    picture = np.array([[[10.0], [20.0]], [[30.0], [50.0]]])
    x, y = np.array([0, 0.5, 0.5, 1, -0.25, -1, 1.5, 0.0]), np.array([0, 0, 0.5, 1, 0, 0, 1.5, 7.0])
    np.testing.assert_allclose(bilinear(picture, x, y)[:, 0], [10, 15, 27.5, 50, 7.5, 0, 12.5, 0])


def test_a_chip_of_known_content():
    """A white spot at each landmark comes where the mean face has its points, and nowhere else."""
    points = np.rint(landmarks(matrix(1.2, 0.2, (60, 40)), 200))
    picture = np.zeros((400, 400, 3), "uint8")
    for x, y in points[STEADY].astype(int):
        picture[y - 1:y + 2, x - 1:x + 2] = 255
    found = chip(picture, points, size=150, padding=0.25)
    assert found.shape == (150, 150, 3) and found.dtype == "float32"
    expected = 150 * (0.25 + MEAN_FACE[STEADY - 17]) / 1.5
    near = np.zeros((150, 150), bool)
    for x, y in np.rint(expected).astype(int):
        assert found[y, x].min() > 60
        near[y - 3:y + 4, x - 3:x + 4] = True
    assert found[~near].max() == 0


@given(st.floats(-0.5, 0.5), st.floats(0.5, 3))
def test_a_chip_does_not_change_as_the_picture_turns(angle, scale):
    """The landmarks move with the face: the chip stays."""
    points = landmarks(matrix(1, 0, (70, 60)), 60)
    turned = matrix(scale, angle, (30, -20))
    first, second = chip_transform(points), chip_transform(carried(turned, points))
    np.testing.assert_allclose(second[:, :2], turned[:, :2] @ first[:, :2], atol=1e-9)
    np.testing.assert_allclose(second[:, 2], carried(turned, first[None, :, 2])[0], atol=1e-9)


@given(st.floats(-3, 3), st.floats(0.01, 100))
def test_how_unlike_a_face_points_lie(angle, scale):
    """0 for the mean face however it lies; and one point that is moved by m mean faces gives m /
    √33, less what the similarity makes up for."""
    transform = matrix(scale, angle, (5, -9))
    points = landmarks(transform, 1)
    assert misfit(points) == pytest.approx(0, abs=1e-9)
    moved = points.copy()
    moved[30] = carried(transform, MEAN_FACE[None, 13] + [0, 0.3])[0]
    assert 0.9 * 0.3 / 33 ** 0.5 < misfit(moved) < 0.3 / 33 ** 0.5
    assert misfit(points * [-1, 1]) > 0.1  # a mirrored face has its points elsewhere
    for place in 1, 0.1, 33.3:
        assert misfit(np.full((68, 2), place)) == np.inf


def test_black_outside():
    points = landmarks(matrix(1, 0, (-40, 10)), 80)
    found = chip(np.full((100, 100, 3), 200, "uint8"), points, 100)
    assert (
        found[0].max() == 0 and found[:, 0].max() == 0 and found[60, 90].min() == pytest.approx(200)
    )


@pytest.mark.parametrize("shape", [(40, 40), (40, 40, 1), (40, 40, 3), (1, 1, 3), (1, 300)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_kinds_of_pictures(shape, dtype):
    picture = np.full(shape, 100, dtype)
    found = chip(picture, landmarks(matrix(1, 0, (5, 5)), 30), 30)
    assert found.shape == (30, 30, 3 if shape[2:] == (3,) else 1) and found.dtype == "float32"
    assert np.isfinite(found).all() and 0 <= found.min() and found.max() <= 100.001


def test_points_in_one_place_give_one_colour():
    found = chip(np.full((9, 9), 50, "uint8"), np.full((68, 2), 4.0), 8)
    np.testing.assert_allclose(found, 50, atol=1e-4)


@pytest.mark.parametrize("arguments, error, words", [
    ({"landmarks": np.zeros((5, 2))}, ValueError,
     r"must be numbers \(68, 2\), got shape \(5, 2\)"),
    ({"landmarks": np.full((68, 2), np.nan)}, ValueError, "chip: landmarks must be .* finite"),
    ({"size": 0}, ValueError, "1 ≤ size ≤ 16384, got 0"),
    ({"padding": -0.1}, ValueError, "0 ≤ padding < inf"),
    ({"picture": np.zeros((9, 9, 4), "uint8")}, ValueError,
     r"chip: picture must be .* got \(9, 9, 4\)"),
    ({"picture": np.zeros((0, 9, 3), "uint8")}, ValueError, "chip: picture"),
    ({"picture": np.zeros((9, 9, 3), int)}, TypeError, "uint8 or floating-point"),
])
def test_what_makes_no_chip(arguments, error, words):
    given_ = {"picture": np.zeros((9, 9, 3), "uint8"),
              "landmarks": landmarks(matrix(1, 0, (0, 0)), 9)} | arguments
    with pytest.raises(error, match=words):
        chip(**given_)
