"""Augmentation: each setting does what its line says, nothing else, and the same for the same
seed."""
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.data import DRAWINGS, FACES, Augmentation, contact_sheet


def smooth(n=4, side=24, channels=1):
    """Pictures that interpolation hardly harms: waves, each of its own."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    waves = [100 + 80 * np.sin(2 * np.pi * (x * a + y * b) + c)
             for a, b, c in rng.uniform(-1, 1, (n * channels, 3))]
    return np.stack(waves).reshape(n, channels, side, side).transpose(0, 2, 3, 1)


@given(seed=st.integers(0, 9999), shape=st.tuples(*map(st.integers, (0, 1, 1, 1), (3, 9, 9, 3))))
@pytest.mark.parametrize("augmentation", [FACES, DRAWINGS,
                                          Augmentation(crop=0.9, blur=3, noise=20, occlusion=1,
                                                       occlusion_size=1)])
def test_any_batch_keeps_its_shape_and_range(augmentation, seed, shape):
    pictures = np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")
    before = pictures.copy()
    y = augmentation(pictures, seed)
    assert y.shape == shape and y.dtype == np.float32
    assert y.size == 0 or (y.min() >= 0 and y.max() <= 255)
    np.testing.assert_array_equal(pictures, before)
    np.testing.assert_array_equal(y, augmentation(pictures, np.random.default_rng(seed)))


def test_nothing_asked_for_changes_nothing():
    x = smooth()
    np.testing.assert_array_equal(Augmentation()(x, 0), x.astype("float32"))


def test_a_flip_is_a_mirror_image():
    x = smooth(60)
    y = Augmentation(flip=0.5)(x, 0)
    flipped = [np.allclose(b, a[:, ::-1], atol=1e-3) for a, b in zip(x, y)]
    kept = [np.allclose(b, a, atol=1e-3) for a, b in zip(x, y)]
    assert all(f != k for f, k in zip(flipped, kept)) and 15 < sum(flipped) < 45
    np.testing.assert_allclose(Augmentation(flip=1)(x, 0), x[:, :, ::-1], atol=1e-3)


def centre_of_mass(picture):
    rows, columns = np.mgrid[:picture.shape[0], :picture.shape[1]]
    return np.array([(rows * picture).sum(), (columns * picture).sum()]) / picture.sum()


def spot(row, column, side=41, width=2.0):
    y, x = np.mgrid[:side, :side]
    return 200 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width ** 2))[None, :, :, None]


def places(augmentation, row, column, times=200):
    """Where a spot goes, from the centre: (times, 2)."""
    x = np.repeat(spot(row, column), times, 0)
    return np.array([centre_of_mass(y[:, :, 0]) for y in augmentation(x, 0)]) - 20


def test_a_shift_moves_by_up_to_its_share():
    moved = places(Augmentation(shift=0.1, background=0), 20, 20)
    assert abs(moved).max() <= 4.2 and abs(moved).max() > 3.6
    assert abs(moved.mean(0)).max() < 0.6 and np.all(moved.std(0) > 2)


def test_a_rotation_keeps_the_distance_from_the_centre():
    moved = places(Augmentation(rotation=30, background=0), 20, 30)
    np.testing.assert_allclose(np.hypot(*moved.T), 10, atol=0.1)
    angles = np.degrees(np.arctan2(*moved.T))
    assert 25 < angles.max() <= 30.2 and -30.2 <= angles.min() < -25


def test_a_rotation_is_rigid_in_a_picture_that_is_not_square():
    x = np.repeat(np.pad(spot(20, 30), ((0, 0), (0, 0), (20, 20), (0, 0))), 50, 0)
    moved = np.array([centre_of_mass(y[:, :, 0])
                      for y in Augmentation(rotation=40, background=0)(x, 0)]) - (20, 40)
    np.testing.assert_allclose(np.hypot(*moved.T), 10, atol=0.1)


def test_a_zoom_changes_distances_by_up_to_its_factor():
    moved = places(Augmentation(zoom=0.25, background=0), 20, 30)
    assert np.allclose(moved[:, 0], 0, atol=0.05)
    assert 12 < moved[:, 1].max() <= 12.6 and 7.95 <= moved[:, 1].min() < 8.4


def test_stretch_and_shear():
    across, down = (places(Augmentation(stretch=0.21, background=0), *place)
                    for place in ((20, 30), (30, 20)))
    assert 10.7 < across[:, 1].max() <= 11.1 and np.allclose(across[:, 0], 0, atol=0.05)
    np.testing.assert_allclose(across[:, 1] * down[:, 0], 100, rtol=0.02)       # wider is lower
    slanted = places(Augmentation(shear=0.5, background=0), 30, 20)
    assert np.allclose(slanted[:, 0], 10, atol=0.1) and 4 < abs(slanted[:, 1]).max() <= 5.1


def test_a_crop_stays_inside_of_the_picture():
    x = np.random.default_rng(0).uniform(50, 100, (40, 20, 20, 1))
    y = Augmentation(crop=0.5, background=255)(x, 0)
    assert y.max() < 150  # no background comes in, but for half a pixel of it
    wide = places(Augmentation(crop=0.5, background=0), 20, 20, 100)
    assert abs(wide).max() > 5


def test_brightness_keeps_black_and_white_and_the_order():
    ramp = np.tile(np.linspace(0, 255, 16), (50, 16, 1))[..., None]
    y = Augmentation(brightness=1.0)(ramp, 0)
    assert np.all(np.diff(y[:, 0, :, 0]) > 0)
    np.testing.assert_allclose(y[:, :, [0, -1]], ramp[:, :, [0, -1]], atol=1e-3)
    middle = y[:, 0, 7, 0]
    assert middle.min() < 75 and middle.max() > 160                 # 119 ^ (γ = 2) and ^ ½


def test_light_comes_from_one_side():
    y = Augmentation(light=0.4)(np.full((50, 9, 9, 1), 100.0), 0)
    np.testing.assert_allclose(y[:, 4, 4], 100, rtol=1e-5)
    sides = y[:, 4, 8, 0] - y[:, 4, 0, 0]
    assert 60 < sides.max() <= 80.1 and -80.1 <= sides.min() < -60


def test_blur_smooths_each_picture_and_each_colour_by_itself():
    x = np.random.default_rng(0).uniform(0, 255, (40, 21, 21, 3)).astype("float32")
    x[:, :, :, 1] = 90
    y = Augmentation(blur=2)(x, 0)
    np.testing.assert_allclose(y[:, :, :, 1], 90, rtol=1e-6)
    np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)), rtol=0.1)
    # sharp, to what a deviation of 2 leaves
    left = y[:, :, :, 0].std((1, 2)) / x[:, :, :, 0].std((1, 2))
    assert 0.1 < left.min() < 0.3 and 0.9 < left.max() <= 1


def test_noise_is_at_most_what_is_asked_for():
    deviations = Augmentation(noise=10)(np.full((50, 30, 30, 1), 128.0), 0).std((1, 2, 3))
    assert 8 < deviations.max() < 10.6 and deviations.min() < 2


def test_occlusion_hides_one_rectangle_of_one_grey():
    x = np.tile(np.arange(400.0).reshape(20, 20)[None, :, :, None] % 251, (200, 1, 1, 2))
    y = Augmentation(occlusion=0.5, occlusion_size=0.4)(x, 0)
    changed = (x.astype("float32") != y).any(3)
    assert 70 < changed.any((1, 2)).sum() < 130
    for mask, picture in zip(changed, y):
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = picture[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
            assert np.ptp(box) == 0 and max(box.shape[:2]) <= 8


def test_pictures_of_a_batch_change_each_in_its_own_way():
    y = FACES(np.repeat(smooth(1), 8, 0), 0)
    assert len({picture.tobytes() for picture in y}) == 8


def test_colours_move_together():
    x = np.repeat(smooth(6), 3, 3)
    y = Augmentation(flip=0.5, rotation=20, zoom=0.2, crop=0.2, brightness=0.3, light=0.2)(x, 0)
    np.testing.assert_array_equal(y[..., 0], y[..., 2])


def test_augmentation_refuses():
    for call, words in [
        (lambda: Augmentation(flip=1.5), "flip must be in 0 ≤ .* ≤ 1, got 1.5"),
        (lambda: Augmentation(rotation=-3), "rotation must be in 0 ≤ .* ≤ 360, got -3"),
        (lambda: Augmentation(blur=1e6), "blur must be in 0 ≤ .* ≤ 100, got 1000000.0"),
        (lambda: Augmentation(background=300), "background must be in 0 ≤ .* ≤ 255, got 300"),
        (
            lambda: FACES(np.zeros((4, 4)), 0),
            r"pictures must be numbers \(N, H, W, C\), got shape \(4, 4\)",
        ),
        (lambda: contact_sheet(np.zeros((0, 4, 4, 1))), "contact_sheet: pictures must be"),
        (
            lambda: contact_sheet(np.zeros((1, 4, 4, 1)), columns=0),
            "columns must be in 1 ≤ columns",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="randomness is explicit"):
        FACES(smooth(), None)


def test_a_contact_sheet_shows_every_picture():
    x = np.stack([np.full((3, 5, 3), 10.0 * i) for i in range(1, 6)])
    sheet = contact_sheet(x, columns=2, gap=1)
    assert sheet.shape == (3 * 4 - 1, 2 * 6 - 1, 3) and sheet.dtype == np.uint8
    assert np.all(sheet[4:7, 6:11] == 40) and np.all(sheet[3]
                                                     == 255) and np.all(sheet[8:, 6:] == 255)
    assert contact_sheet(x[:1] + 300).shape == (3, 5, 3)
