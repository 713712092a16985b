"""Operations that need more room than their input's type has."""
import functools

from minidl import kernels
from minidl.ops.elementwise import floating


def precise(operation):
    """For an operation on x that makes of it numbers too large or too many for float16, or fractions.

    float16 is computed in float32 and rounded once, at the end; integers become floating-point.
    """
    @functools.wraps(operation)
    def of(x, *arguments, **options):
        x = floating(operation.__name__, x)
        wide = kernels.accumulator(x.dtype)
        if wide == x.dtype:
            return operation(x, *arguments, **options)
        return operation(x.astype(wide), *arguments, **options).astype(x.dtype)
    return of
