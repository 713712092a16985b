"""The tester: what its errors say, what it finds besides wrong numbers, and what it must not take
for an error.

That it catches wrong gradients of every kind is in test_mutants.py, complex steps are in
test_complex_step.py.
"""
import functools

from hypothesis import assume, given
from hypothesis import strategies as st
import numpy as np
import pytest
from small_functions import multiply, unary, x4, x34, y34

import minidl as md
from minidl import ops
from minidl.operands import operand
from minidl.tensor import record
from minidl.testing import GradientError, NotDifferentiableError, functions, gradcheck
from minidl.testing.layout import strided

# --- what an error says

def test_the_error_says_everything():
    with pytest.raises(GradientError) as caught:
        gradcheck(multiply, x34, y34, seed=7)
    error, words = caught.value, str(caught.value)
    assert (error.function, error.order, error.argument,
            error.index) == ("multiply", 1, "argument 1 ('b')", (0, 0))
    assert error.gradient == pytest.approx(2 * error.difference)
    assert error.relative_error == pytest.approx(0.5)
    assert error.shapes == [(3, 4), (3, 4)] and error.seed == 7
    assert words == ("gradcheck of multiply: gradient of argument 1 ('b') at (0, 0) is "
                     f"{error.gradient:.10g}, differences "
                     f"say {error.difference:.10g} (relative error 0.5); shapes (3, 4), (3, 4) in "
                     "float64; seed 7")


def test_the_seed_repeats_it():
    def message(seed, **settings):
        with pytest.raises(GradientError) as caught:
            gradcheck(multiply, x34, y34, seed=seed, **settings)
        return str(caught.value)
    for settings in {}, {"mode": "directional"}, {"method": "complex"}:
        assert message(3, **settings) == message(3, **settings) != message(4, **settings)
    assert (
        gradcheck(ops.tanh, x34, seed=1)
        == gradcheck(ops.tanh, x34, seed=1)
        != gradcheck(ops.tanh, x34, seed=2)
    )


def test_promotion_is_said():
    with pytest.raises(GradientError, match=r"shapes \(3, 4\), \(4,\) in float64 \(promoted from "
                                            r"float16, float32\); seed"):
        gradcheck(multiply, x34.astype("float32"), x4.astype("float16"))
    assert gradcheck(ops.exp, np.float32([0.5, 1.5])) < 1e-9


@pytest.mark.parametrize("wrong", [0, 777, 1999])
@pytest.mark.parametrize("method", ["central", "complex"])
def test_the_entry_of_a_large_array_is_found(wrong, method):
    """A single wrong entry among 2000, and one that is NaN, by halving the direction that showed
    it."""
    x = np.random.default_rng(0).normal(size=(2, 1000))
    index = np.unravel_index(wrong, x.shape)
    for value in 0.0, np.nan:
        f = unary(np.sin, lambda gy, x, value=value: ops.set_at(gy * ops.cos(x), index, value))
        with pytest.raises(GradientError) as caught:
            gradcheck(f, x, method=method)
        assert caught.value.index == index
        assert f"at {tuple(map(int, index))} is {value:.6g}" in str(caught.value)
        assert caught.value.difference != 0


def test_a_direction_is_blamed_where_no_entry_stands_out():
    """An error of 10⁻⁷ in each of 10⁶ entries of one sign shows in their sum, at a tolerance above
    it not in each."""
    x = np.full(10 ** 4, 0.5)
    f = unary(lambda x: np.sum(x, keepdims=True), lambda gy, x: gy * ops.ones_like(x) + 1e-4)
    with pytest.raises(GradientError,
                       match="argument 0 .'x'. along a random direction is") as caught:
        gradcheck(f, x, atol=1e-3)
    assert caught.value.index is None and caught.value.relative_error > 0


def test_the_second_derivative_is_named():
    f = unary(np.sin, lambda gy, x: gy * record(np.cos(x.data), (x, lambda g: g * ops.sin(x))))
    gradcheck(f, x34)
    with pytest.raises(GradientError, match="^gradcheck of gradient of <lambda>: gradient of "
                                            "argument 0") as caught:
        gradcheck(f, x34, order=2)
    assert caught.value.order == 2 and caught.value.shapes == [(3, 4), (3, 4)]
    third = unary(np.exp,
                  lambda gy, x: gy * record(np.exp(x.data), (x, lambda g: g * ops.exp(x).detach())))
    gradcheck(third, x34, order=2)
    with pytest.raises(GradientError, match="^gradcheck of gradient of gradient of"):
        gradcheck(third, x34, order=3)


def test_names_of_functions_and_arguments():
    class Layer:
        def __call__(self, x, *others):
            return multiply(x, others[0])
    for f, name, argument in [(Layer(), "Layer", "argument 1"),
                              (functools.partial(multiply, factor=3.0), "multiply", "'b'"),
                              (lambda p, q: multiply(p, q), "<lambda>", "'q'")]:
        with pytest.raises(GradientError,
                           match=f"gradcheck of {name}: gradient of argument 1") as caught:
            gradcheck(f, x34, y34)
        assert argument in caught.value.argument
    with pytest.raises(GradientError,
                       match="gradcheck of max: gradient of argument 0 is zero everywhere"):
        gradcheck(max, 1.0, 2.0)  # a built-in does not tell how its arguments are called


def test_an_uncertain_difference_says_so():
    rough = unary(lambda x: x + 3e-7 * np.sin(1e15 * x), lambda gy, x: gy * 1.001)
    single = unary(lambda x: 3.0 * np.float64(np.float32(x)), lambda gy, x: gy * 3.0001)
    for f, words in (rough, "differences say .* ± "), (single, "differences say"):
        with pytest.raises(GradientError, match=words) as caught:
            gradcheck(f, [0.5, 0.25])
        assert not isinstance(caught.value, NotDifferentiableError)     # noise is no kink


# --- rules of the engine

def test_what_is_changed_in_place_is_named():
    def input_in_rule(gy, x):
        x.data[0] = 0.0
        return gy

    def cotangent_in_rule(gy, x):
        gy.data[...] *= 2.0
        return gy

    def forward(x):
        x = operand("forward", x)
        x.data[0] += 1.0
        return record(x.data * 2.0, (x, lambda gy: gy * 2.0))
    for f, words in [(unary(np.copy, input_in_rule), r"argument 0 \('x'\)"),
                     (forward, r"argument 0 \('x'\)"),
                     (unary(np.copy, cotangent_in_rule), "cotangent 0")]:
        array = x34.copy()
        with pytest.raises(GradientError, match=f"{words} was changed in place"):
            gradcheck(f, array)
        np.testing.assert_array_equal(array, x34)                   # the caller's is another


def test_a_rule_that_gives_something_else_the_second_time():
    def f(x):
        kept = np.cos(x.data)

        def rule(gy):
            kept[...] *= 2.0
            return gy * (kept / 2.0)
        return record(np.sin(x.data), (x, rule))
    with pytest.raises(GradientError, match="differs when it is computed again"):
        gradcheck(f, x34)


def test_a_function_that_is_not_one():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="output 0 differs when computed again"):
        gradcheck(lambda x: ops.dropout(x, 0.5, rng), x34)
    flat = unary(lambda x: x.ravel(order="K").reshape(x.shape), lambda gy, x: gy)
    with pytest.raises(GradientError, match="output 0 is another where the same values lie in "
                                            "memory in another way"):
        gradcheck(flat, x34)
    with pytest.raises(GradientError, match="laid out in memory"):
        gradcheck(flat, x34.T)


def test_a_gradient_that_shares_memory_is_caught(monkeypatch):
    """The engine never gives one, so an engine that does stands in."""
    monkeypatch.setattr(functions, "grad",
                        lambda output, inputs, cotangent, create_graph: [cotangent for _ in inputs])
    with pytest.raises(GradientError,
                       match="gradient of argument 0.* shares memory with cotangent 0"):
        gradcheck(ops.add, x34, y34)
    monkeypatch.setattr(functions, "grad",
                        lambda output, inputs, gy, _: [md.tensor(gy)] * len(inputs))
    with pytest.raises(GradientError,
                       match="argument 1.* shares memory with the gradient of argument 0"):
        gradcheck(ops.add, x34, y34)
    monkeypatch.setattr(functions, "grad", lambda output, inputs, gy, _: [output])
    with pytest.raises(GradientError, match="argument 0.* shares memory with output 0"):
        gradcheck(ops.negative, x34)
    monkeypatch.setattr(functions, "grad", lambda output, inputs, gy, _: [gy[0]])
    with pytest.raises(GradientError, match=r"has shape \(4,\), not \(3, 4\)"):
        gradcheck(ops.negative, x34)


def test_inputs_of_the_caller_are_left_alone(device):
    t = md.tensor(x34, requires_grad=True, device=device)
    with md.no_grad():                                              # the check records all the same
        gradcheck(lambda t: t * t, t, order=2)
    assert t.grad is None and t.device == device
    np.testing.assert_array_equal(t.numpy(), x34)


@pytest.mark.parametrize("order, steps", [((1, 0), (1, 1)), ((0, 1), (2, -2)), ((1, 0), (-1, 1)),
                                          ((0, 1), (1, -1))])
def test_inputs_keep_their_layout(device, order, steps):
    """A rule that is right only for rows one after the other is wrong for what is stored in another
    way."""
    seen = []

    def f(x):
        seen.append(x.data.strides)
        return x * 1.0
    x = strided(x34, order, steps)
    gradcheck(f, x)
    gradcheck(f, md.tensor(x, device=device))
    step = abs(steps[0])
    sign = [np.sign(steps[order.index(axis)]) for axis in (0, 1)]
    sizes = {(0, 1): (step * step * 4 * 8, step * 8),
             (1, 0): (step * 8, step * step * 3 * 8)}[order]
    assert seen[0] == tuple(int(s) * n for s, n in zip(sign, sizes))


# --- what shows nothing

def test_zero_gradients_show_nothing():
    with pytest.raises(GradientError, match="zero everywhere"):
        gradcheck(ops.sign, x34)
    with pytest.raises(GradientError, match=r"argument 1 \('y'\) is zero everywhere"):
        gradcheck(lambda x, y: x * 2.0, x34, y34)
    gradcheck(ops.sign, x34, allow_zero=True)


def test_gradients_lost_in_rounding_show_nothing():
    for f in lambda x: 1e6 + 1e-12 * x, unary(lambda x: 1e6 + 1e-12 * x, lambda gy, x: gy * 3e-12):
        with pytest.raises(GradientError, match="lost in the rounding of the outputs"):
            gradcheck(f, x34)
        gradcheck(f, x34, allow_zero=True)
    gradcheck(lambda x: x * 1e-12, x34)                             # small alone is not lost


def test_a_small_gradient_beside_a_large_one_is_seen():
    """Only the outputs that change have rounding errors: e⁻³⁰ beside e³⁰."""
    gradcheck(ops.exp, [-30.0, 30.0])
    for method in "central", "complex":
        f = unary(np.exp, lambda gy, x: ops.set_at(gy * ops.exp(x), 0, 0.0))
        with pytest.raises(GradientError, match=r"at \(0,\) is 0, .* say"):
            gradcheck(f, [-30.0, 30.0], method=method)


# --- where there is no derivative

def test_kinks_are_told_from_wrong_gradients():
    with pytest.raises(NotDifferentiableError,
                       match=r"not differentiable in argument 0 \('x'\) at \(0,\): the slopes on "
                                                     r"the two sides are -?0 and \S+, the gradient "
                                                     r"is 0; shapes") as caught:
        gradcheck(ops.relu, [0.0, 1.0])
    assert isinstance(caught.value, GradientError) and caught.value.index == (0,)
    for f, x in [(ops.absolute, [0.0, 1.0]),  # though the gradient, 0, is what differences say
                 (ops.max, [1.0, 1.0]), (lambda x: ops.maximum(x, x[::-1]), [1.0, 1.0, 1.0]),
                 (lambda x: ops.clip(x, -1.0, 1.0), [1.0, 0.0]), (lambda x: ops.norm(x), [0.0]),
                 (unary(lambda x: np.sqrt(abs(x)), lambda gy, x: gy * 0.0), [0.0])]:
        for method in "central", "complex":
            with pytest.raises(NotDifferentiableError):
                gradcheck(f, x, method=method)
    with pytest.raises(NotDifferentiableError, match="along a random direction"):
        gradcheck(ops.relu, [0.0, 1.0], mode="directional")
    with pytest.raises(NotDifferentiableError, match="not finite on both sides"):
        gradcheck(unary(np.sqrt, lambda gy, x: gy * 1.0), [0.0, 1.0])
    with pytest.raises(NotDifferentiableError, match="the function jumps by"):
        gradcheck(unary(lambda x: np.floor(x) + x, lambda gy, x: gy * 1.0), [2.0])
    with pytest.raises(GradientError, match="output 0 is not finite") as caught:
        gradcheck(unary(lambda x: x + np.inf, lambda gy, x: gy), [0.0])
    assert not isinstance(caught.value, NotDifferentiableError)


@pytest.mark.parametrize("x", [1e-5, 1e-7, 1e-3, 1.0, -1e-6])
def test_near_a_kink_there_is_a_derivative(x):
    for f in ops.relu, ops.absolute, lambda t: ops.maximum(t, 0.5 * t):
        gradcheck(f, [x, 1.0])
    wrong = unary(np.abs, lambda gy, x: gy * 2.0 * ops.sign(x))
    with pytest.raises(GradientError) as caught:
        gradcheck(wrong, [x, 1.0])
    assert not isinstance(caught.value, NotDifferentiableError)


def test_kinks_of_gradients():
    gradcheck(lambda x: x * ops.absolute(x), [0.0, 1.0])            # differentiable once
    with pytest.raises(NotDifferentiableError) as caught:
        gradcheck(lambda x: x * ops.absolute(x), [0.0, 1.0], order=2)
    assert caught.value.order == 2


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=4))
def test_kinks_can_be_assumed_away(values):
    try:
        gradcheck(ops.relu, np.array(values, float), allow_zero=True)
    except NotDifferentiableError:
        assert 0 in values
        assume(False)
    assert 0 not in values


# --- right gradients pass

def test_right_gradients_pass():
    assert gradcheck(ops.multiply, x34, y34, order=3) < 1e-9
    assert gradcheck(lambda x: ops.exp(ops.sin(x)), 1e-3 * x34, order=2) < 1e-6
    for mode in "full", "directional":
        gradcheck(ops.log, [1e-8, 1.0], mode=mode)  # steps follow the size of the entries
        # bends sharply: smaller steps are tried
        gradcheck(lambda x: ops.sin(1000.0 * x), x34, mode=mode)
        gradcheck(lambda x: x + 1e6, x34, mode=mode)
    gradcheck(ops.log, [1e-8, 1.0, 1e8])
    for f in lambda x: x ** 5, lambda x: x * ops.absolute(x), ops.var:
        for x in [0.0, 1.0], [0.0], [1.0, 1.0]:  # slopes of 0 that differences only approach
            gradcheck(f, x, allow_zero=True)
            with pytest.raises(GradientError, match=r"at \(0,\) is"):
                gradcheck(
                    lambda x, f=f: record(f(x).data, (f(x) + 1e-4 * ops.sum(x), lambda gy: gy)),
                    x,
                    allow_zero=True,
                )
    with np.errstate(over="ignore"):
        gradcheck(ops.divide, [1e-150, 1e150], [1e100, 1e-100])
    # integers are passed as they are
    gradcheck(lambda x, i: x[i], x34, np.array([0, 2, 0]), order=2)
    gradcheck(lambda x: (x, ops.argmax(x), [x * x][0]), x34)
    gradcheck(ops.sum, np.zeros((0, 3)))
    gradcheck(ops.exp, 0.5, order=3)
    gradcheck(ops.exp, [5e-324, 1e-310, 0.0])
    gradcheck(ops.square, [1e-320, 1.0], mode="directional", order=2)


def test_parts_that_cancel_leave_no_slope():
    """Where derivatives are exactly 0, what is left of parts that cancel is rounding, and proves
    nothing wrong."""
    for method in "central", "complex":
        gradcheck(lambda x: 1 / x + ops.log(ops.square(x)), [1.0], order=3, method=method)
        gradcheck(lambda x: ops.std(x, 0), x34[:2], order=3, method=method)
    f = unary(lambda x: 1 / x + np.log(x * x), lambda gy, x: gy * record(
        2 / x.data - 1 / x.data ** 2, (x, lambda g: 1e-6 * g)))
    with pytest.raises(GradientError, match="gradcheck of gradient of .* argument 0"):
        gradcheck(f, [1.0], order=2)


# --- what cannot be checked

def test_what_cannot_be_checked():
    for settings in {"order": 0}, {"mode": "some"}, {"method": "forward"}:
        with pytest.raises(ValueError, match=f"^gradcheck: {next(iter(settings))} must be"):
            gradcheck(ops.exp, x34, **settings)
    with pytest.raises(ValueError, match="no floating-point input"):
        gradcheck(ops.exp, [1, 2])
    for inputs in (x34, x34), [md.tensor(1.0), 2.0]:
        kind = type(inputs).__name__
        with pytest.raises(TypeError, match="^gradcheck: inputs are given one by one, gradcheck"
                                            rf"\(f, a, b\), got a {kind} of arrays$"):
            gradcheck(ops.multiply, inputs)
    gradcheck(ops.exp, [np.float64(1), 2.0])                    # a list of numbers is an array
    for value in np.nan, np.inf:
        with pytest.raises(ValueError, match="^gradcheck: argument 1 is not finite"):
            gradcheck(ops.add, [1.0, 2.0], [value, 1.0])
    with pytest.raises(GradientError, match="gradcheck of argmax: it has no floating-point output"):
        gradcheck(ops.argmax, x34)
    with pytest.raises(TypeError, match="must give a Tensor or a tuple of them, got ndarray"):
        gradcheck(lambda x: np.ones(3), x34)
