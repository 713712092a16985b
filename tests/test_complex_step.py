"""gradcheck by complex steps: exact for what is analytic, and no verdict on what is not."""
import functools

import numpy as np
import pytest
from small_functions import multiply, unary, x4, x34, y34

import minidl as md
from minidl import ops
from minidl.testing import GradientError, NotAnalyticError, gradcheck


def test_complex_steps_see_what_differences_cannot():
    """An error of 10⁻⁸ is within the tolerance of differences, and 100 times that of complex
    steps."""
    slightly = functools.partial(multiply, factor=1.00000001)
    gradcheck(slightly, x34, y34)
    with pytest.raises(GradientError, match="complex steps say") as caught:
        gradcheck(slightly, x34, y34, method="complex")
    assert caught.value.relative_error == pytest.approx(1e-8, rel=1e-3)
    with pytest.raises(GradientError, match="differences say"):
        gradcheck(multiply, x34, y34, method="complex")


def net(x, w, b, v):
    return ops.logsumexp(ops.tanh(ops.conv(x, w, b, padding=1)).reshape(len(x), -1) @ v, -1)


def test_complex_steps_are_exact_for_what_is_analytic():
    w, v = np.random.default_rng(0).normal(size=(3, 2,
                                                 2)), np.random.default_rng(1).normal(size=(6, 3))
    assert gradcheck(net, x34.reshape(2, 3, 2), w, x4[:2], v, order=2, method="complex",
                     mode="full") < 1e-12
    for f in (ops.exp, ops.expm1, ops.sin, ops.erf, ops.gelu, ops.softmax, ops.norm, ops.square,
              lambda x: ops.log1p(x * x), lambda x: x / (2 + ops.cos(x)),
              lambda x: ops.index(x, (..., [0, 0]))):
        assert gradcheck(f, x34, order=3, method="complex") < 1e-12
    for f in (ops.relu, lambda x: ops.maximum(x, 0.1), lambda x: ops.max(x, 0),
              lambda x: ops.max_pool(x[None], 2),
              lambda x: ops.where(x > 0, x, ops.square(x)), lambda x: ops.add_at(x, [0, 0], x4)):
        gradcheck(f, x34, order=2, method="complex")                # chosen by the real parts


def test_complex_steps_where_differences_are_poor():
    """sin(10¹⁴ x) turns too fast for any step that differences can take."""
    def fast(x):
        return ops.sin(1e14 * x)
    with pytest.raises(GradientError):
        gradcheck(fast, [0.5, 1.0])
    assert gradcheck(fast, [0.5, 1.0], method="complex") < 1e-12


@pytest.mark.parametrize("f", [ops.absolute, ops.sigmoid, ops.softplus,
                               unary(lambda x: x.real * 3.0, lambda gy, x: gy * 3.0),
                               unary(lambda x: (x * x.conj()).real, lambda gy, x: gy * 2.0 * x),
                               unary(lambda x: x.astype(float) * 1.0, lambda gy, x: gy),
                               lambda x: md.losses.mean_squared_error(x, y34),
                               lambda x: x * (1.0 if float(ops.sum(x)) < 1e9 else 2.0)])
def test_what_is_not_analytic_is_neither_right_nor_wrong(f):
    gradcheck(f, x34)
    with pytest.raises(NotAnalyticError, match="method 'complex' needs an analytic function; .*; "
                                               "use method='central'$"):
        gradcheck(f, x34, method="complex")


@pytest.mark.parametrize("f", [unary(np.abs, lambda gy, x: gy * 0.0),
                               unary(lambda x: x.real * 2.0, lambda gy, x: gy * 0.0),
                               unary(lambda x: 1 / (1 + np.exp(-abs(x))), lambda gy, x: gy * 0.0)])
def test_a_gradient_as_wrong_as_its_complex_step(f):
    """The complex step of |x| is 0, and so is this gradient: it takes a difference to see that both
    are wrong."""
    with pytest.raises(GradientError, match="differences say"):
        gradcheck(f, x34, method="complex", allow_zero=True)


def test_wide_types_have_gradients():
    """Long doubles, and the complex numbers of complex steps, are wider than the integers that
    select bits."""
    x = md.tensor(x34.astype(np.longdouble), requires_grad=True)
    for f, slope in (ops.relu, x34 > 0), (lambda x: ops.astype(x, np.longdouble), np.ones((3, 4))):
        gradient, = md.grad(ops.sum(f(x)), x)
        assert gradient.dtype == np.longdouble
        np.testing.assert_array_equal(gradient.numpy(), slope)
