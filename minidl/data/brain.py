"""The MNI brain: the mean of 152 people's scans, and which tissue is where."""
from collections.abc import Sequence
import os
from typing import NamedTuple

import numpy as np

from .. import packages
from ..files import as_path
from ..settings import whole
from .nifti import read_nifti

TISSUES = ["fluid", "grey matter", "white matter"]
OUTSIDE = -1
# in 0..255: a voxel is of the brain where T1 is above the first, grey + white above the second
LEAST_T1, LEAST_MATTER = 20, 5
HALF = 128

FACTS = {"t1": ("421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6", 1_617_531),
         "gm": ("97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed", 1_965_510),
         "wm": ("382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db", 1_553_010)}


class Brain(NamedTuple):
    """t1 uint8 (X, Y, Z), from left to right, back to front, below to above; tissue int8, of each
    voxel the number of its TISSUES, or −1 outside of the brain."""
    t1: np.ndarray
    tissue: np.ndarray


def mni_brain() -> Brain:
    """The Brain of the ICBM 152 template (2009a, nonlinear, symmetric), 197 × 233 × 189 voxels of
    a millimetre.

    A T1-weighted scan shows fluid dark, grey matter grey, and white matter bright.  pip fetches the
    package nilearn (BSD licence, 11.5 MB) the first time; nothing of it is installed.  The
    template's own licence notice is in that package.
    Raises packages.FetchError, an OSError, when it cannot be had.
    Source: Fonov, Evans, McKinstry, Almli and Collins 2009.
    """
    names = {kind: f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz" for kind in FACTS}
    first, *others = ((name, f"nilearn/datasets/data/{name}", *FACTS[kind])
                      for kind, name in names.items())
    name, member, sha256, size = first
    path = packages.fetch(
        name, "nilearn==0.14.1", member, sha256, size, beside=others, archive_size=11_509_444,
        archive_sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
        hint="a brain of your own: --t1, --grey and --white FILE.nii.gz")
    return read_brain(*(path.with_name(name) for name in names.values()))


def read_brain(t1: str | os.PathLike, grey: str | os.PathLike, white: str | os.PathLike) -> Brain:
    """The Brain in three NIfTI files of one shape, uint8: a T1 scan, and how much of each voxel is
    grey matter and white matter, 255 for all of it.

    Of the brain are voxels with T1 > 20 and grey + white > 5 of 255.  The tissue is fluid where
    grey + white are less than half, else the larger of the two.
    Raises ValueError, naming the files, where they do not fit.
    """
    t1, grey, white = (as_path("read_brain", name, path) for name, path in
                       (("t1", t1), ("grey", grey), ("white", white)))
    found = {path: read_nifti(path).values for path in (t1, grey, white)}
    for path, values in found.items():
        if values.dtype != np.uint8:
            raise ValueError(f"{path}: has voxels of {values.dtype}, expected uint8 in 0..255")
        if values.shape != found[t1].shape:
            raise ValueError(f"{path}: is of {values.shape} voxels, {t1} of {found[t1].shape}")
    values, grey, white = (found[path].astype(np.int16) for path in (t1, grey, white))
    tissue = np.where(grey + white < HALF, 0, np.where(grey >= white, 1, 2)).astype(np.int8)
    tissue[(values <= LEAST_T1) | (grey + white <= LEAST_MATTER)] = OUTSIDE
    if not all((tissue == k).any() for k in range(len(TISSUES))):
        raise ValueError(f"{t1}: one of the tissues is nowhere; are these a T1 scan and maps of "
                         "grey and white matter?")
    return Brain(found[t1], tissue)


def balanced_places(tissue: np.ndarray, slabs: Sequence[tuple[int, int]], count: int, size: int,
                    rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(places (N, 3), labels (N,)): voxels of a brain's tissue (X, Y, Z), equally many of each, in
    slabs [(low, high), …] of the third axis, whose cubes of `size` lie in the volume.

    Of each there are count // 3, or as many as there are of the rarest.  Raises ValueError where
    there is none of one, or a count below 3.
    """
    count = whole("balanced_places", f"{len(TISSUES)} ≤ count < inf", count)
    half = size // 2
    inside = np.zeros(tissue.shape, bool)
    inside[tuple(slice(half, max(half, n - size + half + 1)) for n in tissue.shape)] = True
    allowed = np.zeros(tissue.shape, bool)
    for low, high in slabs:
        allowed[:, :, low:high] = inside[:, :, low:high]
    found = [np.argwhere(allowed & (tissue == k)) for k in range(len(TISSUES))]
    each = min(count // len(TISSUES), *map(len, found))
    if not each:
        raise ValueError(f"balanced_places: the slabs {slabs} do not hold all tissues, {half} "
                         "voxels from the border")
    places = [rng.permutation(places)[:each] for places in found]
    return np.concatenate(places), np.repeat(np.arange(len(TISSUES)), each)


def patches(volume: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """float32 (N, size, size, size, 1): the cubes around places (N, 3) of a volume (X, Y, Z); the
    voxel of the place is number size // 2.  Raises ValueError where one reaches outside."""
    low = np.asarray(places) - size // 2
    if (low < 0).any() or (low + size > volume.shape).any():
        raise ValueError(f"patches: cubes of {size} around some places reach out of {volume.shape}")
    cubes = np.lib.stride_tricks.sliding_window_view(volume, (size, size, size))
    return cubes[tuple(low.T)].astype(np.float32)[..., None]
