"""How good are the samples?  Measures that need no network of somebody else's.

`modes` counts, where the data's modes are known.  The others compare two sets of features (N, D),
of real and of generated pictures, as any network gives them (`judge.features`): only distances
within one network can be compared with each other.
"""
from typing import NamedTuple

import numpy as np

from minidl import backend
from minidl.operands import check_sizes
from minidl.settings import bounded, numbers


class Modes(NamedTuple):
    """What samples show of k modes that should be equally frequent.

    modes: how many have a good sample: one within 3σ of its nearest centre.
    good_share: of all samples; an ideal sampler has 1 − e^(−9/2) = 98.9 % in the plane.
    reverse_kl: Σ s log(k s) over the shares s of the good samples by nearest mode, in nats: 0 where
        they are uniform, log k where all are in one mode, or none is good.
    rarest_share: good samples of the rarest mode over good/k, 0 … 1.
    """
    modes: int
    good_share: float
    reverse_kl: float
    rarest_share: float


def modes(samples: np.ndarray, centres: np.ndarray, sigma: float) -> Modes:
    """Modes of samples (N, 2) by centres (k, 2).

    Raises ValueError for other shapes, or no samples; a sample that is NaN is not good.
    Source: Srivastava et al. 2017 (VEEGAN); Lin et al. 2018 (PacGAN), whose 3σ are a circle, too.
    """
    samples = numbers("modes", "samples", samples, "(N, D)")
    centres = numbers("modes", "centres", centres, "(k, D)", finite=True)
    sigma = bounded("modes", "0 ≤ sigma < inf", sigma)
    if samples.shape[1:] != centres.shape[1:] or 0 in centres.shape + samples.shape:
        raise ValueError(f"modes: samples (N, D) and centres (k, D) must be one or more, with one "
                         f"D, got {samples.shape} and {centres.shape}")
    k = len(centres)
    squares = np.square(samples[:, None] - centres).sum(-1)     # (N, k)
    good = squares.min(1) < (3 * sigma) ** 2                    # False for NaN
    counts = np.bincount(squares.argmin(1)[good], minlength=k)
    total = counts.sum()
    if total == 0:
        return Modes(0, 0.0, float(np.log(k)), 0.0)
    shares = counts[counts > 0] / total
    return Modes(int(np.count_nonzero(counts)), float(good.mean()),
                 float(shares @ np.log(k * shares)), float(counts.min() * k / total))


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|μ_a − μ_b|² + tr(S_a + S_b − 2 (S_a^½ S_b S_a^½)^½): of the Gaussians with the sets' means
    and covariances.

    a (N, D), b (M, D).  S_a^½ S_b S_a^½ is symmetric with eigenvalues λ ≥ 0, and the trace of its
    root is Σ √λ: no root of an asymmetric product, which rounding makes complex.
    Few samples make it too large: compare equal numbers, and print real against real beside it.
    Source: Dowson and Landau 1982; Heusel et al. 2017 (FID, in other features).
    """
    a, b = _features("frechet_distance", a, b, 2)
    covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    cross = np.linalg.eigvalsh(root @ covariances[1] @ root)
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    spread = np.trace(covariances[0] + covariances[1]) - 2 * np.sqrt(np.clip(cross, 0, None)).sum()
    return float(apart + max(spread, 0))                        # below 0 by rounding alone


def kernel_distance(a: np.ndarray, b: np.ndarray, *, size: int = 500, subsets: int = 20,
                    rng: np.random.Generator | int | None = None) -> tuple[float, float]:
    """(mean, standard deviation) over random subsets of the unbiased MMD² with (⟨x, y⟩/D + 1)³:

        E k(a, a') + E k(b, b') − 2 E k(a, b),   over different pairs

    Its mean is 0 where both come from one distribution, for any number of samples, so it may be
    negative.  size: of each subset, at most half of a set, and at least 2.
    Source: Bińkowski et al. 2018 (KID).
    """
    a, b = _features("kernel_distance", a, b, 2)
    check_sizes("kernel_distance", size=size, subsets=subsets)
    size, rng = max(2, min(size, len(a) // 2, len(b) // 2)), backend.generator(rng)
    found = []
    for _ in range(subsets):
        x, y = (each[rng.choice(len(each), size, replace=False)] for each in (a, b))
        within = sum((k.sum() - np.trace(k)) / (size * (size - 1))
                     for k in (_cubic(x, x), _cubic(y, y)))
        found.append(within - 2 * _cubic(x, y).mean())
    return float(np.mean(found)), float(np.std(found))


def _cubic(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


class PrecisionRecall(NamedTuple):
    """precision: generated samples that lie where real ones are; recall: the other way round."""
    precision: float
    recall: float


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> PrecisionRecall:
    """A sample lies within a set if its distance to some member is at most that member's distance
    to its own k-th neighbour in the set.

    Source: Kynkäänniemi et al. 2019.
    """
    check_sizes("precision_recall", k=k)
    real, fake = _features("precision_recall", real, fake, k + 1)
    return PrecisionRecall(_within(fake, real, k), _within(real, fake, k))


def _within(x, members, k):
    """The share of x inside the balls around members."""
    own = squared_distances(members, members)
    np.fill_diagonal(own, np.inf)
    radii = np.partition(own, k - 1, axis=1)[:, k - 1]
    return float((squared_distances(x, members) <= radii).any(1).mean())


class Memorisation(NamedTuple):
    """ratio: the median distance of generated pictures to their nearest training picture, over that
    of held-out real ones: about 1 is good, far below 1 is copied.  ∞ where most of the held-out
    ones are among the training pictures.
    nearest (N,): which training picture is nearest to each generated one."""
    ratio: float
    nearest: np.ndarray


def memorisation(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> Memorisation:
    """Memorisation of features, or of pixels, each (N, D)."""
    fake, train = _features("memorisation", fake, train, 1)
    held_out, train = _features("memorisation", held_out, train, 1)
    which, near = nearest(fake, train)
    usual = np.median(nearest(held_out, train)[1])
    return Memorisation(float(np.median(near) / usual) if usual else np.inf, which)


def nearest(x: np.ndarray, members: np.ndarray, rows: int = 250) -> tuple[np.ndarray, np.ndarray]:
    """(which, how far): of each x its nearest member, `rows` of x at a time."""
    x, members = _features("nearest", x, members, 1)
    check_sizes("nearest", rows=rows)
    which, far = [], []
    for i in range(0, len(x), rows):
        some = x[i:i + rows]
        which.append(squared_distances(some, members).argmin(1))
        far.append(np.linalg.norm(some - members[which[-1]], axis=1))       # 0 of a copy, exactly
    return np.concatenate(which), np.concatenate(far)


def squared_distances(x, y):
    """|x_i − y_j|² = |x_i|² − 2 ⟨x_i, y_j⟩ + |y_j|², (N, M); rounding may not make it negative."""
    x, y = _features("squared_distances", x, y, 0)
    lengths = [np.einsum("nd,nd->n", each, each) for each in (x, y)]
    return np.maximum(lengths[0][:, None] - 2 * x @ y.T + lengths[1], 0)


def _features(operation, a, b, least):
    """Both as float64 (N, D); raises ValueError where they are not, or are too few."""
    a, b = (numbers(operation, "a set of features", x) for x in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < least:
        raise ValueError(f"{operation}: two sets (N, D) of {least} or more with one D are "
                         f"compared, got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(f"{operation}: some numbers are not finite")
    return a, b
