"""Contact sheets: what units see, what of it they answer to, and what they look for, side by
side."""
from collections.abc import Sequence
import os
from typing import NamedTuple

import numpy as np

from minidl.data import resize
from minidl.operands import check_sizes, listed
from minidl.settings import having, numbers, of_kind
from minidl.visualize.found import Patch

GREY, PAPER, INK, FAINT = 128, 255, (0, 0, 0), (110, 110, 110)
TILE, CAPTION, GAP = 76, 12, 2              # pixels
FINE = 16                                   # pixels of a box that are shown as squares


class Shown(NamedTuple):
    """A unit on a sheet: its number, patches (of `found.Patch`), their pixels and projections (each
    an array of the box's sizes), and a synthetic picture with its strength, or None."""
    unit: int
    patches: list[Patch]
    pixels: list[np.ndarray]
    projections: list[np.ndarray]
    synthetic: np.ndarray | None
    strength: float | None


def contrast(projection: np.ndarray, side: int = TILE) -> np.ndarray:
    """A projection as a picture, uint8: 0 is grey, what is largest of either sign black or white
    (but for one number in 200, as a few would leave the rest grey).  side: larger ones are brought
    to it before, as then fine patterns partly cancel."""
    check_sizes("contrast", side=side)
    projection = numbers("contrast", "projection", projection, "(H, W, C)", finite=True)
    if projection.size == 0:
        raise ValueError(f"contrast: projection {projection.shape} must have entries")
    if min(projection.shape[:2]) > side:
        projection = resize(projection.astype("float32"), (side, side))
    most = np.quantile(np.abs(projection), 0.995) or np.abs(projection).max() or 1
    return np.rint(GREY + 127 * np.clip(projection / most, -1, 1)).astype(np.uint8)


def tile(picture, side=TILE):
    """A picture (H, W, 1 or 3) at the size of a tile, (side, side, 3): boxes of few pixels as
    squares, larger ones resampled."""
    picture = numbers("draw", "a picture", picture, "(H, W, C)", None)
    picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if picture.size == 0 or picture.shape[2] not in (1, 3):
        raise ValueError(f"draw: a picture must be (H, W, 1) or (H, W, 3), got {picture.shape}")
    picture = np.repeat(picture, 3 // picture.shape[2], axis=2)
    if max(picture.shape[:2]) <= FINE:
        rows, columns = (np.arange(side) * n // side for n in picture.shape[:2])
        return picture[rows[:, None], columns]
    return resize(picture, (side, side))


def draw_sheet(title: str, layers: Sequence[tuple[str, Sequence[Shown]]],
               columns: int = 3) -> np.ndarray:
    """The sheet, uint8 (H, W, 3).

    layers: [(its heading, [Shown, …]), …]; so many units stand side by side.
    """
    of_kind("draw_sheet", "title", title, "text", str)
    check_sizes("draw_sheet", columns=columns)
    rows = [_text([(title, 20, INK)], 34)]
    for heading, units in _pairs("draw_sheet", "layers", layers):
        for shown in listed("draw_sheet", "units", units, "Shown"):
            having("draw_sheet", "a unit", shown, "Shown", "unit", "patches", "projections")
        rows.append(_text([(heading, 15, INK)], 28))
        blocks = [_block(shown) for shown in units]
        for start in range(0, len(blocks), columns):
            rows.append(_beside(blocks[start:start + columns], 18))
    return _below(rows, 6)


def draw_rows(title: str,
              rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]]) -> np.ndarray:
    """A sheet of rows (heading, [(caption, picture), …]), all pictures at one size; uint8 (H, W,
    3)."""
    of_kind("draw_rows", "title", title, "text", str)
    parts = [_text([(title, 15, INK)], 28)]
    for heading, pictures in _pairs("draw_rows", "rows", rows):
        pictures = _pairs("draw_rows", "pictures", pictures)
        cells = [_below([tile(picture, 2 * TILE), _text([(caption, 11, INK)], 18, 2 * TILE)], 0)
                 for caption, picture in pictures]
        parts += [_text([(heading, 13, INK)], 22)] + ([_beside(cells, 3 * GAP)] if cells else [])
    return _below(parts, 2)


def _pairs(operation, argument, items):
    """A list of pairs (text, what it is the heading of)."""
    items = listed(operation, argument, items, "pairs (text, …)")
    for item in items:
        if not (isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str)):
            raise TypeError(f"{operation}: {argument} must be pairs (text, …), got "
                            f"{type(item).__name__} {item!r:.40}")
    return items


def _block(shown):
    """A unit: nine patches | their projections | the synthetic picture."""
    words = f"unit {shown.unit}: " + (f"activation {shown.patches[0].activation:.4g} … "
                                      f"{shown.patches[-1].activation:.4g}" if shown.patches
                                      else "no patches")
    if shown.strength is not None:
        words += f"; synthetic picture {shown.strength:.4g}"
    captions = [f"{patch.activation:.3g} {os.path.splitext(os.path.basename(patch.name))[0]}"
                for patch in shown.patches]
    panels = []
    if shown.patches:
        panels.append(_grid([tile(pixels) for pixels in shown.pixels], captions))
        panels.append(_grid([tile(contrast(d)) for d in shown.projections], [""] * len(captions)))
    if shown.synthetic is not None:
        side = 3 * (TILE + GAP) - GAP
        panels.append(tile(shown.synthetic, side))
    if not panels:
        return _text([(words, 12, INK)], 18)
    block = _beside(panels, 8)
    return _below([_text([(words, 12, INK)], 18, block.shape[1]), block], 0)


def _grid(tiles, captions, columns=3):
    cells = [_below([picture, _text([(caption, 8, FAINT)], CAPTION, TILE)], 0)
             for picture, caption in zip(tiles, captions)]
    return _below([_beside(cells[start:start + columns], GAP)
                   for start in range(0, len(cells), columns)], 0)


def _beside(pictures, gap):
    height = max(picture.shape[0] for picture in pictures)
    parts = []
    for picture in pictures:
        parts += [np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0)),
                         constant_values=PAPER), np.full((height, gap, 3), PAPER, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)


def _below(pictures, gap):
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([np.pad(picture, ((0, gap), (0, width - picture.shape[1]), (0, 0)),
                                  constant_values=PAPER) for picture in pictures])


def _text(lines, height, width=None):
    """Lines (words, size, colour), each `height` pixels high, cut off at the width."""
    from PIL import Image, ImageDraw, ImageFont
    fonts = [ImageFont.load_default(size) for _, size, _ in lines]
    if width is None:
        width = max(int(font.getlength(words)) + 8 for font, (words, _, _) in zip(fonts, lines))
    image = Image.new("RGB", (width, height * len(lines)), "white")
    draw = ImageDraw.Draw(image)
    for i, (font, (words, _, colour)) in enumerate(zip(fonts, lines)):
        draw.text((1, i * height + 1), words, fill=colour, font=font)
    return np.asarray(image)
