"""What the games measure, where both densities are known.

p and q are given as masses on the same places: probabilities of points, or densities times the area
of a cell.  They need not add up to 1 exactly, as on a grid that leaves out the tails.

**The best discriminator.**  For a fixed generator the value V = Σ p log D + Σ q log(1 − D) falls
apart into places, and at each

    p / D − q / (1 − D) = 0      so   D* = p / (p + q),    s* = log D* − log(1 − D*) = log p − log q

The second derivative −p/D² − q/(1 − D)² is negative: a maximum.  The scores of a good critic are
the log-ratio of the densities.

**What it says.**  With m = (p + q)/2,

    V(D*) = Σ p log(p / 2m) + Σ q log(q / 2m) = −log 4 + KL(p‖m) + KL(q‖m) = −log 4 + 2 JS(p, q)

from −log 4 where q = p, as JS = 0 there alone, to 0 where they have no place in common, as
JS ≤ log 2.  Any other critic has V(D) ≤ V(D*), so (V(D) + log 4) / 2 is a lower bound of JS that
can be measured by samples alone.

**Of other games.**  Hinge: at s* = sign(p − q) the critic's cost is 2 Σ min(p, q) = 2 (1 − TV).
Least squares: s* = D*, with the cost ½ Σ p q / (p + q).  Wasserstein: with critics of slope 1 at
most, E_p s − E_q s is at most W₁(p, q), the mass times the way that it must be moved
(Kantorovich and Rubinstein), and so it has a gradient also where p and q do not touch.
Source: Goodfellow et al. 2014; Arjovsky et al. 2017; Lim and Ye 2017; Mao et al. 2017.
"""
import math

import numpy as np

from minidl.operands import number
from minidl.settings import numbers

LOG_4 = math.log(4)


def best_discriminator(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """D* = p / (p + q), entry by entry; ½ where both are 0, as nothing is known there."""
    p, q = _masses(p, q)
    total = p + q
    return np.where(total > 0, p / np.where(total > 0, total, 1), 0.5)


def value(p: np.ndarray, q: np.ndarray, d: np.ndarray) -> float:
    """V(D) = Σ p log D + Σ q log(1 − D), in nats; −∞ where D is 0 on data or 1 on samples.

    d: D on the same places, or one for all, 0 … 1.
    """
    p, q = _masses(p, q)
    d = numbers("theory", "d", d)
    if d.shape not in ((), p.shape) or not ((d >= 0) & (d <= 1)).all():
        raise ValueError(f"theory: d {d.shape} must be probabilities, of the shape of p, {p.shape}")
    return float(np.sum(_times_log(p, d) + _times_log(q, 1 - d)))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """JS = ½ KL(p‖m) + ½ KL(q‖m),  m = (p + q)/2: in nats, 0 … log 2; symmetric."""
    p, q = _masses(p, q)
    m = (p + q) / 2
    safe = np.where(m > 0, m, 1)
    return float(np.sum(_times_log(p, p / safe) + _times_log(q, q / safe)) / 2)


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """TV = ½ Σ |p − q| = 1 − Σ min(p, q) of probabilities, 0 … 1."""
    p, q = _masses(p, q)
    return float(np.abs(p - q).sum() / 2)


def wasserstein_line(p: np.ndarray, q: np.ndarray, places: np.ndarray) -> float:
    """W₁ on a line: Σ |F_p − F_q| Δx, the areas between the distribution functions.

    places: ascending, one for each mass.  What has passed a place must be carried on to the next.
    """
    p, q = _masses(p, q)
    places = numbers("theory", "places", places, "(N,)", finite=True)
    if p.shape != places.shape or not (np.diff(places) >= 0).all():
        raise ValueError(f"theory: p {p.shape} needs as many places, ascending, got {places}")
    return float(np.sum(np.abs(np.cumsum(p - q))[:-1] * np.diff(places)))


def bound(v: float) -> float:
    """(V + log 4) / 2: at most JS, whichever critic V was measured with."""
    return (number("bound", "v", v) + LOG_4) / 2


def _masses(p, q):
    """Both as float64; raises ValueError for other shapes or what is no mass."""
    p, q = numbers("theory", "p", p, finite=True), numbers("theory", "q", q, finite=True)
    if p.shape != q.shape or not ((p >= 0).all() and (q >= 0).all()):
        raise ValueError(f"theory: p {p.shape} and q {q.shape} must be masses ≥ 0 of one shape")
    return p, q


def _times_log(weight, x):
    """weight · log x, and 0 where the weight is 0."""
    with np.errstate(divide="ignore"):
        return weight * np.log(np.where(weight > 0, x, 1))
