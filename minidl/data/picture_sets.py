"""Any folder of pictures, or of labelled folders, as one array of small squares."""

from collections import namedtuple
import os

import numpy as np

from ..files import as_path
from ..operands import check_sizes
from .images import list_images, load_image, resize
from .people import load_usable


class PictureSet(namedtuple("PictureSet", "pictures labels names left_out", defaults=((),))):
    """pictures uint8 (N, size, size, C), C = 1 where all are grey, else 3; labels int64 (N,), or
    None without classes; names: of the labels; left_out: files that are not used, as LeftOut."""

    __slots__ = ()


def read_pictures(folder: str | os.PathLike, size: int) -> PictureSet:
    """Read the pictures of a folder; or, where it holds folders with pictures, these as classes.

        folder/*.png                    pictures without labels
        folder/apples/*.jpg, …          labelled: a class for each folder, sorted by name

    Each is cut to its middle square and resampled to size × size, so that pictures of many sizes go
    together.  Returns a PictureSet.  Raises ValueError where there are no pictures, or pictures
    both beside and in folders.
    """
    folder = as_path("read_pictures", "folder", folder)
    left_out: list = []
    check_sizes("read_pictures", size=size)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder of pictures")
    classes = {path.name: list_images(path) for path in sorted(folder.iterdir())
               if path.is_dir() and not path.name.startswith(".")}
    classes = {name: paths for name, paths in classes.items() if paths}
    alone = list_images(folder)
    if alone and classes:
        raise ValueError(f"{folder} holds pictures and folders of pictures; put each picture into "
                         "a folder of its class, or none")
    found = {name: _read(paths, size, left_out) for name, paths in (classes or {"": alone}).items()}
    found = {name: read for name, read in found.items() if len(read)}
    if not found:
        raise ValueError(
            f"{folder}: there is no picture that can be read; the first: {left_out[0]}" if left_out
            else f"{folder} holds no pictures, nor folders of pictures")
    pictures = np.concatenate([*found.values()])
    if (pictures == pictures[..., :1]).all():
        pictures = pictures[..., :1]
    if not classes:
        return PictureSet(pictures, None, [], tuple(left_out))
    labels = np.repeat(np.arange(len(found)), [len(each) for each in found.values()])
    return PictureSet(pictures, labels, list(found), tuple(left_out))


def _read(paths, size, left_out):
    """uint8 (N, size, size, 3); what cannot be read is added to left_out."""
    read, _, others = load_usable(
        paths, lambda path: resize(middle_square(load_image(path)), (size, size)))
    left_out += others
    return np.stack(read) if read else np.empty((0, size, size, 3), np.uint8)


def middle_square(picture):
    """The largest square in the middle of a picture (H, W, …)."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top:top + side, left:left + side]
