"""Adjoints, and whole derivatives."""
import numpy as np
import pytest

import minidl as md
from minidl import ops
from minidl.testing import GradientError, adjointcheck, hessian, hessian_vector_product, jacobian

x34, y34, x4 = (np.random.default_rng(i).normal(size=shape)
                for i, shape in enumerate([(3, 4), (3, 4), (4,)]))


def test_adjointcheck(device):
    assert adjointcheck(lambda x: x.T, lambda y: y.T, x34, y34.T) < 1e-12
    assert adjointcheck(ops.flip, ops.flip, x34, y34) < 1e-12
    with pytest.raises(GradientError,
                       match="adjointcheck of <lambda>: <A x, y> = .*relative error") as caught:
        adjointcheck(lambda x: 2.0 * x, lambda y: 2.000001 * y, x34, y34)
    assert caught.value.gradient == pytest.approx(caught.value.difference * 1.0000005)
    assert caught.value.shapes == [(3, 4), (3, 4)] and 1e-8 < caught.value.relative_error < 1e-6
    with pytest.raises(GradientError, match=r"A maps \(3, 4\) to \(4, 3\)"):
        adjointcheck(lambda x: x.T, lambda y: y, x34, y34)
    with pytest.raises(GradientError, match="shows nothing"):
        adjointcheck(lambda x: 0.0 * x, lambda y: 0.0 * y, x34, y34)
    assert adjointcheck(lambda x: 0.0 * x, lambda y: 0.0 * y, x34, y34, allow_zero=True) == 0.0
    with pytest.raises(GradientError, match=r"<A x, y> = 51200 but <x, A' y> = 76800 "):
        adjointcheck(lambda x: 2 * x, lambda y: 3 * y, np.uint8([200]), np.uint8([128]))


def test_jacobian(device):
    A = np.random.default_rng(0).normal(size=(2, 3))
    found = jacobian(lambda x: md.tensor(A, device=device) @ x, np.ones(3))
    assert found.device == device
    np.testing.assert_allclose(found.numpy(), A)
    assert jacobian(lambda x: x[:0], x4).shape == (0, 4)
    assert jacobian(lambda x: ops.outer(x, x), x4.astype("float32")).dtype == np.float64
    with pytest.raises(TypeError, match="^jacobian: x must be floating-point, got int64"):
        jacobian(ops.exp, [1, 2])
    with pytest.raises(TypeError, match="^jacobian: x must be one array, got a tuple of arrays"):
        jacobian(ops.multiply, (x4, x4))
    with pytest.raises(TypeError, match="^hessian: x .* list .* hessian.lambda a: f.a, b., a.$"):
        hessian(lambda x, y: ops.sum(x * y), [md.tensor(x4), md.tensor(x4)])
    with pytest.raises(TypeError, match="^hessian: x must be floating-point, got int64"):
        hessian(ops.sum, [1, 2])


def test_hessian_and_its_product(device):
    A = np.random.default_rng(0).normal(size=(4, 4))

    def quadratic(x):
        return 0.5 * x @ md.tensor(A, device=device) @ x
    H = hessian(quadratic, x4)
    assert H.device == device
    np.testing.assert_allclose(H.numpy(), (A + A.T) / 2)
    np.testing.assert_allclose(hessian_vector_product(quadratic, x4, y34[0]).numpy(),
                               H.numpy() @ y34[0])

    def f(x):
        return ops.sum(ops.exp(x)) * ops.sum(ops.sin(x))
    H, v = hessian(f, x34).numpy(), y34
    np.testing.assert_allclose(H, np.moveaxis(H, (0, 1), (2, 3)), rtol=1e-12)
    np.testing.assert_allclose(hessian_vector_product(f, x34, v).numpy(), np.tensordot(H, v),
                               rtol=1e-12)
    # no second derivative
    assert hessian(ops.sum, x4).numpy().tolist() == np.zeros((4, 4)).tolist()
    assert hessian_vector_product(ops.sum, x4, x4).numpy().tolist() == [0.0] * 4
    with pytest.raises(ValueError,
                       match=r"^hessian: f must give a single number, got shape \(4,\)"):
        hessian(ops.exp, x4)
    with pytest.raises(ValueError, match=r"^hessian_vector_product: v of shape \(3, 4\) must have "
                                         r"the shape of x, \(4,\)"):
        hessian_vector_product(ops.sum, x4, x34)
