"""A program with types, which the type checker reads (setup.cfg) and test_types.py runs."""
import minidl as md
from minidl import style
from minidl.tensor import Tensor


def energy(x: Tensor) -> Tensor:
    y = 2 * x + 1 - x / 3
    if (y > 100).any():
        return y.sum(axis=0).exp()
    return (-y[0] * x.T @ x.reshape(2, 1) ** 2).mean()


def descended(x: Tensor, steps: int) -> list[float]:
    """The energy at each step, whose gradient is followed downhill."""
    found: list[float] = []
    for _ in range(steps):
        e = energy(x)
        gradient, = md.grad(e, x)
        x.data = x.data - 0.01 * gradient.numpy()
        found.append(float(e))
    return found


def texture(picture: Tensor) -> Tensor:
    return style.gram_matrix(picture) * 2 - 1
