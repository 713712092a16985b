"""L-BFGS: its minima, its ways to stop, its bounds, and what lies outside a function's domain."""
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import Bounds

import minidl as md
from minidl import ops, optim

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


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
    optim.minimize_lbfgs(rosenbrock, md.tensor(START),
                         callback=lambda evaluation, x, value: values.append(value))
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
    assert found.evaluations == 5 and found.message == "stopped by the callback"
    assert not found.interrupted
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


DOMAINS = {     # functions with a wall where they end, their start, their minimum and where it is
    "x − log x": (lambda x: ops.sum(x - ops.log(x)), [0.01, 5.0], 2, [1, 1]),
    "x − √x": (lambda x: ops.sum(x - ops.sqrt(x)), [1e-4, 5.0], -0.5, [0.25, 0.25]),
    "x − √x, from four places": (lambda x: ops.sum(x - ops.sqrt(x)), [1e-4, 1.0, 3.0, 20.0], -1,
                                 [0.25] * 4),
    "x log x": (lambda x: ops.sum(x * ops.log(x)), [5.0, 1e-3, 3.0], -3 / np.e, [1 / np.e] * 3),
    "1000 x − log x": (lambda x: ops.sum(1000 * x - ops.log(x)), [50.0, 3.0], 2 + 2 * np.log(1000),
                       [1e-3] * 2),
    "x + 1/x, infinite beyond 0": (lambda x: ops.sum(ops.where(x > 0, x + 1 / x, np.inf)),
                                   [0.03, 9.0], 4, [1, 1]),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning",
                            "ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("first_step", [None, 1.0])
def test_lbfgs_turns_back_where_a_function_ends(device, name, first_step):
    """By hand: f' = 0 at 1, 1/4, 1/e, 1/1000 and 1."""
    function, start, lowest, place = DOMAINS[name]
    values = []
    found = optim.minimize_lbfgs(function, md.tensor(start, dtype="float64"), evaluations=200,
                                 first_step=first_step,
                                 callback=lambda evaluation, x, value: values.append(value))
    assert not np.isfinite(values).all()                            # it has been outside
    assert found.evaluations == len(values) < 200
    assert found.value == pytest.approx(lowest, abs=1e-5)
    np.testing.assert_allclose(found.x.numpy(), place, rtol=2e-2)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning",
                            "ignore:divide by zero:RuntimeWarning")
def test_lbfgs_of_a_function_that_ends_at_its_bound(device):
    """√x is least at its bound, 0, where its slope is infinite; log x falls for ever."""
    found = optim.minimize_lbfgs(lambda x: ops.sum(ops.sqrt(x)), md.tensor([1.0, 2.0]),
                                 bounds=(0, None))
    np.testing.assert_allclose(found.x.numpy(), [0, 0], atol=1e-12)
    found = optim.minimize_lbfgs(lambda x: ops.sum(ops.log(x)), md.tensor([1.0, 1.0]))
    assert np.isfinite(found.value) and found.value < -10 and found.x.numpy().min() > 0


def test_lbfgs_refuses_a_start_outside_of_the_domain(device):
    one = md.tensor([1.0])
    for evaluations in (1, 5):
        with pytest.raises(ValueError, match=r"function\(x0\) is nan"):
            optim.minimize_lbfgs(lambda x: ops.sum(x) * float("nan"), one, evaluations=evaluations)
    with np.errstate(invalid="ignore", divide="ignore"):
        with pytest.raises(ValueError,
                           match=r"function\(x0\) is 1.0, but entry 0 of its gradient .* nan"):
            optim.minimize_lbfgs(lambda x: ops.sum(ops.sqrt(ops.square(x) * 0.0) + x), one)
        with pytest.raises(ValueError,
                           match=r"is -0.0, but entry 0 of its gradient there is -inf"):
            optim.minimize_lbfgs(lambda x: -ops.sum(ops.sqrt(x)), md.tensor([0.0]))
    with pytest.raises(ValueError, match="x0 holds a NaN or an infinity"):
        optim.minimize_lbfgs(rosenbrock, md.tensor([1.0, np.inf]))


def test_a_stop_of_the_function_is_no_stop_of_the_callback(device):
    def spent(x):
        return next(iter(()))

    with pytest.raises(RuntimeError,
                       match="function raised StopIteration; only callback ends") as caught:
        optim.minimize_lbfgs(spent, md.tensor([3.0]))
    assert isinstance(caught.value.__cause__, StopIteration)


def test_a_search_within_a_search_stops_alone(device):
    def inner(y):
        found = optim.minimize_lbfgs(lambda x: ops.sum((x - y.item()) ** 2), md.tensor([0.0]),
                                     evaluations=1)
        assert found.message == "all 1 evaluations used"
        return ops.sum((y - 2.0) ** 2)

    found = optim.minimize_lbfgs(inner, md.tensor([1.0]), evaluations=20)
    assert found.x.item() == pytest.approx(2) and "CONVERGENCE" in found.message


FAR = np.array([[5.0, 5.0], [-5.0, 5.0]])


@pytest.mark.parametrize("bounds, expected", [
    ((0, 1), [[1, 1], [0, 1]]), ([0, 1], [[1, 1], [0, 1]]), ((None, 1), [[1, 1], [-5, 1]]),
    ((-np.inf, np.inf), FAR), ([(0, 1), (0, 9), (None, 3), (None, None)], [[1, 5], [-5, 5]]),
    (np.array([[0, 1], [0, 2], [-1, 3], [0, 4]]), [[1, 2], [-1, 4]]),
    ("Bounds", [[1, 5], [-2, 5]])])
@pytest.mark.parametrize("first_step", [None, 0.1])
def test_bounds_in_scipys_forms(device, bounds, expected, first_step):
    if isinstance(bounds, str):
        from scipy.optimize import Bounds
        bounds = Bounds([0, 0, -2, 0], [1, 9, np.inf, 9])
    found = optim.minimize_lbfgs(lambda x: ops.sum((x - md.tensor(FAR)) ** 2),
                                 md.tensor(np.full((2, 2), 0.5)),
                                 bounds=bounds, first_step=first_step)
    np.testing.assert_allclose(found.x.numpy(), expected, atol=1e-4)


def test_two_entries_may_have_bounds_of_their_own(device):
    found = optim.minimize_lbfgs(lambda x: ops.sum((x - 5.0) ** 2), md.tensor([0.5, 0.5]),
                                 bounds=[(0, 1), (0, 9)])
    np.testing.assert_allclose(found.x.numpy(), [1, 5], atol=1e-6)


def test_float32_stays_within_bounds_that_it_does_not_have(device):
    """float32's 0.1 lies above 0.1: the bound is the number below."""
    found = optim.minimize_lbfgs(lambda x: -ops.sum(x), md.tensor([0.0, 0.05], dtype="float32"),
                                 bounds=(-0.1, 0.1))
    assert (found.x.numpy().astype("float64") <= 0.1).all()
    np.testing.assert_allclose(found.x.numpy(), 0.1, rtol=1e-6)


@pytest.mark.parametrize("bounds, words", [
    ([(0, 1)], "one such pair for each of the 2 entries of x0"), ([(0, 1)] * 3, "one such pair"),
    (3, "one such pair"),
    ([(0, 1, 2), (0, 1, 2)], "one such pair"), ("ab", "one such pair"),
    ((np.zeros(2), np.ones(3)), "one such pair"),
    (Bounds([0, 0, 0], [1, 1, 1]), "one such pair"),
    (Bounds(np.zeros((2, 2)), np.ones((2, 2))), "one such pair"),
    (SimpleNamespace(lb="low", ub=1), "one such pair"),
    ([(0, 1), (2, 1)], r"bounds of entry 1 are \(2.0, 1.0\)"),
    ((1, 0), r"bounds of entry 0 are \(1.0, 0.0\)"),
    ((np.nan, 1), r"bounds of entry 0 are \(nan"), ((np.inf, None), r"bounds of entry 0 are \(inf"),
])
def test_bounds_that_cannot_be_understood(device, bounds, words):
    with pytest.raises(ValueError, match=words):
        optim.minimize_lbfgs(rosenbrock, md.tensor([0.5, 0.5]), bounds=bounds)


@pytest.mark.parametrize("settings, error, words", [
    ({"evaluations": 2.5}, TypeError, "evaluations must be one integer, got 2.5"),
    ({"evaluations": 10 ** 30}, ValueError, "evaluations must be below"),
    ({"history": 0}, ValueError, "history must be in 1 ≤ history < inf, got 0"),
    ({"first_step": 0}, ValueError, "0 < first_step < inf, got 0"),
    ({"gtol": -1}, ValueError, "0 ≤ gtol < inf"),
    ({"ftol": np.nan}, ValueError, "0 ≤ ftol < inf, got nan"),
    ({"ftol": "small"}, TypeError, "ftol must be a number"),
])
def test_lbfgs_settings_are_refused_where_they_are_given(device, settings, error, words):
    with pytest.raises(error, match=words):
        optim.minimize_lbfgs(rosenbrock, md.tensor([0.5, 0.5]), **settings)


def test_lbfgs_mistakes_are_named(device):
    x = md.tensor([1.0, 2.0])
    for function, words in [(lambda x: x, r"scalar Tensor that depends on x, got shape \(2,\)"),
                            (lambda x: 1.0, "got float"),
                            (lambda x: md.tensor(1.0), r"depends on x")]:
        with pytest.raises(ValueError, match=words):
            optim.minimize_lbfgs(function, x)
    with pytest.raises(ValueError, match="evaluations must be in 1 ≤ evaluations < inf, got 0"):
        optim.minimize_lbfgs(rosenbrock, x, evaluations=0)
    with pytest.raises(TypeError, match="x0 must be floating-point, .* got int64"):
        optim.minimize_lbfgs(rosenbrock, md.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"x0 has no entries, its shape is \(0,\)"):
        optim.minimize_lbfgs(rosenbrock, md.tensor(np.zeros(0)))


def test_lbfgs_takes_pytorchs_minimum():
    """The same problem, the same algorithm up to the line search.

    Both end in the one minimum of a convex function.
    """
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(30, 6)), rng.normal(size=30)
    found = optim.minimize_lbfgs(
        lambda x: ops.sum(ops.softplus(ops.matmul(md.tensor(a), x) - md.tensor(b)))
        + ops.sum(x * x),
        md.tensor(np.zeros(6)),
        ftol=0,
        gtol=1e-10,
    )
    x = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=200, tolerance_grad=1e-10, tolerance_change=0,
                                  line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        z = torch.tensor(a) @ x - torch.tensor(b)
        y = torch.nn.functional.softplus(z).sum() + (x * x).sum()
        y.backward()
        return y

    optimizer.step(closure)
    np.testing.assert_allclose(found.x.numpy(), x.detach().numpy(), atol=1e-8)


@pytest.mark.parametrize("bounds", [(0.0, 100.0), (None, 100.0), None, np.array([0.0, 100.0]),
                                    (-np.inf, np.inf)])
def test_lbfgs_first_step_has_the_size_asked_for(bounds):
    seen = []
    scales = np.array([1e4, 1e5, 1e6])
    optim.minimize_lbfgs(lambda x: (x * md.tensor(scales)).sum(), md.tensor(np.full(3, 50.0)),
                         bounds=bounds,
                         first_step=0.5, evaluations=2, callback=lambda count, x,
                         value: seen.append(x.numpy()))
    np.testing.assert_allclose(seen[0] - seen[1], 0.5 * scales / scales.mean())


def test_lbfgs_differentiates_within_no_grad_too():
    with md.no_grad():
        found = optim.minimize_lbfgs(lambda x: ops.sum(ops.square(x - 3.0)), md.tensor([0.0]))
    assert found.x.item() == pytest.approx(3)
