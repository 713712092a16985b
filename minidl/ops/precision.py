"""Operations that need a wider type than their input's for what they compute on the way."""
import functools

from minidl import kernels
from minidl.operands import floating


def widened(operation, x, argument="x"):
    """x in the type in which it is summed up and squared: float32, where it is float16."""
    x = floating(operation, x, argument)
    return rounded(x, kernels.accumulator(x.dtype))


def rounded(x, dtype):
    """x in that dtype."""
    return x if x.dtype == dtype else x.astype(dtype)


def precise(operation):
    """Decorates an operation on x whose intermediate numbers may be too large for float16.

    float16 is computed in float32 and rounded once, at the end; whole numbers become float64.
    """
    @functools.wraps(operation)
    def of(x, *arguments, **options):
        x = floating(operation.__name__, x)
        wide = rounded(x, kernels.accumulator(x.dtype))
        return rounded(operation(wide, *arguments, **options), x.dtype)
    return of
