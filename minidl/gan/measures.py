"""How good are the samples?"""
from typing import NamedTuple

import numpy as np


class Modes(NamedTuple):
    """modes: how many are covered, by one good sample or more.

    good_share: samples within 3σ of their nearest mode.
    reverse_kl: Σ s log(s / (1/k)) of the shares s of the good samples by nearest mode, in nats, 0 … log k.
    rarest_share: good samples of the rarest mode over good/k, 0 … 1.
    """
    modes: int
    good_share: float
    reverse_kl: float
    rarest_share: float


def modes(samples, centres, sigma):
    centres = np.asarray(centres, float)
    squares = np.square(np.asarray(samples, float)[:, None] - centres).sum(-1)
    nearest = squares.argmin(1)
    good = squares.min(1) < (3 * sigma) ** 2
    counts = np.bincount(nearest[good], minlength=len(centres))
    total = counts.sum()
    if total == 0:
        return Modes(0, 0.0, float(np.log(len(centres))), 0.0)
    shares = counts[counts > 0] / total
    return Modes(int((counts > 0).sum()), float(good.mean()),
                 float(shares @ np.log(shares * len(centres))), float(counts.min() * len(centres) / total))
