"""Threads for kernels on the CPU.

A kernel cuts its work into strips, small enough that a strip's workspace stays in a core's cache.
The strips run on a few Python threads: NumPy releases the interpreter lock inside copies and
products, and while several strips run, BLAS is held to one thread each, so that cores are not
fought over.  Whoever is free takes the next strip.  Where strips are summed up, `partition` says
which go together, by their number alone, so a run can be repeated bit for bit.
"""
from collections import deque
import functools
import itertools
import math
import os
from queue import SimpleQueue
import threading
import weakref

import numpy as np

from minidl import backend
from minidl.parallel.memory import empty, pitch

WORTHWHILE = 3 * 2 ** 19    # bytes that are copied in the time that it takes to wake a thread

CACHE = 2 ** 21             # bytes of workspace that stay in a core's cache
ON_GPU = 2 ** 28            # bytes of a strip there, where each costs a kernel launch

_local = threading.local()


def number_of_threads():
    """MINIDL_NUM_THREADS, by default the cores that this process may use."""
    asked = os.environ.get("MINIDL_NUM_THREADS")
    if asked is None and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    if asked is None:
        return os.cpu_count() or 1
    if not (asked.isascii() and asked.isdigit()) or int(asked) < 1:
        raise ValueError(f"MINIDL_NUM_THREADS must be a positive integer, got {asked!r}")
    return int(asked)


def threads_for(work):
    """How many threads it pays to wake, for that many bytes to copy, or what takes as long."""
    threads = number_of_threads()
    return threads if work > threads * WORTHWHILE else 1


def parallel_map(job, items, xp, threads=None):
    """[job(item) for item in items], on the CPU side by side on so many threads, by default all.

    This thread begins with the first item, its helpers with the last, as soon as they have woken
    up: so each comes back to what it has in its cache.  After an error in a job nothing more is
    begun, but what was begun is waited for: nobody writes any more into what the caller throws
    away.
    """
    if xp is not np:
        return [job(item) for item in items]
    with _OneBlasThread():
        helpers = min(threads or number_of_threads(), len(items)) - 1
        if helpers < 1:
            return [job(item) for item in items]
        waiting, done = deque(enumerate(items)), SimpleQueue()
        results, errors = [None] * len(items), []

        def work(take):
            while waiting:
                try:
                    i, item = take()
                except IndexError:          # somebody else took the last one
                    return
                try:
                    if not errors:
                        results[i] = job(item)
                except BaseException as error:
                    errors.append(error)
                finally:
                    done.put(i)

        team = _helpers.borrow(helpers)
        try:
            for helper in team:
                helper.tasks.put(lambda: work(waiting.pop))
            work(waiting.popleft)
            for _ in items:
                done.get()
        finally:
            _helpers.give_back(team)
        if errors:
            raise errors.pop()
        return results


def with_one_blas_thread(job):
    """job(), on this thread, with BLAS held to one thread."""
    with _OneBlasThread():
        return job()


class _Helper(threading.Thread):
    """A thread that does one task after another, 20 µs sooner than a ThreadPoolExecutor's."""

    def __init__(self):
        super().__init__(name="minidl", daemon=True)
        self.tasks = SimpleQueue()
        self.start()

    def run(self):
        while True:
            self.tasks.get()()


class _Helpers:
    """No more helpers than there are threads: whoever comes when all are busy works alone."""

    def __init__(self):
        self.lock, self.idle, self.made = threading.Lock(), [], []

    def borrow(self, size):
        """So many, if there are: those that were busy last, with what is in their caches."""
        with self.lock:
            if len(_OneBlasThread.inside) == 1 and len(self.idle) < len(self.made):
                self.idle = list(self.made)     # nobody else works: one was interrupted
            while len(self.idle) < size and len(self.made) < number_of_threads():
                try:
                    helper = _Helper()
                except RuntimeError:                        # the system has no more threads to give
                    break
                self.made.append(helper)
                self.idle.insert(0, helper)
            rest = max(0, len(self.idle) - size)
            team, self.idle = self.idle[rest:], self.idle[:rest]
            return team

    def give_back(self, team):
        with self.lock:
            self.idle += team


_helpers = _Helpers()


class _OneBlasThread:
    """Holds BLAS to one thread while anybody is inside; the last to leave puts back what was.

    Those inside are known by weak references: whoever is interrupted by Ctrl-C before leaving is
    not waited for, once the traceback is gone.
    """
    lock = threading.Lock()
    inside = []         # references to all that are inside
    found = []          # (choose, number of threads) of each BLAS before

    def __enter__(self):
        with self.lock:
            self.inside[:] = [other for other in self.inside if other()] + [weakref.ref(self)]
            if len(self.inside) == 1:
                if not self.found:
                    self.found[:] = [(choose, number()) for number, choose in _switches()]
                for choose, _ in self.found:
                    choose(1)

    def __exit__(self, *exception):
        with self.lock:
            self.inside[:] = [other for other in self.inside if other() not in (self, None)]
            if not self.inside:
                for choose, threads in self.found:
                    choose(threads)
                self.found.clear()


@functools.cache
def blas():
    """The controllers of the BLAS libraries that are loaded; none where they cannot be found, as
    in a browser."""
    try:
        from threadpoolctl import ThreadpoolController
        return ThreadpoolController().select(user_api="blas").lib_controllers
    except (ImportError, OSError):
        return []


@functools.cache
def _switches():
    """For each BLAS that is loaded, the functions that give and choose its number of threads.

    OpenBLAS's own, where it has threads of its own: threadpoolctl gives it to the first thread
    that asks and then ignores all others, and takes as long for each kernel as a small one.
    """
    return [_openblas(library) or (library.get_num_threads, library.set_num_threads)
            for library in blas()]


def _openblas(library):
    """The two functions of an OpenBLAS with threads of its own; else None.

    Distributions give their names a prefix and a suffix.
    """
    affixes = itertools.product(("", "scipy_"), ("", "64_", "_64"))
    pairs = [[f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
             for prefix, suffix in affixes]
    own = getattr(library, "threading_layer", None) == "pthreads"
    found = [pair for pair in pairs if own and all(hasattr(library.dynlib, name) for name in pair)]
    return [getattr(library.dynlib, name) for name in found[0]] if found else None


def _after_fork():
    """A forked process has this one's objects but not its threads, so nobody leaves."""
    global _helpers
    _helpers, _OneBlasThread.lock = _Helpers(), threading.Lock()
    _OneBlasThread.inside.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def workspace(xp, name, shape, dtype, pitched=False):
    """An uninitialised array: on the CPU this thread's buffer of that name, until asked again.

    pitched: with rows (along the last axis) that are `memory.pitch` apart.
    """
    if xp is not np:
        return xp.empty(shape, dtype)
    dtype = np.dtype(dtype)
    *others, length = shape
    step = pitch(length, dtype, xp) if pitched else length
    needed = math.prod(others) * step * dtype.itemsize
    buffer = _local.__dict__.get(name)
    if buffer is None or buffer.nbytes < needed:
        buffer = _local.__dict__[name] = np.empty(needed, np.uint8)
    whole = np.ndarray((*others, step), dtype, buffer)
    return whole if step == length else whole[..., :length]


def strips(images, rows, bytes_per_row, xp, budget=CACHE, threads=None):
    """Slices (of images, of rows) that cover all, of at most `budget` bytes where possible.

    A strip is several whole images or some rows of one, so it is one contiguous stretch of the
    result.  Their sizes are even, and every thread gets as many as the others.  On a GPU the
    budget is larger: there a strip is a kernel launch.
    """
    if images == 0:
        return []
    threads, budget = (threads or number_of_threads(), budget) if xp is np else (1, ON_GPU)
    pieces = _multiple(images * rows * bytes_per_row / budget, threads)
    if pieces <= images:
        return [(part, slice(0, rows)) for part in even(images, pieces)]
    of_one = _multiple(pieces / images, 1 if images % threads == 0 else threads)
    return [(slice(n, n + 1), part)
            for n in range(images) for part in even(rows, min(of_one, rows))]


def _multiple(x, n):
    """The smallest multiple of n, at least n, that is not below x."""
    return n * max(1, math.ceil(x / n))


def even(length, pieces):
    """Slices that cut a length into pieces of equal size, to within one."""
    cuts = [length * i // pieces for i in range(pieces + 1)] if pieces else []
    return [slice(*ends) for ends in zip(cuts, cuts[1:])]


def partition(strips, xp):
    """The strips as a list for each thread: contiguous, so that sums never depend on chance."""
    pieces = min(len(strips), number_of_threads()) if xp is np else 1
    return [strips[part] for part in even(len(strips), pieces)]


def in_strips(job, images, rows, bytes_per_row, xp, budget, cost=1):
    """job(strip) for all strips.  cost: it takes so many times as long as to copy its bytes."""
    threads = threads_for(cost * images * rows * bytes_per_row)
    parallel_map(job, strips(images, rows, bytes_per_row, xp, budget, threads), xp, threads)


def sum_over(job, strips, shape, dtype, xp, threads=None):
    """Σ of the arrays that job(strip, out) writes, of that shape."""
    def total(mine):
        first, *others = mine
        result = empty(shape, dtype, xp)
        job(first, result)
        for strip in others:
            part = workspace(xp, "part", shape, dtype)
            job(strip, part)
            result += part
        return result

    if not strips:
        return xp.zeros(shape, dtype)
    result, *others = parallel_map(total, partition(strips, xp), xp, threads)
    for other in others:
        result += other
    return result


def parallel_for(fill, array, whole_images=False, others=1):
    """fill(strip) for strips that cover an array (N, rows, …): array[strip] is one of them.

    whole_images: do not cut images into rows, where what fill writes for one overlaps the next.
    others: how many arrays of the strip's size fill needs beside it.
    """
    images, rows = array.shape[:2]
    per_row = math.prod(array.shape[2:]) * array.dtype.itemsize
    if whole_images:
        rows, per_row = 1, rows * per_row
    in_strips((lambda strip: fill((strip[0], slice(None)))) if whole_images else fill,
              images, rows, (1 + others) * per_row, backend.of(array), CACHE)
