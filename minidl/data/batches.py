"""Minibatches, and making them ahead of time."""
from collections.abc import Iterable, Iterator
import queue
import sys
import threading

import numpy as np

from .. import backend
from ..recording import is_recording, recording
from ..settings import whole
from ..tensor import Tensor


class batches:
    """Go through arrays in minibatches, row i of each together, once per `for` loop.

        for x, y in batches(images, labels, batch_size=64, rng=0): ...

    Each array or Tensor (N, ...), or list of N things (paths, say), gives pieces (batch_size, ...),
    the last one shorter, or left out if `drop_last`; several arrays give tuples, one gives the
    pieces themselves.  `len` is the number of batches.
    rng: None keeps the order, and the pieces are views; a numpy.random.Generator or a seed shuffles
    all arrays alike, anew for every loop.  (So make one `batches` before the loop over epochs, or
    pass a Generator: a seed given anew in every epoch gives every epoch the same order.)

    Raises ValueError for arrays of different lengths or a batch_size below 1, TypeError for one
    that is not whole, for what has no length and order, and for a tuple of arrays: (x, y) instead
    of x, y.
    """

    def __init__(self, *arrays, batch_size: int, rng: np.random.Generator | int | None = None,
                 drop_last: bool = False):
        for i, array in enumerate(arrays):
            if not (isinstance(array, (list, tuple)) or getattr(array, "shape", None)):
                raise TypeError(f"batches: arrays[{i}] must be an array, a Tensor or a list of "
                                f"examples, got {type(array).__name__}")
            if isinstance(array, tuple) and any(getattr(each, "shape", ()) for each in array):
                raise TypeError(f"batches: arrays[{i}] is a tuple of arrays; write batches(x, y, "
                                "batch_size=…), or [x, y] where each is one example")
        lengths = [len(array) for array in arrays]
        if len(set(lengths)) != 1:
            raise ValueError("batches: arrays must be one or more of the same length, got lengths "
                             f"{lengths}")
        self.batch_size = whole("batches", "1 ≤ batch_size < inf", batch_size)
        self.arrays, self.drop_last = arrays, drop_last
        self.rng = None if rng is None else backend.generator(rng)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.arrays[0]), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator:
        order = None if self.rng is None else self.rng.permutation(len(self.arrays[0]))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = slice(start, start + self.batch_size)
            if order is not None:
                chosen = order[chosen]
            pieces = tuple(_piece(array, chosen) for array in self.arrays)
            yield pieces if len(pieces) > 1 else pieces[0]


def _piece(array, chosen):
    """array[chosen] for a slice or a NumPy array of indices."""
    if isinstance(chosen, slice):
        return array[chosen]
    if isinstance(array, (list, tuple)):
        return [array[i] for i in chosen]
    return array[Tensor(chosen, device=array.device) if isinstance(array, Tensor) else chosen]


class prefetch:
    """Go through `iterable` while a thread makes the next items: loading and augmenting run during
    the step.

        loop = prefetch(augmented(batches(images, labels, batch_size=64, rng=0)))
        for epoch in range(10):
            for x, y in loop: ...

    The items are the iterable's own, in its order, and at most `depth` of them wait or are being
    made.  Each `for` loop iterates over the iterable anew, in a thread of its own, which records
    operations if the loop's thread does (`no_grad`). An exception in the iterable is raised in the
    loop, after the items before it.  Leaving the loop early, or dropping it, ends the thread once
    the item that it is making is made; how many it had made by then is a matter of chance, and so
    is the state of a Generator that the iterable draws from.  Where no thread can be started, as in
    a browser, the items are made when they are asked for.

    Raises ValueError for a depth below 1, TypeError for one that is not whole.
    """

    def __init__(self, iterable: Iterable, depth: int = 2):
        if not hasattr(iterable, "__iter__"):
            raise TypeError("prefetch: iterable must be gone through in a `for` loop, got "
                            f"{type(iterable).__name__}")
        self.iterable, self.depth = iterable, whole("prefetch", "1 ≤ depth < inf", depth)

    def __len__(self):
        return len(self.iterable)

    def __iter__(self):
        ready, stopped = queue.SimpleQueue(), threading.Event()
        places = threading.Semaphore(self.depth)
        maker = threading.Thread(target=_make, args=(self.iterable, ready, places, stopped,
                                                     is_recording()), daemon=True,
                                 name="minidl-prefetch")
        try:
            maker.start()
        except RuntimeError:            # where there are no threads, as in a browser
            yield from self.iterable
            return
        try:
            while True:
                item, error, ended = ready.get()
                places.release()
                if error is not None:
                    raise error
                if ended:
                    return
                yield item
                del item                # the thread's next one may need the memory
        finally:
            stopped.set()
            places.release()
            error = None                # it holds this frame: no cycle is left behind
            # the garbage collector may be dropping this loop in the thread itself, or Python be
            # ending, without the thread
            if threading.current_thread() is not maker and not sys.is_finalizing():
                maker.join()


def _make(iterable, ready, places, stopped, record):
    """What the thread does: put (item, exception, whether it is the end) into `ready` as long as
    there are places."""
    try:
        with recording(record):
            items = iter(iterable)
            while places.acquire() and not stopped.is_set():
                try:
                    item = next(items)
                except StopIteration:
                    ready.put((None, None, True))
                    return
                ready.put((item, None, False))
                del item
    except BaseException as error:
        ready.put((None, error, True))
