"""Memory for large results on the CPU, used again.

The system gives large arrays fresh pages and takes them back, and clearing a page costs more than
writing it.  A network asks for the same few sizes all the time: so the memory of a dead array is
kept for the next one that it is large enough for, though not much too large.  Dead memory makes
way where a new block would otherwise take more than was in use at once before, and it is bounded.

Smaller arrays are left to the C library.  That of Linux gives memory back at once, too, except for
sizes up to the largest that it has seen die.  So it is shown one, which nobody writes to, of the
largest size that it learns from.
"""
from collections import OrderedDict
import math
import os
import threading

import numpy as np

LINE = 64               # bytes of a cache line
LARGE = 2 ** 20         # bytes: below, the C library keeps memory itself
BOUND = 2 ** 29         # bytes of dead memory
ROOM = 4                # the largest block that serves is smaller than so many times what is asked
                        # for: a pooled array does not take the block of what was pooled 2×2
LESSON = 2 ** 25 - 2 ** 14  # bytes: glibc's DEFAULT_MMAP_THRESHOLD_MAX, less what malloc adds

np.empty(LESSON, np.uint8)


class _Block(np.ndarray):
    """Memory.  A view refers to the plain array that owns its memory, past others; not to this."""


class _Lent(np.ndarray):
    """A block on loan: all arrays in it refer to this, and it goes back with the last of them."""

    def __del__(self):
        if type(self.base) is _Block:               # and not a part of another loan
            self.pool.give_back(self.base)


class Pool:
    """free: dead blocks by their number of bytes, the size that was not used for the longest first.
    dead, lent, most: bytes that are dead, that are lent, and that were lent at once at most, where
    new blocks were made.
    """

    def __init__(self):
        self.free, self.dead, self.lent, self.most = OrderedDict(), 0, 0, 0
        self.lock = threading.RLock()       # garbage may be collected here, and give blocks back

    def lend(self, size):
        with self.lock:
            block = self.take(size)
            if block is None:
                self.most = max(self.most, self.lent + size)
                self.shrink(self.most - self.lent - size)
                block = _Block(size, np.uint8)
            self.lent += block.size
            return block.view(_Lent)

    def take(self, size):
        """A dead block that serves, or None.  Collected garbage may give blocks back meanwhile."""
        fitting = sorted(s for s in list(self.free) if size <= s < ROOM * size)
        for found in [size] if self.free.get(size) else fitting:
            blocks = self.free.get(found)
            if blocks:
                block = blocks.pop()
                self.dead -= block.size
                self.free.pop(found, None)
                if blocks:
                    self.free[found] = blocks           # the last one now
                return block
        return None

    def give_back(self, block):
        with self.lock:
            self.lent -= block.size
            self.dead += block.size
            self.free.setdefault(block.size, []).append(block)
            self.shrink(BOUND)

    def shrink(self, bound):
        """Let go of dead blocks until there are no more bytes than that."""
        for size in list(self.free) if self.dead > bound else ():
            blocks = self.free.get(size, ())
            while self.dead > bound and blocks:
                self.dead -= blocks.pop().size
            if not blocks:
                self.free.pop(size, None)


_Lent.pool = Pool()


def _after_fork():
    """Whoever held the lock is not in the forked process."""
    _Lent.pool.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def empty(shape, dtype, xp=np, pitched=False):
    """An uninitialised array, as numpy.empty gives.  pitched: with rows (along the last axis) that
    are `pitch` apart.
    """
    dtype = np.dtype(dtype)
    if pitched:
        return empty((*shape[:-1], pitch(shape[-1], dtype, xp)), dtype, xp)[..., :shape[-1]]
    size = math.prod(shape) * dtype.itemsize
    if xp is not np or size < LARGE:
        return xp.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=_Lent.pool.lend(size))


def pitch(length, dtype, xp):
    """Elements from one row to the next where rows of that length are read side by side: an odd
    number of cache lines.

    A cache has few places for lines whose addresses differ by a multiple of a power of two, and
    networks like such sizes: products with such matrices were measured to take up to 1.6 times as
    long.
    """
    line = LINE // dtype.itemsize
    return (-(-length // line) | 1) * line if xp is np else length
