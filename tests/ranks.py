"""Ranks without MPI: threads of this process that meet at a barrier, for tests of what several
processes compute.

`run(p, f)` calls f(communicator) on p threads and gives their results.  An error on one rank ends
all: the others' wait is broken.
"""
import queue
import threading

import numpy as np

import minidl as md
from minidl import backend
from minidl.parallel import distributed
from minidl.parallel.distributed.communicator import Communicator, Done
from minidl.recording import recording


class Meeting:
    """What p ranks share."""

    def __init__(self, size):
        self.size, self.slots, self.barrier = size, [None] * size, threading.Barrier(size)
        self.post = {(a, b): queue.Queue() for a in range(size) for b in range(size)}

    def exchange(self, rank, value):
        self.slots[rank] = value
        self.barrier.wait(20)
        found = list(self.slots)
        self.barrier.wait(20)
        return found


class Threads(Communicator):
    """A rank that is a thread."""

    def __init__(self, meeting, rank):
        super().__init__()
        self.meeting, self.rank, self.size = meeting, rank, meeting.size

    def meet(self, numbers):
        return np.stack(self.meeting.exchange(self.rank, numbers))

    def start_sum(self, x):
        return Done(self._all_sum(x))

    def _all_sum(self, x):
        first, *others = self.meeting.exchange(self.rank, x)
        total = first.copy()
        for other in others:
            total = total + other
        return total

    def _all_gather(self, x, counts):
        return backend.of(x).concatenate(self.meeting.exchange(self.rank, x))

    def _reduce_scatter(self, x, counts):
        start = int(sum(counts[:self.rank]))
        return self._all_sum(x)[start:start + int(counts[self.rank])]

    def _broadcast(self, x, root):
        return self.meeting.exchange(self.rank, x)[root]

    def _send(self, x, to):
        self.meeting.post[self.rank, to].put(x)

    def _receive(self, source):
        return self.meeting.post[source, self.rank].get(timeout=20)


def run(size, f):
    """[f(communicator) on each of `size` ranks]; raises what one of them has raised."""
    meeting, results, errors = Meeting(size), [None] * size, []

    def work(rank):
        ranks = Threads(meeting, rank)
        try:
            with distributed.use(ranks), recording(True):
                results[rank] = f(ranks)
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            errors.append((rank, error))
            meeting.barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise min(errors, key=lambda found: found[0])[1]
    return results


def over_ranks(f, *counts):
    """F(*xs), where xs[i] holds the rows of all ranks, counts[i][r] of them rank r's: each rank
    calls f(its rows of each), and F gives what they give, one below the other.

    F is differentiable to any order, by the ranks' own sweeps: the rule of xs[i] is made in the
    same way of  (xs, ȳ) ↦ x̄ᵢ.
    """
    size = len(counts[0])

    def F(*xs):
        xs = [md.operand("over_ranks", x) for x in xs]

        def of_rank(ranks):
            own = []
            for x, n in zip(xs, counts):
                start = sum(n[:ranks.rank])
                own.append(md.Tensor(x.data[start:start + n[ranks.rank]], requires_grad=True))
            return f(*own).numpy()

        results = run(size, of_rank)
        given = [len(y) for y in results]

        def rule(i):
            def back(*own_and_cotangent):
                *own, gy = own_and_cotangent
                return md.grad(f(*own), own[i], gy, create_graph=True)[0]
            return lambda gy: over_ranks(back, *counts, given)(*xs, gy)

        return md.record(np.concatenate(results), *((x, rule(i)) for i, x in enumerate(xs)))

    return F
