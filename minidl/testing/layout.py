"""Arrays that lie in memory in another way than row after row."""
from minidl import backend


def strided(values, order, steps, offset=0):
    """A copy of an array whose axes lie in memory in that order (slowest first).

    steps: how many places apart the entries lie along each of them, negative where the axis runs
    backwards.      offset: how many places from the edge of the memory.
    """
    memory = backend.of(values).zeros(
        [offset + abs(step) * values.shape[axis] for axis, step in zip(order, steps)], values.dtype)
    # With ... even an array without axes gives a view, not a number.
    view = memory[(*(slice(offset, None, abs(step)) for step in steps), ...)]
    view = view[(*(slice(None, None, 1 if step > 0 else -1) for step in steps), ...)]
    view = view.transpose([order.index(axis) for axis in range(values.ndim)])
    view[...] = values
    return view


def laid_out_as(values, x):
    """A copy of an array whose axes lie in memory in the order that x's do, backwards or with gaps
    where x's are."""
    dense = sum((n - 1) * abs(s) for n, s in zip(x.shape, x.strides)) == (x.size - 1) * x.itemsize
    step, order = 1 if dense else 2, _order(x)
    return strided(values, order, [-step if x.strides[axis] < 0 else step for axis in order])


def transposed(x):
    """A copy whose axes lie in memory in the opposite order: column after column if x's rows do."""
    return strided(x, _order(x)[::-1], [1] * x.ndim)


def backwards(x):
    """A copy that lies in memory from its end to its beginning, with gaps between the entries."""
    return strided(x, _order(x), [-2] * x.ndim)


def _order(x):
    """The axes of an array as they lie in memory, slowest first."""
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
