"""The optimisers: first steps by hand, PyTorch's trajectories, resuming; and L-BFGS with its ways to stop."""
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops, optim

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device

RULES = {
    "SGD": lambda p: optim.SGD(p, 0.02),
    "SGD decayed": lambda p: optim.SGD(p, 0.02, weight_decay=0.3),
    "SGD with momentum": lambda p: optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.1),
    "SGD of Nesterov": lambda p: optim.SGD(p, 0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, 0.1, weight_decay=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, 0.02),
    "RMSprop with momentum": lambda p: optim.RMSprop(p, 0.01, 0.9, momentum=0.8, weight_decay=0.1),
    "Adam": lambda p: optim.Adam(p, 0.05),
    "Adam decayed": lambda p: optim.Adam(p, 0.05, betas=(0.5, 0.9), eps=1e-4, weight_decay=0.3),
    "AdamW": lambda p: optim.AdamW(p, 0.05, weight_decay=0.3),
}
TORCH_RULES = {
    "SGD": lambda o, p: o.SGD(p, 0.02),
    "SGD decayed": lambda o, p: o.SGD(p, 0.02, weight_decay=0.3),
    "SGD with momentum": lambda o, p: o.SGD(p, 0.01, momentum=0.9, weight_decay=0.1),
    "SGD of Nesterov": lambda o, p: o.SGD(p, 0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adagrad": lambda o, p: o.Adagrad(p, 0.1, weight_decay=0.1),
    "RMSprop": lambda o, p: o.RMSprop(p, 0.02),
    "RMSprop with momentum": lambda o, p: o.RMSprop(p, 0.01, 0.9, momentum=0.8, weight_decay=0.1),
    "Adam": lambda o, p: o.Adam(p, 0.05),
    "Adam decayed": lambda o, p: o.Adam(p, 0.05, betas=(0.5, 0.9), eps=1e-4, weight_decay=0.3),
    "AdamW": lambda o, p: o.AdamW(p, 0.05, weight_decay=0.3),
}


def parameters(dtype="float64"):
    rng = np.random.default_rng(0)
    return [nn.Parameter(rng.normal(size=shape), dtype=dtype) for shape in ((3, 4), (4,), ())]


def cost(w, b, s):
    """Curved, and with a different gradient in each entry."""
    return ((w * w * w + b) ** 2).sum() + (b * s).sum() ** 2 + (s - 1) ** 4


def train(optimizer, params, steps, schedule=None):
    path = []
    for step in range(steps):
        if schedule:
            optimizer.learning_rate = schedule(step)
        optimizer.zero_grad()
        cost(*params).backward()
        optimizer.step()
        path.append([p.numpy() for p in params])
    return path


@pytest.mark.parametrize("rule", RULES)
def test_trajectory_is_pytorchs(rule):
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    path = train(RULES[rule](ours), ours, 20)
    optimizer = TORCH_RULES[rule](torch.optim, theirs)
    for step in range(20):
        optimizer.zero_grad()
        cost(*theirs).backward()
        optimizer.step()
        for p, q in zip(path[step], theirs):
            np.testing.assert_allclose(p, q.detach().numpy(), rtol=1e-10, atol=1e-12)
    assert not np.allclose(path[0][0], path[-1][0])


@pytest.mark.parametrize("rule", RULES)
def test_large_parameters_are_updated_in_strips(rule, monkeypatch):
    """What is large is a matter of STRIP; the path and what is remembered stay the same, bit for bit."""
    whole, cut = parameters(), parameters()
    optimizer = RULES[rule](whole)
    expected = train(optimizer, whole, 5)
    monkeypatch.setattr(optim, "STRIP", 24)
    in_strips = RULES[rule](cut)
    for ours, theirs in zip(train(in_strips, cut, 5), expected):
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(a, b)
    found, remembered = in_strips.state_dict(), optimizer.state_dict()
    assert found.keys() == remembered.keys()
    for name, value in found.items():
        if isinstance(value, md.Tensor):
            np.testing.assert_array_equal(value.numpy(), remembered[name].numpy())
        else:
            assert value == remembered[name]


def first_step(make, gradient=(3.0, -4.0), start=(1.0, 2.0), dtype="float64"):
    p = nn.Parameter(list(start), dtype=dtype)
    p.grad = md.tensor(list(gradient), dtype=dtype)
    make([p]).step()
    return p.numpy()


def test_first_steps_by_hand(device):
    def check(make, expected):
        np.testing.assert_allclose(first_step(make), expected, rtol=1e-7)

    check(lambda p: optim.SGD(p, 0.1), [1 - 0.3, 2 + 0.4])
    check(lambda p: optim.SGD(p, 0.1, weight_decay=0.5), [1 - 0.35, 2 + 0.3])
    check(lambda p: optim.SGD(p, 0.1, momentum=0.5), [1 - 0.3, 2 + 0.4])
    check(lambda p: optim.SGD(p, 0.1, momentum=0.5, nesterov=True), [1 - 0.45, 2 + 0.6])
    check(lambda p: optim.Adagrad(p, 0.1), [0.9, 2.1])
    check(lambda p: optim.RMSprop(p, 0.1, smoothing=0.75), [1 - 0.2, 2 + 0.2])
    check(lambda p: optim.Adam(p, 0.1), [0.9, 2.1])
    check(lambda p: optim.AdamW(p, 0.1, weight_decay=0.5), [0.95 - 0.1, 1.9 + 0.1])


def test_momentum_remembers(device):
    p = nn.Parameter([0.0], dtype="float64")
    optimizer = optim.SGD([p], 1.0, momentum=0.5)
    for gradient, expected in [(1.0, -1.0), (0.0, -1.5), (0.0, -1.75)]:
        p.grad = md.tensor([gradient])
        optimizer.step()
        assert p.item() == expected


@pytest.mark.parametrize("make", [
    lambda p, number: optim.SGD(p, number, number, weight_decay=number),
    lambda p, number: optim.RMSprop(p, number, number, number, number, number),
    lambda p, number: optim.Adagrad(p, number, number, number),
    lambda p, number: optim.AdamW(p, number, (number, number), number, number)])
def test_settings_may_be_numpy_numbers(make):
    params = parameters("float32")
    train(make(params, np.float64(0.1)), params, 2)
    assert {p.dtype for p in params} == {np.dtype("float32")}


@pytest.mark.parametrize("rule", RULES)
def test_dtype_stays_and_no_array_is_changed_in_place(device, rule):
    params = parameters("float32")
    first = [(p.data, p.numpy()) for p in params]
    optimizer = RULES[rule](params)
    train(optimizer, params, 3, schedule=lambda step: np.float64(0.01))
    for p, (data, values) in zip(params, first):
        assert p.dtype == np.float32 and p.data.dtype == np.float32 and p.device == device
        assert p.data is not data
        np.testing.assert_array_equal(md.tensor(data).numpy(), values)
        assert not np.array_equal(p.numpy(), values)


def test_learning_rate_may_be_assigned(device):
    p = nn.Parameter([1.0], dtype="float64")
    optimizer = optim.SGD([p], 0.5)
    optimizer.learning_rate = 0.25
    p.grad = md.tensor([1.0])
    optimizer.step()
    assert p.item() == 0.75 and optimizer.learning_rate == 0.25
    with pytest.raises(ValueError, match="SGD: learning_rate must not be negative, got -1"):
        optimizer.learning_rate = -1


def test_parameters_without_gradient_are_left_alone(device):
    used, unused = nn.Parameter([1.0]), nn.Parameter([1.0])
    frozen = nn.Parameter([1.0], requires_grad=False)
    optimizer = optim.Adam([used, unused, frozen], 0.1, weight_decay=0.1)
    (used * 2).sum().backward()
    optimizer.step()
    assert used.item() != 1 and unused.item() == 1 and frozen.item() == 1
    assert optimizer.state[1] == {}
    optimizer.zero_grad()
    assert used.grad is None


@pytest.mark.parametrize("rule", RULES)
def test_resuming_gives_the_same_run(device, rule, tmp_path):
    whole = parameters("float32")
    path = train(RULES[rule](whole), whole, 6)
    half = parameters("float32")
    optimizer = RULES[rule](half)
    train(optimizer, half, 3)
    saved = optimizer.state_dict()
    kept = {name: np.array(md.tensor(value).numpy()) for name, value in saved.items()}
    train(optimizer, half, 1)                                       # the snapshot does not follow
    assert all(np.array_equal(md.tensor(value).numpy(), kept[name]) for name, value in saved.items())
    md.save(tmp_path / "optimizer.npz", saved)
    again = [nn.Parameter(values, dtype="float32") for values in path[2]]
    resumed = RULES[rule](again)
    resumed.load_state_dict(md.load(tmp_path / "optimizer.npz"))
    for p, q in zip(train(resumed, again, 3)[-1], path[-1]):
        np.testing.assert_array_equal(p, q)


def test_a_state_that_does_not_fit_changes_nothing(device):
    params = parameters()
    optimizer = optim.Adam(params, 0.1)
    train(optimizer, params, 1)
    state = optimizer.state_dict()
    wrong = {name: value for name, value in state.items() if name != "learning_rate"}
    wrong |= {"0.mean": md.tensor([1.0]), "7.mean": md.tensor([1.0]), "1.velocity": md.tensor([1.0] * 4)}
    with pytest.raises(ValueError) as caught:
        optimizer.load_state_dict(wrong)
    for words in ("load_state_dict of Adam: learning_rate is missing", "0.mean has shape (1,), its parameter (3, 4)",
                  "7.mean is unexpected", "1.velocity is unexpected"):
        assert words in str(caught.value)
    assert optimizer.learning_rate == 0.1
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(md.tensor(value).numpy(), md.tensor(state[name]).numpy())


def test_mistakes_are_named(device):
    p = nn.Parameter([1.0])
    for make, error, words in [
        (lambda: optim.SGD([], 0.1), ValueError, "no parameters"),
        (lambda: optim.SGD([1.0], 0.1), TypeError, r"parameters\[0\] must be a Tensor, got float"),
        (lambda: optim.SGD([p, p], 0.1), ValueError, "given twice"),
        (lambda: optim.SGD([p * 2], 0.1), ValueError, "result of an operation, not a leaf"),
        (lambda: optim.SGD([p], float("nan")), ValueError, "learning_rate must not be negative, got nan"),
        (lambda: optim.SGD([p], 0.1, momentum=1.0), ValueError, "0 ≤ momentum < 1"),
        (lambda: optim.SGD([p], 0.1, nesterov=True), ValueError, "nesterov"),
        (lambda: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "0 ≤ beta < 1"),
        (lambda: optim.Adam([p], weight_decay=-1), ValueError, "weight_decay"),
    ]:
        with pytest.raises(error, match=words):
            make()


def test_an_optimizer_without_update_says_so(device):
    class Lazy(optim.Optimizer):
        pass

    p = nn.Parameter([1.0])
    (p * p).sum().backward()
    with pytest.raises(NotImplementedError, match=r"Lazy has no update\(\)"):
        Lazy([p], 0.1).step()


def rosenbrock(x):
    """Its minimum, 0, is at (1, 1, …), at the end of a curved valley."""
    return ops.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


START = [-1.2, 1.0, -0.5, 0.8]


def test_lbfgs_finds_the_minimum(device):
    found = optim.minimize_lbfgs(rosenbrock, md.tensor(START), evaluations=200, ftol=0, gtol=1e-9)
    np.testing.assert_allclose(found.x.numpy(), np.ones(4), atol=1e-6)
    assert found.value == rosenbrock(found.x).item() < 1e-12
    assert found.x.device == device and not found.x.requires_grad and not found.interrupted
    assert found.evaluations < 200 and "CONVERGENCE" in found.message


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 20])
def test_lbfgs_evaluates_exactly_as_often_as_allowed(device, budget):
    values = []

    def counted(x):
        y = rosenbrock(x)
        values.append(y.item())
        return y

    found = optim.minimize_lbfgs(counted, md.tensor(START), evaluations=budget)
    assert found.evaluations == len(values) == budget
    assert found.value == min(values) == rosenbrock(found.x).item()
    assert found.message == f"all {budget} evaluations used"


def test_lbfgs_gives_the_best_point_not_the_last(device):
    values = []
    optim.minimize_lbfgs(rosenbrock, md.tensor(START), callback=lambda evaluation, x, value: values.append(value))
    overshot = next(i for i, value in enumerate(values) if value > min(values[:i + 1]))
    found = optim.minimize_lbfgs(rosenbrock, md.tensor(START), evaluations=overshot + 1)
    assert found.value == min(values[:overshot]) == rosenbrock(found.x).item() < values[overshot]


def test_lbfgs_of_a_float32_picture_keeps_shape_and_dtype(device):
    goal = md.tensor(np.linspace(-1, 2, 24).reshape(2, 4, 3).tolist(), dtype="float32")
    seen = []

    def distance(x):
        seen.append((x.shape, x.dtype, x.device))
        return ops.sum((x - goal) ** 2)

    found = optim.minimize_lbfgs(distance, ops.zeros_like(goal), bounds=(0, 1.5))
    assert set(seen) == {((2, 4, 3), np.dtype("float32"), device)}
    np.testing.assert_allclose(found.x.numpy(), np.clip(goal.numpy(), 0, 1.5), atol=1e-5)
    assert found.x.numpy().min() >= 0 and found.x.numpy().max() <= 1.5
    one_sided = optim.minimize_lbfgs(distance, ops.zeros_like(goal), bounds=(None, 0.5))
    np.testing.assert_allclose(one_sided.x.numpy(), np.minimum(goal.numpy(), 0.5), atol=1e-5)


def test_lbfgs_tells_the_callback_and_obeys_it(device):
    told = []

    def callback(evaluation, x, value):
        told.append((evaluation, rosenbrock(x).item(), value))
        if evaluation == 5:
            raise StopIteration

    found = optim.minimize_lbfgs(rosenbrock, md.tensor(START), callback=callback)
    assert [evaluation for evaluation, _, _ in told] == [1, 2, 3, 4, 5]
    assert all(again == value for _, again, value in told)
    assert found.evaluations == 5 and found.message == "stopped by the callback" and not found.interrupted
    assert found.value == min(value for _, _, value in told)


@pytest.mark.parametrize("moment", [1, 4])
def test_lbfgs_interrupted_keeps_the_best(device, moment):
    count = 0

    def interrupted(x):
        nonlocal count
        count += 1
        if count == moment:
            raise KeyboardInterrupt
        return rosenbrock(x)

    found = optim.minimize_lbfgs(interrupted, md.tensor(START))
    assert found.interrupted and found.evaluations == moment - 1
    if moment == 1:
        np.testing.assert_array_equal(found.x.numpy(), START)
        assert found.value == float("inf")
    else:
        assert found.value == rosenbrock(found.x).item() <= rosenbrock(md.tensor(START)).item()


def test_lbfgs_stops_at_a_value_that_is_not_finite(device):
    with np.errstate(invalid="ignore"):
        found = optim.minimize_lbfgs(lambda x: ops.sum(ops.log(x)), md.tensor([1.0, 1.0]))      # downhill, to log(−1)
    assert found.message == f"evaluation {found.evaluations} gave nan" and np.isfinite(found.value)
    with pytest.raises(ValueError, match=r"function\(x0\) is nan"):
        optim.minimize_lbfgs(lambda x: ops.sum(x) * float("nan"), md.tensor([1.0]))


def test_lbfgs_mistakes_are_named(device):
    x = md.tensor([1.0, 2.0])
    for function, words in [(lambda x: x, r"scalar Tensor that depends on x, got shape \(2,\)"),
                            (lambda x: 1.0, "got float"), (lambda x: md.tensor(1.0), r"depends on x")]:
        with pytest.raises(ValueError, match=words):
            optim.minimize_lbfgs(function, x)
    with pytest.raises(ValueError, match="evaluations must be at least 1, got 0"):
        optim.minimize_lbfgs(rosenbrock, x, evaluations=0)
    with pytest.raises(TypeError, match="floating-point"):
        optim.minimize_lbfgs(rosenbrock, md.tensor([1, 2]))


def test_lbfgs_takes_pytorchs_minimum():
    """The same problem, the same algorithm up to the line search: both end in the one minimum of a convex function."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(30, 6)), rng.normal(size=30)
    found = optim.minimize_lbfgs(lambda x: ops.sum(ops.softplus(ops.matmul(md.tensor(a), x) - md.tensor(b)))
                                 + ops.sum(x * x), md.tensor(np.zeros(6)), ftol=0, gtol=1e-10)
    x = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=200, tolerance_grad=1e-10, tolerance_change=0,
                                  line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        y = torch.nn.functional.softplus(torch.tensor(a) @ x - torch.tensor(b)).sum() + (x * x).sum()
        y.backward()
        return y

    optimizer.step(closure)
    np.testing.assert_allclose(found.x.numpy(), x.detach().numpy(), atol=1e-8)


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.5, momentum=0.9), lambda p: optim.Adam(p, 0.05)])
def test_a_network_learns_exclusive_or(device, make):
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Dense(2, 8, rng=rng), nn.Tanh(), nn.Dense(8, 2, rng=rng))
    x = md.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype="float32")
    labels = md.tensor([0, 1, 1, 0])
    optimizer = make(net.parameters())
    for _ in range(150):
        optimizer.zero_grad()
        loss = md.losses.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    np.testing.assert_array_equal(net(x).numpy().argmax(1), [0, 1, 1, 0])


@pytest.mark.parametrize("bounds", [(0.0, 100.0), (None, 100.0), None, np.array([0.0, 100.0]), (-np.inf, np.inf)])
def test_lbfgs_first_step_has_the_size_asked_for(bounds):
    seen = []
    scales = np.array([1e4, 1e5, 1e6])
    optim.minimize_lbfgs(lambda x: (x * md.tensor(scales)).sum(), md.tensor(np.full(3, 50.0)), bounds=bounds,
                         first_step=0.5, evaluations=2, callback=lambda count, x, value: seen.append(x.numpy()))
    np.testing.assert_allclose(seen[0] - seen[1], 0.5 * scales / scales.mean())
