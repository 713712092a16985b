"""Augmentation of signals and volumes."""
import itertools

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.data import GridAugmentation


def ramp(axes, n=3, size=6, channels=2):
    shape = (n, *[size] * axes, channels)
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_nothing_asked_for_changes_nothing(axes):
    assert (GridAugmentation()(ramp(axes), 0) == ramp(axes)).all()


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_shift_moves_each_example_by_whole_steps(axes):
    x, seen = ramp(axes, n=40), set()
    for a, b in zip(x, GridAugmentation(shift=1)(x, 1)):
        moves = [move for move in itertools.product((-1, 0, 1), repeat=axes)
                 if np.array_equal(b, a[np.ix_(*(np.clip(np.arange(6) + s, 0, 5) for s in move))])]
        assert len(moves) == 1
        seen.add(moves[0])
    assert len(seen) > 3 ** axes // 2


def test_flip_reverses_the_axes_named_and_no_other():
    x = ramp(3, n=64)
    y = GridAugmentation(flip=(0, 2))(x, 0)
    found = {k for a, b in zip(x, y) for k, kind in enumerate(
        [a, a[::-1], a[:, :, ::-1], a[::-1, :, ::-1]]) if np.array_equal(b, kind)}
    assert found == {0, 1, 2, 3}
    assert all(any(np.array_equal(b, kind) for kind in
                   [a, a[::-1], a[:, :, ::-1], a[::-1, :, ::-1]]) for a, b in zip(x, y))


@pytest.mark.parametrize("flip", [{1}, iter([1]), np.array([1])])
def test_axes_come_in_any_collection(flip):
    augmentation = GridAugmentation(flip=flip)
    for seed in (0, 1):                 # an iterator is gone through once
        wanted = GridAugmentation(flip=(1,))(ramp(2, n=8), seed)
        assert (augmentation(ramp(2, n=8), seed) == wanted).all()
        assert (wanted != ramp(2, n=8)).any()


def test_scale_and_noise_have_the_sizes_that_they_say():
    x = np.ones((400, 50, 1), "float32")
    scaled = GridAugmentation(scale=0.2)(x, 0)
    assert (scaled == scaled[:, :1]).all() and 0.8 <= scaled.min() < 0.82
    assert 1.18 < scaled.max() <= 1.2
    noisy = GridAugmentation(noise=0.5)(x, 0) - 1
    assert abs(noisy.std() - 0.5) < 0.01 and abs(noisy.mean()) < 0.02


@given(st.integers(1, 3), st.integers(0, 3), st.integers(0, 2 ** 31))
def test_the_same_seed_gives_the_same_and_values_come_from_x(axes, shift, seed):
    x = ramp(axes, n=2, size=4)
    before = x.copy()
    one, other = (GridAugmentation(shift=shift, flip=(axes - 1,))(x, seed) for _ in range(2))
    assert (one == other).all() and (x == before).all() and one.dtype == x.dtype
    assert all(np.isin(b, a).all() for a, b in zip(x, one))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_dtype_stays(dtype):
    x = np.ones((2, 5, 1), dtype)
    every = GridAugmentation(shift=1, scale=0.1, flip=(0,), noise=0.1)
    assert every(x, 0).dtype == dtype


@pytest.mark.parametrize("settings, x, words", [
    ({"shift": -1}, None, "shift must be in 0 ≤ shift < inf, got -1"),
    ({"shift": 0.5}, None, "shift must be one integer, got 0.5"),
    ({"shift": 3_000_000_000}, np.ones((2, 9, 5, 1)), "shift=3000000000 leaves nothing"),
    ({"shift": 5}, np.ones((2, 9, 5, 1)), r"shift=5 leaves nothing of an axis of x \(2, 9, 5, 1\)"),
    ({"shift": 1}, np.ones((2, 0, 1)), "shift=1 leaves nothing"),
    ({"scale": 1.7e308}, None, "scale must be in 0 ≤ scale ≤ 100"),
    ({"noise": float("nan")}, None, "noise must be in .*, got nan"),
    ({"scale": float("inf")}, None, "scale must be in .*, got inf"),
    ({"flip": 0}, None, "flip must be a list of axes, got int"),
    ({"flip": (0.5,)}, None, "flip must be an integer or several"),
    ({"flip": (1,)}, np.ones((2, 5, 1)), r"flip=\(1,\) are not among the axes 0 to 0"),
    ({}, np.ones((2, 5)), r"x must be floating-point \(N, T, C\)"),
    ({}, np.ones((2, 5, 1), int), "x must be floating-point"),
])
def test_what_does_not_fit_is_refused(settings, x, words):
    with pytest.raises((TypeError, ValueError), match=f"GridAugmentation: {words}"):
        GridAugmentation(**settings)(x, 0)
