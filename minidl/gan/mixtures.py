"""Shapes in the plane whose density is known: every one is a mixture of Gaussians of one width.

    p(x) = Σ_k w_k N(x; c_k, σ² I),    N(x; c, σ² I) = e^(−|x − c|² / 2σ²) / (2π σ²)

So real samples cost nothing, D* = p / (p + q) can be computed, and modes can be counted.
"""
from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from minidl import backend
from minidl.operands import check_sizes
from minidl.settings import bounded, numbers


@dataclass(frozen=True)
class Mixture:
    """centres (K, 2), the deviation sigma, weights (K,), which add up to 1.

    name: for pictures.  modal: whether the centres lie so far apart that each is a mode of its own;
    a curve is a mixture, too, of many centres side by side.
    """
    name: str
    centres: np.ndarray
    sigma: float
    weights: np.ndarray
    modal: bool = True

    def __post_init__(self):
        centres = numbers("Mixture", "centres", self.centres, "(K, 2)", finite=True)
        weights = numbers("Mixture", "weights", self.weights, "(K,)", finite=True)
        sigma = bounded("Mixture", "0 < sigma < inf", self.sigma)
        if len(weights) != len(centres) or min(weights, default=0) < 0 or not math.isclose(
                weights.sum(), 1):
            raise ValueError(f"Mixture: {len(centres)} centres need as many weights ≥ 0 that add "
                             f"up to 1, got {weights}")
        vars(self).update(centres=centres, sigma=sigma, weights=weights)    # past `frozen`

    def sample(self, n: int, rng: np.random.Generator | int) -> np.ndarray:
        """(n, 2) samples: a centre by its weight, then a step by N(0, σ²) in each direction."""
        check_sizes("sample", n=n)
        rng = backend.generator(rng)
        chosen = rng.choice(len(self.centres), n, p=self.weights)
        return self.centres[chosen] + self.sigma * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p at places x (…, 2), in nats per unit of area."""
        x = numbers("log_density", "x", x, "(…, 2)")
        places, total = x.reshape(-1, 2), np.full(x[..., 0].size, -np.inf)
        for centre, weight in zip(self.centres, self.weights):
            if weight > 0:
                squares = np.square((places - centre) / self.sigma).sum(1)
                total = np.logaddexp(total, math.log(weight) - squares / 2)
        return (total - math.log(2 * math.pi) - 2 * math.log(self.sigma)).reshape(x.shape[:-1])

    def density(self, x: np.ndarray) -> np.ndarray:
        """p at places x (…, 2)."""
        return np.exp(self.log_density(x))

    @property
    def mean(self):
        return self.weights @ self.centres

    @property
    def scale(self):
        """The deviation of a coordinate, as the root mean square of both: √(E|x − mean|² / 2)."""
        spread = np.square(self.centres - self.mean).sum(1)
        return math.sqrt(self.weights @ spread / 2 + self.sigma ** 2)


def mixture(name: str, centres: Sequence | np.ndarray, sigma: float,
            weights: Sequence[float] | np.ndarray | None = None, modal: bool = True) -> Mixture:
    """A Mixture; the weights are divided by their sum, and equal where none are given."""
    centres = numbers("mixture", "centres", centres, "(K, 2)")
    weights = np.ones(len(centres)) if weights is None else numbers("mixture", "weights", weights)
    total = weights.sum()
    return Mixture(name, centres, sigma, weights / total if total > 0 else weights, modal)


def ring(modes: int = 8, radius: float = 1.0, sigma: float = 0.01) -> Mixture:
    """Modes at the angles 2π k / modes, k = 0 … modes − 1.

    `linspace(0, 2π, modes)` would close the ring: one mode less, and one twice as heavy.
    """
    check_sizes("ring", modes=modes)
    radius = bounded("ring", "0 < radius < inf", radius)
    angles = 2 * np.pi * np.arange(modes) / modes
    return mixture("ring", radius * np.stack([np.cos(angles), np.sin(angles)], 1), sigma)


def grid(side: int = 5, spacing: float = 2.0, sigma: float = 0.05) -> Mixture:
    """side × side modes around 0."""
    check_sizes("grid", side=side)
    spacing = bounded("grid", "0 < spacing < inf", spacing)
    steps = spacing * (np.arange(side) - (side - 1) / 2)
    return mixture("grid", np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2), sigma)


def blobs() -> Mixture:
    """Three wide modes that nearly touch."""
    return mixture("blobs", [(-1.0, -0.6), (1.0, -0.6), (0.0, 1.1)], 0.25)


def line(sigma: float = 0.05) -> Mixture:
    """A straight segment from (−1, −½) to (1, ½)."""
    t = np.linspace(-1, 1, 41)
    return mixture("line", np.stack([t, t / 2], 1), sigma, modal=False)


def spiral(turns: float = 2.0, sigma: float = 0.03) -> Mixture:
    """Radius t at the angle 2π · turns · t, for t from 0.1 to 1.  A centre weighs as much as the
    piece of the curve that it stands for is long."""
    turns = bounded("spiral", "0 ≤ turns < inf", turns)
    t = np.linspace(0.1, 1, 160)
    angle = 2 * np.pi * turns * t
    centres = t[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return mixture("spiral", centres, sigma, np.linalg.norm(np.gradient(centres, axis=0), axis=1),
                   modal=False)


def drawing(picture: np.ndarray, side: int = 48) -> Mixture:
    """The dark pixels of a picture (H, W) or (H, W, 3) in 0..255, x to the right and y up.

    It is brought to `side` pixels along its longer side; a pixel weighs as much as it is dark, and
    those below a quarter of black count as paper.  One unit is half the longer side.
    Raises ValueError where nothing is dark.
    """
    from minidl.data import resize
    check_sizes("drawing", side=side)
    grey = numbers("drawing", "picture", picture, dtype="float32")
    if grey.ndim < 2 or grey.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"drawing: picture must be (H, W) or (H, W, 3), got shape {grey.shape}")
    grey = grey if grey.ndim == 2 else grey.mean(-1)
    ink = 1 - np.clip(resize(grey, side), 0, 255) / 255
    rows, columns = np.nonzero(ink > 0.25)
    if len(rows) == 0:
        raise ValueError("drawing: no pixel of the picture is dark, so there is nothing to learn")
    height, width = ink.shape
    centres = np.stack([columns - (width - 1) / 2, (height - 1) / 2 - rows], 1) * (2 / side)
    return mixture("drawing", centres, 0.6 / side, ink[rows, columns], modal=False)


SHAPES = {"ring": ring, "grid": grid, "line": line, "spiral": spiral, "blobs": blobs}
