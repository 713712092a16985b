"""What must make no difference to a gradient: how arrays lie in memory, and who broadcasts.

Both are seen without any step.  The gradient at hand is compared with that of the same values laid
out in another way; and the gradient of f(a, b), where f itself broadcasts a short b, with that of
f(a, broadcast_to(b, shape)), where f sees the shapes that it was checked with.
"""
from dataclasses import replace

import numpy as np

from minidl import ops
from minidl.tensor import constant
from minidl.testing.functions import gradients, is_floating, leaves, random_cotangents
from minidl.testing.layout import backwards, transposed

_REPEATED = 1e5 * np.finfo(np.float64).eps      # how far what is computed twice may be apart
_OTHERWISE = 1e-6                               # and what is computed in another order of its terms


# --- memory

def check_layouts(function, outputs, cotangents, found, scale):
    """Raise GradientError unless outputs and gradients are the same where arrays lie otherwise.

    Twice, every input and cotangent is laid out in memory in another way: every second one with its
    axes in the opposite order, the rest backwards with gaps, and then the other way round.
    """
    where = "where the same values lie in memory in another way (reordered, backwards, with gaps)"
    names = [name for name, x in zip(function.arguments, function.inputs) if is_floating(x)]
    for ways in (transposed, backwards), (backwards, transposed):
        inputs = leaves(constant(ways[i % 2](x.data)) for i, x in enumerate(function.inputs))
        against = [constant(ways[1](gy.data)) for gy in cotangents]
        again, others = _derivatives(function, inputs, against, where)
        for k, (y, other) in enumerate(zip(outputs, again)):
            if not same(y.numpy(), other.numpy(), scale, _OTHERWISE):
                raise function.error(f"output {k} is another {where}")
        for argument, gradient, other in zip(names, found, others):
            gradient, other = gradient.numpy(), other.numpy()
            if not same(gradient, other, scale, _OTHERWISE):
                apart = np.nan_to_num(np.abs(gradient - other), nan=np.inf)
                index = tuple(map(int, np.unravel_index(np.argmax(apart), apart.shape)))
                words = f"{gradient[index]:.10g}, but {other[index]:.10g} {where}"
                raise function.error(f"gradient of {argument} at {index} is {words}",
                                     argument=argument, index=index, gradient=float(other[index]))


# --- broadcasting

def broadcasting(function, rng, order, scale):
    """The functions with short inputs, which they broadcast, whose gradients call for a check.

    Tried for functions of two inputs or more: the first axis of an input is left out, or the last
    one cut to length 1; of all inputs in turn at first, so that each is broadcast against the next;
    then of one alone where that did not go.  Where f refuses, or its outputs are not those of the
    inputs broadcast before, it does not broadcast.  Where the gradients are the same, up to that
    order, all is well.     scale: the largest gradient of the function with its inputs in full.
    """
    if len(function.inputs) < 2:
        return
    pairs = [(i, cut) for i, x in enumerate(function.inputs) for cut in (_without_first, _with_one)
             if is_floating(x) and cut(x) is not None]
    in_turn = [[(i, cut) for i, cut in pairs if (i + turn) % 2 == (cut is _with_one)]
               for turn in (0, 1)]
    outputs, seen = function.outputs(leaves(function.inputs)), set()
    for cuts in [*in_turn, *([pair] for pair in pairs)]:
        if not seen.issuperset(cuts):
            short, spelled = _cut(function, dict(cuts))
            if _have_the_same_outputs(short, spelled, outputs):
                seen.update(cuts)
                if not _have_the_same_gradients(short, spelled, outputs, rng, order, scale):
                    yield short


def _without_first(x):
    return x[0] if x.ndim and x.shape[0] > 1 else None


def _with_one(x):
    return x[..., :1] if x.ndim and x.shape[-1] > 1 else None


def _cut(function, cuts):
    """The function at inputs that are cut, {position: how}; and one that broadcasts them first."""
    shapes = [x.shape for x in function.inputs]
    inputs = [constant(cuts[i](x).data.copy()) if i in cuts else x
              for i, x in enumerate(function.inputs)]

    def call(inputs, differentiable):
        inputs = [ops.broadcast_to(x, shape) if i in cuts else x
                  for i, (x, shape) in enumerate(zip(inputs, shapes))]
        return function.call(inputs, differentiable)
    where = " where " + " and ".join(f"{function.arguments[i]} is broadcast" for i in cuts)
    short = replace(function, inputs=inputs, where=where)
    return short, replace(short, call=call)


def _have_the_same_outputs(short, spelled, outputs):
    try:
        with np.errstate(all="ignore"):
            values = short.values(short.inputs)
    except Exception:                               # it insists on its shapes
        return False
    if [y.shape for y in values] != [y.shape for y in outputs]:
        return False
    with np.errstate(all="ignore"):
        return all(map(same, values, spelled.values(spelled.inputs)))


def _have_the_same_gradients(short, spelled, outputs, rng, order, scale):
    for _ in range(order):
        cotangents = random_cotangents(outputs, rng)
        (_, found), (_, outputs) = (_derivatives(function, leaves(function.inputs), cotangents)
                                    for function in (short, spelled))
        if not all(same(a.numpy(), b.numpy(), scale) for a, b in zip(found, outputs)):
            return False
        short, spelled = short.gradient(cotangents), spelled.gradient(cotangents)
    return True


# --- comparing

def same(a, b, scale=0.0, close=_REPEATED):
    """Whether two arrays are equal, but for `close` of their largest entry, or of scale."""
    size = max(scale, np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))
    return a.shape == b.shape and np.allclose(a, b, close, close * size, equal_nan=True)


def _derivatives(function, inputs, cotangents, where=""):
    """(outputs, gradients), at inputs and cotangents whose values were fine before."""
    try:
        with np.errstate(all="ignore"):
            outputs = function.outputs(inputs, differentiable=True)
            return outputs, gradients(outputs, inputs, cotangents)
    except Exception as error:
        words = " ".join(f"it fails {where}".split())
        raise function.error(f"{words}: {type(error).__name__}: {error}") from error
