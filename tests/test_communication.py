"""Communication is linear, and its adjoint is its gradient; what is made of it has derivatives of
any order.  The ranks are threads (ranks.py); test_mpi.py does the same with processes."""
import sys

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from ranks import over_ranks, run

import minidl as md
from minidl.nn import BatchNorm, Dropout
from minidl.ops import communication as c
from minidl.parallel import distributed
from minidl.testing import adjointcheck, gradcheck

SHARDS = st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any)
EQUAL = st.tuples(st.integers(1, 3), st.integers(1, 4)).map(lambda pair: [pair[0]] * pair[1])


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2, shape) * np.where(
        np.random.default_rng(seed + 1).random(shape) < 0.5, -1, 1)


def both(A, counts, given):
    """A over the ranks, and its adjoint: what the ranks' sweeps give."""
    forward = over_ranks(A, counts)
    x = md.tensor(numbers(sum(counts), 2), requires_grad=True)

    def adjoint(gy):
        return md.grad(forward(x), x, gy)[0]

    y = forward(x)
    assert y.shape[0] == sum(given)
    return forward, adjoint, x.shape, y.shape


def check_adjoint(A, counts, given):
    forward, adjoint, came, gone = both(A, counts, given)
    adjointcheck(forward, adjoint, numbers(*came, seed=3), numbers(*gone, seed=5))


@given(EQUAL)
def test_all_sum_is_its_own_adjoint(counts):
    check_adjoint(c.all_sum, counts, counts)
    A = over_ranks(c.all_sum, counts)
    adjointcheck(A, A, numbers(sum(counts), 2), numbers(sum(counts), 2, seed=9))


@given(SHARDS)
def test_all_gather_and_reduce_scatter_are_adjoint(counts):
    everybody = [sum(counts)] * len(counts)
    check_adjoint(c.all_gather, counts, everybody)
    check_adjoint(lambda x: c.reduce_scatter(x, counts), everybody, counts)
    adjointcheck(over_ranks(c.all_gather, counts),
                 over_ranks(lambda x: c.reduce_scatter(x, counts), everybody),
                 numbers(sum(counts), 2), numbers(sum(everybody), 2, seed=9))


@given(EQUAL, st.data())
def test_broadcast_and_reduce_are_adjoint(counts, data):
    root = data.draw(st.integers(0, len(counts) - 1))
    check_adjoint(lambda x: c.broadcast(x, root), counts, counts)
    check_adjoint(lambda x: c.reduce(x, root), counts, counts)
    adjointcheck(over_ranks(lambda x: c.broadcast(x, root), counts),
                 over_ranks(lambda x: c.reduce(x, root), counts),
                 numbers(sum(counts), 2), numbers(sum(counts), 2, seed=9))


def moved(x):
    """x of rank 0, on rank 1; nothing on rank 0."""
    rank = distributed.communicator().rank
    return c.send(x, 1)[:, None] * md.ops.ones((1, 2)) if rank == 0 else c.receive(0, x)


def bent(x):
    """On rank 1 what both hold is multiplied, so that there are mixed second derivatives."""
    rank = distributed.communicator().rank
    if rank == 0:
        return c.send(md.ops.sin(x), 1)[:, None] * md.ops.ones((1, 2))
    return md.ops.square(c.receive(0, x)) * md.ops.sin(x)


def test_send_and_receive_are_adjoint():
    check_adjoint(moved, [3, 3], [0, 3])
    gradcheck(over_ranks(moved, [3, 3]), numbers(6, 2), order=2)
    gradcheck(over_ranks(bent, [3, 3]), numbers(6, 2), order=2)


@pytest.mark.parametrize("A, counts", [
    (c.all_sum, [2, 2, 2]), (c.all_gather, [2, 0, 1]),
    (lambda x: c.reduce_scatter(x, [1, 2]), [3, 3]), (lambda x: c.broadcast(x, 1), [2, 2]),
    (lambda x: c.reduce(x, 1), [2, 2])], ids=["all_sum", "all_gather", "reduce_scatter",
                                              "broadcast", "reduce"])
def test_of_compositions_there_are_second_derivatives(A, counts):
    F = over_ranks(lambda x: md.ops.sin(A(md.ops.square(x))), counts)
    gradcheck(F, numbers(sum(counts), 2), order=2)


def joined(f):
    """f within `joint`, of this rank's rows."""
    def inside(*xs):
        with distributed.joint(distributed.communicator()):
            return f(*xs)
    return inside


def normalized(x, vectors):
    return c.batch_norm(x, vectors[0], vectors[1], 1e-3)[0]


@pytest.mark.parametrize("counts", [[3, 2], [1, 4, 1], [5, 0]])
def test_joint_batch_norm_has_the_gradients_of_the_joined_batch(counts):
    x, vectors = numbers(sum(counts), 3), numbers(2, 3, seed=7)
    everywhere = np.tile(vectors, (len(counts), 1))
    F = over_ranks(joined(normalized), counts, [2] * len(counts))
    np.testing.assert_allclose(F(x, everywhere).numpy(),
                               md.ops.batch_norm(x, *vectors, eps=1e-3).numpy(), rtol=1e-12)
    gradcheck(F, x, everywhere, order=2)
    # and they are those of one process: its x̄, and the sum of the ranks' γ̄ and β̄
    gy = numbers(sum(counts), 3, seed=8)
    of_all = [md.tensor(v, requires_grad=True) for v in (x, everywhere)]
    of_one = [md.tensor(v, requires_grad=True) for v in (x, vectors)]
    found = md.grad(F(*of_all), of_all, gy)
    alone = md.grad(md.ops.batch_norm(of_one[0], of_one[1][0], of_one[1][1], eps=1e-3), of_one, gy)
    np.testing.assert_allclose(found[0].numpy(), alone[0].numpy(), atol=1e-12)
    np.testing.assert_allclose(found[1].numpy().reshape(-1, 2, 3).sum(0), alone[1].numpy(),
                               rtol=1e-12)


def test_the_kernel_of_joint_batch_norm_gives_what_its_rule_gives():
    x, vectors = numbers(6, 3), np.tile(numbers(2, 3, seed=7), (2, 1))

    def twice(ranks):
        rows = slice(0, 4) if ranks.rank == 0 else slice(4, 6)
        own = [md.tensor(v, requires_grad=True) for v in (x[rows], vectors[:2])]
        with distributed.joint(ranks):
            y = normalized(*own)
        gy = numbers(6, 3, seed=2)[rows]
        return [g.numpy() for create in (False, True) for g in md.grad(y, own, gy, create)]

    for fast_x, fast_v, slow_x, slow_v in run(2, twice):
        np.testing.assert_allclose(fast_x, slow_x, atol=1e-12)
        np.testing.assert_allclose(fast_v, slow_v, atol=1e-12)


def triplets(x):
    """The triplet loss of all rows, of which every rank computes 1/p."""
    z = md.ops.normalize(c.all_gather(x))
    a, p, n = (md.ops.take(z, np.array(i), 0) for i in ([0, 1, 3, 4], [1, 0, 4, 3], [3, 4, 1, 0]))
    share = 1 / distributed.communicator().size
    return md.ops.reshape(md.losses.triplet(a, p, n, margin=3.0) * share, 1)


@pytest.mark.parametrize("counts", [[5], [3, 2], [2, 1, 2], [4, 0, 1]])
def test_triplets_across_ranks_have_the_gradient_of_one_process(counts):
    F, x = over_ranks(triplets, counts), numbers(5, 3)
    gradcheck(lambda x: md.ops.sum(F(x)), x, order=2)
    here, there = (md.tensor(x, requires_grad=True) for _ in range(2))
    found, = md.grad(md.ops.sum(F(here)), here)
    alone, = md.grad(md.ops.sum(triplets(there)), there)
    np.testing.assert_allclose(found.numpy(), alone.numpy(), atol=1e-14)


@given(SHARDS, st.integers(0, 9))
def test_ranks_drop_their_rows_of_the_joined_mask(counts, seed):
    x = numbers(sum(counts), 2, 2)

    def of_rank(ranks):
        layer, start = Dropout(0.5, rng=seed), sum(counts[:ranks.rank])
        with distributed.joint(ranks):
            y = layer(x[start:start + counts[ranks.rank]])
        return y.numpy(), layer.rng.random()

    found = run(len(counts), of_rank)
    alone = Dropout(0.5, rng=seed)
    np.testing.assert_array_equal(np.concatenate([y for y, _ in found]), alone(x).numpy())
    assert {after for _, after in found} == {alone.rng.random()}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
def test_every_type_stays_itself(dtype, device):
    def of_rank(ranks):
        x = md.tensor(np.ones((ranks.rank + 1, 2)), dtype=dtype)
        one = x[:1]
        made = [c.all_sum(one), c.all_gather(x), c.broadcast(one, 1), c.reduce(one, 0)]
        return [(y.dtype, y.device, y.numpy().tolist()) for y in made]

    for rank, found in enumerate(run(2, of_rank)):
        assert {(dtype, device)} == {(str(kind), where) for kind, where, _ in found}
        two = True if dtype == "bool" else 2
        assert [value for *_, value in found] == [[[two] * 2], [[1] * 2] * 3, [[1] * 2],
                                                  [[0 if rank else two] * 2]]


def test_float16_is_added_up_in_float32():
    def of_rank(ranks):
        return c.all_sum(md.tensor([[40000.0 if ranks.rank < 2 else -40000.0]], dtype="float16"))

    assert [y.item() for y in run(3, of_rank)] == [40000.0] * 3


def test_joint_batch_norm_of_float32_keeps_its_digits_and_follows_the_joined_moments(device):
    x = (numbers(40, 3) + 1e4).astype("float32")

    def of_rank(ranks):
        layer = BatchNorm(3, momentum=1.0)
        layer.to(device)
        with distributed.joint(ranks):
            y = layer(md.tensor(x[:31] if ranks.rank == 0 else x[31:]))
        return y.numpy(), *(
            md.tensor(v).numpy() for v in (layer.running_mean, layer.running_variance)
        )

    (first, *moments), (second, *others) = run(2, of_rank)
    wide = x.astype("float64")
    np.testing.assert_allclose(np.concatenate([first, second]),
                               (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5), atol=2e-3)
    np.testing.assert_allclose(moments[0], wide.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments[1], wide.var(0, ddof=1), rtol=1e-3)
    np.testing.assert_array_equal(moments, others)


@pytest.mark.parametrize("wrong, said", [
    (lambda r: c.all_sum(np.zeros((2, 3 + r.rank))), r"rank 0 came to all_sum of float64 \(2, 3\), "
     r"rank 1 to all_sum of float64 \(2, 4\)"),
    (lambda r: c.all_gather(np.zeros((1, 2), "f" if r.rank else "d")), "float64.*float32"),
    (lambda r: r.barrier() if r.rank else c.all_sum(np.zeros(3)), "all_sum.*barrier"),
    (lambda r: c.broadcast(np.zeros(3), 2), "root must be in 0 ≤ root ≤ 1, got 2"),
    (lambda r: c.all_gather(3.0), "must have rows"),
    (lambda r: c.reduce_scatter(np.zeros((3, 2)), [1, 1]), r"counts \[1, 1\].*rows of x \(3"),
    (lambda r: c.reduce_scatter(np.zeros(3), [r.rank, 3 - r.rank]),
     r"counts \[0, 3\], rank 1 to .*, counts \[1, 2\]"),
    (lambda r: c.send(np.zeros(3), r.rank), "another rank"),
    (lambda r: r.receive(7), "source must be in 0 ≤ source ≤ 1, got 7"),
    (lambda r: joined(normalized)(np.zeros((1 - r.rank, 2)), np.ones((2, 2))),
     "joined batch must hold more than one value")])
def test_what_does_not_fit_is_said_and_nobody_waits(wrong, said):
    with pytest.raises(ValueError, match=said):
        run(2, wrong)


@pytest.mark.parametrize("n", [3, 3000])
def test_a_rank_without_numbers_gathers_those_of_the_others(n):
    for y in run(2, lambda r: r.all_gather(np.arange(float(n if r.rank else 0)))):
        assert (y == np.arange(n)).all()
    x = [np.arange(0.0), np.arange(float(n))]
    for g, own in zip(run(2, lambda r: own_gradient(x[r.rank])), x):
        assert g.shape == own.shape and (g == 2).all()          # each of two ranks sums up all


def own_gradient(own):
    x = md.tensor(own, requires_grad=True)
    return md.grad(c.all_gather(x).sum(), x)[0].numpy()


def test_who_brought_what_is_not_finite_is_remembered():
    def of_rank(ranks):
        for bad in ((), (1,), (0, 2)):
            x = np.full((2, 2), np.nan if ranks.rank in bad else 1.0)
            ranks.all_gather(x)
        return ranks.not_finite

    assert run(3, of_rank) == [(1,)] * 3


@pytest.mark.parametrize("said", [
    "raise RuntimeError('cannot load MPI library\\nlibmpi.so: cannot open')",
    "raise ImportError('cannot load MPI library')"])
def test_without_an_mpi_one_line_says_what_to_install(tmp_path, monkeypatch, said):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("")
    (tmp_path / "mpi4py" / "MPI.py").write_text(said)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mpi4py", "mpi4py.MPI"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    line = r"^several processes need mpi4py and an MPI \(cannot load MPI library\): pip install .*$"
    with pytest.raises(ImportError, match=line):
        distributed.communicator("mpi")
    monkeypatch.setenv("PMIX_NAMESPACE", "slurm")
    with pytest.raises(ImportError, match=line):
        distributed.processes()
    sys.modules.pop("mpi4py", None)


def test_one_process_alone():
    x = md.tensor([[1.0, 2.0]], requires_grad=True)
    solo = distributed.communicator()
    assert (solo.rank, solo.size, repr(solo)) == (0, 1, "Solo(rank 0 of 1)")
    assert solo is distributed.communicator("solo") and solo.objects(3) == [3]
    for A in (c.all_sum, c.all_gather, c.broadcast, c.reduce,
              lambda x: c.reduce_scatter(x, [1])):
        np.testing.assert_array_equal(A(x).numpy(), x.numpy())
        np.testing.assert_array_equal(md.grad(A(x), x, [[3.0, 4.0]])[0].numpy(), [[3.0, 4.0]])
    solo.barrier()
    with pytest.raises(ValueError, match="another rank"):
        c.send(x, 0)
    with pytest.raises(ValueError, match='"solo", "mpi" or "nccl"'):
        distributed.communicator("pvm")
