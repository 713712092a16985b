"""The generator's own density q in the plane, and with it the best discriminator.

z and x are both two-dimensional.  With the Jacobian J = ∂G/∂z, a small area around z becomes one
|det J| times as large around x = G(z), and keeps its probability:

    q(x) = Σ φ(z) / |det J(z)|   over all z with G(z) = x,    φ(z) = e^(−|z|²/2) / 2π

J comes from two backward passes: with the cotangents e₁ and e₂ for every sample at once, as each
sample depends on its own z.  A G that does not fold has det J of one sign everywhere, and comes to
each x from one z: the sum is then known at samples.  Of other G, and in cells of a grid, q is
counted.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minidl import backend, ops
from minidl.gan.mixtures import Mixture
from minidl.operands import check_sizes, function
from minidl.settings import bounded, having, numbers
from minidl.tensor import grad, no_grad, tensor


class Pushed(NamedTuple):
    """x (N, 2) = G(z);  log_q (N,): log φ(z) − log |det J|, the share of this z alone;  signs (N,):
    of det J, −1, 0 or 1.  Where both signs occur, G folds, and other z may meet the same x."""
    x: np.ndarray
    log_q: np.ndarray
    signs: np.ndarray

    @property
    def folds(self) -> float:
        """The share of the rarer sign: 0 where G does not fold."""
        return float(min(np.mean(self.signs > 0), np.mean(self.signs < 0)))

    def best(self, mixture):
        """D* = p / (p + q) = σ(log p − log q) at x (N,), where G does not fold."""
        return np.exp(-np.logaddexp(0, self.log_q - mixture.log_density(self.x)))


def push(generator: Callable, z: np.ndarray) -> Pushed:
    """Pushed samples of noise z (N, 2).  J's rows are the gradients of Σ x₁ and Σ x₂ by z."""
    function("push", "generator", generator, "of noise (N, 2)")
    z = tensor(1.0 * numbers("push", "z", z, "(N, 2)", None), requires_grad=True)
    x = _in_the_plane("push", generator, z)
    (first,), (second,) = (grad(ops.sum(x[:, i]), z) for i in range(2))
    (a, b), (c, d) = (each.numpy().astype(float).T for each in (first, second))
    determinant = a * d - b * c
    log_normal = -np.square(z.numpy().astype(float)).sum(1) / 2 - np.log(2 * np.pi)
    with np.errstate(divide="ignore"):
        log_q = log_normal - np.log(np.abs(determinant))
    return Pushed(x.numpy().astype(float), log_q, np.sign(determinant))


def _in_the_plane(operation, generator, z):
    """G(z); raises ValueError where these are no places (N, 2), one for each z."""
    x = generator(z)
    if getattr(x, "shape", None) != z.shape:
        raise ValueError(f"{operation}: generator must make places {z.shape} of noise {z.shape}, "
                         f"got {type(x).__name__} of shape {getattr(x, 'shape', '')}")
    return x


class Cells(NamedTuple):
    """A square cut into side × side cells; edges (side + 1,) along both axes, middles
    (side, side, 2) with y along the first axis and x along the second."""
    edges: np.ndarray
    middles: np.ndarray

    @property
    def extent(self):
        """(left, right, bottom, top)."""
        return (self.edges[0], self.edges[-1]) * 2

    def of(self, x):
        """(rows, columns) of the cells in which places (N, 2) lie, or the nearest ones."""
        x = numbers("Cells", "x", x, "(N, 2)")
        found = np.searchsorted(self.edges, x, "right") - 1
        column, row = np.clip(found, 0, len(self.edges) - 2).T
        return row, column


def cells(reach: float, side: int) -> Cells:
    """Cells of the square from −reach to reach."""
    check_sizes("cells", side=side)
    reach = bounded("cells", "0 < reach < inf", reach)
    edges = np.linspace(-reach, reach, side + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    return Cells(edges, np.stack(np.meshgrid(middle, middle), -1))


def real_masses(mixture: Mixture, where: Cells) -> np.ndarray:
    """The data's probability in each cell, exactly: each Gaussian's is a product of two differences
    of distribution functions.  (side, side)"""
    having("real_masses", "mixture", mixture, "a Mixture", "centres", "sigma", "weights")
    having("real_masses", "where", where, "Cells", "edges")
    along = [_steps(where.edges, centres, mixture.sigma) for centres in mixture.centres.T]
    return np.einsum("k,ky,kx->yx", mixture.weights, along[1], along[0])


def _steps(edges, centres, sigma):
    """(K, side): the probability of N(c, σ²) between neighbouring edges."""
    below = backend.normal_cdf((edges - centres[:, None]) / sigma)
    return np.diff(below, axis=1)


def counted_masses(samples: np.ndarray, where: Cells) -> np.ndarray:
    """The share of samples (N, 2) in each cell, (side, side).  Raises ValueError for no samples."""
    samples = numbers("counted_masses", "samples", samples, "(N, 2)")
    if len(samples) == 0:
        raise ValueError("counted_masses: samples must be one or more, got none")
    having("counted_masses", "where", where, "Cells", "edges")
    counts, _, _ = np.histogram2d(samples[:, 1], samples[:, 0], bins=[where.edges, where.edges])
    return counts / len(samples)


def sample(generator: Callable, n: int, rng: np.random.Generator | int,
           batch: int = 5000) -> np.ndarray:
    """n samples G(z) of standard normal noise z, (n, 2) float64; `batch` of them at a time."""
    function("sample", "generator", generator, "of noise (N, 2)")
    check_sizes("sample", n=n, batch=batch)
    rng = backend.generator(rng)
    with no_grad():
        return np.concatenate([
            _in_the_plane("sample", generator, tensor(
                rng.standard_normal((min(batch, n - i), 2), "float32"))).numpy()
            for i in range(0, n, batch)]).astype(float)
