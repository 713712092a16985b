"""What τ costs: how near other people come, and the rates that follow."""
from statistics import NormalDist

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.faces import Impostors
from minidl.faces.calibration import RATES, judge, per_comparison

LINE = Impostors(rates=(0.01, 0.04, 0.25, 0.49), distances=(0.1, 0.2, 0.5, 0.7), people=40,
                 pairs=780)


def test_the_formula_by_hand():
    """1 − (1 − F)^K: two comparisons at F = 0.04 let in 0.0784, and the other way round."""
    assert LINE.rate(0.2) == pytest.approx(0.04) and LINE.threshold(0.04) == pytest.approx(0.2)
    assert LINE.rate(0.2, 2) == pytest.approx(0.0784)
    assert LINE.threshold(0.0784, 2) == pytest.approx(0.2)
    assert LINE.rate(0.5, 2) == pytest.approx(1 - 0.75 ** 2)
    assert LINE.threshold(1 - 0.75 ** 3, 3) == pytest.approx(0.5)


def test_the_rate_of_each_comparison():
    assert per_comparison(0.0784, 2) == pytest.approx(0.04)
    assert per_comparison(1e-12, 10 ** 6) == pytest.approx(1e-18, rel=1e-6)     # no digits are lost
    for rate in 0, 1, -0.1, float("nan"):
        with pytest.raises(ValueError, match="0 < false accept rate < 1"):
            per_comparison(rate, 1)


def test_between_two_rates_the_normal_quantile_is_a_straight_line():
    z = NormalDist().inv_cdf
    middle = NormalDist().cdf((z(0.04) + z(0.25)) / 2)
    assert LINE.threshold(middle) == pytest.approx(0.35)
    assert LINE.rate(0.35) == pytest.approx(middle)


@given(st.floats(1e-4, 0.4), st.integers(1, 10 ** 6))
def test_rate_undoes_threshold(rate, comparisons):
    threshold = LINE.threshold(rate, comparisons)
    if threshold > 0:                                   # no distance is below
        assert LINE.rate(threshold, comparisons) == pytest.approx(rate, rel=1e-6)
    assert LINE.threshold(rate, comparisons + 1) <= threshold
    assert LINE.threshold(rate / 2, comparisons) <= threshold


def test_normal_distances_are_continued_as_what_they_are():
    """10,000 from N(0.8, 0.1): F down to 1e-3 is measured; 1e-6 follows."""
    distances = np.random.default_rng(0).normal(0.8, 0.1, 10_000)
    found = Impostors.of_pairs(distances, people=142)
    assert found.rates[0] == 1e-3 and found.pairs == 10_000 and found.people == 142
    exact = NormalDist(0.8, 0.1)
    for rate in 1e-2, 1e-3, 1e-4, 1e-6:
        assert found.threshold(rate) == pytest.approx(exact.inv_cdf(rate), abs=0.03)
    assert found.threshold(0.01, 40) == pytest.approx(exact.inv_cdf(1 - 0.99 ** (1 / 40)), abs=0.02)


def test_measuring_takes_all_pairs_of_two_people():
    """On a line, two pictures each; those of two people count once, those of one not at all."""
    places, labels = np.cumsum(np.arange(66.0)), np.repeat(np.arange(33), 2)
    with pytest.raises(ValueError,
                       match="pictures of 3 people make 3 couples of two people; at least 5"):
        Impostors.measure(places[:6, None], labels[:6])
    found = Impostors.measure(places[:, None], labels)
    apart = [b - a for i, a in enumerate(places) for j, b in enumerate(places) if i // 2 < j // 2]
    assert found.people == 33 and found.pairs == len(apart) == 4 * 528
    assert found.rates == tuple(rate for rate in RATES if rate >= 0.01)     # 528 couples
    assert found.distances == pytest.approx(np.quantile(apart, found.rates))
    assert found.least_rate == 5 / 528


def test_few_pairs_are_a_sample_of_a_normal_distribution():
    """From 10 pairs, drawn again and again: the stated rate is kept on average, however small."""
    rng, few = np.random.default_rng(0), []
    for rate in 0.1, 0.01:
        for _ in range(2000):
            found = Impostors.of_pairs(rng.normal(0.8, 0.1, 10), 20)
            few.append(NormalDist(0.8, 0.1).cdf(found.threshold(rate)))
        assert np.mean(few[-2000:]) == pytest.approx(rate, rel=0.1)
    assert found.people == 20 and found.pairs == 10 and found.least_rate == 0.5


def test_the_median_of_few_pairs_is_their_mean():
    found = Impostors.of_pairs([0.6, 0.7, 0.8, 0.9, 1.0], 5)
    assert found.threshold(0.5) == pytest.approx(0.8)
    # Student's t with 4 degrees of freedom is −1.5332 at 0.1 in the tables
    assert found.threshold(0.1) == pytest.approx(0.8 - 1.5332 * 0.1581139 * np.sqrt(1.2), abs=1e-4)


def test_strangers_are_named_as_often_as_stated():
    """Drawn people, a new gallery of 40 each time: as many strangers are named as was stated."""
    rng, named, asked = np.random.default_rng(1), 0, 0
    impostors = Impostors.measure(rng.standard_normal((400, 8)), np.arange(400))
    threshold = impostors.threshold(0.05, 40)
    for _ in range(200):
        gallery, strangers = rng.standard_normal((40, 8)), rng.standard_normal((50, 8))
        distances = np.linalg.norm(strangers[:, None] - gallery, axis=-1)
        named, asked = named + (distances.min(1) <= threshold).sum(), asked + 50
    assert named / asked == pytest.approx(0.05, rel=0.25)


def test_people_who_come_nearer_than_those_measured():
    rng = np.random.default_rng(2)
    impostors = Impostors.measure(rng.standard_normal((200, 16)), np.arange(200))
    people = np.repeat(np.arange(40), 2)
    assert impostors.hold_for(rng.standard_normal((80, 16)), people)
    assert impostors.hold_for(2 * rng.standard_normal((80, 16)), people)           # only farther
    assert not impostors.hold_for(0.7 * rng.standard_normal((80, 16)), people)
    assert impostors.hold_for(np.zeros((19, 16)), np.arange(19))                   # too few to say


@pytest.mark.parametrize("rates, distances, words", [
    ((0.1,), (1,), "two different rates"), ((0.1, 0.2), (1, 2, 3), "a distance for each"),
    ((0.1, 0.1), (1, 2), "two different rates"), ((0.2, 0.1), (1, 2), "rates must be"),
    ((0, 0.1), (1, 2), "between 0 and 1"), ((0.1, 1), (1, 2), "between 0 and 1"),
    ((0.1, 0.2), (2, 1), "distances must be"), ((0.1, 0.2), (1, np.inf), "finite"),
    ((0.1, 0.2), (np.nan, 1), "distances must be"), ((0.1, 0.2), (-1, 1), "at least 0"),
    ((0.1, 0.2), (1, 1), "tells nobody apart"),
])
def test_what_is_no_distribution(rates, distances, words):
    with pytest.raises(ValueError, match=words):
        Impostors(rates, distances, 2, 1)


@pytest.mark.parametrize("people, pairs, error", [(1, 1, ValueError), (2, 0, ValueError),
                                                  ("many", 1, TypeError), (2, None, TypeError)])
def test_counts_of_nobody(people, pairs, error):
    with pytest.raises(error, match="Impostors: (people|pairs) must be"):
        Impostors((0.1, 0.2), (1, 2), people, pairs)


def test_the_nearest_may_all_be_alike():
    """Below the distance that a tenth of the pairs have nobody comes: F falls to 0 there."""
    found = Impostors((0.01, 0.03, 0.1, 0.5), (0.2, 0.2, 0.2, 1), 10, 45)
    assert found.threshold(1e-6) == pytest.approx(0.2, abs=1e-4) and found.rate(0.19) == 0


def test_rates_are_rising():
    assert list(RATES) == sorted(set(RATES)) and 0 < RATES[0] and RATES[-1] < 1


def test_judge_counts():
    found = judge([0.3, 0.4, 0.7, 0.5, 0.8, 0.9], [1, 1, 1, 0, 0, 0], 0.5)
    assert (found.false_accepts, found.different_pairs) == (1, 3)
    assert (found.false_refusals, found.same_pairs) == (1, 3)
    with pytest.raises(ValueError, match="judge: threshold must be"):
        judge([0.3, 0.4], [1, 0], float("nan"))
