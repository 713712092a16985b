"""Training by several ranks (threads here, see ranks.py) is the training of one process."""
import math
from pathlib import Path
import subprocess
import sys

from joint_training import Run, apart
import numpy as np
import pytest
from ranks import run

import minidl as md
from minidl import nn
from minidl.gan.networks import Discriminator, Generator
from minidl.gan.training import PictureRecipe, Training
from minidl.parallel import distributed
from minidl.parallel.distributed.buckets import Buckets
from minidl.training import Diverged, Loop, descend, indices, jointly
from minidl.training.processes import gradients

ROOT = Path(__file__).parent.parent
ALONE = {}


def alone(**options):
    """The run of one process, once."""
    key = tuple(sorted(options.items()))
    if key not in ALONE:
        done = Run(**options).run()
        ALONE[key] = done.state(), done.losses
    return ALONE[key]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("dtype, close", [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("batch_size", [16, 14, 48])
def test_parameters_after_20_steps_are_those_of_one_process(size, dtype, close, batch_size):
    """48 of 50: the last batch has two pictures, and one of three ranks none."""
    options = {"dtype": dtype, "batch_size": batch_size}
    for state, losses in run(size, lambda ranks: (lambda r: (r.state(), r.losses))(
            Run(**options).run())):
        assert apart(state, alone(**options)[0]) < close
        np.testing.assert_allclose(list(losses.values()), list(alone(**options)[1].values()),
                                   rtol=close)


def test_it_is_so_on_every_device(device):
    """The stand-in for a GPU refuses what would pass by the host."""
    md.use_device("cpu")
    one = alone(steps=3)[0]
    md.use_device(device)
    for state in run(2, lambda ranks: Run(steps=3).run().state()):
        assert apart(state, one) < 1e-12


@pytest.mark.parametrize("size", [2, 3])
def test_losses_of_mined_triplets_and_adam_are_those_of_one_process(size):
    options = {"dtype": "float32", "mined": True}
    for losses in run(size, lambda ranks: Run(**options).run().losses):
        np.testing.assert_allclose(list(losses.values()), list(alone(**options)[1].values()),
                                   rtol=1e-3)


def test_another_number_of_ranks_goes_on_with_the_same_order(tmp_path):
    path = tmp_path / "run.npz"

    def until(stop):
        def go(ranks):
            def callback(loop):
                if loop.t == stop and ranks.rank == ranks.size - 1:
                    loop.stopped = "enough"             # one of them says so
            done = Run(batch_size=14, checkpoint=path, callback=callback).run()
            return done.loop.t, done.loop.stopped, done.state()
        return go

    assert [found[:2] for found in run(3, until(7))] == [(7, "enough")] * 3
    assert [found[:2] for found in run(2, until(12))] == [(12, "enough")] * 2
    (t, stopped, state), = run(1, until(20))
    assert (t, stopped) == (20, "enough")
    assert apart(state, alone(batch_size=14)[0]) < 1e-12


def test_all_begin_with_the_parts_of_the_first():
    def go(ranks):
        net = nn.Sequential(nn.Dense(2, 3, rng=ranks.rank), nn.Dropout(0.5, rng=ranks.rank))
        sgd = md.optim.SGD(net.parameters(), 0.1)
        Loop(lambda t, x: descend((md.ops.sum(jointly(net, x)), sgd))[0],
             lambda t: np.ones((5, 2), "float32"), 2, parts={"net": net, "sgd": sgd}).run()
        return net.parameters()[0].numpy(), net[1].rng.random()

    (first, drawn), (second, other) = run(2, go)
    np.testing.assert_array_equal(first, second)
    assert drawn == other


def test_only_the_first_reads_and_writes_the_checkpoint(tmp_path):
    def go(ranks):
        path = tmp_path / f"{ranks.rank}.npz"
        Run(steps=3, checkpoint=path).run()
        again = Run(steps=3, checkpoint=path)
        again.loop.run()                                # has nothing left to do
        return again.loop.t, len(again.loop.history), again.state()

    (*first, state), (*second, other) = run(2, go)
    assert first == second == [3, 3] and apart(state, other) == 0
    assert [path.name for path in tmp_path.glob("*.npz")] == ["0.npz"]


def test_a_checkpoint_of_other_settings_ends_all(tmp_path):
    run(2, lambda ranks: Run(steps=1, checkpoint=tmp_path / "a", identity={"seed": 1}).run())
    with pytest.raises(ValueError, match="seed was 1, is 2"):
        run(2, lambda ranks: Run(steps=1, checkpoint=tmp_path / "a", identity={"seed": 2}).run())


class Poisoned(nn.Module):
    """Gives NaN on one rank from a step on."""

    def __init__(self, net, rank):
        self.net, self.rank, self.calls = net, rank, 0

    def forward(self, x):
        self.calls += 1
        bad = self.calls > 2 and distributed.communicator().rank == self.rank
        return self.net(x * math.nan if bad else x)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_nan_on_one_rank_ends_all_and_names_it(rank):
    """Batch norm spreads it over all ranks at once; named is the one that brought it."""
    def go(ranks):
        run_ = Run()
        run_.net = Poisoned(run_.net, rank)
        with pytest.raises(Diverged, match=rf"nan \(rank {rank} brought .* at step 3") as error:
            run_.run()
        return error.value.step

    assert run(3, go) == [3, 3, 3]


def test_a_loss_that_is_nan_on_one_rank_alone_names_it():
    def go(ranks):
        w = md.tensor([1.0], requires_grad=True)
        factor = math.nan if ranks.rank == 1 else 1.0
        with pytest.raises(Diverged, match=r"the loss is nan \(rank 1 brought"):
            descend((md.ops.sum(w * w) * factor, md.optim.SGD(w, 0.1)))

    run(2, go)


def test_a_gradient_that_is_nan_on_one_rank_alone_names_it():
    def go(ranks):
        w = md.tensor([1.0], requires_grad=True)
        bad = math.nan if ranks.rank == 1 else 1.0
        loss = md.record(w.data.sum(), (w, lambda gy: gy * bad * md.ops.ones(1)))
        with pytest.raises(Diverged, match=r"a gradient is not finite \(rank 1 brought"):
            descend((loss, md.optim.SGD(w, 0.1)))
        return w.item()

    assert run(2, go) == [1.0, 1.0]


def test_losses_of_shards_are_refused():
    def go(ranks):
        w = md.tensor([1.0], requires_grad=True)
        return descend((md.ops.sum(w * (ranks.rank + 1)), md.optim.SGD(w, 0.1)))

    with pytest.raises(ValueError, match=r"\[1.0\] on rank 0 and \[2.0\] on rank 1.*jointly"):
        run(2, go)


def test_the_gradient_of_what_no_rank_depends_on_is_zero_and_of_a_shared_head_whole():
    x, start = np.arange(10.0).reshape(5, 2), np.array([[1.0], [2.0]])

    def go(ranks):
        w, head, other = (md.tensor(v, requires_grad=True) for v in (start, [3.0], [5.0]))
        y = jointly(lambda x: x @ w, md.tensor(x))
        return [g.numpy() for g in gradients(md.ops.sum(y * head), [w, head, other])]

    for found in run(3, go):
        np.testing.assert_allclose(found[0], 3 * x.sum(0)[:, None])
        np.testing.assert_allclose(found[1], [(x @ start).sum()])
        np.testing.assert_array_equal(found[2], [0.0])


@pytest.mark.parametrize("bucket", [1, 100, 10 ** 6])
def test_buckets_give_sums_whatever_their_size(bucket):
    kinds = ["float32", "float64", "float16", "float32"]

    def go(ranks):
        sums = Buckets(ranks, bucket)
        for key, kind in enumerate(kinds):
            sums.add(key, np.full((key + 1, 2), ranks.rank + key, kind))
        return sums.sums()

    for found in run(3, go):
        assert sorted(found) == [0, 1, 2, 3]
        for key, kind in enumerate(kinds):
            assert found[key].dtype == kind and found[key].shape == (key + 1, 2)
            assert (found[key] == 3 + 3 * key).all()


def test_ranks_with_other_gradients_end_with_an_error():
    def go(ranks):
        sums = Buckets(ranks)
        sums.add(0, np.zeros(3 if ranks.rank else 2))
        sums.communicator.start_sum = lambda x: None
        sums.sums()

    with pytest.raises(ValueError, match="rank 0 came to gradients of 16 bytes in 1 messages, "
                                         "rank 1 to gradients of 24"):
        run(2, go)


def test_bytes_of_a_step_are_those_of_the_formula():
    """N parameters; norms of 4 and 8 channels; 16 rows of 8 features, half of them this rank's."""
    def go(ranks):
        done = Run("float32", steps=3).run()
        return sum(w.size for w in done.net.parameters()), ranks.bytes

    for n, sent in run(2, go):
        assert sent["gradients"] == 3 * 4 * n
        assert sent["all_sum"] == 3 * 4 * 2 * (4 + 8)                   # 2C back
        moments, encodings, loss = 8 * (2 * 4 + 1 + 2 * 8 + 1), 4 * 8 * 8, 8
        assert sent["all_gather"] == 3 * (moments + encodings + loss)   # 2C + 1 forward
        assert sent["reduce_scatter"] == 3 * 4 * 16 * 8                 # encodings, back


def test_jointly_refuses_what_are_no_rows():
    def go(ranks):
        with pytest.raises(ValueError, match="one number of rows, got \\[2, 3\\]"):
            jointly(lambda x, y: x, np.ones((2, 1)), np.ones((3, 1)))
        with pytest.raises(ValueError, match=r"a row for each of 2 rows, it gave Tensor of shape "
                                             r"\(1,\)"):
            jointly(lambda x: md.tensor([1.0]), np.ones((4, 1)))
        return jointly(lambda x, y: (md.tensor(x), md.tensor(x * 2)), np.arange(3.0), None)

    for a, b in run(2, go):
        assert (a.numpy().tolist(), b.numpy().tolist()) == ([0, 1, 2], [0, 2, 4])


def test_indices_go_through_all_in_each_epoch_in_a_new_order():
    epochs = [np.concatenate([indices(t, 7, 3, seed=1) for t in range(3 * e, 3 * e + 3)])
              for e in range(4)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert [len(indices(t, 7, 3, seed=1)) for t in range(4)] == [3, 3, 1, 3]


@pytest.mark.parametrize("game, augment", [("non-saturating", ("translation", "cutout")),
                                           ("relativistic", ("brightness", "contrast"))])
def test_gans_are_trained_as_by_one_process(game, augment):
    pictures = np.random.default_rng(0).integers(0, 255, (30, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(30) % 3

    def go(ranks=None):
        g = Generator(8, 1, 4, classes=3, width=4, rng=0)
        d = Discriminator(8, 1, classes=3, width=4, rng=1)
        recipe = PictureRecipe(game, steps=4, batch=7, lazy=2, augment=augment, gamma=1.0)
        training = Training(g, d, pictures, labels, recipe)
        training.run()
        state = {"g" + name: value.numpy() for name, value in g.state_dict().items()}
        return state | {"d" + name: value.numpy() for name, value in d.state_dict().items()}

    one = go()
    for state in run(2, go):
        assert apart(state, one) < 2e-5


def test_a_loop_whose_step_shares_nothing_is_that_of_one_process():
    def go(ranks=None):
        net = nn.Sequential(nn.Dense(2, 3, rng=0, dtype="float64"),
                            nn.BatchNorm(3, dtype="float64"))
        sgd = md.optim.SGD(net.parameters(), 0.1)
        x = np.arange(8.0).reshape(4, 2)
        Loop(lambda t, x: descend((md.ops.mean(net(x) ** 2), sgd))[0], lambda t: x + t, 3,
             parts={"net": net, "sgd": sgd}).run()
        return {name: value.numpy() for name, value in net.state_dict().items()}

    one = go()
    for state in run(2, go):
        assert apart(state, one) < 1e-14


def test_without_a_launcher_nothing_of_mpi_is_imported():
    code = ("import sys, minidl as md; from minidl.training import jointly; "
            "md.distributed.communicator().barrier(); "
            "print([name for name in sys.modules if name.startswith('mpi4py') "
            "or name.endswith(('.mpi', '.nccl', '.ending'))])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
