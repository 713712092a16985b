"""prefetch: the same items in the same order, made ahead in a thread that always ends."""
import gc
import subprocess
import sys
import threading
import time
import traceback
import weakref

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl.data import batches, prefetch
from minidl.recording import is_recording

PATIENCE = 10           # seconds after which something that must happen has not


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "minidl-prefetch"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not threads()


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_items_in_their_order(items, depth):
    loop = prefetch(items, depth)
    assert len(loop) == len(items)
    assert list(loop) == items == list(loop)                    # and again
    assert list(prefetch(prefetch(iter(items), depth))) == items


def test_where_no_thread_can_be_started(monkeypatch):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    loop = prefetch(range(5))
    assert list(loop) == [0, 1, 2, 3, 4] == list(loop)
    with pytest.raises(ZeroDivisionError):
        list(prefetch(1 / i for i in (1, 0)))


def test_the_same_batches_as_without(device):
    x, y = md.tensor(np.arange(20.0)), md.tensor(np.arange(20))
    plain = batches(x, y, batch_size=6, rng=np.random.default_rng(3))
    ahead = prefetch(batches(x, y, batch_size=6, rng=np.random.default_rng(3)))
    assert len(ahead) == 4
    for _ in range(2):
        for (a, b), (c, d) in zip(plain, ahead, strict=True):
            assert c.device == d.device == device
            assert (a.numpy() == c.numpy()).all() and (b.numpy() == d.numpy()).all()


def test_the_next_item_is_made_during_the_step():
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    loop = iter(prefetch(items()))
    assert next(loop) == 1
    assert second.wait(PATIENCE)                                # without being asked for
    assert list(loop) == [2]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_no_more_than_depth_items_ahead(depth):
    made, waiting = [], threading.Event()

    def items():
        for i in range(10):
            made.append(i)
            if i + 1 == depth:
                waiting.set()
            yield i

    loop = iter(prefetch(items(), depth))
    assert not made and not threads()  # nothing begins before the first item is asked for
    for taken, _ in enumerate(loop, 1):
        waiting.wait(PATIENCE)
        time.sleep(0.01)
        assert len(made) <= taken + depth
    assert made == list(range(10))


def test_an_exception_comes_after_the_items_before_it():
    def broken():
        yield 1
        raise ZeroDivisionError("in the loader")

    loop = iter(prefetch(broken()))
    assert next(loop) == 1
    with pytest.raises(ZeroDivisionError, match="in the loader") as caught:
        next(loop)
    assert any(frame.name == "broken" for frame in traceback.extract_tb(caught.value.__traceback__))
    assert list(loop) == []
    with pytest.raises(TypeError, match="^prefetch: iterable must be gone through"):
        list(prefetch(3))


def test_leaving_the_loop_ends_the_thread():
    left = threading.Event()

    def endless():
        try:
            while True:
                yield np.zeros(1000)
        finally:
            left.set()

    for _ in prefetch(endless()):
        break
    loop = iter(prefetch(endless()))
    next(loop)
    assert len(threads()) == 1 and threads()[0].daemon
    loop.close()
    assert not threads() and left.is_set()


def test_a_loop_that_is_dropped_ends_the_thread():
    gc.disable()                                                # no cycle may have to be found
    try:
        loop = iter(prefetch(iter(int, 1)))
        assert next(loop) == 0
        del loop
        assert not threads()
    finally:
        gc.enable()


def test_a_loop_dropped_within_its_own_thread():
    holder, dropped = [], threading.Event()

    def items():
        yield 1
        while len(holder) == 0:
            time.sleep(0.001)
        holder.clear()                                          # the last reference to the loop
        dropped.set()
        yield 2

    loop = iter(prefetch(items()))
    assert next(loop) == 1
    holder.append(loop)
    del loop
    assert dropped.wait(PATIENCE)
    for thread in threads():
        thread.join(PATIENCE)


def test_items_are_let_go():
    class Item:
        pass

    loop = iter(prefetch((Item() for _ in range(3)), depth=1))
    first = weakref.ref(next(loop))
    next(loop)
    assert first() is None
    loop.close()


def test_the_thread_records_if_the_loop_does():
    def modes():
        yield is_recording()
        yield is_recording()

    assert list(prefetch(modes())) == [True, True]
    with md.no_grad():
        assert list(prefetch(modes())) == [False, False]
        assert not is_recording()
    x = md.tensor(2.0, requires_grad=True)
    y, = prefetch(x * x for _ in range(1))
    y.backward()
    assert x.grad.item() == 4


def test_python_ends_with_a_loop_half_done():
    script = ("import itertools, minidl as md; "
              "loop = iter(md.data.prefetch(itertools.count())); print(next(loop))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.mark.parametrize("depth, kind",
                         [(0, ValueError), (-1, ValueError), (1.5, TypeError), (None, TypeError)])
def test_prefetch_refuses(depth, kind):
    with pytest.raises(kind, match=f"^prefetch: depth must be .*, got {depth}"):
        prefetch([], depth)
