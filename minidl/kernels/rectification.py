"""The rectifier and its gate, in one pass over memory each, shared between threads where there is much to do."""
from minidl import backend
from minidl.kernels.workers import everywhere

MUCH = 2 ** 16      # elements


def relu(x):
    """y = max(x, 0)"""
    xp = backend.of(x)
    return _elementwise(lambda part, out: xp.maximum(part, 0, out=out), x.dtype, x)


def gate(u, y):
    """u where y > 0, and 0 elsewhere, selected so that an infinite or NaN u that is shut out stays out."""
    xp = backend.of(u)

    def fill(part, gates, out):
        out[...] = xp.where(gates > 0, part, 0)

    return _elementwise(fill, u.dtype, u, y)


def _elementwise(fill, dtype, *arrays):
    """The array that fill(*strips of the arrays, strip of the result) writes; the arrays have one shape."""
    result = backend.of(arrays[0]).empty(arrays[0].shape, dtype)
    if result.size < MUCH or result.ndim < 2:
        fill(*arrays, result)
    else:
        everywhere(lambda strip: fill(*(array[strip] for array in arrays), result[strip]), result)
    return result
