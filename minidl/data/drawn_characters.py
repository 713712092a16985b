"""Handwritten characters invented by a generator, in Omniglot's form, where no Omniglot is at hand.

A character is one to three strokes, each an arc or a smooth curve through a few points of a grid; a
stroke often starts where an earlier one passes.  A drawer moves every point a little, leans,
stretches and turns the whole, with their own pen.
"""
import numpy as np

from .. import backend
from ..operands import check_sizes
from ..settings import whole
from .images import check_memory
from .omniglot import Characters

CANDIDATES = 4


def drawn_characters(alphabets: int, characters: int, drawers: int = 20, size: int = 105,
                     seed: np.random.Generator | int = 0) -> Characters:
    """Invent alphabets of so many characters, each drawn once by every drawer.

    size: pixels of a side, at least 16.  seed: a numpy Generator or an integer; a character stays
    the same when more alphabets are asked for.
    Returns Characters: pictures uint8 (alphabets · characters · drawers, size, size), 0 is ink and
    255 paper.
    Raises ValueError for fewer than one of anything, or a smaller size.
    """
    check_sizes("drawn_characters", alphabets=alphabets, characters=characters, drawers=drawers)
    size = whole("drawn_characters", "16 ≤ size < inf", size)
    check_memory("drawn_characters", alphabets, characters, drawers, size, size)
    pictures, names = [], []
    for alphabet, rng in enumerate(backend.generator(seed).spawn(alphabets), 1):
        hands = [_hand(rng) for _ in range(drawers)]
        for number, strokes in enumerate(_alphabet(characters, rng), 1):
            pictures += [_draw(strokes, hand, size, rng) for hand in hands]
            names.append(f"drawn{alphabet:02}/character{number:02}")
    return Characters(np.stack(pictures), np.repeat(np.arange(len(names)), drawers), names)


def _alphabet(count, rng):
    """Characters that can be told apart: each time, of some candidates, the one that least
    resembles those before."""
    still = np.eye(2), 0.0, 0.08        # a hand that changes nothing, with a broad pen
    chosen, seen = [], np.zeros((0, 256))
    for _ in range(count):
        candidates = [_character(rng) for _ in range(CANDIDATES)]
        ink = np.stack([255.0 - _draw(strokes, still, 16, rng).ravel() for strokes in candidates])
        ink /= np.linalg.norm(ink, axis=1, keepdims=True)
        best = (ink @ seen.T).max(axis=1, initial=0.0).argmin()
        chosen.append(candidates[best])
        seen = np.concatenate([seen, ink[best:best + 1]])
    return chosen


def _character(rng):
    """A list of strokes, each (K, 2) points (x, y) that a curve goes through, between −1 and 1."""
    strokes = []
    for _ in range(rng.choice([1, 2, 3], p=[0.25, 0.45, 0.3])):
        if rng.random() < 0.3:                          # an arc, or a whole loop
            turn, radius = rng.choice([1, 1.5, 2]) * np.pi, rng.uniform(0.3, 0.6, 2)
            angles = rng.uniform(0, 2 * np.pi) + turn * np.linspace(0, 1, 6)
            points = np.stack([np.cos(angles), np.sin(angles)],
                              axis=1) * radius + rng.uniform(-0.4, 0.4, 2)
        else:
            count = rng.choice([2, 3, 4], p=[0.4, 0.35, 0.25])
            # of a 3 × 4 grid, each once
            points = rng.permutation(12)[:count, None] // (1, 3) % (3, 4) / (1, 1.5) - 1
        if strokes and rng.random() < 0.6:
            earlier = strokes[rng.integers(len(strokes))]
            points = points + earlier[rng.integers(len(earlier))] - points[0]
        strokes.append(points)
    every = np.concatenate(strokes)
    if len(every) < 3:  # one straight line: too little to be told by
        return _character(rng)
    middle, half = (every.max(0) + every.min(0)) / 2, max(0.5, np.ptp(every, axis=0).max() / 2)
    return [(points - middle) / half for points in strokes]


def _hand(rng):
    """How somebody writes: (2, 2) lean and stretch, how far points stray, and half the width of the
    pen."""
    lean = np.array([[np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.2)],
                     [rng.normal(0, 0.12), np.exp(rng.normal(0, 0.12))]])
    return lean, rng.uniform(0.05, 0.13), rng.uniform(0.022, 0.04)


def _draw(strokes, hand, size, rng):
    from PIL import Image, ImageDraw
    lean, straying, pen = hand
    canvas, shift = 2 * size, rng.normal(0, 0.1, 2)
    image = Image.new("L", (canvas, canvas), 255)
    ink = ImageDraw.Draw(image)
    for points in strokes:
        curve = _open_curve(points + rng.normal(0, straying, points.shape)) @ (0.6 * lean) + shift
        pixels = canvas * (0.5 + 0.5 * curve)
        ink.line(pixels.ravel().tolist(), fill=0, width=max(1, round(pen * canvas)),
                 joint="curve")
        for x, y in pixels[[0, -1]]:                    # round ends
            radius = pen * canvas / 2
            ink.ellipse([x - radius, y - radius, x + radius, y + radius], fill=0)
    return np.asarray(image.reduce(2))


def _open_curve(points, samples=12):
    """A Catmull–Rom spline through points (K, 2), its ends continued straight on."""
    points = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0, 1, samples)[:, None, None]
    p0, p1, p2, p3 = points[:-3], points[1:-2], points[2:-1], points[3:]
    curve = p1 + t / 2 * (p2 - p0) + t**2 / 2 * (2 * p0 - 5 * p1 + 4 * p2
                                                 - p3) + t**3 / 2 * (3 * p1 - p0 - 3 * p2 + p3)
    return curve.swapaxes(0, 1).reshape(-1, 2)
