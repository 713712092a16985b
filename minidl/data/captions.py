"""A picture with text above it."""
import numpy as np

from ..settings import numbers, of_kind

LETTERS, MARGIN = 15, 6         # pixels: how large the text is, and around it
GREY = (60, 60, 60)


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture (H, W, 3) uint8 with `text` above it, in as many lines as its width asks for.  The
    picture itself stays as it was; where a word is wider, white is put to its right.

    Raises ValueError for a picture of another shape or type.
    """
    from PIL import Image, ImageDraw, ImageFont
    picture = numbers("captioned", "picture", picture, "(H, W, 3)", None)
    if picture.dtype != np.uint8:
        raise ValueError(f"captioned: picture must be uint8 in 0..255, got {picture.dtype}")
    of_kind("captioned", "text", text, "text", str)
    font = ImageFont.load_default(LETTERS)
    lines: list[str] = []
    room = picture.shape[1] - 2 * MARGIN
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    widths = [int(font.getlength(line)) + 2 * MARGIN for line in lines]
    width = max([picture.shape[1], *widths])
    above = Image.new("RGB", (width, len(lines) * (LETTERS + MARGIN) + MARGIN), "white")
    for i, line in enumerate(lines):
        place = MARGIN, MARGIN // 2 + i * (LETTERS + MARGIN)
        ImageDraw.Draw(above).text(place, line, fill=GREY, font=font)
    beside = np.full((len(picture), width - picture.shape[1], 3), 255, np.uint8)
    return np.concatenate([above, np.concatenate([picture, beside], 1)])
