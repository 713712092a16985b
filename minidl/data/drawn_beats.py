"""Heartbeats as an electrocardiogram shows them, drawn by a generator; none was recorded.

A beat is a sum of bumps, one for each wave, at times from the peak of R:

    v(t) = Σ_w  a_w exp(−(t − t_w)² / 2 s_w²),        w = P, Q, R, S, T

P: the atria contract; Q, R, S: the ventricles do; T: they recover.  Beats follow each other with
the pulse, on a baseline that wanders, in noise.  Four kinds are told apart by the beat in the
middle:

    normal          all five waves
    premature       it comes early: from the ventricles, broad, without P, its T turned over; or
                    from the atria, of usual shape, its P on the T before
    missing P       no P, in this and all beats
    lifted ST       between S and T the line stays raised, in all beats

Source: McSharry, Clifford, Tarassenko and Smith 2003, whose five bumps these are, without their
limit cycle.
"""
import numpy as np

from ..backend import generator
from ..operands import check_sizes
from .images import check_memory
from .series import Series

KINDS = ["normal", "premature", "missing P", "lifted ST"]
HERTZ = 125
LENGTH = 250            # moments of an example: two seconds, the beat in their middle
# amplitude in millivolts, time from R and width in seconds
WAVES = {"P": (0.15, -0.17, 0.022), "Q": (-0.1, -0.032, 0.009), "R": (1.1, 0.0, 0.011),
         "S": (-0.22, 0.03, 0.01), "T": (0.3, 0.3, 0.05)}
VENTRICULAR = np.array([(1.2, 0.0, 0.035), (-0.5, 0.1, 0.045), (-0.35, 0.32, 0.065)])
LIFT = (0.11, 0.055)    # time and width of what raises ST


def drawn_beats(count: int, seed: np.random.Generator | int = 0) -> Series:
    """A Series of so many drawn beats, the KINDS in equal shares: values (count, 250, 1) in
    millivolts at 125 moments a second, the beat in the middle.

    seed: a numpy Generator or an integer.  Raises ValueError for fewer than one.
    """
    check_sizes("drawn_beats", count=count)
    check_memory("drawn_beats", count, LENGTH, 4)
    rng = generator(seed)
    labels = rng.permutation(np.arange(count) % len(KINDS))
    values = np.stack([_example(KINDS[label], rng) for label in labels])
    return Series(values[..., None].astype(np.float32), labels, list(KINDS))


def _example(kind, rng):
    """(LENGTH,) millivolts: of seven beats, those around number 3, which is in the middle."""
    t = (np.arange(LENGTH) - LENGTH // 2) / HERTZ
    person = _person(kind, rng)
    gaps = rng.uniform(0.6, 1.15) * rng.normal(1, 0.04, 6)      # seconds from beat to beat
    early = 3 if kind == "premature" else None
    if early is None and rng.random() < 0.15:                   # a neighbour may be early
        early = rng.choice([1, 2, 4, 5])
    if early is not None:
        lead = rng.uniform(0.2, 0.42)
        gaps[early - 1:early + 1] *= 1 - lead, 1 + lead * rng.random()      # and then a pause
    times, v = np.concatenate([[0], np.cumsum(gaps)]), np.zeros(LENGTH)
    for number, time in enumerate(times - times[3]):
        ventricular = number == early and rng.random() < 0.5
        v += _bumps(t - time, person["ventricular" if ventricular else "beat"])
    return person["gain"] * v + _wander(t, rng) + rng.normal(0, rng.uniform(0.01, 0.04), LENGTH)


def _person(kind, rng):
    """How somebody's beats look: (waves, 3) amplitudes, times and widths; and the gain."""
    waves = dict(WAVES)
    if kind == "missing P":
        del waves["P"]
    beat = np.array([*waves.values()])
    beat = beat * np.stack([rng.uniform(0.6, 1.4, len(beat)), rng.uniform(0.88, 1.12, len(beat)),
                            rng.uniform(0.8, 1.25, len(beat))], 1)
    if kind == "lifted ST":
        beat = np.concatenate([beat, [(rng.uniform(0.15, 0.45), *LIFT)]])
    shape = rng.uniform(0.8, 1.25, VENTRICULAR.shape)
    turned = np.array([rng.choice([-1, 1]), 1, 1])          # upwards or downwards
    return {"beat": beat, "ventricular": VENTRICULAR * shape * turned,
            "gain": rng.uniform(0.7, 1.4)}


def _bumps(t, waves):
    amplitudes, times, widths = waves.T[:, :, None]
    return (amplitudes * np.exp(-((t - times) / widths) ** 2 / 2)).sum(0)


def _wander(t, rng):
    """The baseline: breathing, and a slow drift."""
    slow = [rng.uniform(0, 0.12) * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * t + rng.uniform(0, 7))
            for _ in range(2)]
    return sum(slow)
