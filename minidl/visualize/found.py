"""Patches that were found, each with its place; and the file in which they are kept."""
from collections.abc import Sequence
import json
import math
import os
from typing import NamedTuple

import numpy as np

from minidl.files import atomic_write, open_file
from minidl.settings import numbers, of_kind
from minidl.visualize.fields import ReceptiveField
from minidl.visualize.pictures import Picture, pixels


class Patch(NamedTuple):
    """Where a unit was active.

    activation: how much.  picture: the number of the picture in the stream, from 0; name: its path,
    or "pictures[3]", or as the stream names it.  position: of the unit in the layer's output, an
    index for each axis.  field: the layer's ReceptiveField.
    """
    activation: float
    picture: int
    name: str
    position: tuple[int, ...]
    field: ReceptiveField

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """((low, high), …): along each axis the unit sees the pixels low ≤ i < high.  Below 0, and
        beyond the last, they are padding."""
        return self.field.box(self.position)

    def crop(self, picture: Picture) -> tuple[np.ndarray, tuple[int, ...]]:
        """(pixels, position): a part of the picture in which the unit, at that position, has the
        same activation; see `ReceptiveField.aligned`.  picture: as `top_patches` took it."""
        picture = pixels("crop", picture)
        crop, position = self.field.aligned(self.position, picture.shape[:-1])
        return picture[tuple(slice(*bounds) for bounds in crop)], position

    def shown(self, picture: Picture, padding: float | Sequence[float] = 0) -> np.ndarray:
        """The pixels in the box, an array of the box's sizes; where the unit sees padding stands
        `padding`, a value or one for each channel."""
        picture = pixels("shown", picture)
        self.field.check_fit("shown", self.position, picture.shape[:-1])
        sizes = [high - low for low, high in self.box]
        shown = np.empty((*sizes, picture.shape[-1]), picture.dtype)
        padding = numbers("shown", "padding", padding, dtype=None)
        if padding.shape not in ((), (1,), picture.shape[-1:]):
            raise ValueError(f"shown: padding must be a value or one for each of "
                             f"{picture.shape[-1]} channels, got shape {padding.shape}")
        with np.errstate(invalid="ignore"):
            value = padding.astype(picture.dtype)
        if picture.dtype.kind in "iu" and not (np.abs(value - padding.astype(float)) < 1).all():
            raise ValueError(f"shown: padding {padding} does not fit into pixels of "
                             f"{picture.dtype}")
        shown[...] = value
        pixels_there = [range(max(low, 0), min(high, n))
                        for (low, high), n in zip(self.box, picture.shape)]
        places = [[pixel - low for pixel in there]
                  for there, (low, _) in zip(pixels_there, self.box)]
        shown[np.ix_(*places)] = picture[np.ix_(*pixels_there)]
        return shown


class TopPatches(NamedTuple):
    """What `top_patches` found.

    patches: {unit: [Patch, …]}, the strongest first.  pictures: how many were looked at.
    skipped: a line for each that was not, its name and why.  k: how many patches were asked for.
    interrupted: whether Ctrl-C ended it before the pictures ended.
    """
    layer: str
    field: ReceptiveField
    patches: dict[int, list[Patch]]
    pictures: int
    skipped: list[str]
    k: int = 9
    interrupted: bool = False

    @property
    def taken(self) -> int:
        """How many pictures of the stream were taken, with those that were skipped."""
        return self.pictures + len(self.skipped)


def save_patches(path: str | os.PathLike, found: TopPatches) -> None:
    """Write a TopPatches to a file of JSON, in one step; `load_patches` reads it.

    Raises OSError where it cannot be written.
    """
    of_kind("save_patches", "found", found, "TopPatches", TopPatches)
    units = {str(unit): [[p.activation, p.picture, p.name, p.position] for p in patches]
             for unit, patches in found.patches.items()}
    content = {"top_patches": 1} | found._asdict() | {"patches": units}
    with atomic_write(path) as file:
        file.write(json.dumps(content).encode())


def load_patches(path: str | os.PathLike) -> TopPatches:
    """The TopPatches in a file of `save_patches`.

    Raises ValueError, naming the file, where it is damaged or another, OSError where it cannot be
    opened.
    """
    with open_file(path) as file:
        text = file.read()
    try:
        return _parsed(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no file of save_patches, or damaged: "
                         f"{type(error).__name__}: {str(error)[:200]}") from None


def _parsed(content):
    if content.pop("top_patches") != 1:
        raise ValueError("another version")
    field = ReceptiveField(*(tuple(v) if isinstance(v, list) else v for v in content["field"]))
    *whole, starts = (value if isinstance(value, tuple) else (value,) for value in field)
    axes = max(len(value) for value in (*whole, starts))
    patches = {int(unit): [_patch(*row, field, axes) for row in rows]
               for unit, rows in content["patches"].items()}
    found = TopPatches(**content | {"field": field, "patches": patches})
    counts = [found.pictures + 1, found.k, *whole[0], *whole[1]]        # sizes and jumps, too
    if not (isinstance(found.layer, str) and type(found.interrupted) is bool
            and all(type(count) is int and count >= 1 for count in counts)
            and all(type(start) in (int, float) and math.isfinite(start) for start in starts)
            and type(found.skipped) is list and all(type(line) is str for line in found.skipped)
            and len({len(p) for p in patches.values()}) <= 1 and min(patches, default=0) >= 0):
        raise ValueError("its entries are not of their kinds")
    return found


def _patch(activation, picture, name, position, field, axes):
    position = tuple(position)
    if not (type(activation) is float and math.isfinite(activation) and type(picture) is int
            and isinstance(name, str) and len(position) >= axes
            and all(type(i) is int and i >= 0 for i in position)):
        raise ValueError("one of its patches is none")
    return Patch(activation, picture, name, position, field)
