"""How parameters start: functions (shape, rng) -> array, drawn on the host in float64.

A unit that sums fan_in inputs of variance 1 with weights of variance v has variance fan_in · v.
With v = 1/fan_in signals neither grow nor vanish from layer to layer; with 1/fan_out it is their
cotangents.  He doubles it, as a ReLU halves the mean square; Glorot takes the mean of both fans.
A uniform distribution on (−r, r) has variance r²/3.
"""
import math

from minidl import backend, operands
from minidl.settings import bounded


def fans(shape):
    """(fan_in, fan_out): how many inputs an output sums over, how many outputs an input reaches.

    Dense weights (in, out): in and out.  Filters (*K, C, O): ∏K · C and ∏K · O (of stride 1, in one
    group).
    Raises ValueError for fewer than two axes, or an empty one.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    shape = operands.sizes("fans", "shape", shape)
    if len(shape) < 2 or 0 in shape:
        raise ValueError("fans: weights have shape (in, out) or (*K, C, O), of lengths of at least "
                         f"1, got {shape}")
    positions = math.prod(shape[:-2])
    return positions * shape[-2], positions * shape[-1]


def fan_in_uniform(shape, rng, fan_in=None):
    """Uniform on ±1/√fan_in: PyTorch's start of dense and convolutional layers, for its recipes.

    fan_in: given for a bias, which starts in the range of the weights that it is added to.

    >>> bool((abs(fan_in_uniform((100, 10), 0)) < 0.1).all())
    True
    """
    fan_in = fans(shape)[0] if fan_in is None else fan_in
    return _uniform(1 / math.sqrt(fan_in), shape, rng)


def he_normal(shape, rng):
    """Normal with variance 2 / fan_in, for layers before a ReLU.  Source: He et al. 2015.

    >>> he_normal((200, 500), 0).std().round(2)                      # √(2 / 200)
    np.float64(0.1)
    """
    return _normal(math.sqrt(2 / fans(shape)[0]), shape, rng)


def he_uniform(shape, rng):
    """Uniform with variance 2 / fan_in.  Source: He et al. 2015.

    >>> he_uniform((200, 500), 0).std().round(2)
    np.float64(0.1)
    """
    return _uniform(math.sqrt(6 / fans(shape)[0]), shape, rng)


def glorot_normal(shape, rng):
    """Normal with variance 2 / (fan_in + fan_out), for layers before tanh.

    Source: Glorot and Bengio 2010.

    >>> glorot_normal((100, 100), 0).std().round(2)
    np.float64(0.1)
    """
    return _normal(math.sqrt(2 / sum(fans(shape))), shape, rng)


def glorot_uniform(shape, rng):
    """Uniform with variance 2 / (fan_in + fan_out).  Source: Glorot and Bengio 2010.

    >>> glorot_uniform((100, 100), 0).std().round(2)
    np.float64(0.1)
    """
    return _uniform(math.sqrt(6 / sum(fans(shape))), shape, rng)


def normal(standard_deviation, mean=0.0):
    """The initializer that draws from N(mean, standard_deviation²); DCGAN's is normal(0.02).

    >>> normal(0.02)((100, 100), 0).std().round(2)
    np.float64(0.02)
    """
    deviation = bounded("normal", "0 ≤ standard_deviation < inf", standard_deviation)
    mean = bounded("normal", "-inf < mean < inf", mean)
    return lambda shape, rng: mean + _normal(deviation, shape, rng)


def drawn(layer, initializer, shape, rng):
    """What an initializer gives for a layer's weights of that shape.

    Raises TypeError for what is no function (shape, rng) -> array, ValueError for another shape.
    """
    operands.function(layer, "initializer", initializer, "(shape, rng) -> array")
    weights = initializer(shape, rng)
    found = backend.CPU.module.shape(weights)           # () of None: of a forgotten return
    if found != tuple(shape):
        raise ValueError(f"{layer}: initializer gave weights of shape {found}, "
                         f"asked for {tuple(shape)}")
    return weights


def _uniform(limit, shape, rng):
    return backend.generator(rng).uniform(-limit, limit, shape)


def _normal(standard_deviation, shape, rng):
    return standard_deviation * backend.generator(rng).standard_normal(shape)
