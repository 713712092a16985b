"""Operations that need more room than their input's type has."""
import functools

from minidl import kernels
from minidl.operands import floating


def widened(operation, x, argument="x"):
    """x in the type in which it is summed up and squared: float16 in float32, whole numbers in float64."""
    x = floating(operation, x, argument)
    wide = kernels.accumulator(x.dtype)
    return x if wide == x.dtype else x.astype(wide)


def precise(operation):
    """For an operation on x that makes of it numbers too large or too many for float16, or fractions.

    float16 is computed in float32 and rounded once, at the end; integers become floating-point.
    """
    @functools.wraps(operation)
    def of(x, *arguments, **options):
        x = floating(operation.__name__, x)
        wide = widened(operation.__name__, x)
        y = operation(wide, *arguments, **options)
        return y if wide is x else y.astype(x.dtype)
    return of
