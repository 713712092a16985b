"""Sums of many gradients over the ranks, sent while the sweep still runs.

A message costs some microseconds before its first byte, so gradients are put together: whenever
those that are complete have `BUCKET` bytes, their sum is begun.  The last ones, of the first
layers, are waited for.  README.md says how much of the time is hidden.
"""
from minidl import backend

BUCKET = 2 ** 20        # bytes, of one type


class Buckets:
    """add(key, array) as gradients are ready, the same ones in the same order on all ranks; then
    sums() → {key: Σ array over the ranks}."""

    def __init__(self, communicator, bucket=BUCKET):
        self.communicator, self.bucket = communicator, bucket
        self.open, self.sent = {}, []

    def add(self, key, array):
        kind = array.dtype
        waiting = self.open.setdefault(kind, [])
        waiting.append((key, array))
        if sum(each.nbytes for _, each in waiting) >= self.bucket:
            self._send(kind)
        for _, begun, _ in self.sent:
            begun.test()                        # MPI makes progress only while it is asked

    def sums(self):
        for kind in list(self.open):
            self._send(kind)
        sizes = [own.nbytes for *_, own in self.sent]
        self.communicator.agree(f"gradients of {sum(sizes)} bytes in {len(sizes)} messages",
                                backend.CPU.module.empty(0))    # else some would wait for ever
        found = {}
        for given, begun, _ in self.sent:
            total, start = begun.wait(), 0
            for key, array in given:
                part = total[start:start + array.size]
                found[key] = part.reshape(array.shape).astype(array.dtype)
                start += array.size
        return found

    def is_finite(self):
        """Whether every number that this rank has added is finite."""
        return all(backend.of(own).isfinite(own).all() for *_, own in self.sent)

    def _send(self, kind):
        given = self.open.pop(kind)
        xp = backend.of(given[0][1])
        own = xp.concatenate([array.ravel() for _, array in given])
        wide = own.astype("float32") if kind.char == "e" else own
        self.communicator._count("gradients", wide)
        self.sent.append((given, self.communicator.start_sum(wide), own))
