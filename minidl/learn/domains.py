"""Where inputs are drawn from: each of these gives a function from a numpy Generator to an
array."""
import numpy as np


def normal(*shape):
    """Any reals."""
    return lambda rng: rng.normal(size=shape)


def between(low, high, *shape):
    return lambda rng: rng.uniform(low, high, shape)


def positive(*shape):
    """The domain of logarithms, roots and general powers, away from its end."""
    return between(0.5, 2.0, *shape)


def away(*shape, points=(0.0,), gap=0.1):
    """Reals that keep a distance from the points where the function has a kink."""
    def draw(rng):
        x = rng.normal(size=shape)
        for p in points:
            x = np.where(abs(x - p) < gap, p + gap * np.where(x < p, -2.0, 2.0), x)
        return x
    return draw


def distinct(*shape):
    """No two entries closer than 0.05: maxima have no ties."""
    return lambda rng: (rng.permutation(int(np.prod(shape))).reshape(shape)
                        - np.prod(shape) / 2) * 0.1 \
        + rng.uniform(0, 0.05, shape)


def integers(high, *shape):
    return lambda rng: rng.integers(high, size=shape)


def mask(*shape):
    """As many true as false."""
    return lambda rng: rng.permutation(int(np.prod(shape))).reshape(shape) % 2 == 0
