"""Strangers and known people as a gallery grows."""
import numpy as np
import pytest
from scipy.spatial.distance import pdist

from minidl.faces.report import SIZES, STRANGERS, open_set_growth


def people(rng, count, pictures, spread):
    """`count` people around the origin, and their pictures, each around its person."""
    labels = np.repeat(np.arange(count), pictures)
    encodings = rng.standard_normal((count,
                                     8))[labels] + spread * rng.standard_normal((len(labels), 8))
    return encodings.astype("float32"), labels


def test_whoever_is_known_is_found_and_nobody_else():
    """Pictures that nobody can confuse, at a τ between one person's and two people's distances."""
    encodings, labels = people(np.random.default_rng(0), 40, 3, 1e-3)
    rows = open_set_growth(encodings, labels,
                           {"small": lambda size: 0.1, "all": lambda size: 100.0}, draws=3)
    assert [row["enrolled"] for row in rows if row["rule"] == "small"] == [1, 2, 5, 10, 20]
    for row in rows:
        assert row["known"] == 2 * row["enrolled"] and row["strangers"] == 13
        named = float(row["rule"] == "all")
        assert row["strangers_named"] == row["expected"] == named
        assert row["known_found"] == 1 and row["known_wrong"] == 0


def test_strangers_are_named_as_the_formula_says():
    """Where comparisons are nearly independent: many people in many directions.  With τ for a pair
    the share rises as 1 − (1 − F)^K, with τ that follows K it stays."""
    encodings, labels = people(np.random.default_rng(1), 900, 2, 0.5)
    far = pdist(people(np.random.default_rng(2), 1500, 1, 0.5)[0])

    def following(size):
        return np.quantile(far, 1 - 0.95 ** (1 / size))

    rows = open_set_growth(encodings, labels,
                           {"pairs": lambda size: following(1), "following": following}, draws=10)
    for row in rows:
        if row["rule"] == "pairs" and row["enrolled"] <= 40:
            assert row["strangers_named"] == pytest.approx(row["expected"], rel=0.25, abs=0.02)
        if row["rule"] == "following" and row["enrolled"] <= 40:
            assert row["strangers_named"] == pytest.approx(0.05, abs=0.03)
            assert row["threshold"] == following(row["enrolled"])
    named = [row["strangers_named"] for row in rows if row["rule"] == "pairs"]
    assert named == sorted(named) and named[0] < 0.1 and named[-1] > 0.5


def test_the_wrong_name():
    """Everybody has two pictures, each beside the next person's other one."""
    labels = np.repeat(np.arange(30), 2)
    encodings = np.stack([10 * (labels + np.tile([0, 1], 30)) + np.tile([0.1, 0], 30), labels * 0],
                         1).astype("float32")
    rows = open_set_growth(encodings, labels, {"τ": lambda size: 1.0}, draws=5)
    assert all(row["known_found"] == 0 for row in rows) and rows[-1]["known_wrong"] > 0.1


def test_draws_follow_the_seed_and_leave_the_input():
    encodings, labels = people(np.random.default_rng(3), 30, 2, 1.0)
    before = encodings.copy()
    rows = [open_set_growth(encodings, labels, {"τ": lambda size: 2.0}, 4, seed)
            for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2] and (encodings
                                              == before).all() and list(SIZES) == sorted(SIZES)


@pytest.mark.parametrize("count, pictures", [(STRANGERS, 2), (20, 1)])
def test_too_few(count, pictures):
    encodings, labels = people(np.random.default_rng(4), count, pictures, 1.0)
    with pytest.raises(ValueError, match="needs 10 strangers and somebody with two pictures, got "
                                         f"{count} people, "):
        open_set_growth(encodings, labels, {"τ": lambda size: 1.0})


def test_labels_of_other_pictures():
    encodings, labels = people(np.random.default_rng(4), 20, 2, 1.0)
    with pytest.raises(ValueError, match="open_set_growth: 41 encodings need as many labels"):
        open_set_growth(np.concatenate([encodings, encodings[:1]]), labels, {"τ": lambda size: 1.0})
    with pytest.raises(TypeError, match=r"open_set_growth: rules\['τ'\] must be a function of K"):
        open_set_growth(encodings, labels, {"τ": 0.5})
