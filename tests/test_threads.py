"""Threads: strips cover everything, results do not depend on chance, and BLAS is left as it was."""
from concurrent.futures import ThreadPoolExecutor
import os
import signal
import threading
import time
from types import SimpleNamespace

from kernel_arrays import close, drawn
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minidl import kernels
from minidl.kernels.geometry import Geometry
from minidl.parallel import threads


@pytest.mark.parametrize("height", [1, 2, 5])
def test_strips_cover_everything_once(height):
    for images, rows, bytes_per_row in [(1, 7, 100), (3, 4, 10), (2, 1, 1000), (5, 6, 1),
                                        (1, 1, 1)]:
        seen = np.zeros((images, rows), int)
        for image, part in threads.strips(images, rows, bytes_per_row, np,
                                          budget=height * bytes_per_row):
            seen[image, part] += 1
        assert (seen == 1).all()


def contractions(threads, monkeypatch):
    monkeypatch.setenv("MINIDL_NUM_THREADS", str(threads))
    x, w = drawn(2, 70, 60, 24), drawn(3, 3, 24, 40, seed=1)
    g = Geometry((70, 60), (3, 3), (2, 1), (1, 0), (1, 2), 1)
    y = kernels.conv(x, w, None, g)
    return y, kernels.conv_input(y, w, g), kernels.conv_weight(x, y, g)


def test_threads_change_nothing_but_rounding(monkeypatch):
    for one, many in zip(contractions(1, monkeypatch), contractions(3, monkeypatch)):
        close(one, many, 1e-5)


def test_the_same_twice_bit_for_bit(monkeypatch):
    for first, second in zip(contractions(2, monkeypatch), contractions(2, monkeypatch)):
        assert (first == second).all()


def test_blas_threads_are_left_as_they_were(monkeypatch):
    def counts():
        return [library["num_threads"] for library in threadpool_info()
                if library["user_api"] == "blas"]

    before, inside = counts(), []
    monkeypatch.setenv("MINIDL_NUM_THREADS", "2")
    threads.parallel_map(lambda i: i or inside.extend(counts()), [0, 1], np)
    # SciPy may bring a BLAS of its own, which no kernel uses
    assert counts() == before and 1 in inside
    with pytest.raises(ZeroDivisionError):
        threads.parallel_map(lambda i: 1 / i, [0, 1], np)
    assert counts() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_convolves_too(monkeypatch):
    contractions(2, monkeypatch)
    child = os.fork()
    if child == 0:
        contractions(2, monkeypatch)
        os._exit(0)
    for _ in range(200):
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
    assert finished and status == 0


def test_two_threads_may_convolve_at_once(monkeypatch):
    expected = contractions(2, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: contractions(2, monkeypatch), range(8)):
            for a, b in zip(result, expected):
                assert (a == b).all()


def test_after_an_error_what_was_begun_is_waited_for_and_nothing_else_begun(monkeypatch):
    monkeypatch.setenv("MINIDL_NUM_THREADS", "2")
    begun, failed, ended = threading.Event(), threading.Event(), []

    def job(i):
        if i == 0:
            begun.wait()
            failed.set()
            raise ZeroDivisionError
        begun.set()
        failed.wait()
        time.sleep(0.05)
        ended.append(i)

    with pytest.raises(ZeroDivisionError):
        threads.parallel_map(job, range(5), np)
    assert ended == [4]


def test_helpers_are_used_again_and_share_in_their_turn(monkeypatch):
    def helpers():
        return sum(isinstance(thread, threads._Helper) for thread in threading.enumerate())

    def inner(i):
        return threads.parallel_map(lambda j: (i, j), range(4), np)

    monkeypatch.setenv("MINIDL_NUM_THREADS", "3")
    before, expected = helpers(), [[(i, j) for j in range(4)] for i in range(5)]
    for _ in range(50):
        assert threads.parallel_map(inner, range(5), np) == expected
    assert helpers() <= max(before, 3)


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "²", "٣"])
def test_a_wrong_number_of_threads(monkeypatch, value):
    monkeypatch.setenv("MINIDL_NUM_THREADS", value)
    with pytest.raises(ValueError, match="MINIDL_NUM_THREADS"):
        threads.number_of_threads()


def test_blas_is_put_back_by_whoever_leaves_last(monkeypatch):
    """One thread comes in first and goes while another is still inside."""
    before = [library.num_threads for library in threads.blas()]
    entered, leave = threading.Event(), threading.Event()

    def other():
        with threads._OneBlasThread():
            entered.set()
            leave.wait()

    with threads._OneBlasThread():
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait()
    assert {library.num_threads for library in threads.blas()} == {1}
    leave.set()
    thread.join()
    assert [library.num_threads for library in threads.blas()] == before


def test_who_is_torn_out_is_not_waited_for(monkeypatch):
    """Ctrl-C may come before a thread has left, or given its helpers back."""
    monkeypatch.setenv("MINIDL_NUM_THREADS", "2")
    before = [library.num_threads for library in threads.blas()]

    def torn_out():
        threads._OneBlasThread().__enter__()
        assert threads._helpers.borrow(1)

    threads.parallel_map(lambda i: i, range(4), np)
    torn_out()
    assert {library.num_threads for library in threads.blas()} == {1}
    both = threading.Barrier(2, timeout=20)
    threads.parallel_map(lambda i: both.wait(), range(2), np)
    assert [library.num_threads for library in threads.blas()] == before


def test_where_no_thread_can_be_started_there_is_one(monkeypatch):
    def refused():
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("MINIDL_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "_helpers", threads._Helpers())
    monkeypatch.setattr(threads, "_Helper", refused)
    assert threads.parallel_map(lambda i: i, range(5), np) == list(range(5))


def test_how_blas_is_asked_for_its_number_of_threads(monkeypatch):
    """By its own functions; one whose threads are OpenMP's by threadpoolctl's, which know how that
    is done."""
    assert [number() for number, _ in threads._switches()] == [
        library.num_threads for library in threads.blas()
    ]

    class OfOpenMP:
        threading_layer, threads = "openmp", 4
        dynlib = SimpleNamespace(openblas_get_num_threads=None, openblas_set_num_threads=None)

        def get_num_threads(self):
            return self.threads

        def set_num_threads(self, threads):
            self.threads = threads

    library = OfOpenMP()
    monkeypatch.setattr(threads, "_switches", threads._switches.__wrapped__)
    monkeypatch.setattr(threads, "blas", lambda: [library])
    with threads._OneBlasThread():
        assert library.threads == 1
    assert library.threads == 4
