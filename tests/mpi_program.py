"""What test_mpi.py starts with mpiexec: python tests/mpi_program.py TASK [argument …]."""
import json
import os
from pathlib import Path
import sys
import time

sys.path.insert(0, str(Path(__file__).parent))

from joint_training import Run, apart
import numpy as np

import minidl as md
from minidl.ops import communication as c
from minidl.parallel import distributed

ranks = distributed.communicator()


def inner(a, b):
    """⟨a, b⟩ summed over the ranks."""
    return float(ranks.all_sum(np.array((a * b).sum())))


def drawn(*shape):
    return np.random.default_rng([5, ranks.rank, len(shape)]).standard_normal(shape)


def adjoints():
    """Every collective on shards of rank + 1 rows: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩."""
    counts = [rank + 1 for rank in range(ranks.size)]
    whole, own = drawn(sum(counts), 2), drawn(ranks.rank + 1, 2)
    for A, x in [(c.all_sum, drawn(3, 2)), (c.all_gather, own),
                 (lambda x: c.reduce_scatter(x, counts), whole),
                 (lambda x: c.broadcast(x, 1), whole), (lambda x: c.reduce(x, 1), whole)]:
        x = md.tensor(x, requires_grad=True)
        y = A(x)
        gy = drawn(*y.shape, 1)[..., 0]
        gx, = md.grad(y, x, gy)
        left, right = inner(y.numpy(), gy), inner(x.numpy(), gx.numpy())
        assert abs(left - right) < 1e-12 * abs(left), (left, right)
    for kind in ("float16", "float32", "int32", "bool", "float64"):
        x = md.tensor(np.ones((counts[ranks.rank], 2)), dtype=kind)
        assert c.all_gather(x).numpy().tolist() == [[1, 1]] * sum(counts)
        total = c.all_sum(md.tensor([1, 0], dtype=kind))
        assert total.numpy().tolist() == [True if kind == "bool" else ranks.size, 0]
        assert total.dtype == kind
    one = c.broadcast(md.tensor(float(ranks.rank)), ranks.size - 1)
    assert one.item() == ranks.size - 1 and ranks.objects(ranks.rank) == list(range(ranks.size))


def model_parallel():
    """y = sin(x) on rank 0, L = Σ w y² on rank 1: gradients on both, and that of a gradient."""
    large = 20_000                                      # numbers: no short message
    start = np.linspace(1, 2, large)
    if ranks.rank == 0:
        x = md.tensor(start, requires_grad=True)
        loss = md.ops.sum(c.send(md.ops.sin(x), 1))
        slope, = md.grad(loss, x, create_graph=True)
        np.testing.assert_allclose(slope.numpy(), 6 * np.sin(start) * np.cos(start), rtol=1e-12)
        curvature, = md.grad(md.ops.sum(slope), x)
        np.testing.assert_allclose(curvature.numpy(), 6 * np.cos(2 * start), rtol=1e-12)
    elif ranks.rank == 1:
        w = md.tensor(3.0, requires_grad=True)
        loss = md.ops.sum(w * md.ops.square(c.receive(0, w)))
        slope, = md.grad(loss, w, create_graph=True)
        np.testing.assert_allclose(slope.item(), np.sum(np.sin(start) ** 2), rtol=1e-12)
        # Σ slopes of rank 0, which depend on what rank 1 does: it sweeps, too
        md.grad(slope * 0, w)
    ranks.barrier()


def train(path, options="{}"):
    """A Run; rank 0 writes what became of it, each rank its process's number beside it."""
    Path(f"{path}.{ranks.rank}").write_text(str(os.getpid()))
    options = json.loads(options)
    stop, slow = options.pop("stop", None), options.pop("slow", 0)
    done = Run(**options)

    def callback(loop):
        done.note(loop)
        time.sleep(slow)
        if loop.t == stop:
            raise StopIteration

    done.loop.callback = callback
    done.run()
    states = ranks.objects(done.state())
    assert all(apart(states[0], other) == 0 for other in states)        # to the bit
    if ranks.rank == 0:
        np.savez(path, t=done.loop.t, losses=list(done.losses.values()), **done.state())


def fault(kind, where):
    """Something happens to one rank, where = its number, in the third step."""
    at_fault = ranks.rank == int(where)
    done = Run(steps=1000)

    def callback(loop):
        if loop.t == 3 and at_fault:
            if kind == "exception":
                raise RuntimeError("out of luck")
            if kind == "kill":
                os.kill(os.getpid(), 9)
            if kind == "exit":
                sys.exit(0)
            if kind == "other way":
                ranks.barrier()
            if kind == "nan":
                first = done.net.parameters()[0]
                first.data = first.data * np.nan

    done.loop.callback, done.loop.every = callback, 10 ** 6
    done.run()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print(f"done {ranks.rank}")
