"""Alignment: a face, wherever and however it stands in a picture, comes upright into one square.

Landmarks (68, 2) say where brows, eyes, nose and mouth are.  A similarity transform, that is
rotation, scale and shift, carries a mean face's points onto them.  The square, called chip, is what
the picture shows there.
Sources: Umeyama 1991 (the similarity), King 2009 (dlib, whose mean face and chip these are),
Sagonas et al. 2013 (the 68 points).
"""
import math

import numpy as np

from minidl.data.images import check_picture
from minidl.settings import bounded, numbers, whole

# dlib's mean face in the unit square: points 17 to 67 of the 68, all but the jaw's
MEAN_FACE = np.stack([
    [0.000213256, 0.0752622, 0.18113, 0.29077, 0.393397,                            # brows
     0.586856, 0.689483, 0.799124, 0.904991, 0.98004,
     0.490127, 0.490127, 0.490127, 0.490127,                                        # nose
     0.36688, 0.426036, 0.490127, 0.554217, 0.613373,
     0.121737, 0.187122, 0.265825, 0.334606, 0.260918, 0.182743,                    # eyes
     0.645647, 0.714428, 0.793132, 0.858516, 0.79751, 0.719335,
     0.254149, 0.340985, 0.428858, 0.490127, 0.551395, 0.639268,                    # lips
     0.726104, 0.642159, 0.556721, 0.490127, 0.423532, 0.338094,
     0.290379, 0.428096, 0.490127, 0.552157, 0.689874, 0.553364, 0.490127, 0.42689],
    [0.106454, 0.038915, 0.0187482, 0.0344891, 0.0773906,
     0.0773906, 0.0344891, 0.0187482, 0.038915, 0.106454,
     0.203352, 0.307009, 0.409805, 0.515625,
     0.587326, 0.609345, 0.628106, 0.609345, 0.587326,
     0.216423, 0.178758, 0.179852, 0.231733, 0.245099, 0.244077,
     0.231733, 0.179852, 0.178758, 0.216423, 0.244077, 0.245099,
     0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405,
     0.780233, 0.864805, 0.902192, 0.909281, 0.902192, 0.864805,
     0.784792, 0.778746, 0.785343, 0.778746, 0.784792, 0.824182, 0.831803, 0.824182]], 1)

# Nose, eyes and the upper lip.  Brows move with the expression, the lower lip with speech.
STEADY = np.array([*range(27, 55), *range(60, 65)])


def similarity(source, target):
    """The rotation, scale and shift that carry points nearest to others.

    source, target: (N, 2), as x and y → M (2, 3); for each point target ≈ M (x, y, 1)ᵀ.
    With points as complex numbers z = x + iy and w, a similarity without mirror is

        w ≈ a z + b,        |a| the scale, arg a the angle, b the shift,

    and we want the least  L = Σ |a zₙ + b − wₙ|².  With conj(z) = x − iy,

        dL = 2 Re (Σ conj(a zₙ + b − wₙ) db) = 0    so   b = mean(w) − a mean(z):

    the real part is 0 for every complex db only if the sum is.  So centre goes to centre.
    Replace z and w by their deviations from the means; then

        dL = 2 Re (Σ conj(a zₙ − wₙ) zₙ da) = 0     so   a = Σ conj(zₙ) wₙ / Σ |zₙ|²,

    where that sum, too, is 0, and so is its conjugate.

    A reflection, z ↦ conj(z), cannot be written as a z + b.  As a matrix, a z + b is
    [[Re a, −Im a, Re b], [Im a, Re a, Im b]].
    Raises ValueError unless both hold the same number of finite points, and two of `source` differ.
    Source: Umeyama 1991; this is the two-dimensional case of his solution.
    """
    z, w = _points("source", source), _points("target", target)
    if z.shape != w.shape:
        raise ValueError(f"similarity: source has {len(z)} points, target {len(w)}")
    centre, goal = (p[0] + (p - p[0]).mean() for p in (z, w))       # of equal points that very one
    spread = np.vdot(z - centre, z - centre).real
    if not spread > 0:
        raise ValueError("similarity: two points of source must differ, or no angle follows")
    a = np.vdot(z - centre, w - goal) / spread          # vdot(z, w) = Σ conj(z) w
    b = goal - a * centre
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _points(name, points):
    """Points (N, 2) as N complex numbers."""
    points = numbers("similarity", name, points, "(N, 2)", finite=True)
    if not len(points):
        raise ValueError(f"similarity: {name} must be points (N, 2), one or more, got none")
    return points[:, 0] + 1j * points[:, 1]


def chip_transform(landmarks, size=150, padding=0.25):
    """Where a chip lies in the picture: M (2, 3), from places in the chip to places in the picture.

    landmarks: (68, 2), x and y in pixels of the picture.
    The mean face fills the middle of the chip, and has on each side a border of `padding` times its
    own side: a point p of the unit square comes to  size (padding + p) / (1 + 2 padding).
    Only the STEADY points are compared.
    Raises ValueError for landmarks of another shape, or not finite.
    """
    landmarks = numbers("chip", "landmarks", landmarks, "(68, 2)", finite=True)
    size = whole("chip", "1 ≤ size ≤ 16384", size)
    padding = bounded("chip", "0 ≤ padding < inf", padding)
    mean = size * (padding + MEAN_FACE) / (1 + 2 * padding)
    return similarity(mean[STEADY - 17], landmarks[STEADY])


def misfit(landmarks):
    """How far the landmarks are from a face's shape: the root mean square of the STEADY points'
    distances from the mean face, after the best similarity, in widths of the square that it fills.

    For faces about 0.03, seldom above 0.08, however they are turned in the picture; of points that
    a network gives where there is no face mostly above 0.12.  Infinite where all points are in one
    place.
    """
    transform, mean = chip_transform(landmarks, 1, 0), MEAN_FACE[STEADY - 17]
    carried = mean @ transform[:, :2].T + transform[:, 2]
    distances = np.linalg.norm(carried - np.asarray(landmarks)[STEADY], axis=1)
    scale = math.hypot(transform[0, 0], transform[1, 0])
    return math.sqrt(np.mean(distances ** 2)) / scale if scale else math.inf


def chip(picture, landmarks, size=150, padding=0.25):
    """An aligned face, the eyes level: (size, size, C) float32 in 0..255.

    It is black where the picture has ended.
    picture: (H, W), (H, W, 1) or (H, W, 3), uint8 or floating-point in 0..255 → C = 1 or 3.
    landmarks: (68, 2), see `chip_transform`.  face128 was trained on the default size and padding.
    Raises ValueError for other shapes, TypeError for another dtype.
    """
    return sampled(check_picture("chip", picture), chip_transform(landmarks, size, padding), size)


def sampled(picture, transform, size):
    """What a picture (H, W, C) shows at the places M (x, y, 1)ᵀ: (size, size, C) float32.

    x and y run over a square, and are whole at the pixels' centres.  Where a pixel of the square is
    s > 1 pixels of the picture wide, it is the mean of k² samples, k = ⌈s⌉ of them side by side, so
    that nothing between them is missed.
    """
    count = max(1, math.ceil(math.hypot(transform[0, 0], transform[1, 0])))
    within = (np.arange(count) + 0.5) / count - 0.5                 # of a pixel, around its centre
    total = np.zeros((size, size, picture.shape[2]), "float32")
    for down in within:
        for right in within:
            y, x = np.mgrid[:size, :size] + np.array([down, right])[:, None, None]
            places = np.einsum("dk,khw->dhw", transform, [x, y, np.ones_like(x)])
            total += bilinear(picture, *places)
    return total / count ** 2


def bilinear(picture, x, y):
    """p(x, y) = Σ p[j, i] (1 − |x − i|) (1 − |y − j|)  over the four pixels around.

    picture (H, W, C), outside of which p is 0; x, y of one shape S → (*S, C).
    """
    height, width, _ = picture.shape
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    value = 0
    for i, j in (left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1):
        inside = (0 <= i) & (i < width) & (0 <= j) & (j < height)
        weight = (1 - abs(x - i)) * (1 - abs(y - j)) * inside
        value = value + weight[..., None] * picture[j.clip(0, height - 1), i.clip(0, width - 1)]
    return value
