"""Penalties on the slope of the score: what makes the game come to rest.

All three are means over examples of a function of one example's own gradient g = ∇ₓ s(x), of the
shape of x.  The critic's weights w stand in g, so the penalty's gradient needs the derivative of a
derivative.  For a function φ of the length |g|,

    dφ = φ'(|g|) ⟨u, dg⟩,    u = g / |g|,  and 0 where g = 0

and with u held fixed, ⟨u, g⟩ = d/dt s(x + t u) at t = 0 is the slope of s along u.  So

    ∂φ/∂w = φ'(|g|) ∂/∂w (d/dt s(x + t u)):

a mixed second derivative, once along x and once along w.  `md.grad(…, create_graph=True)` gives g
with its graph, and the outer gradient goes through it.

A score must depend on its own example alone.  Batch norm in a critic that is training couples them:
∂ Σ s / ∂xᵢ would then hold parts of the other examples' scores.  A Module that has one is refused;
within a function it goes unnoticed.
"""
from collections.abc import Callable

import numpy as np

from minidl import backend, ops
from minidl.nn import BatchNorm, Module
from minidl.operands import floating, function, same_device
from minidl.settings import bounded
from minidl.tensor import Tensor, constant, grad


def slopes(score: Callable, x: Tensor) -> tuple[Tensor, Tensor]:
    """(s(x), g): scores, and each example's own gradient g = ∇ₓ s(x), of x's shape, with graphs.

    score: a function or Module of x (N, …) alone, with one number for each example.
    As each score depends on its own example, the gradient of their sum holds all of them.
    Raises ValueError for a Module with batch norm in training, for x without examples, and for
    other scores.
    """
    function("penalty", "score", score, "of x (N, …)")
    check_uncoupled(score)
    x = floating("penalty", x)
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(f"penalty: x must hold examples (N, …), got shape {x.shape}")
    x = x.detach()
    x.requires_grad = True
    s = score(x)
    if not isinstance(s, Tensor) or s.size != x.shape[0]:
        raise ValueError(f"penalty: expected one score for each of {x.shape[0]} examples, got "
                         f"{type(s).__name__} of shape {getattr(s, 'shape', '')}")
    g, = grad(ops.sum(s), x, create_graph=True)
    return s, g


def check_uncoupled(critic):
    """Raise ValueError for a Module with batch norm in training."""
    if isinstance(critic, Module) and any(isinstance(part, BatchNorm) and part.training
                                          for _, part in critic.named_modules()):
        raise ValueError("penalty: the critic has BatchNorm in training, which couples the "
                         "examples of a batch; a penalty is of each example by itself: use "
                         "InstanceNorm, GroupNorm or no norm")


def r1(score: Callable, real: Tensor, gamma: float = 1.0) -> Tensor:
    """γ/2 E |∇ₓ s(x)|² at real samples: where the data are, the score shall be flat.

    At rest q = p, and s is constant there; a critic with slope would push the artist away from it.
    ∂/∂w ½ |g|² = ∂/∂w ⟨g, ∇ₓ s⟩ with the first g held fixed: nothing is divided by |g|.
    γ is StyleGAN's and R3GAN's; GAN_stability's reg_param is γ/2.  gamma ≥ 0.
    Source: Mescheder, Geiger and Nowozin 2018.
    """
    _, g = slopes(score, real)
    return bounded("r1", "0 ≤ gamma < inf", gamma) / 2 * mean_square_length(g)


def r2(score: Callable, fake: Tensor, gamma: float = 1.0) -> Tensor:
    """γ/2 E |∇ₓ s(x)|² at generated samples.  With r1 at once, both players rest (R3GAN).

    Source: Mescheder, Geiger and Nowozin 2018; Huang et al. 2024.
    """
    return r1(score, fake, gamma)


def gradient_penalty(score: Callable, real: Tensor, fake: Tensor, weight: float = 10.0,
                     rng: np.random.Generator | int | None = None) -> Tensor:
    """λ E (|∇ₓ s(x̂)| − 1)²  at  x̂ = ε x + (1 − ε) G(z),  one ε ~ U(0, 1) for each example.

    The best Wasserstein critic has slope 1 along the lines on which mass is moved from q to p; x̂
    stands for a place on such a line.  Here φ' = 2 λ (|g| − 1); where g = 0 its direction is not
    defined, and the gradient is taken as 0.
    real, fake: of one shape.  rng: a Generator or seed, for ε.  weight λ ≥ 0.
    Source: Gulrajani et al. 2017.
    """
    weight = bounded("gradient_penalty", "0 ≤ weight < inf", weight)
    _, g = slopes(score, between(real, fake, rng))
    return weight * ops.mean(ops.square(lengths(g) - 1))


def between(real, fake, rng):
    """x̂ = ε x + (1 − ε) G(z): a random place between each real and generated sample."""
    real = floating("gradient_penalty", real, "real").detach()
    fake = floating("gradient_penalty", fake, "fake").detach()
    same_device("gradient_penalty", real=real, fake=fake)
    if real.shape != fake.shape or real.ndim == 0:
        raise ValueError(f"gradient_penalty: real {real.shape} and fake {fake.shape} must hold as "
                         "many examples, of one shape")
    drawn = backend.generator(rng).random((real.shape[0],) + (1,) * (real.ndim - 1))
    e = constant(backend.asarray(drawn, real.dtype, backend.device_of(real.data)))
    return fake + e * (real - fake)


def lengths(g):
    """|g| of each example, (N,), over all axes but the first; its gradient at 0 is 0."""
    return ops.norm(ops.reshape(g, (g.shape[0], -1)), -1)


def mean_square_length(g):
    """E |g|² over the examples: the sum of all squares by their number."""
    return ops.sum(ops.square(g)) / g.shape[0]
