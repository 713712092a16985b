"""The smallest GAN, in which all can be computed: the Dirac GAN.

All data are 0.  The generator is one number θ, and all its samples are θ; the critic is one number
ψ, with s(x) = −ψ x.  With f(t) = log σ(t) = −log(1 + e^(−t)), so f'(t) = σ(−t), the value is

    V = log σ(s(0)) + log σ(−s(θ)) = f(0) + f(ψ θ)

ψ makes it large and θ small.  In continuous time both follow their slopes:

    θ' = −ψ f'(ψ θ)
    ψ' =  θ f'(ψ θ) − γ ψ          the last with R1, γ/2 |∂s/∂x|² = γ/2 ψ²

Both rest at (0, 0).  There f' = ½, and to first order the field is

    (θ', ψ') = [[0, −½], [½, −γ]] (θ, ψ),        eigenvalues  −γ/2 ± √(γ² − 1) / 2

γ = 0: ±i/2, the players circle and never meet; simultaneous steps of length h even go outwards,
each by the factor √(1 + h²/4).  0 < γ < 1: a spiral inwards.  γ = 1: −½ twice, the fastest way to
rest.  γ > 1: no more turns, but one of the two rates, −γ/2 + √(γ² − 1)/2, goes to 0 as γ grows.
Source: Mescheder, Geiger and Nowozin 2018.
"""
import numpy as np

from minidl.operands import number
from minidl.settings import bounded, numbers, whole


def velocity(theta, psi, gamma=0.0):
    """(θ', ψ') at any places, arrays of one shape."""
    theta, psi = numbers("velocity", "theta", theta), numbers("velocity", "psi", psi)
    gamma = number("velocity", "gamma", gamma)
    if theta.shape != psi.shape:
        raise ValueError(f"velocity: theta {theta.shape} and psi {psi.shape} must be of one shape")
    slope = np.exp(-np.logaddexp(0, psi * theta))               # f'(ψ θ) = σ(−ψ θ)
    return -psi * slope, theta * slope - gamma * psi


def jacobian(gamma: float) -> np.ndarray:
    """The field's matrix at rest, [[0, −½], [½, −γ]]."""
    return np.array([[0, -0.5], [0.5, -number("jacobian", "gamma", gamma)]])


def eigenvalues(gamma: float) -> np.ndarray:
    """−γ/2 ± √(γ² − 1)/2, the upper sign first, complex."""
    gamma = number("eigenvalues", "gamma", gamma)
    root = np.sqrt(complex(gamma ** 2 - 1))
    return np.array([-gamma + root, -gamma - root]) / 2


def trajectory(start: tuple[float, float], gamma: float = 0.0, step: float = 0.1, steps: int = 200,
               alternating: bool = False) -> np.ndarray:
    """(steps + 1, 2): the places (θ, ψ) of gradient steps of length `step` from `start`.

    alternating: ψ answers the θ that has moved.  Near rest, with γ = 0, its circles neither grow
    nor shrink: each of the two moves is a shear, of determinant 1.
    """
    places = [numbers("trajectory", "start", start, "(2,)")]
    steps = whole("trajectory", "0 ≤ steps < inf", steps)
    step = bounded("trajectory", "0 ≤ step < inf", step)
    for _ in range(steps):
        theta, psi = places[-1]
        moved = theta + step * velocity(theta, psi, gamma)[0]
        psi = psi + step * velocity(moved if alternating else theta, psi, gamma)[1]
        places.append(np.array([moved, psi]))
    return np.array(places)
