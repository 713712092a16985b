"""Verification and recognition measured: against brute force, examples worked by hand, and the
protocols' own words."""
import json

from hypothesis import assume, given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.faces import (
    accuracy,
    auc,
    best_threshold,
    calibrate,
    cmc,
    equal_error_rate,
    open_set,
    rank_one,
    report,
    roc,
    ten_fold,
    val_at_far,
    wilson_interval,
)
from minidl.oneshot import draw_one_shot, one_shot

# Worked by hand: six pairs of one person, four of two; one tie across kinds, at 0.5
DISTANCES = np.array([0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.5, 0.6, 0.8, 1.0])
SAME = np.arange(10) < 6


@st.composite
def pairs(draw, both=True):
    """Distances on a coarse grid, so that ties are common, and of which kind each pair is."""
    n = draw(st.integers(2 if both else 1, 40))
    distances = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    same = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(not both or 0 < same.sum() < n)
    return np.array(distances) / 4, same


def rates(distances, same, threshold):
    accepted = distances <= threshold
    return accepted[~same].mean(), accepted[same].mean()


def thresholds_of(distances):
    return np.concatenate([[-np.inf], np.unique(distances)])


# Verification

def test_roc_by_hand():
    curve = roc(DISTANCES, SAME)
    np.testing.assert_array_equal(curve.thresholds, [-np.inf, .1, .2, .3, .5, .6, .7, .8, .9, 1])
    np.testing.assert_allclose(curve.false_accept_rates,
                               np.array([0, 0, 0, 0, 1, 2, 2, 3, 3, 4]) / 4)
    np.testing.assert_allclose(curve.true_accept_rates,
                               np.array([0, 1, 2, 3, 4, 4, 5, 5, 6, 6]) / 6)
    # of 24 pairs of pairs, one person's is the smaller in 4+4+4+3+2+1 = 18, and equal in 1
    assert auc(DISTANCES, SAME) == pytest.approx(18.5 / 24)
    # at 0.5: FAR 1/4, FRR 1/3; at 0.6: FAR 1/2, FRR 1/3.  On the lines between, FAR = FRR = 1/3, a
    # third of the way
    assert equal_error_rate(DISTANCES, SAME) == (pytest.approx(1 / 3), pytest.approx(0.5 + 0.1 / 3))


def test_val_at_far_by_hand():
    none = val_at_far(DISTANCES, SAME, far=0.2)         # one of four would be 0.25
    assert (none.true_accept_rate, none.false_accept_rate,
            none.threshold) == (0.5, 0, pytest.approx(0.4))
    one = val_at_far(DISTANCES, SAME, far=0.25)
    assert (one.true_accept_rate, one.false_accept_rate,
            one.threshold) == (pytest.approx(4 / 6), 0.25, pytest.approx(0.55))
    everything = val_at_far(DISTANCES, SAME, far=1)
    assert (everything.true_accept_rate, everything.false_accept_rate,
            everything.threshold) == (1, 1, 1)
    nothing = val_at_far([0.5, 0.5], [True, False], far=0)
    assert (nothing.true_accept_rate, nothing.false_accept_rate) == (
        0,
        0,
    ) and nothing.threshold < 0.5
    with pytest.raises(ValueError, match="far must be in 0 ≤ far ≤ 1, got 1.5"):
        val_at_far(DISTANCES, SAME, far=1.5)


@given(pairs())
def test_roc_against_brute_force(drawn):
    distances, same = drawn
    curve = roc(distances, same)
    np.testing.assert_array_equal(curve.thresholds, thresholds_of(distances))
    for point in zip(curve.thresholds, curve.false_accept_rates, curve.true_accept_rates):
        assert point[1:] == rates(distances, same, point[0])
    difference = distances[same][:, None] - distances[~same]
    assert auc(distances,
               same) == pytest.approx(np.mean((difference < 0) + 0.5 * (difference == 0)))
    assert auc(distances, same) == pytest.approx(1 - auc(-distances, same))
    # only the order counts
    assert auc(distances, same) == pytest.approx(auc(np.exp(distances), same))


@given(pairs())
def test_equal_error_rate_against_brute_force(drawn):
    """Walk along the ROC's straight pieces and find where FAR = FRR."""
    distances, same = drawn
    far, frr = zip(*((f, 1 - t)
                     for f, t in (rates(distances, same, x) for x in thresholds_of(distances))))
    crossings = []
    for i in range(len(far) - 1):
        for part in np.linspace(0, 1, 2001):
            f, r = ((1 - part) * z[i] + part * z[i + 1] for z in (far, frr))
            crossings.append((abs(f - r), f))
    assert equal_error_rate(distances, same)[0] == pytest.approx(min(crossings)[1], abs=2e-3)


@given(pairs(), st.floats(0, 1))
def test_val_at_far_against_brute_force(drawn, far):
    distances, same = drawn
    point = val_at_far(distances, same, far)
    assert rates(distances, same, point.threshold) == (point.false_accept_rate,
                                                       point.true_accept_rate)
    allowed = [rates(distances, same, x) for x in thresholds_of(distances)]
    best = max(t for f, t in allowed if f <= far)
    assert point.true_accept_rate == best and point.false_accept_rate <= far


@given(pairs(both=False))
def test_best_threshold_against_brute_force(drawn):
    distances, same = drawn
    found = accuracy(distances, same, best_threshold(distances, same))
    assert found == max(accuracy(distances, same, x) for x in thresholds_of(distances))


def test_best_threshold_by_hand():
    assert best_threshold([1, 2, 3, 4], [1, 1, 0, 0]) == 2.5
    assert best_threshold([1, 2], [1, 1]) == 2 and best_threshold([1, 2], [0, 0]) < 1
    # 3.5 is as good: the lower middle one
    assert best_threshold([1, 2, 3, 4, 5], [1, 0, 1, 0, 0]) == 1.5
    assert best_threshold([1, 2, 3, 4, 5, 6], [1, 0, 1, 0, 1, 0]) == 3.5    # between 1.5 and 5.5
    above = np.nextafter(1, 2)  # nothing lies between: the lower one
    assert best_threshold([1, above], [1, 0]) == 1


def test_ten_fold_by_hand():
    """Ten folds of one pair of each kind; in all but one the distances 1 and 3 are apart, in one
    they are swapped."""
    distances, same = np.tile([1.0, 3.0], 10), np.tile([True, False], 10)
    distances[[6, 7]] = 3, 1
    found = ten_fold(distances, same)
    np.testing.assert_array_equal(found.accuracies, [1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(found.thresholds, np.full(10, 2.0))
    assert found.accuracy == 0.9
    assert found.standard_error == pytest.approx(np.sqrt(0.1) / np.sqrt(10))
    assert found.interval == wilson_interval(18, 20)
    assert repr(found) == "<accuracy 90.00% ± 10.00% (95 %: 69.90% to 97.21%), τ 2.000>"


def test_lfws_own_sets():
    """300 pairs of one kind and 300 of the other, ten times over: the deal by order finds those
    sets again."""
    kinds = np.tile(np.repeat([True, False], 300), 10)
    sets = np.repeat(np.arange(10), 600)
    distances = np.random.default_rng(0).standard_normal(6000) + np.where(kinds, 0, 1)
    dealt, given_sets = ten_fold(distances, kinds), ten_fold(distances, kinds, folds=sets)
    np.testing.assert_array_equal(dealt.accuracies, given_sets.accuracies)
    np.testing.assert_array_equal(dealt.thresholds, given_sets.thresholds)
    best = accuracy(distances, kinds, best_threshold(distances, kinds))
    assert best - 0.02 < dealt.accuracy < best  # chosen on the same pairs it would look better


def test_the_threshold_never_sees_its_fold():
    """A fold of which every distance is far off cannot move the others' τ towards it."""
    distances, same = np.tile([0.0, 1.0], 20), np.tile([True, False], 20)
    distances[:4] = 100, 101, 100, 101
    found = ten_fold(distances, same)
    assert found.thresholds[0] == 0.5 and found.accuracies[0] == 0.5


def test_folds_of_people():
    """τ for a fold is chosen on pairs in which nobody of that fold is seen, on either side."""
    names = np.array([[f"p{i}", f"p{(i + 1) % 30}"] for i in range(30)])
    same = np.arange(30) % 2 == 0
    distances = np.where(same, 0.0, 1.0)
    assert ten_fold(distances, same, folds=5, people=names).accuracy == 1
    seen = []

    def watch(distances, same):
        seen.append(set(distances.tolist()))
        return 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl.faces.evaluation.best_threshold", watch)
        ten_fold(np.arange(30.0), same, folds=5, people=names)
    fold_of = np.unique(names[:, 0], return_inverse=True)[1] * 5 // 30
    for fold, chosen_on in enumerate(seen):
        people = set(names[fold_of == fold].ravel())
        assert chosen_on == {i for i in range(30)
                             if not people & set(names[i])} and len(chosen_on) >= 15


@pytest.mark.parametrize("arguments, words", [
    ({"folds": 1}, "2 ≤ folds < inf, got 1"), ({"folds": 11}, "dealt out to 11"),
    ({"folds": [1] * 10}, "two folds or more"),
    ({"folds": [1, 2]}, "10 pairs need"), ({"people": ["a"] * 10}, r"people must be \(10, 2\)"),
    ({"folds": [0, 1] * 5, "people": ["a"] * 10}, r"people must be \(10, 2\)"),
    ({"folds": [0, 1] * 5, "people": [["a", "b"]] * 9}, r"people must be \(10, 2\)"),
    ({"folds": [0, np.nan] * 5}, "folds must be .* finite"),
    ({"folds": 2, "people": [["a", "b"]] * 5 + [["b", "a"]] * 5}, "leaves no pairs"),
])
def test_folds_that_cannot_be(arguments, words):
    with pytest.raises(ValueError, match=words):
        ten_fold(DISTANCES, SAME, **arguments)


@pytest.mark.parametrize("distances, same, words", [
    ([1, 2], [True], "one shape"), ([[1]], [[True]], "one shape"), ([], [], "N ≥ 1"),
    ([1, 2], [0, 2], "0 and 1"),
    ([1, np.nan], [True, False], "1 of 2 distances"), ([1, 2], [True, True], "of two, got 2 and 0"),
])
def test_what_are_no_pairs(distances, same, words):
    with pytest.raises(ValueError, match=words):
        auc(distances, same)


def test_wilson_interval():
    # Newcombe 1998, table I, method 3
    for successes, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                         (0, 20, 0, 0.1611),
                                         (1, 29, 0.0061, 0.1718), (29, 29, 1 - 0.1170, 1)):
        assert wilson_interval(successes, trials) == (pytest.approx(low, abs=1e-4),
                                                      pytest.approx(high, abs=1e-4))
    for trials in range(1, 50):                                     # to the last digit
        assert wilson_interval(0, trials)[0] == 0 and wilson_interval(trials, trials)[1] == 1
    for wrong in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="trials must be|successes must be"):
            wilson_interval(*wrong)


# Calibration

def test_calibrate_by_hand():
    found = calibrate(DISTANCES, SAME, far=0.25)
    assert found.threshold == pytest.approx(0.55)
    assert (found.false_accepts, found.different_pairs, found.false_refusals,
            found.same_pairs) == (1, 4, 2, 6)
    assert (found.false_accept_rate, found.false_refusal_rate) == (0.25, pytest.approx(1 / 3))
    assert found.false_accept_interval == wilson_interval(1, 4)
    assert "others accepted: 1 of 4 (25.00%" in str(found) and "refused: 2 of 6" in str(found)
    # 7 right at 0.3, 0.5 and 0.7, of which 0.5 is the middle
    likeliest = calibrate(DISTANCES, SAME)
    assert likeliest.threshold == pytest.approx(0.55)


@given(pairs(), st.one_of(st.none(), st.floats(0, 1)))
def test_calibration_keeps_what_it_promises(drawn, far):
    distances, same = drawn
    found = calibrate(distances, same, far)
    false_accepts = (distances[~same] <= found.threshold).sum()
    assert found.false_accepts == false_accepts
    assert found.false_refusals == (distances[same] > found.threshold).sum()
    if far is None:
        best = max(accuracy(distances, same, x) for x in thresholds_of(distances))
        assert accuracy(distances, same, found.threshold) == best
    else:
        assert found.false_accept_rate <= far


# Recognition

GALLERY = np.array(["ann", "bob", "ann", "eve"])                    # Ann has two pictures
TABLE = np.array([[0.9, 0.5, 0.1, 0.7],                             # nearest: Ann, Bob, Eve
                  [0.2, 0.4, 0.9, 0.3],                             # Ann, Eve, Bob
                  [0.6, 0.6, 0.8, 0.5]])  # Eve, and Ann and Bob at one distance


def test_cmc_by_hand():
    np.testing.assert_allclose(cmc(TABLE, ["ann", "bob", "eve"], GALLERY), [2 / 3, 2 / 3, 1])
    assert rank_one(TABLE, ["ann", "ann", "eve"], GALLERY) == 1
    # a tie counts as behind
    np.testing.assert_allclose(cmc(TABLE, ["bob", "eve", "ann"], GALLERY), [0, 2 / 3, 1])
    assert rank_one(np.zeros((3, 4)), ["ann", "bob", "eve"], GALLERY) == 0
    with pytest.raises(ValueError, match="1 of 3 queries show people who are not in the gallery"):
        cmc(TABLE, ["ann", "zoe", "eve"], GALLERY)


def test_open_set_by_hand():
    """Ann's and Bob's queries are known, of which Bob's is taken for Ann at 0.2; Zoe's is unknown,
    nearest 0.5."""
    found = open_set(TABLE, ["ann", "bob", "zoe"], GALLERY)
    np.testing.assert_array_equal(found.thresholds, [-np.inf, 0.1, 0.2, 0.5])
    np.testing.assert_array_equal(found.detection_rates, [0, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(found.false_alarm_rates, [0, 0, 0, 1])
    assert found.at_threshold(0.3) == (0.5, 0) and found.at_threshold(9) == (0.5, 1)
    assert found.at_threshold(0) == (0, 0)
    assert found.at_false_alarm_rate(0.5) == (0.5, 0,
                                              0.2) and found.at_false_alarm_rate(1) == (0.5, 1, 0.5)
    for people, words in ((["ann", "bob", "eve"], "got 3 and 0"), (["x", "y", "z"], "got 0 and 3")):
        with pytest.raises(ValueError, match=words):
            open_set(TABLE, people, GALLERY)


@given(st.integers(0, 2 ** 31), st.integers(1, 12), st.integers(1, 8), st.integers(1, 4))
def test_recognition_against_brute_force(seed, queries, pictures, people):
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, 6, (queries, pictures)) / 2
    gallery, asked = rng.integers(0, people, pictures), rng.integers(0, people + 2, queries)
    to = [{g: distances[q][gallery == g].min() for g in set(gallery.tolist())}
          for q in range(queries)]
    enrolled = np.isin(asked, gallery)
    if enrolled.any():
        ranks = [1 + sum(d <= to[q][asked[q]] for g, d in to[q].items() if g != asked[q])
                 for q in np.flatnonzero(enrolled)]
        curve = cmc(distances[enrolled], asked[enrolled], gallery)
        assert len(curve) == len(set(gallery.tolist())) and curve[-1] == 1
        np.testing.assert_allclose(curve,
                                   [np.mean(np.array(ranks) <= k + 1) for k in range(len(curve))])
    if 0 < enrolled.sum() < queries:
        found = open_set(distances, asked, gallery)
        for i, threshold in enumerate(found.thresholds):
            right = [enrolled[q] and to[q][asked[q]] <= threshold
                     and all(to[q][asked[q]] < d for g, d in to[q].items() if g != asked[q])
                     for q in range(queries)]
            alarms = [not enrolled[q] and min(to[q].values()) <= threshold for q in range(queries)]
            assert found.detection_rates[i] == pytest.approx(sum(right) / enrolled.sum())
            assert found.false_alarm_rates[i] == pytest.approx(sum(alarms) / (~enrolled).sum())
            assert found.at_threshold(threshold) == (found.detection_rates[i],
                                                     found.false_alarm_rates[i])


@pytest.mark.parametrize("distances, asked, gallery, words", [
    (np.zeros((2, 3)), ["a"], ["a", "b", "c"], r"\(Q, G\)"),
    (np.zeros(3), ["a"], ["a", "b", "c"], r"\(Q, G\)"),
    (np.zeros((0, 3)), [], ["a", "b", "c"], r"\(Q, G\)"),
    (np.full((1, 1), np.nan), ["a"], ["a"], "1 distances are not"),
])
def test_tables_that_cannot_be(distances, asked, gallery, words):
    with pytest.raises(ValueError, match=words):
        cmc(distances, asked, gallery)


# One shot

def test_one_shot_by_hand():
    first = np.array([[0.1, 0.5, 0.9], [0.3, 0.2, 0.1], [0.4, 0.4, 0.6]]), [0, 1, 1]
    second = np.eye(3)[[1, 2, 0]], [1, 2, 0]  # the answer is the only one that is not nearest
    found = one_shot(first, second)
    np.testing.assert_allclose(found.accuracies, [(1 + 0 + 0.5) / 3, 0])
    assert found.accuracy == 0.25 and found.error == 0.75
    assert found.interval == wilson_interval(1.5, 6)
    constant = one_shot((np.zeros((20, 20)), np.arange(20)))
    assert constant.accuracy == pytest.approx(1 / 20)


def test_one_shot_that_cannot_be():
    for run, words in (((np.zeros((2, 3)), [0]), r"need answers"),
                       ((np.zeros((1, 3)), [3]), "columns 0 to 2"),
                       ((np.zeros((1, 3)), [0.0]), "columns"),
                       ((np.full((1, 3), np.nan), [0]), "not numbers"),
                       ((np.zeros((0, 3)), []), "need answers")):
        with pytest.raises(ValueError, match=words):
            one_shot(run)
    with pytest.raises(ValueError, match="at least one run"):
        one_shot()


@given(st.integers(0, 2 ** 31), st.integers(2, 5))
def test_drawn_trials(seed, ways):
    labels = np.array([0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5])  # class 1 has a single picture
    examples, queries = draw_one_shot(labels, ways, 7, seed)
    assert examples.shape == queries.shape == (7, ways)
    np.testing.assert_array_equal(labels[examples], labels[queries])
    assert (examples != queries).all() and (labels[examples] != 1).all()
    assert all(len(set(row)) == ways for row in labels[examples].tolist())
    again = draw_one_shot(labels, ways, 7, np.random.default_rng(seed))
    np.testing.assert_array_equal(examples, again[0])


def test_trials_that_cannot_be_drawn():
    for ways, words in (1, "ways must be in 2 ≤ ways"), (3, "3 ways need as many .* 2 have"):
        with pytest.raises(ValueError, match=words):
            draw_one_shot([0, 0, 1, 1, 2], ways, 1, 0)


# ---- all of it -----------------------------------------------------------------------------------

def test_report_of_verification():
    figures = report.verification(DISTANCES, SAME, fars=(0.5, 0.25, 0.1))
    assert (figures["pairs"],
            figures["same_pairs"]) == (10, 6) and figures["auc"] == auc(DISTANCES, SAME)
    # six folds: no kind has ten pairs
    assert figures["accuracy"] == ten_fold(DISTANCES, SAME, 6).accuracy
    assert figures["val_at_far"] == {str(far): val_at_far(DISTANCES, SAME, far).true_accept_rate
                                     for far in (0.5, 0.25)}
    assert json.loads(json.dumps(figures)) == figures
    with pytest.raises(ValueError, match="verification: needs three pairs or more"):
        report.verification([0.1, 0.2], [1, 0])


def test_report_of_recognition():
    """Five people on a line; the second picture of the last lies nearest to the first of the one
    before."""
    places = [0, 0.1, 10, 10.1, 20, 20.1, 30, 30.1, 40, 31, 99]
    figures = report.recognition(np.array(places, "float32")[:, None], list("aabbccddeef"))
    assert (figures["people"], figures["asked"],
            figures["rank_one"]) == (5, 5, 0.8) and figures["cmc"] == [0.8, 1, 1, 1, 1]
    # of a, c, e
    assert figures["detection_rate"] == pytest.approx(1.0) and figures["at_false_alarm_rate"] == 0
    assert report.recognition(np.float32([[0], [1], [5], [6]]),
                              [0, 0, 1, 1])["detection_rate"] is None
    with pytest.raises(ValueError, match="two people with two pictures, got 1 of 2"):
        report.recognition(np.zeros((3, 1), "float32"), [0, 0, 1])
    with pytest.raises(ValueError, match="recognition: 5 encodings need as many labels, got 4"):
        report.recognition(np.zeros((5, 1), "float32"), [0, 0, 1, 1])
    assert report.recognition([[0.0], [1.0], [5.0], [6.0]], [0, 0, 1, 1])["rank_one"] == 1
    assert json.loads(json.dumps(figures)) == figures
