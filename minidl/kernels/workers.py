"""Threads for kernels on the CPU.

A kernel cuts its work into strips, small enough that a strip's workspace stays in a core's cache.  The strips run on a
few Python threads: NumPy releases the interpreter lock inside copies and products, and while several strips run, BLAS is
held to one thread each, so that cores are not fought over.  How strips are dealt to threads depends only on their number,
so a run can be repeated bit for bit.
"""
from concurrent.futures import ThreadPoolExecutor
import functools
import math
import os
import threading

import numpy as np

from minidl import backend

_local = threading.local()


def number_of_threads():
    """MINIDL_NUM_THREADS, by default the cores that this process may use."""
    asked = os.environ.get("MINIDL_NUM_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdigit() or int(asked) < 1:
        raise ValueError(f"MINIDL_NUM_THREADS must be a positive integer, got {asked!r}")
    return int(asked)


def share(jobs, xp):
    """Results of `jobs`, a list of functions without arguments, in their order; on the CPU side by side.

    Two or more jobs run on threads of a pool, each with BLAS on one thread; a single one keeps BLAS as it is.
    """
    if len(jobs) < 2 or xp is not np or (threads := number_of_threads()) == 1:
        return [job() for job in jobs]
    with _one_blas_thread:
        return list(_pool(threads).map(lambda job: job(), jobs))


@functools.cache
def _pool(threads):
    return ThreadPoolExecutor(threads, thread_name_prefix="minidl")


class _OneBlasThread:
    """Holds BLAS to one thread while anybody is inside, and puts back what was there when the last one leaves.

    threadpoolctl wants one and the same thread to set and restore the limit, so a thread of our own does both.
    """

    def __init__(self):
        self.lock, self.inside, self.limiter = threading.Lock(), 0, None
        self.conductor = ThreadPoolExecutor(1, thread_name_prefix="minidl-blas")

    def __enter__(self):
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.limiter = self.conductor.submit(self._limit).result()

    def __exit__(self, *exception):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.conductor.submit(self.limiter.__exit__, None, None, None).result()

    @staticmethod
    def _limit():
        return _blas().limit(limits=1, user_api="blas").__enter__()


@functools.cache
def _blas():
    from threadpoolctl import ThreadpoolController
    return ThreadpoolController()


_one_blas_thread = _OneBlasThread()


def _after_fork():
    """A forked process has this one's objects but not its threads: begin anew."""
    global _one_blas_thread
    _one_blas_thread = _OneBlasThread()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def workspace(xp, name, shape, dtype):
    """An uninitialised array, on the CPU a piece of this thread's buffer of that name, valid until the next request."""
    if xp is not np:
        return xp.empty(shape, dtype)
    dtype = np.dtype(dtype)
    needed = math.prod(shape) * dtype.itemsize
    buffer = _local.__dict__.get(name)
    if buffer is None or buffer.nbytes < needed:
        buffer = _local.__dict__[name] = np.empty(needed, np.uint8)
    return buffer[:needed].view(dtype).reshape(shape)


def strips(images, rows, bytes_per_row, xp, budget=2 ** 20):
    """Slices (of images, of rows) that cover everything, each with at most `budget` bytes of workspace where possible.

    A strip is several whole images or some rows of one, so it is one contiguous stretch of the result.  Work that is
    worth it is cut into at least one strip for each thread.  On a GPU the budget is larger, since there a strip is a
    kernel launch.
    """
    share_of_one = images * rows * bytes_per_row // number_of_threads()
    budget = min(budget, max(share_of_one, 2 ** 17)) if xp is np else 2 ** 28
    at_once = max(1, budget // max(1, bytes_per_row * rows))
    if at_once > 1 or rows <= 1:
        return [(slice(n, min(n + at_once, images)), slice(0, rows)) for n in range(0, images, at_once)]
    height = min(rows, max(1, budget // bytes_per_row))
    return [(slice(n, n + 1), slice(r, min(r + height, rows))) for n in range(images) for r in range(0, rows, height)]


def deal(strips, xp):
    """The strips as one list per thread, each a contiguous run, so that who does what never depends on chance."""
    hands = min(len(strips), number_of_threads()) if xp is np else 1
    cuts = [len(strips) * i // hands for i in range(hands + 1)] if hands else []
    return [strips[a:b] for a, b in zip(cuts, cuts[1:])]


def everywhere(fill, array, whole_images=False):
    """fill(strip) for strips that cover an array (N, rows, …): array[strip] is one of them.

    whole_images: do not cut images into rows, because what fill writes for one row overlaps the next.
    """
    xp = backend.of(array)
    images, rows, per_row = array.shape[0], array.shape[1], math.prod(array.shape[2:]) * array.dtype.itemsize
    if whole_images:
        todo = [(n, slice(None)) for n, _ in strips(images, 1, rows * per_row, xp, budget=2 ** 18)]
    else:
        todo = strips(images, rows, per_row, xp, budget=2 ** 18)

    def run(mine):
        for strip in mine:
            fill(strip)

    share([lambda mine=mine: run(mine) for mine in deal(todo, xp)], xp)
