"""The training room's pieces: steps down, clipping, schedules, averages."""
import math

import numpy as np
import pytest

import minidl as md
from minidl import nn, optim
from minidl.training import EMA, Diverged, clip_gradients, descend, schedules


def leaf(values, dtype="float64"):
    return md.tensor(values, requires_grad=True, dtype=dtype)


# ---- descend ------------------------------------------------------------------------------------

def test_all_gradients_are_taken_before_anybody_moves(device):
    """x y at (1, 2), both down: x ← 1 − 0.1 · 2, y ← 2 − 0.1 · 1; in turns, y ← 2 − 0.1 · 0.8."""
    for alternating, expected in (False, [0.8, 1.9]), (True, [0.8, 1.92]):
        x, y = leaf(1.0), leaf(2.0)
        down = optim.SGD(x, 0.1), optim.SGD(y, 0.1)
        if alternating:
            assert descend((x * y, down[0])) == [2.0]
            assert descend((x * y, down[1])) == pytest.approx([1.6])
        else:
            assert descend((x * y, down[0]), (x * y, down[1])) == [2.0, 2.0]
        assert [x.item(), y.item()] == pytest.approx(expected, rel=1e-15)
        assert x.grad is None and y.grad is None


def test_a_player_moves_its_own_weights_alone(device):
    """The gradients of the others are left alone, and what is frozen stays."""
    x, y, frozen = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([5.0, 6.0])
    frozen.requires_grad = False
    y.grad = md.tensor([7.0, 8.0])
    descend(((x * y * frozen).sum(), optim.SGD([x, frozen], 0.1)))
    assert x.numpy().tolist() == pytest.approx([1 - 1.5, 2 - 2.4])
    assert y.numpy().tolist() == [3, 4] and y.grad.numpy().tolist() == [7, 8]
    assert frozen.numpy().tolist() == [5, 6]
    assert descend((x.sum(), optim.SGD(frozen, 0.1)), max_norm=1.0) == [x.sum().item()]
    assert frozen.numpy().tolist() == [5, 6]


def test_several_optimisers_share_a_loss(device):
    """What AdamW decays and what not: as `backward` and two steps would do it."""
    made = []
    for by_hand in True, False:
        net = nn.Dense(3, 2, rng=0)
        both = [optim.AdamW(w, 0.1, weight_decay=decay)
                for w, decay in ((net.weight, 0.3), (net.bias, 0.0))]
        for t in range(3):
            x = md.tensor(np.random.default_rng(t).normal(size=(4, 3)).astype("float32"))
            loss = (net(x) * net(x)).mean()
            if by_hand:
                loss.backward()
                for optimizer in both:
                    optimizer.step()
                    optimizer.zero_grad()
            else:
                descend((loss, *both))
        made.append((net.weight.numpy(), net.bias.numpy()))
    for first, second in zip(*made):
        np.testing.assert_array_equal(first, second)


def test_a_loss_may_hold_gradients(device):
    """‖∂(w x²)/∂x‖² at x = 1 is 4 w²: its gradient by w is 8 w."""
    w, x = leaf(1.0), leaf(1.0)
    slope, = md.grad(w * x * x, x, create_graph=True)
    descend((slope * slope, optim.SGD(w, 0.01)))
    assert w.item() == pytest.approx(1 - 0.08)


def test_each_player_is_clipped_by_itself(device):
    x, y = leaf([3.0, 4.0]), leaf([0.3, 0.4])
    players = [((w * w).sum() / 2, optim.SGD(w, 1.0)) for w in (x, y)]
    descend(*players, max_norm=1.0)
    np.testing.assert_allclose(x.numpy(), [3 - 0.6, 4 - 0.8])
    np.testing.assert_allclose(y.numpy(), [0, 0], atol=1e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_are_not_finite_move_nobody(device):
    x, y = leaf([1.0]), leaf([0.0])
    down = optim.SGD(x, 0.1), optim.SGD(y, 0.1)
    with pytest.raises(Diverged, match="^the loss is inf$") as caught:
        descend((x.sum() * math.inf, down[0]))
    assert caught.value.step is None
    with pytest.raises(Diverged, match="the loss of player 1 is nan"):
        descend((x.sum(), down[0]), (y.sum() * math.nan, down[1]))
    with pytest.raises(Diverged, match="the length of a gradient is inf"):
        descend((x.sum(), down[0]), (md.ops.sqrt(y).sum(), down[1]), max_norm=1.0)
    assert (x.item(), y.item()) == (1.0, 0.0)


def test_what_descend_is_given():
    x, y = leaf([1.0]), leaf([2.0])
    down = optim.SGD(x, 0.1)
    with md.no_grad():
        unrecorded = x.sum()
    for players, error, words in [
        ((), TypeError, "descend: there is nobody to go down"),
        ((x.sum(),), TypeError, r"every player is a tuple \(loss, optim.*number 0 is a Tensor"),
        (((x.sum(),),), TypeError, r"number 0 is \(Tensor\)"),
        (((x.sum(), down), (3.0, down)), TypeError, r"number 1 is \(float, SGD\)"),
        (((x.sum(), x),), TypeError, r"number 0 is \(Tensor, Tensor\)"),
        (((x.detach().sum(), down),), ValueError, "requires_grad=False"),
        (((unrecorded, down),), ValueError, "outside of no_grad"),
        (((md.ops.stack([x, y]), down),), ValueError, r"the loss of player 0 has shape \(2, 1\)"),
        (((x.sum(), down), (y.sum(), optim.SGD([y, x], 0.1))), ValueError,
         "a parameter of player 1 stands in two optimisers"),
    ]:
        with pytest.raises(error, match=words):
            descend(*players)
    assert x.item() == 1 and x.grad is None


# ---- clipping -----------------------------------------------------------------------------------

def with_gradients(*gradients, dtype="float64"):
    leaves = [leaf(np.zeros_like(np.asarray(g, dtype)).tolist(), dtype) for g in gradients]
    for w, g in zip(leaves, gradients):
        w.grad = md.tensor(g, dtype=dtype)
    return leaves


def test_clipping_by_hand(device):
    """‖(2, 3, 6)‖ = 7 over both together; to 3.5 it is halved, to 7 and above it stays."""
    for bound, factor in (3.5, 0.5), (7.0, 1), (100, 1):
        leaves = with_gradients([2.0, 3.0], [[6.0]])
        given = [w.grad for w in leaves]
        before = [g.numpy() for g in given]
        assert clip_gradients(iter(leaves), bound) == 7
        for w, g, old in zip(leaves, given, before):
            np.testing.assert_array_equal(g.numpy(), old)                   # never in place
            np.testing.assert_allclose(w.grad.numpy(), factor * old, rtol=1e-15)
            assert w.grad.shape == w.shape and w.grad.dtype == w.dtype and w.grad.device == device
    w, = with_gradients([3.0, 4.0])
    assert clip_gradients(w, 1) == 5 and w.grad.numpy().tolist() == pytest.approx([0.6, 0.8])
    assert clip_gradients([leaf(1.0)], 1) == 0 and clip_gradients([], 1) == 0
    zero, = with_gradients([0.0])
    assert clip_gradients([zero, leaf(1.0)], 1) == 0 and zero.grad.item() == 0


def test_narrow_numbers_are_clipped_in_float64(device):
    """60,000 · √4096 is 3.84 million; the factor, 2.6e-7, has two binary digits in float16."""
    w, = with_gradients(np.full(4096, 60000.0), dtype="float16")
    assert clip_gradients(w, 1.0) == pytest.approx(3.84e6, rel=1e-4)
    assert w.grad.dtype == np.float16
    np.testing.assert_allclose(w.grad.numpy().astype("float32"), 1 / 64, rtol=1e-3)
    for size in 1e30, 8e37:                                     # 5 · 8e37 is no float32
        for leaves in (with_gradients([3 * size, 4 * size], dtype="float32"),
                       with_gradients([3 * size], [4 * size], dtype="float32")):
            assert clip_gradients(leaves, 1.0) == pytest.approx(5 * size, rel=1e-6)
            found = np.concatenate([w.grad.numpy() for w in leaves])
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_length_that_is_not_finite_is_handed_back(device, bad):
    first, second = with_gradients([bad, 1.0], [5.0])
    norm = clip_gradients([first, second], 1.0)
    assert not math.isfinite(norm) and math.isnan(norm) == math.isnan(bad)
    np.testing.assert_array_equal(first.grad.numpy(), [bad, 1.0])
    assert second.grad.item() == 5


@pytest.mark.parametrize("bound, error", [
    (0, ValueError), (-1, ValueError), (math.nan, ValueError), (math.inf, ValueError),
    ("1", TypeError), (None, TypeError)])
def test_bounds_that_are_none(bound, error):
    w, = with_gradients([3.0])
    with pytest.raises(error, match="clip_gradients: max_norm must be"):
        clip_gradients([w], bound)
    assert w.grad.item() == 3


def test_what_is_clipped():
    net = nn.Dense(2, 1, rng=0)
    for given, kind in (net, "Dense"), (optim.SGD(net.parameters(), 0.1),
                                        "SGD"), ([net], "Dense"), \
                       (None, "NoneType"), ([1.0], "float"):
        with pytest.raises(TypeError, match=r"clip_gradients: parameters must be Tensors, as "
                           rf"net.parameters\(\) or optimizer.parameters give them, got {kind}$"):
            clip_gradients(given, 1.0)
    for create_graph in False, True:
        gradients = md.grad(md.ops.square(net(np.ones((3, 2), "float32"))).sum(), net.parameters(),
                            create_graph=create_graph)
        with pytest.raises(ValueError, match="clip_gradients: .* are they the gradients?"):
            clip_gradients(gradients, 1.0)
    assert clip_gradients(net.freeze().parameters(), 1.0) == 0


# ---- schedules ----------------------------------------------------------------------------------

@pytest.mark.parametrize("schedule, arguments, expected", [
    (schedules.constant, (), {0: 1, 1000: 1}),
    (schedules.warm_up, (4,), {0: 0.25, 1: 0.5, 3: 1, 4: 1, 99: 1}),
    (schedules.warm_up, (0,), {0: 1, 5: 1}), (schedules.warm_up, (2.5,), {0: 0.4, 1: 0.8, 2: 1}),
    (schedules.linear, (10,), {0: 1, 1: 0.9, 5: 0.5, 10: 0, 11: 0}),
    (schedules.cosine, (6,), {0: 1, 1: 0.5 + 3 ** 0.5 / 4, 2: 0.75, 3: 0.5, 4: 0.25, 6: 0, 7: 0}),
    (schedules.exponential, (3,), {0: 1, 3: 0.5, 6: 0.25, 9: 0.125}),
    (schedules.staircase, ([3, 5],), {0: 1, 2: 1, 3: 0.1, 4: 0.1, 5: 0.01, 99: 0.01}),
    (schedules.staircase, ([2], 0.5), {1: 1, 2: 0.5}), (schedules.staircase, ([],), {7: 1}),
    (schedules.inverse_root, (4,), {0: 0.25, 1: 0.5, 3: 1, 15: 0.5, 35: 1 / 3}),
    (schedules.warm_up_cosine, (12, 0.5), {0: 1 / 6, 2: 0.5 * (0.5 + 3 ** 0.5 / 4), 6: 0.5, 12: 0}),
    (schedules.warm_up_cosine, (40,), {0: 0.5, 10: 0.5 + 8 ** -0.5, 20: 0.5, 30: 0.5 - 8 ** -0.5}),
], ids=lambda value: getattr(value, "__name__", None))
def test_schedules_by_hand(schedule, arguments, expected):
    for t, share in expected.items():
        assert schedule(t, *arguments) == pytest.approx(share, rel=1e-14, abs=1e-16), t
    assert all(0 <= schedule(t, *arguments) <= 1 for t in range(100))


@pytest.mark.parametrize("schedule, arguments", [
    (schedules.warm_up, (-1,)), (schedules.linear, (0,)), (schedules.cosine, (0,)),
    (schedules.cosine, (math.nan,)), (schedules.exponential, (0,)), (schedules.staircase, ([1], 0)),
    (schedules.staircase, ([1], 1.5)), (schedules.inverse_root, (0,)),
    (schedules.warm_up_cosine, (10, 2)), (schedules.warm_up_cosine, (0,))])
def test_settings_of_schedules_are_checked(schedule, arguments):
    with pytest.raises(ValueError, match=f"({schedule.__name__}|cosine): .* must be in"):
        schedule(0, *arguments)


@pytest.mark.parametrize("schedule", [
    schedules.constant, *(lambda t, f=f: f(t, 3) for f in (schedules.warm_up, schedules.linear))])
def test_the_step_is_checked(schedule):
    for t, error in (-1, ValueError), (math.nan, ValueError), ("1", TypeError):
        with pytest.raises(error, match=": t must be"):
            schedule(t)


@pytest.mark.parametrize("milestones, error, words", [
    ([5, 3], ValueError, "milestones must ascend, got \\[5, 3\\]"), ((3, 3), ValueError, "ascend"),
    ([-1], ValueError, "milestone must be in"), ([math.nan], ValueError, "milestone must be in"),
    (3, TypeError, "milestones must be a sequence of steps, got int"),
    ({3, 5}, TypeError, "got set"),
    ({3: 0.1}, TypeError, "got dict"), ("35", TypeError, "got str"),
    (np.array(3), TypeError, "got ndarray"),
    (["3"], TypeError, "milestone")])
def test_milestones_ascend(milestones, error, words):
    with pytest.raises(error, match=f"^staircase: .*{words}"):
        schedules.staircase(0, milestones)
    assert schedules.staircase(4, np.array([2, 4]), 0.5) == 0.25


# ---- averages -----------------------------------------------------------------------------------

class Counted(nn.Module):
    """With batch norm, a buffer of whole numbers, and one of booleans."""

    def __init__(self, dtype="float64"):
        self.dense, self.norm = nn.Dense(2, 3, dtype=dtype, rng=0), nn.BatchNorm(3, dtype=dtype)
        self.seen, self.flags = md.tensor([0]).data, md.tensor([True]).data

    def forward(self, x):
        if self.training:
            self.seen, self.flags = self.seen + 1, ~self.flags
        return self.norm(self.dense(x))


def drawn(t):
    return md.tensor(np.random.default_rng(t).normal(size=(5, 2)))


def values(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("ramp", [False, True])
def test_averages_by_hand(device, ramp):
    """Parameters and running statistics; the closed form is dᵗ w₀ + (1 − d) Σ d^(t−s) w_s."""
    net = Counted()
    ema, down = EMA(net, 0.6, ramp=ramp), optim.SGD(net.parameters(), 0.1)
    states = [values(net)]
    decays = [min(0.6, (1 + t) / (10 + t)) if ramp else 0.6 for t in range(4)]
    for t in range(4):
        descend((md.ops.relu(net(drawn(t))).mean(), down))
        ema.update()
        states.append(values(net))
    weights = [math.prod(decays)]
    weights += [(1 - d) * math.prod(decays[t + 1:]) for t, d in enumerate(decays)]
    assert sum(weights) == pytest.approx(1) and ema.updates == 4
    found = values(ema.average)
    assert found.keys() == states[0].keys() > {"norm.running_mean", "norm.running_variance"}
    for name in found:
        if name in ("seen", "flags"):
            np.testing.assert_array_equal(found[name], states[-1][name])
            assert found[name].dtype == states[-1][name].dtype
        else:
            expected = sum(w * state[name] for w, state in zip(weights, states))
            np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-14)
    assert np.abs(found["norm.running_mean"] - states[-1]["norm.running_mean"]).max() > 1e-3
    assert np.abs(found["dense.weight"] - states[-1]["dense.weight"]).max() > 1e-4


def test_the_average_is_for_use(device):
    """It is another module, in eval(), without gradients; the original trains on."""
    net = Counted()
    ema, x = EMA(net, 0.5), drawn(0)
    assert not ema.average.training and net.training
    assert not any(p.requires_grad for p in ema.average.parameters())
    assert all(p.requires_grad for p in net.parameters())
    before = values(ema.average)
    net(x)
    assert all((before[name] == value).all() for name, value in values(ema.average).items())
    ema.update()
    y = ema.average(x)
    state = values(ema.average)
    expected = x.numpy() @ state["dense.weight"] + state["dense.bias"] - state["norm.running_mean"]
    expected /= np.sqrt(state["norm.running_variance"] + 1e-5)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-9)
    assert y.device == device and not y.requires_grad


def test_what_stands_still_stays_and_small_steps_are_kept(device):
    """0.9999 w + 0.0001 w in float32 is w times something else than 1, again and again."""
    net = nn.Module()
    net.w = nn.Parameter(np.linspace(0.1, 3, 50), dtype="float32")
    ema = EMA(net, 0.9999)
    for _ in range(200):
        ema.update()
    np.testing.assert_array_equal(ema.average.w.numpy(), net.w.numpy())
    narrow = nn.Module()
    narrow.w, narrow.seen = nn.Parameter([1.0], dtype="float16"), np.ones(1, "float16")
    ema = EMA(narrow, 0.999)
    narrow.load_state_dict({"w": [1.25], "seen": [1.25]})
    for _ in range(10):
        ema.update()
    assert narrow.w.dtype == narrow.seen.dtype == np.float16
    for value in ema.average.w.numpy(), ema.average.seen:
        assert value.dtype == np.float32
        assert value == pytest.approx(1.25 - 0.25 * 0.999 ** 10, rel=1e-6)


def test_averages_are_saved_and_resumed(device, tmp_path):
    def trained(net, ema, steps):
        down = optim.SGD(net.parameters(), 0.1)
        for t in steps:
            descend((md.ops.square(net(drawn(t))).mean(), down))
            ema.update()
        return values(ema.average)

    net = Counted()
    ema = EMA(net, 0.9, ramp=True)
    trained(net, ema, range(3))
    md.save(tmp_path / "ema.npz", ema.state_dict())
    md.save(tmp_path / "net.npz", net)
    expected = trained(net, ema, range(3, 6))
    net = Counted().load_state_dict(md.load(tmp_path / "net.npz"))
    ema = EMA(net, 0.9, ramp=True)
    ema.load_state_dict(md.load(tmp_path / "ema.npz"))
    assert ema.updates == 3
    for name, value in trained(net, ema, range(3, 6)).items():
        np.testing.assert_array_equal(value, expected[name])


def test_averages_of_something_else():
    net = Counted()
    with pytest.raises(TypeError, match="EMA: module must be a Module, got list"):
        EMA([1.0])
    for decay in (1, -0.1, math.nan):
        with pytest.raises(ValueError, match="EMA: decay must be in 0 ≤ decay < 1"):
            EMA(net, decay)
    ema = EMA(net)
    state, before = ema.state_dict(), values(ema.average)
    for change in ({"updates": -1}, {"updates": 0.5}, {"updates": [1, 2]},
                   {"average.seen": np.ones(3)}, {"more": np.ones(1)}):
        with pytest.raises(ValueError, match="load_state_dict"):
            ema.load_state_dict(state | change)
    with pytest.raises(ValueError, match="updates must be a whole number ≥ 0, got None"):
        ema.load_state_dict({name: value for name, value in state.items() if name != "updates"})
    assert ema.updates == 0 and all((before[n] == v).all() for n, v in values(ema.average).items())


def test_equal_infinities_stay_and_large_numbers_meet(device):
    """∞ − ∞ would be NaN, and 3e38 + 3e38 is no float32."""
    net = nn.Module()
    net.mask = md.tensor([0.0, -math.inf, math.inf], dtype="float32").data
    net.w = nn.Parameter([3e38, 1.0], dtype="float32")
    ema = EMA(net, 0.5)
    net.load_state_dict({"w": [-3e38, 2.0], "mask": net.mask})
    ema.update()
    assert values(ema.average)["mask"].tolist() == [0, -math.inf, math.inf]
    assert values(ema.average)["w"].tolist() == [0, 1.5]


def test_an_average_of_other_weights():
    net = Counted()
    ema = EMA(net)
    before = values(ema.average)
    for change in (lambda: setattr(net, "more", nn.Parameter([1.0])),
                   lambda: delattr(net, "dense")):
        change()
        with pytest.raises(ValueError, match="EMA: the module must have the parameters and buffers "
                           "that it had when its average began, .*more came, went or changed"):
            ema.update()
    assert ema.updates == 0 and all((before[n] == v).all() for n, v in values(ema.average).items())
    net = Counted()
    ema = EMA(net)
    net.norm.running_mean = np.ones(1)                      # which would broadcast
    with pytest.raises(ValueError, match="norm.running_mean came, went or changed shape"):
        ema.update()
