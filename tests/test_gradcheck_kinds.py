"""The tester on what is small, fast, differentiated inside, strided, broadcast or narrow.

For each kind something right that passes, and something wrong, whose error says known numbers.
"""
import numpy as np
import pytest
from small_functions import unary, x4, x34, y34

import minidl as md
from minidl import ops
from minidl.operands import operands
from minidl.tensor import record
from minidl.testing import GradientError, NotDifferentiableError, gradcheck
from minidl.testing.layout import backwards, transposed
from minidl.testing.slopes import by_size

modes = pytest.mark.parametrize("mode", ["full", "directional"])


def half(x):
    """x, whose gradient is half of what it should be."""
    return unary(np.copy, lambda gy, x: gy * 0.5)(x)


# --- scale

@modes
@pytest.mark.parametrize("scale", [1e4, 1e8, 1e12, 1e15])
@pytest.mark.parametrize("beside", [lambda x, scale: x * scale, lambda x, scale: x + scale,
                                    lambda x, scale: ops.sin(x) * scale])
def test_an_output_is_judged_at_its_own_scale(mode, scale, beside):
    def together(small):
        return lambda x: ops.concatenate([small(x), beside(x, scale)])

    def apart(small):
        return lambda x: (small(x), beside(x, scale))
    for f in together, apart:
        gradcheck(f(ops.exp), [0.3, 0.7], mode=mode)
        with pytest.raises(GradientError, match="argument 0"):
            gradcheck(f(half), [0.3, 0.7], mode=mode)


def test_the_small_output_is_named():
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: (x * 1e8, half(x)), [0.3, 0.7])
    assert str(caught.value).startswith(
        "gradcheck of <lambda>: gradient of argument 0 ('x') of output 1 at (0,) alone, small "
        "beside others, at (0,) is ")
    assert caught.value.index == (0,) and caught.value.relative_error == pytest.approx(0.5)
    assert caught.value.difference == pytest.approx(2 * caught.value.gradient)


def test_small_outputs_are_right_to_three_digits():
    def slightly(x):
        return unary(np.copy, lambda gy, x: gy * 1.0001)(x)
    gradcheck(lambda x: (x * 1e12, slightly(x)), x4)
    with pytest.raises(GradientError):
        gradcheck(lambda x: (x * 1e2, slightly(x)), x4)


def test_an_entry_whose_gradient_is_small_moves_alone():
    x = np.linspace(-1.0, 1.0, 100)
    for f in ops.sin, half:
        def sums(x, f=f):
            return ops.sum(1e7 * x[:50]) + ops.sum(f(x[50:]))
        if f is half:
            with pytest.raises(GradientError, match="along a random direction|at .[5-9].,. is"):
                gradcheck(sums, x)
        else:
            gradcheck(sums, x)


def test_sizes_are_sorted_into_groups():
    """10⁴ apart at most in each; what is 0, infinite or NaN is in none."""
    a, b = np.array([1.0, 2e-4, 9e-5, 0.0]), np.array([[1e-9, np.inf], [np.nan, 0.5]])
    found = by_size([a, b])
    assert [[mask.astype(int).tolist() for mask in masks] for masks in found] == [
        [[1, 1, 0, 0], [[0, 0], [0, 1]]], [[0, 0, 1, 0], [[0, 0], [0, 0]]],
        [[0, 0, 0, 0], [[1, 0], [0, 0]]]]
    assert by_size([np.zeros(3), np.zeros((0, 2))]) == []


def test_saturated_entries_do_not_alarm():
    """p = 1 − 10⁻¹⁷ does not change, though its gradient is not 0."""
    wide = np.array([[0.0, 40.0, -3.0], [50.0, 1.0, 2.0]])
    for f in ops.softmax, lambda x: ops.logsumexp(x, -1), ops.sigmoid, ops.exp:
        gradcheck(f, wide)
    gradcheck(ops.softmax, np.random.default_rng(0).normal(size=(30, 4)) * 20, order=2)


# --- steps

@modes
@pytest.mark.parametrize("speed", [1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
def test_steps_follow_the_function(mode, speed):
    """sin(k x) for any k that leaves digits to x, though many periods may fit the first step."""
    wrong = unary(lambda x: np.sin(speed * x), lambda gy, x: gy * 1.01 * speed * ops.cos(speed * x))
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=(1, 3))
        assert gradcheck(lambda x: ops.sin(speed * x), x, mode=mode, seed=seed) < 1e-5
        with pytest.raises(GradientError) as caught:
            gradcheck(wrong, x, mode=mode, seed=seed)
        assert caught.value.relative_error == pytest.approx(0.0099, rel=0.05)
        assert not isinstance(caught.value, NotDifferentiableError)


def test_fast_functions_have_second_derivatives():
    gradcheck(lambda x: ops.sin(1e5 * x), x34, order=2)
    gradcheck(ops.sin, 1e6 * x34, order=2)


# --- functions that differentiate inside

def cubed(x):
    return x ** 3


def penalty(x, f=cubed):
    """‖∇ Σ f‖²: 9 Σ x⁴, whose gradient is 36 x³, for f(x) = x³."""
    gradient, = md.grad(ops.sum(f(x)), x, create_graph=True)
    return ops.sum(gradient * gradient)


def newton(x):
    """x − f'/f'' for f = Σ x⁴ + x²."""
    first, = md.grad(ops.sum(x ** 4 + x * x), x, create_graph=True)
    second, = md.grad(ops.sum(first), x, create_graph=True)
    return x - first / second


def hessian(x):
    """All second derivatives of the product of all entries."""
    first, = md.grad(x[0] * x[1] * x[2], x, create_graph=True)
    return ops.stack([md.grad(first[i], x, create_graph=True)[0] for i in range(3)])


@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("f", [penalty, newton, hessian])
def test_functions_may_differentiate_inside(f, method, device):
    gradcheck(f, [0.5, 1.0, -2.0], order=2, method=method)


def test_a_wrong_rule_inside_is_found():
    def detached(x):
        return record(x.data ** 3, (x, lambda gy: 3 * gy * x.detach() ** 2))
    with pytest.raises(GradientError, match=r"argument 0 \('x'\) is zero everywhere") as caught:
        gradcheck(lambda x: penalty(x, detached), [1.0, 2.0])
    assert caught.value.difference != 0

    def quartic(x):
        def square(x):
            return record(x.data ** 2, (x, lambda gy: 2 * gy * x.detach()))
        return record(x.data ** 4, (x, lambda gy: 4 * gy * x * square(x)))
    gradcheck(lambda x: penalty(x, quartic), [1.0, 2.0])
    with pytest.raises(GradientError, match="gradcheck of gradient of <lambda>"):
        gradcheck(lambda x: penalty(x, quartic), [1.0, 2.0], order=2)


def test_the_gradient_of_a_penalty_is_measured():
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: record(penalty(x).data, (x, lambda gy: 35 * gy * x ** 3)), [2.0])
    assert caught.value.gradient / caught.value.difference == pytest.approx(35 / 36)


# --- memory

def test_arrays_are_laid_out_otherwise():
    for x in x34, x34.T, x34[::-1, ::2]:
        columns, back = transposed(x), backwards(x)
        np.testing.assert_array_equal(columns, x)
        np.testing.assert_array_equal(back, x)
        order, other = np.argsort(np.abs(x.strides)), np.argsort(np.abs(columns.strides))
        assert order.tolist() == other[::-1].tolist()
        assert all(stride < 0 for stride in back.strides)
        assert not back.flags.forc
    assert transposed(np.array(2.0)).shape == backwards(np.array(2.0)).shape == ()


@pytest.mark.parametrize("wrong_where", [
    lambda x: not x.flags.c_contiguous, lambda x: x.flags.f_contiguous, lambda x: not x.flags.forc,
    lambda x: x.strides[0] < 0, lambda x: x.strides[1] != x.itemsize])
def test_a_rule_that_is_wrong_for_a_layout_is_found(wrong_where):
    def by_input(gy, x):
        return gy * (3.0 if wrong_where(x.data) else 2.0)

    def by_cotangent(gy, x):
        return gy * (3.0 if wrong_where(gy.data) else 2.0)
    for rule in by_input, by_cotangent:
        f = unary(lambda x: 2.0 * x, rule)
        with pytest.raises(GradientError, match="where the same values lie in memory in another way"
                                                "|differences say"):
            gradcheck(f, x34)
        with pytest.raises(GradientError):
            gradcheck(lambda x, y, f=f: (x * y, f(x)), x34, y34)
        with pytest.raises(GradientError):
            gradcheck(lambda y, x, f=f: (x * y, f(x)), x34, y34)
    lost = unary(lambda x: 2.0 * x, lambda gy, x: gy * (np.nan if wrong_where(x.data) else 2.0))
    with pytest.raises(GradientError, match="but nan where|is nan, differences say"):
        gradcheck(lost, x34)
    with pytest.raises(GradientError) as caught:
        gradcheck(unary(lambda x: 2.0 * x, by_input), x34)
    assert "argument 0 ('x')" in str(caught.value) and caught.value.index is not None


def test_a_rule_that_fails_for_a_layout_says_so():
    def rule(gy, x):
        if not x.data.flags.c_contiguous:
            raise ValueError("only rows")
        return gy
    with pytest.raises(GradientError, match="it fails where the same values lie .*: ValueError: "
                                            "only rows"):
        gradcheck(unary(np.copy, rule), x34)


def test_every_layout_of_right_operations_passes(device):
    index = np.array([[0, 2], [1, 0]])
    gradcheck(lambda x, i: x[i], x34, index, order=2)
    gradcheck(ops.matmul, x34, y34.T, order=2)
    gradcheck(lambda x: ops.softmax(x, 0), x34.T, order=2)


# --- broadcasting

def product(rule_b):
    def f(a, b):
        a, b = operands("product", a, b)
        return record(a.data * b.data, (a, lambda gy: gy * b), (b, lambda gy: rule_b(gy * a, b)))
    return f


@modes
@pytest.mark.parametrize("rule", [
    lambda g, b: g if b.shape != (3,) else ops.mean(g, 0),              # the mean, not the sum
    lambda g, b: g if b.shape != (3,) else g[0],                        # one row only
    lambda g, b: g if b.shape != (2, 1) else ops.mean(g, 1, keepdims=True),
    lambda g, b: g if b.shape != (3,) else 2.0 * g])
def test_a_rule_that_is_wrong_under_broadcasting_is_found(rule, mode):
    a, b = x34[:2, :3], y34[:2, :3]
    with pytest.raises(GradientError, match=r"gradcheck of f where .*argument 1 \('b'\) is broadcas"
                                            r"t.*: gradient of argument 1 \('b'\)"):
        gradcheck(product(rule), a, b, mode=mode)
    gradcheck(product(lambda g, b: g), a, b, mode=mode, order=2)


def test_the_broadcast_gradient_is_a_known_number():
    """y = a ⊙ b for b of shape (3,) or (2, 1): a rule that averages gives half, or a third."""
    a = b = np.ones((2, 3))
    for axis, times in (0, 2), (1, 3):
        def rule(g, b, axis=axis):
            short = b.shape == ((3,), (2, 1))[axis]
            return ops.mean(g, axis, keepdims=True) if short else g
        with pytest.raises(GradientError) as caught:
            gradcheck(product(rule), a, b)
        assert caught.value.difference == pytest.approx(times * caught.value.gradient)
        assert ((3,), (2, 1))[axis] in caught.value.shapes


def test_a_second_derivative_that_is_wrong_under_broadcasting_is_found():
    def f(a, b):
        a, b = operands("f", a, b)
        slope = b if a.shape == b.shape else b.detach()
        return record(a.data * b.data, (a, lambda gy: gy * slope), (b, lambda gy: gy * a))
    gradcheck(f, x34, y34)
    with pytest.raises(GradientError, match="gradcheck of gradient of f where .* is broadcast"):
        gradcheck(f, x34, y34, order=2)


def test_a_rule_that_fails_under_broadcasting_says_so():
    def rule(g, b):
        if b.ndim < 2:
            raise ValueError("two axes, please")
        return g
    with pytest.raises(GradientError, match="is broadcast: it fails: ValueError: two axes, please"):
        gradcheck(product(rule), x34, y34)


def test_what_does_not_broadcast_is_left_alone():
    """Functions that refuse short inputs, take them for something else, or are singular there."""
    gradcheck(lambda a, b: ops.concatenate([a, b]), x34, y34, order=2)
    gradcheck(lambda a, b: ops.sum(a) * ops.sum(b), x34, y34, order=2)
    gradcheck(ops.matmul, np.stack([x34, y34]), x34.T, order=2)
    gradcheck(lambda a, b: ops.norm(a - b[0], -1), x34, y34[:2])       # 0 where a is short too
    unit = lambda x: x / ops.norm(x, -1, keepdims=True)
    gradcheck(lambda a, b: unit(a) @ unit(b).T, x34, y34, order=2)      # ±1 for one column
    seen = []
    gradcheck(lambda x: seen.append(x.shape) or x * x4, x34)           # one input: nothing is tried
    assert set(seen) == {(3, 4)}


# --- precision

def test_a_narrow_result_says_so():
    """A difference of float32 numbers shows nothing, whatever its gradient."""
    for dtype in "float32", "float16":
        def rounded(x, dtype=dtype):
            return ops.astype(x, dtype) * 1.0
        with pytest.raises(GradientError, match=f"output 0 is {dtype} though the inputs are float64"
                                                ": precision is lost inside, where something is c"):
            gradcheck(rounded, x34)
        with pytest.raises(GradientError, match=f"output 1 is {dtype}"):
            gradcheck(lambda x, f=rounded: (x * x, f(x)), x34)
        gradcheck(rounded, x34, allow_zero=True)


def test_narrow_values_inside_are_pointed_at():
    narrow = unary(lambda x: np.exp(x.astype("float32")).astype(float),
                   lambda gy, x: gy * ops.exp(x))
    with pytest.raises(GradientError, match="the outputs hold numbers of float32: precision is lo"):
        gradcheck(narrow, x34)
    wrong = unary(np.exp, lambda gy, x: 2.0 * gy * ops.exp(x))
    with pytest.raises(GradientError) as caught:
        gradcheck(wrong, [0.5, 0.25])
    assert "float32" not in str(caught.value)


# --- errors of others

def test_what_a_rule_raises_passes_through():
    class Mine(Exception):
        pass

    def rule(gy, x):
        raise Mine("in the rule")
    with pytest.raises(Mine, match="in the rule"):
        gradcheck(unary(np.copy, rule), x34)
    with pytest.raises(Mine, match="in the rule"):
        gradcheck(unary(np.copy, lambda gy, x: unary(lambda g: g.copy(), rule)(gy)), x34, order=2)


@pytest.mark.parametrize("order", [1, 2])
def test_a_cotangent_of_a_wrong_shape_is_said_of_its_argument(order):
    def wrong_shape(a, b):
        return product(lambda g, b: g[:, :2])(a, b)
    words = r"^gradcheck of wrong_shape: no gradient of argument 1 .'b'.: .*\(3, 2\)"
    with pytest.raises(ValueError, match=words):
        gradcheck(wrong_shape, x34, y34, order=order)

    def right_once(a, b):
        def slope(g, b):
            return record(g.data * 1.0, (g, lambda gg: gg[:, :2]))
        return product(slope)(a, b)
    gradcheck(right_once, x34, y34)
    with pytest.raises(ValueError, match="^gradcheck of gradient of right_once: no gradient of"):
        gradcheck(right_once, x34, y34, order=2)
