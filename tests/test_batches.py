"""Minibatches."""
import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl.data import batches

sizes = {"length": st.integers(0, 40), "batch_size": st.integers(1, 50), "drop_last": st.booleans()}


@given(**sizes, seed=st.none() | st.integers(0, 99))
def test_each_index_comes_once(length, batch_size, drop_last, seed):
    numbers, squares = np.arange(length), np.arange(length)[:, None] ** 2
    loop = batches(numbers, squares, batch_size=batch_size, rng=seed, drop_last=drop_last)
    got = list(loop)
    assert len(got) == len(loop) == (length // batch_size if drop_last
                                     else math.ceil(length / batch_size))
    assert all(len(x) == batch_size for x, _ in got[:-1])
    assert all((y == x[:, None] ** 2).all() and len(x) == len(y) > 0 for x, y in got)
    seen = [int(n) for x, _ in got for n in x]
    assert len(seen) == len(set(seen)) and set(seen) <= set(range(length))
    assert len(seen) == (length // batch_size * batch_size if drop_last else length)
    if seed is None:
        assert seen == list(range(len(seen)))


@given(**sizes, seed=st.integers(0, 99))
def test_the_same_seed_gives_the_same_order(length, batch_size, drop_last, seed):
    options = {"batch_size": batch_size, "drop_last": drop_last}
    numbers = np.arange(length)
    first, second = (batches(numbers, rng=rng, **options)
                     for rng in (seed, np.random.default_rng(seed)))
    for _ in range(2):
        for a, b in zip(first, second, strict=True):
            assert (a == b).all()


def test_every_loop_is_shuffled_anew():
    loop = batches(np.arange(100), batch_size=100, rng=0)
    (first,), (second,) = list(loop), list(loop)
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any() and (first != np.arange(100)).any()


def test_without_shuffling_batches_are_views():
    array = np.arange(10)
    assert all(np.shares_memory(piece, array) for piece in batches(array, batch_size=3))


@pytest.mark.parametrize("arrays, batch_size, kind, message", [
    ([], 4, ValueError, "one or more"),
    ([np.zeros(3), np.zeros(4)], 4, ValueError, r"lengths \[3, 4\]"),
    ([{"a": 1}], 1, TypeError, r"arrays\[0\] must be an array, .*, got dict"),
    ([np.zeros(3), np.float32(1)], 1, TypeError, r"arrays\[1\] must be .*, got float32"),
    ([(np.zeros(3), np.zeros(3))], 1, TypeError, r"arrays\[0\] is a tuple of arrays"),
    ([(md.tensor([1.0]), ["a"])], 1, TypeError, r"tuple .* write batches\(x, y, "),
    ([np.zeros(3)], 0, ValueError, "batch_size must be in 1 ≤ batch_size < inf, got 0"),
    ([np.zeros(3)], 2.0, TypeError, "batch_size must be one integer, got 2.0")])
def test_batches_refuses(arrays, batch_size, kind, message):
    with pytest.raises(kind, match=f"^batches: .*{message}"):
        batches(*arrays, batch_size=batch_size)


def test_batches_of_tensors_stay_on_their_device(device):
    x = md.tensor(np.arange(10.0))
    pieces = list(md.data.batches(x, batch_size=4, rng=0))
    assert all(piece.device == device for piece in pieces)
    assert sorted(v for piece in pieces for v in piece.numpy()) == list(range(10))


def test_a_list_of_arrays_is_one_of_examples():
    pieces = list(batches([np.zeros(3), np.ones(2), np.ones(1)], (1, 2, 3), batch_size=2))
    assert [([x.shape for x in xs], ys) for xs, ys in pieces] == [([(3,), (2,)], (1, 2)),
                                                                  ([(1,)], (3,))]


@pytest.mark.parametrize("rng", [None, 0])
def test_a_list_of_things_is_cut_as_an_array_is(rng):
    names = [f"{i}.png" for i in range(7)]
    pieces = list(batches(names, np.arange(7), batch_size=3, rng=rng))
    assert [len(piece) for piece, _ in pieces] == [3, 3, 1]
    assert all(name == f"{i}.png"
               for piece, numbers in pieces for name, i in zip(piece, numbers, strict=True))
    assert sorted(name for piece, _ in pieces for name in piece) == names
