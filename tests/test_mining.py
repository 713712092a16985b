"""Triplets and batches: every strategy against three loops, and what no strategy may ever do."""
from hypothesis import example, given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl import faces
from minidl.faces.mining import STRATEGIES


@st.composite
def batches(draw):
    """labels (N,) and distances (N, N): symmetric, 0 on the diagonal, with many ties; sometimes not
    symmetric at all."""
    n = draw(st.integers(0, 9))
    labels = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), int)
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32 - 1)))
    steps = draw(st.sampled_from([3, 1000]))
    distances = rng.integers(0, steps, (n, n)) / steps
    if draw(st.booleans()):
        distances = np.triu(distances, 1) + np.triu(distances, 1).T
    return labels, distances.astype("float32")


def three_loops(labels):
    people = range(len(labels))
    return [(a, p, n) for a in people for p in people for n in people
            if a != p and labels[a] == labels[p] and labels[a] != labels[n]]


def first(candidates, key):
    """The first of those with the smallest key."""
    return min(candidates, key=key)


def grouped(triplets, *places):
    groups = {}
    for triplet in triplets:
        groups.setdefault(tuple(triplet[i] for i in places), []).append(triplet)
    return groups.values()


def by_loops(strategy, labels, d, margin):
    """What the strategy should give, from all triplets one by one."""
    triplets, d = three_loops(labels), d.astype("float64")          # in which the margin is added
    if strategy == "all":
        return triplets
    if strategy == "semi_hard":
        inside = [(a, p, n) for a, p, n in triplets
                  if d[a, p] < d[a, n] < d[a, p] + margin]
        return [first(group, lambda t: d[t[0], t[2]]) for group in grouped(inside, 0, 1)]
    return [(a, first(group, lambda t: -d[t[0], t[1]])[1], first(group, lambda t: d[t[0], t[2]])[2])
            for group in grouped(triplets, 0) for a in [group[0][0]]]


ROUNDED = np.array([0, 1, 0]), np.array(                # 0.922 − 0.722 < 0.2, but not in float32
    [[0, 0.922, 0.722], [0.922, 0, 0.5], [0.722, 0.5, 0]], "float32")


@given(batch=batches(), margin=st.sampled_from([0.0, 0.2, 2.0]))
@example(batch=ROUNDED, margin=0.2)
@pytest.mark.parametrize("strategy", ["all", "semi_hard", "batch_hard"])
def test_a_strategy_is_what_three_loops_say(strategy, batch, margin):
    labels, distances = batch
    found = faces.mine(strategy, labels, distances, margin, rng=0)
    assert [part.dtype.kind for part in found] == ["i"] * 3
    assert list(zip(*map(np.ndarray.tolist, found))) == by_loops(
        strategy, labels, distances, margin
    )


@given(batch=batches(), seed=st.integers(0, 99))
def test_random_triplets_are_one_for_each_pair(batch, seed):
    labels, _ = batch
    found = list(zip(*map(np.ndarray.tolist, faces.random_triplets(labels, seed))))
    allowed = three_loops(labels)
    assert set(found) <= set(allowed)
    assert [t[:2] for t in found] == [group[0][:2] for group in grouped(allowed, 0, 1)]


def test_random_negatives_are_equally_likely():
    labels = np.array([0, 1, 0, 1, 2])
    rng = np.random.default_rng(0)
    negatives = np.concatenate(
        [n[a == 0] for a, _, n in (faces.random_triplets(labels, rng) for _ in range(3000))]
    )
    counts = np.bincount(negatives, minlength=5)
    assert counts[[0, 2]].sum() == 0 and np.all(abs(counts[[1, 3, 4]] - 1000) < 120)


@given(batch=batches(), seed=st.integers(0, 99))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nobody_is_their_own_negative_and_no_picture_its_own_positive(strategy, batch, seed):
    labels, distances = batch
    anchor, positive, negative = faces.mine(strategy, labels, distances, 0.2,
                                            np.random.default_rng(seed))
    assert np.all(anchor != positive)
    assert np.all(labels[anchor] == labels[positive]) and np.all(labels[anchor] != labels[negative])


@given(batch=batches())
def test_hard_pairs_are_what_two_loops_say(batch):
    labels, d = batch
    everybody = [(i, j) for j in range(len(labels)) for i in range(j)]
    like = sorted(pair for pair in everybody if labels[pair[0]] == labels[pair[1]])
    unlike = sorted(pair for pair in everybody if labels[pair[0]] != labels[pair[1]])
    nearest = sorted(sorted(unlike, key=lambda pair: d[pair])[:len(like)])
    first, second, same = faces.hard_pairs(labels, d)
    assert list(zip(first.tolist(), second.tolist())) == like + nearest
    assert same.tolist() == [True] * len(like) + [False] * len(nearest)


def test_names_of_people_are_labels_too():
    names, d = np.array(["Ann", "Bob", "Ann"]), np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0.0]])
    assert [part.tolist() for part in faces.batch_hard(names, d)] == [[0, 2], [2, 0], [1, 1]]


def test_mining_refuses():
    for call, words in [
        (lambda: faces.mine("hardest", [0], [[0]], 0.2, 0),
         "must be one of all, random, semi_hard, batch_hard, got"),
        (lambda: faces.all_triplets([[0, 1]]), r"labels must be \(N,\), got shape \(1, 2\)"),
        (lambda: faces.semi_hard([0, 0, 1], np.zeros((2, 2))),
         r"semi_hard: 3 labels need distances of shape \(3, 3\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()


@given(counts=st.lists(st.integers(1, 6), min_size=3, max_size=9), people=st.integers(2, 4),
       pictures=st.integers(2, 4),
       seed=st.integers(0, 99))
def test_batches_of_people(counts, people, pictures, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if sum(n > 1 for n in counts) < people:
        with pytest.raises(ValueError,
                           match=f"a batch needs {people} people with two pictures or more"):
            faces.PeopleSampler(labels, people, pictures, seed)
        return
    sampler = faces.PeopleSampler(labels, people, pictures, seed)
    for t in range(3):
        batch = sampler[t]
        seen, times = np.unique(labels[batch], return_counts=True)
        assert len(seen) == people and len(set(batch.tolist())) == len(batch)
        assert times.tolist() == [min(counts[person], pictures) for person in seen]
        assert np.all(np.diff(np.flatnonzero(np.diff(labels[batch]))) > 0) and min(times) > 1
        np.testing.assert_array_equal(batch, faces.PeopleSampler(labels, people, pictures, seed)[t])
    assert any(sampler[t].tolist() != sampler[0].tolist() for t in range(1, 20)) or max(counts) <= 2


def test_batches_reach_everybody_and_depend_on_the_seed():
    labels = np.repeat(np.arange(8), 3)
    sampler = faces.PeopleSampler(labels, 4, 2, seed=1)
    drawn = np.bincount(np.concatenate([sampler[t] for t in range(60)]), minlength=24)
    assert drawn.min() > 8 and drawn.max() < 35                     # 20 each is expected
    assert sampler[0].tolist() != faces.PeopleSampler(labels, 4, 2, seed=2)[0].tolist()
    with pytest.raises(ValueError, match="pictures must be in 2 ≤ pictures < inf, got 1"):
        faces.PeopleSampler(labels, 4, 1, seed=0)


def test_single_pictures_are_drawn_by_the_root_of_their_number():
    labels = np.array([7] * 16 + [3])
    sampler = faces.PictureSampler(labels, 5000, seed=0)
    share = (labels[sampler[0]] == 3).mean()
    assert share == pytest.approx(1 / 5, abs=0.02)                  # √1 against √16
    np.testing.assert_array_equal(sampler[3], faces.PictureSampler(labels, 5000, seed=0)[3])


@pytest.mark.parametrize("t, error", [(-1, ValueError), (0.5, TypeError), (slice(2), TypeError)])
def test_batches_that_there_are_not(t, error):
    for sampler in (faces.PeopleSampler([0, 0, 1, 1], 2, 2, 0),
                    faces.PictureSampler([0, 0, 1, 1], 2, 0)):
        with pytest.raises(error, match=f"{type(sampler).__name__}: t must be"):
            sampler[t]


@given(counts=st.lists(st.integers(1, 4), min_size=4, max_size=12), share=st.floats(0.2, 0.8),
       seed=st.integers(0, 99))
def test_people_kept_apart_are_apart(counts, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    apart = faces.keep_apart(labels, share, seed)
    assert not set(labels[apart]) & set(labels[~apart])
    for several in (True, False):
        of_kind = [person for person, n in enumerate(counts) if (n > 1) == several]
        assert len(set(labels[apart]) & set(of_kind)) == round(share * len(of_kind))


def test_groups_and_their_errors():
    assert {k: v.tolist()
            for k, v in faces.pictures_of(["b", "a", "b"]).items()} == {"a": [1], "b": [0, 2]}
    with pytest.raises(ValueError, match=r"labels must be \(N,\)"):
        faces.pictures_of(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="share must be in 0 < share < 1, got 1"):
        faces.keep_apart([0, 1], 1, 0)
