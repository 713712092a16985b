"""Memory that is used again: by whom, when, and how much of it is kept."""
import os
import platform
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from minidl.parallel import memory, threads

BYTES = memory.LARGE


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    """A pool of our own; blocks of other tests' arrays go back to it if they die meanwhile, so none
    are alive here."""
    monkeypatch.setattr(memory._Lent, "pool", memory.Pool())
    return memory._Lent.pool


def address(array):
    return array.__array_interface__["data"][0]


def test_the_memory_of_a_dead_array_serves_the_next_of_its_size(pool):
    first = memory.empty((BYTES // 4,), "float32")
    where = address(first)
    del first
    assert pool.dead == BYTES
    second = memory.empty((2, BYTES // 16), "float64")
    assert address(second) == where and second.shape == (2, BYTES // 16)
    assert second.dtype == "float64"
    assert (pool.dead, pool.lent) == (0, BYTES) and not pool.free


def test_memory_is_lent_as_long_as_any_view_of_it_lives(pool):
    view = memory.empty((4, BYTES // 4), "float32").reshape(-1)[::3].view("int32")[5:]
    assert type(view) is np.ndarray and (pool.dead, pool.lent) == (0, 4 * (BYTES // 4) * 4)
    others = [memory.empty((4, BYTES // 4), "float32") for _ in range(3)]
    assert not any(np.may_share_memory(view, other) for other in others)
    # a part of the loan itself goes back once only
    part = view.base.base[:8] if view.base.base is not None else None
    del view, part
    assert pool.dead == 4 * (BYTES // 4) * 4


def test_small_arrays_come_from_numpy(pool):
    small = memory.empty((BYTES // 4 - 1,), "float32")
    assert small.flags.owndata and pool.lent == 0


def test_dead_memory_never_adds_to_what_was_in_use_at_once(pool):
    one, two = memory.empty((BYTES,), "uint8"), memory.empty((3 * BYTES,), "uint8")
    del one
    del two
    assert (pool.most, pool.dead) == (4 * BYTES, 4 * BYTES)
    # no dead block fits: 1 + 3 + 4 would be more than 4, so both go
    large = memory.empty((4 * BYTES,), "uint8")
    assert pool.dead == 0 and pool.lent == pool.most == 4 * BYTES
    del large


def test_the_smallest_block_that_is_large_enough_serves_unless_it_is_much_too_large(pool):
    arrays = [memory.empty((k * BYTES,), "uint8") for k in (2, 3, 16)]
    del arrays
    one = memory.empty((BYTES,), "uint8")
    assert one.size == BYTES and pool.lent == 2 * BYTES and pool.dead == 19 * BYTES
    three = memory.empty((3 * BYTES,), "uint8")
    assert pool.lent == 5 * BYTES and pool.dead == 16 * BYTES
    another = memory.empty((3 * BYTES,), "uint8")       # 16 is too large
    assert pool.lent == 8 * BYTES and pool.dead <= 13 * BYTES
    assert not any(np.may_share_memory(a, b)
                   for a, b in [(one, three), (one, another), (three, another)])


def test_dead_memory_is_bounded(pool, monkeypatch):
    monkeypatch.setattr(memory, "BOUND", 3 * BYTES)
    arrays = [memory.empty((BYTES + k,), "uint8") for k in range(6)]
    del arrays
    assert 0 < pool.dead <= 3 * BYTES and pool.lent == 0


def test_an_interrupt_may_leave_a_size_without_blocks(pool):
    pool.free[BYTES] = []
    assert memory.empty((BYTES,), "uint8").size == BYTES
    pool.free[2 * BYTES] = []
    held = memory.empty((2 * BYTES,), "uint8")
    del held
    pool.shrink(0)
    assert pool.dead == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_process_forked_while_another_thread_asks_for_memory(pool):
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with pool.lock:
            held.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for the lock
        os._exit(memory.empty((BYTES,), "uint8").size != BYTES)
    go_on.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_threads(pool):
    def work():
        for k in range(200):
            array = memory.empty((BYTES + k % 3,), "uint8")
            array[::4096] = k % 256
            assert (array[::4096] == k % 256).all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert pool.lent == 0
    assert pool.dead == sum(size * len(blocks) for size, blocks in pool.free.items())


STEPS = """
import resource
import numpy as np
import minidl

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for step in range(12):
    if step == 2:
        before = faults()
    held = [np.ones(200_000, "float32") for _ in range(4)]
    del held
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other ways")
def test_the_c_library_keeps_the_memory_of_smaller_arrays():
    """Otherwise every step would be given 800 fresh pages."""
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, 16, 17, 4096, 5000])
def test_rows_apart_lie_an_odd_number_of_cache_lines_apart(length, dtype):
    shape = 2, 3, length
    for made in (
        memory.empty(shape, dtype, pitched=True),
        threads.workspace(np, "rows", shape, dtype, pitched=True),
    ):
        lines, rest = divmod(made.strides[1], memory.LINE)
        assert made.shape == shape and made.dtype == dtype
        assert made.strides[1] >= length * made.itemsize and lines % 2 == 1 and rest == 0
