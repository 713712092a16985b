"""A photograph with what was found in it: a box around each face, and beside it who that is."""
from pathlib import Path

import numpy as np

from minidl.data.images import check_picture, save_image
from minidl.files import as_path
from minidl.operands import listed
from minidl.settings import numbers

KNOWN, UNKNOWN = "#117733", "#bb5500"               # somebody was named; nobody was
SIDES = 800, 1920                                   # pixels that a picture is drawn wide or high


def draw_faces(path, picture, boxes, texts, known):
    """Write a picture with its faces marked, as a PNG; gives its path.

    picture: (H, W), (H, W, 1) or (H, W, 3), uint8.  boxes: (N, 4), x₀ y₀ x₁ y₁ in its pixels.
    texts: N texts, of one line or more, each put where it hides no face, as far as there is room.
    known: N booleans: green for a face that was named, orange for another.
    Small pictures are enlarged, large ones shrunk, so that the writing can be read; it is smaller
    where faces are small.
    Raises TypeError for a picture of another dtype, ValueError for other shapes, or boxes that end
    before they begin.
    """
    from PIL import Image, ImageDraw
    path, planes = as_path("draw_faces", "path", path), check_picture("draw_faces", picture)
    texts = [str(text) for text in listed("draw_faces", "texts", texts, "texts")]
    known = listed("draw_faces", "known", known, "booleans")
    boxes = numbers("draw_faces", "boxes", boxes, finite=True)
    if planes.dtype != np.uint8:
        raise TypeError(f"draw_faces: picture must be uint8, got {planes.dtype}")
    if (boxes.size != 4 * len(texts) or boxes.size and boxes.shape[-1] != 4
            or len(known) != len(texts)):
        raise ValueError(f"draw_faces: {len(texts)} texts need boxes ({len(texts)}, 4) and as many "
                         f"booleans, got {boxes.shape} and {len(known)}")
    image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(planes, (*planes.shape[:2], 3))))
    longer = max(image.size)
    scale = np.clip(longer, *SIDES) / longer
    sides = [max(1, round(scale * side)) for side in image.size]
    image = image.resize(sides, Image.Resampling.LANCZOS)
    boxes = scale * boxes.reshape(-1, 4)
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError("draw_faces: boxes must be left, top, right, bottom, and one ends before "
                         "it begins")
    pen, unit = ImageDraw.Draw(image), np.sqrt(np.prod(image.size)) / 85
    usual = np.median(boxes[:, 2] - boxes[:, 0]) if len(boxes) else 0
    font = _font(np.clip(usual / 7, max(16, 1.3 * unit), max(16, 2.2 * unit)))
    width = max(2, round(0.3 * unit))
    for box, named in zip(boxes, known):
        pen.rectangle(box.tolist(), outline=KNOWN if named else UNKNOWN, width=width)
    for place, text, named in zip(_places(boxes, texts, pen, font, image.size), texts, known):
        pen.rectangle(place.tolist(), fill=KNOWN if named else UNKNOWN)
        pen.multiline_text(place[:2] + unit * 0.4, text, font=font, fill="white")
    save_image(path, np.asarray(image))
    return path


def _places(boxes, texts, pen, font, size):
    """Where each text goes, as boxes: below its face, above, beside it, or in it; where it covers
    least of the faces and of the texts already there."""
    taken, margin = [], np.sqrt(np.prod(size)) / 105
    for (x0, y0, x1, y1), text in zip(boxes, texts):
        *_, wide, high = pen.multiline_textbbox((0, 0), text, font=font)
        wide, high = wide + margin, high + margin
        corners = [(x0, y1), (x0, y0 - high), (x1 - wide, y1), (x1 - wide, y0 - high), (x1, y0),
                   (x0 - wide, y0), (x1, y1 - high), (x0 - wide, y1 - high), (x0, y1 - high)]
        corners = np.clip(corners, 0, np.maximum(np.array(size) - [wide, high], 0))
        places = np.concatenate([corners, corners + [wide, high]], 1)
        taken.append(places[[_hidden(places, np.concatenate([boxes, *taken])).argmin()]])
    return np.concatenate([boxes[:0], *taken])


def _hidden(places, boxes):
    """How much of the boxes (M, 4), in pixels, each of the places (N, 4) would hide: (N,)."""
    start = np.maximum(places[:, None, :2], boxes[:, :2])
    end = np.minimum(places[:, None, 2:], boxes[:, 2:])
    return (end - start).clip(0).prod(-1).sum(1)


def _font(size):
    """Matplotlib's, which has the letters of most alphabets, or else the one that Pillow brings."""
    from PIL import ImageFont
    try:
        from matplotlib import get_data_path
        return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
    except (ImportError, OSError):
        return ImageFont.load_default(size)
