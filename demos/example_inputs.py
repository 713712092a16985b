"""What to try the operations of md.ops on: inputs where each is defined, and has a derivative."""
import functools
import inspect
import math

import numpy as np

from minidl import ops

CONSTANT = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "argmax",
            "argmin", "one_hot", "sign",
            "zeros_like", "ones_like", "zeros", "ones", "full", "arange", "linspace", "eye", "any",
            "all", "floor_divide",
            # have no gradient by definition
            "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "stop_gradient"}
OPERATIONS = [name for name in ops.__all__ if name not in CONSTANT]


def example_call(name):
    """(functions of a numpy Generator that draw the inputs, the operation as a function of these
    inputs alone)."""
    operation = getattr(ops, name)
    matrices = [normal(3, 4)] * required_parameters(operation)
    draws, call, settings = EXAMPLES.get(name) or example(*matrices)
    call = call or functools.wraps(operation)(lambda *tensors: operation(*tensors, **settings))
    call.__name__ = name
    return draws, call


def required_parameters(f):
    """How many positional parameters without a default a function has."""
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
               for p in inspect.signature(f).parameters.values())


def normal(*shape):
    """Any reals."""
    return lambda rng: rng.normal(size=shape)


def positive(*shape):
    """Between ½ and 2."""
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def spread(*shape, shift=0.0):
    """Near the odd multiples of 0.1, each once: no ties, and a distance from kinks at the even
    multiples."""
    size = math.prod(shape)
    return lambda rng: (0.2 * rng.permutation(size).reshape(shape) - 0.2 * (size // 2) + 0.1 + shift
                        + rng.uniform(-0.04, 0.04, shape))


def closer_and_closer(*shape):
    """Of either sign, the smallest 0.003, the largest 1: the longer a step, the more of them cross
    zero."""
    size = math.prod(shape)
    return lambda rng: rng.permutation(np.geomspace(0.003, 1, size)
                                       * rng.choice([-1.0, 1.0], size)).reshape(shape)


def integers(high, *shape):
    """0 to high − 1."""
    return lambda rng: rng.integers(high, size=shape)


def example(*draws, call=None, **settings):
    """How to call an operation: its inputs, and its settings or, where these are no keywords, a
    function of the inputs."""
    return draws, call, settings


EXAMPLES = {  # of the operations that do not simply take any reals of shape (3, 4)
    **{name: example(positive(3, 4)) for name in ("log", "log1p", "sqrt")},
    **{name: example(spread(3, 4)) for name in ("absolute", "leaky_relu", "elu", "max", "min")},
    **{name: example(spread(3, 4), spread(3, 4, shift=0.1)) for name in ("maximum", "minimum")},
    **{name: example(spread(2, 3)) for name in ("tan", "arcsin", "arccos", "arctanh")},
    "arccosh": example(spread(2, 3, shift=2.0)),
    "remainder": example(spread(3, 4), call=lambda x: ops.remainder(x, 0.4)),
    "dot": example(normal(3, 4), normal(4, 2)),
    "relu": example(closer_and_closer(3, 4)),
    "power": example(positive(3, 4), normal(3, 4)),
    "divide": example(normal(3, 4), positive(3, 4)),
    "clip": example(spread(3, 4), min=-0.4, max=0.4),
    "where": example(lambda rng: rng.permutation(12).reshape(3, 4) % 2 == 0, normal(3, 4),
                     normal(3, 4)),
    "astype": example(normal(3, 4), dtype="float64"),
    "reshape": example(normal(3, 4), call=lambda x: ops.reshape(x, 2, 6)),
    "swapaxes": example(normal(2, 3, 4), axis1=0, axis2=-1),
    "moveaxis": example(normal(2, 3, 4), source=0, destination=-1),
    "expand_dims": example(normal(3, 4), axis=1),
    "squeeze": example(normal(3, 1, 4)),
    "broadcast_to": example(normal(3, 1), shape=(2, 3, 4)),
    "sum_to": example(normal(2, 3, 4), shape=(3, 1)),
    "concatenate": example(normal(2, 3), normal(1, 3), call=lambda a, b: ops.concatenate([a, b])),
    "stack": example(normal(3), normal(3), call=lambda a, b: ops.stack([a, b])),
    "split": example(normal(3, 4), indices_or_sections=2, axis=1),
    "pad": example(normal(2, 3), pad_width=1, mode="edge"),
    "roll": example(normal(3, 4), shift=2),
    "repeat": example(normal(2, 3), repeats=2),
    "tile": example(normal(2, 3), reps=2),
    "index": example(normal(3, 4), key=(slice(1, None), [0, 2, 2])),
    "add_at": example(normal(3, 4), normal(2, 4),
                      call=lambda x, values: ops.add_at(x, [2, 2], values)),
    "set_at": example(normal(3, 4), normal(4), call=lambda x, values: ops.set_at(x, 1, values)),
    "scatter": example(normal(3, 4), key=[2, 0, 2], shape=(5, 4)),
    "take": example(normal(3, 4), indices=[1, 1, 11]),
    "take_along_axis": example(normal(3, 4), integers(4, 3, 2), axis=1),
    "gram": example(normal(4, 3)),
    "matmul": example(normal(3, 4), normal(4, 2)),
    "outer": example(normal(3), normal(4)),
    "einsum": example(normal(2, 3), normal(3, 4), call=lambda a, b: ops.einsum("ij,jk->ik", a, b)),
    "conv": example(normal(1, 5, 4, 2), normal(3, 3, 2, 2), normal(2), padding=1),
    # one channel that is positive everywhere, and one that nowhere is: far from the kink
    "conv_relu": example(positive(1, 5, 4, 2), positive(3, 3, 2, 2),
                         lambda rng: np.array([0.5, -99.0])),
    "conv_input": example(normal(1, 2, 2, 3), normal(3, 3, 2, 3), shape=(4, 4)),
    "conv_weight": example(normal(1, 5, 4, 2), normal(1, 3, 2, 2), kernel_size=(3, 3)),
    "conv_transpose": example(normal(1, 3, 2, 2), normal(3, 3, 3, 2), normal(3), stride=2),
    "average_pool": example(normal(1, 4, 4, 2), kernel_size=2),
    "max_pool": example(spread(1, 4, 4, 2), kernel_size=2),
    "max_pool_with_switches": example(spread(1, 4, 4, 2),
                                      call=lambda x: ops.max_pool_with_switches(x, 2)[0]),
    "unpool": example(normal(1, 2, 2, 2), integers(100, 1, 4, 4, 2),
                      call=lambda u, scores: ops.unpool(
                          u, ops.max_pool_with_switches(scores, 2)[1])),
    "global_average_pool": example(normal(2, 3, 3, 2)),
    "global_max_pool": example(spread(2, 3, 3, 2)),
    "upsample": example(normal(1, 2, 3, 2), factor=2, mode="bilinear"),
    "resize": example(normal(1, 4, 3, 2), sizes=(3, 5)),
    "pixel_shuffle": example(normal(1, 2, 2, 8), factor=2),
    "standardize": example(normal(3, 4), axis=-1),
    "batch_norm": example(normal(2, 3, 2), normal(2), normal(2)),
    "layer_norm": example(normal(3, 4), normal(4), normal(4)),
    "group_norm": example(normal(2, 3, 4), normal(4), normal(4), groups=2),
    "instance_norm": example(normal(2, 3, 4), normal(4), normal(4)),
    "dropout": example(normal(3, 4), rate=0.5, rng=0),
}
