"""Whole derivatives, for study: one sweep of reverse mode for each row.

Inputs are promoted to float64.
"""
import numpy as np

from minidl import ops
from minidl.operands import function
from minidl.settings import numbers, of_kind
from minidl.tensor import Tensor, constant, grad
from minidl.testing.functions import are_arrays


def jacobian(f, x):
    """All partial derivatives  J[i, j] = ∂yᵢ/∂xⱼ  of y = f(x), by a sweep for each yᵢ.

    J has the shape y.shape + x.shape.

    >>> from minidl import ops
    >>> jacobian(ops.square, [1.0, 2.0])
    tensor([[2., 0.],
            [0., 4.]], float64)
    """
    x = _leaf("jacobian", x)
    y = _value("jacobian", f, x)
    rows = [constant(x.data[None][:0])]                 # no row: an empty y has a Jacobian, too
    for index in np.ndindex(y.shape):
        unit = np.zeros(y.shape)
        unit[index] = 1.0
        rows.append(grad(y, x, Tensor(unit, device=y.device))[0][None])
    return ops.reshape(ops.concatenate(rows), y.shape + x.shape)


def hessian(f, x):
    """All second derivatives  H[i, j] = ∂²y / ∂xᵢ ∂xⱼ  of a number y = f(x); symmetric.

    H has the shape x.shape + x.shape.

    It is the Jacobian of the gradient.  Raises ValueError if f does not give a single number.

    >>> hessian(lambda x: x[0] ** 2 * x[1], [1.0, 2.0])
    tensor([[4., 2.],
            [2., 0.]], float64)
    """
    return jacobian(lambda x: _gradient("hessian", f, x), _leaf("hessian", x))


def hessian_vector_product(f, x, v):
    """H v = ∂/∂x ⟨∇f(x), v⟩  for a number f(x) and v of x's shape, without H, by two sweeps.

    Raises ValueError if f does not give a single number, or v has another shape.
    Source: Pearlmutter 1994.

    >>> hessian_vector_product(lambda x: x[0] ** 2 * x[1], [1.0, 2.0], [1.0, 10.0])
    tensor([24.,  2.], float64)
    """
    x = _leaf("hessian_vector_product", x)
    v = Tensor(_given("hessian_vector_product", "v", v), dtype=np.float64, device=x.device)
    if v.shape != x.shape:
        raise ValueError(f"hessian_vector_product: v of shape {v.shape} must have the shape of x, "
                         f"{x.shape}")
    return grad(_gradient("hessian_vector_product", f, x), x, v)[0]


def _leaf(what, x):
    x = _given(what, "x", x)
    if x.dtype.kind != "f":
        raise TypeError(f"{what}: x must be floating-point, got {x.dtype}")
    return Tensor(x, requires_grad=True, dtype=np.float64)


def _given(what, name, x):
    """A Tensor as it is; real numbers as an array, which goes to the device in use."""
    if are_arrays(x):
        raise TypeError(f"{what}: {name} must be one array, got a {type(x).__name__} of arrays; "
                        f"of several one moves at a time: {what}(lambda a: f(a, b), a)")
    return x if isinstance(x, Tensor) else numbers(what, name, x, dtype=None)


def _value(what, f, x):
    function(what, "f", f, "of a Tensor")
    return of_kind(what, "what f gives", f(x), "a Tensor", Tensor)


def _gradient(what, f, x):
    """∇f(x), so that it can be differentiated again."""
    y = _value(what, f, x)
    if y.size != 1:
        raise ValueError(f"{what}: f must give a single number, got shape {y.shape}")
    return grad(y, x, create_graph=True, grad_output=ops.ones_like(y))[0]
