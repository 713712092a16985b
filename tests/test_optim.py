"""The optimisers: first steps by hand, PyTorch's trajectories, narrow types, resuming."""
import numpy as np
import pytest

import minidl as md
from minidl import nn, optim
from minidl.kernels.fast import elementwise

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
    """What is large is a matter of STRIP; the path and what is remembered stay the same, bit for
    bit."""
    whole, cut = parameters(), parameters()
    optimizer = RULES[rule](whole)
    expected = train(optimizer, whole, 5)
    monkeypatch.setattr(elementwise, "STRIP", 24)
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
    with pytest.raises(ValueError,
                       match="SGD: learning_rate must be in 0 ≤ learning_rate < inf, got -1"):
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
    assert all(np.array_equal(md.tensor(value).numpy(), kept[name])
               for name, value in saved.items())
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
    wrong |= {"0.mean": md.tensor([1.0]), "7.mean": md.tensor([1.0]),
              "1.velocity": md.tensor([1.0] * 4)}
    with pytest.raises(ValueError) as caught:
        optimizer.load_state_dict(wrong)
    for words in ("load_state_dict of Adam: learning_rate is missing",
                  "0.mean has shape (1,), expected (3, 4)",
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
        (lambda: optim.SGD(p * 2, 0.1), ValueError, "result of an operation, not a leaf"),
        (lambda: optim.SGD([p], float("nan")), ValueError, "0 ≤ learning_rate < inf, got nan"),
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


@pytest.mark.parametrize("make",
                         [lambda p: optim.SGD(p, 0.5, momentum=0.9), lambda p: optim.Adam(p, 0.05)])
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


# ---- narrow types

@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("gradient", [0.0, 1e-4, 6e-8, 3e4])
def test_float16_is_moved_in_float32_and_rounded_once(device, rule, gradient):
    """In float16 ε = 1e-8 is 0, so are squares of small gradients; those of large ones are ∞."""
    narrow, wide = (nn.Parameter([1.0, -2.0], dtype=kind) for kind in ("float16", "float32"))
    ours, exact = RULES[rule]([narrow]), RULES[rule]([wide])
    for _ in range(3):
        wide.data = narrow.data.astype("float32")
        narrow.grad = md.tensor([gradient, -gradient], dtype="float16")
        wide.grad = narrow.grad.astype("float32")
        ours.step()
        exact.step()
        assert narrow.dtype == np.float16 and np.isfinite(narrow.numpy()).all()
        np.testing.assert_array_equal(narrow.numpy(), wide.numpy().astype("float16"))
    kinds = {value.dtype for value in ours.state_dict().values() if isinstance(value, md.Tensor)}
    assert kinds <= {np.dtype("float32")}
    again = RULES[rule]([narrow])
    again.load_state_dict(ours.state_dict())
    assert {value.dtype for value in again.state_dict().values()
            if isinstance(value, md.Tensor)} == kinds


def test_the_smallest_float16_gradient_moves_a_parameter_by_the_learning_rate(device):
    """Adam's first step is η in the direction of g, however small g: (6e-8)² is 0 in float16."""
    p = nn.Parameter([0.0], dtype="float16")
    optimizer = optim.Adam([p], 2.0 ** -6)
    p.grad = md.tensor([2.0 ** -24], dtype="float16")
    optimizer.step()
    expected = 2.0 ** -6 * 2.0 ** -24 / (2.0 ** -24 + 1e-8)
    assert p.item() == pytest.approx(-expected, rel=2 ** -11)


def test_a_sum_of_squares_goes_on_beyond_what_float16_can_count(device):
    p = nn.Parameter([1.0], dtype="float16")
    optimizer = optim.Adagrad([p], 1e-3)
    for _ in range(3):
        p.grad = md.tensor([100.0], dtype="float16")            # 3 · 100² = 30000, counted exactly
        optimizer.step()
    assert md.tensor(optimizer.state[0]["square"]).item() == 30000
    p.grad = md.tensor([1.0], dtype="float16")                  # float16 has no 30001
    optimizer.step()
    assert md.tensor(optimizer.state[0]["square"]).item() == 30001


@pytest.mark.parametrize("rule", RULES)
def test_a_gradient_of_another_dtype_leaves_the_parameters_theirs(device, rule):
    p, q = (nn.Parameter([1.0, 2.0], dtype="float32") for _ in range(2))
    ours, other = RULES[rule]([p]), RULES[rule]([q])
    gradient = md.tensor([0.5, -0.25], dtype="float32")
    p.grad = gradient
    p.node.gradient = gradient.astype("float64")                # past the setter
    q.grad = gradient
    ours.step()
    other.step()
    assert p.dtype == np.float32
    np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_a_parameter_of_another_shape_than_its_gradient_is_named(device):
    p = nn.Parameter([1.0, 2.0, 3.0], dtype="float64")
    optimizer = optim.SGD([nn.Parameter([1.0]), p], 0.1, momentum=0.5)
    p.node.gradient = md.tensor([[1.0], [1.0], [1.0]])
    with pytest.raises(ValueError,
                       match=r"^SGD: parameters\[1\] has shape \(3,\), its gradient \(3, 1\)$"):
        optimizer.step()
    p.grad = md.tensor([1.0, 1.0, 1.0])
    optimizer.step()
    q = nn.Parameter([1.0, 2.0])
    q.grad, optimizer.parameters[1] = md.tensor([1.0, 1.0]), q
    with pytest.raises(ValueError, match=r"parameters\[1\] has shape \(2,\), its velocity \(3,\)"):
        optimizer.step()


@pytest.mark.parametrize("update, words", [
    (lambda self, w, g, state: None, r"has shape \(2,\), its update\(\) is a NoneType"),
    (lambda self, w, g, state: (w - g).sum(), r"has shape \(2,\), its update\(\) \(\)"),
    (lambda self, w, g, state: state.setdefault("m", g) * 0 + w,
     r"update\(\) keeps 'm' in state; name it in Mine.remembers"),
    (lambda self, w, g, state: state.setdefault("m", 0.5) * 0 + w,
     r"has shape \(2,\), its m is a float")])
def test_an_optimiser_of_ones_own_that_goes_wrong_moves_nothing(device, update, words):
    mine = type("Mine", (optim.Optimizer,), {"update": update})
    w = nn.Parameter([1.0, 2.0], dtype="float64")
    w.grad = md.tensor([1.0, 1.0], dtype="float64")
    with pytest.raises(ValueError, match=f"^Mine: .*{words}"):
        mine([w], 0.1).step()
    np.testing.assert_array_equal(w.numpy(), [1.0, 2.0])
