"""Linear maps need no step size: their gradients are their adjoints, and that is an identity."""
import numpy as np

from minidl.operands import floating, function
from minidl.settings import bounded, of_kind
from minidl.tensor import Tensor
from minidl.testing.errors import GradientError
from minidl.testing.functions import promoted


def adjointcheck(A, A_transpose, x, y, rtol=1e-12, allow_zero=False):
    """Check that two linear maps are each other's adjoint:  ⟨A x, y⟩ = ⟨x, Aᵀ y⟩  to rounding.

    A, A_transpose: functions of one Tensor.
    x, y: arrays or Tensors, promoted to float64; y has the shape of A x.
    rtol: of the sum of the absolute values of the products, whose rounding it bounds.
    Returns |⟨A x, y⟩ − ⟨x, Aᵀ y⟩| relative to that sum.
    Raises GradientError with both numbers, or if a shape is wrong, or if both are zero, which shows
    nothing, unless that is expected (allow_zero).

    >>> import minidl as md
    >>> adjointcheck(md.ops.flip, md.ops.flip, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    0.0
    """
    for name, each in ("A", A), ("A_transpose", A_transpose):
        function("adjointcheck", name, each, "of a Tensor")
    rtol = bounded("adjointcheck", "0 ≤ rtol < inf", rtol)
    x = floating("adjointcheck", promoted(x, "adjointcheck"))
    y = floating("adjointcheck", promoted(y, "adjointcheck", "y"))
    Ax, Aty = A(x), A_transpose(y)
    for each in Ax, Aty:
        of_kind("adjointcheck", "what A and A_transpose give", each, "a Tensor", Tensor)
    name = getattr(A, "__name__", type(A).__name__)
    facts = dict(function=name, shapes=[x.shape, y.shape])
    where = f"adjointcheck of {name}"
    if Ax.shape != y.shape or Aty.shape != x.shape:
        raise GradientError(f"{where}: A maps {x.shape} to {Ax.shape}, its transpose {y.shape} to "
                            f"{Aty.shape}", **facts)
    left, right = Ax.numpy() * y.numpy(), x.numpy() * Aty.numpy()
    if not allow_zero and not left.any() and not right.any():
        raise GradientError(f"{where}: the products are zero everywhere, which shows nothing",
                            **facts)
    error, size = abs(left.sum() - right.sum()), max(np.abs(left).sum(), np.abs(right).sum())
    if not error <= rtol * size:
        raise GradientError(f"{where}: <A x, y> = {left.sum():.15g} but <x, A' y> = "
                            f"{right.sum():.15g} (relative error {error / size:.2g}) for x of "
                            f"shape {x.shape} and y of shape {y.shape}",
                            difference=float(left.sum()), gradient=float(right.sum()),
                            relative_error=float(error / size), **facts)
    return float(error / size) if size else 0.0
