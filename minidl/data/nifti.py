"""Volumes in NIfTI-1 files, as scanners' data are kept: a header of 348 bytes, then the voxels.

    bytes       what
    0-3         348, which also tells the order of bytes
    40-55       eight int16: the number of axes, and the size of each
    70-71       int16: the type of a voxel
    76-107      eight float32: pixdim, the sides of a voxel from the second on
    108-111     float32: where the voxels begin
    112-119     two float32: value = slope · voxel + intercept, where slope ≠ 0
    344-347     "n+1", as the voxels are in the same file
The first axis varies fastest (Fortran's order).  A file may be packed by gzip.

Source: Cox et al. 2004, the NIfTI-1 data format.
"""
import math
import os
from typing import NamedTuple
import zlib

import numpy as np

from .. import files

HEADER = 352                    # bytes, with the four that say whether extensions follow
LARGEST = 1 << 30               # bytes of voxels
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
         1024: "i8", 1280: "u8"}
OTHERS = {1: "bits", 32: "complex numbers", 128: "colours", 1792: "complex numbers",
          2304: "colours"}


class Volume(NamedTuple):
    """values (X, Y, Z), as stored, or float32 where the file scales them; spacing: the sides of a
    voxel, in millimetres as a rule."""
    values: np.ndarray
    spacing: tuple


def read_nifti(path: str | os.PathLike) -> Volume:
    """The Volume in a NIfTI-1 file of one channel, .nii or .nii.gz.

    Raises ValueError, naming the file, for another kind of file or of voxel, for several volumes
    in one (a fourth axis), sizes that do not fit the file, or a gigabyte and more; where it is cut
    off or damaged.  OSError where it cannot be opened.
    """
    path = files.as_path("read_nifti", "path", path)
    try:
        with files.open_file(path) as stream:
            start = stream.read(2)
            stream.seek(0)
            unpack = _Unpacked(stream) if start == b"\x1f\x8b" else stream
            header = unpack.read(HEADER)
            shape, dtype, offset, scale, spacing = _described(header)
            count = math.prod(shape) * dtype.itemsize
            content = unpack.read(offset - HEADER + count)[offset - HEADER:]
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from None
    if len(content) < count:
        raise ValueError(f"{path}: is cut off: {len(content):,} of {count:,} bytes of voxels")
    values = np.frombuffer(content, dtype).reshape(shape, order="F")
    values = values.astype(dtype.newbyteorder("="))
    if scale is None:
        return Volume(values, spacing)
    scaled = np.empty(shape, np.float32, order="F")
    for z in range(shape[2]):           # in float64: of all at once it would take 16 bytes a voxel
        scaled[..., z] = scale[0] * values[..., z] + scale[1]
    return Volume(scaled, spacing)


def _described(header):
    """(shape, dtype, where the voxels begin, (slope, intercept) or None, spacing)."""
    if len(header) < HEADER:
        raise ValueError("is cut off, or no NIfTI-1 file: it has no whole header")
    order = next((order for order in "<>"
                  if np.frombuffer(header, f"{order}i4", 1)[0] == 348), None)
    if order is None or header[344:348] not in (b"n+1\0", b"ni1\0"):
        raise ValueError("is no NIfTI-1 file")
    if header[344:347] == b"ni1":
        raise ValueError("keeps its voxels in another file (.img), expected one file")
    sizes = np.frombuffer(header, f"{order}i2", 8, 40).astype(int)
    code, = np.frombuffer(header, f"{order}i2", 1, 70)
    sides = np.frombuffer(header, f"{order}f4", 8, 76)
    offset, slope, intercept = (float(x) for x in np.frombuffer(header, f"{order}f4", 3, 108))
    axes, shape = sizes[0], tuple(int(n) for n in sizes[1:4])
    if not 3 <= axes <= 7 or any(n < 1 for n in sizes[1:axes + 1]):
        raise ValueError(f"has the sizes {sizes[1:max(1, axes) + 1].tolist()}, expected a volume "
                         "of three axes")
    if any(n > 1 for n in sizes[4:axes + 1]):
        raise ValueError(f"holds {math.prod(sizes[4:axes + 1])} volumes, expected one")
    if code not in TYPES:
        kind = OTHERS.get(int(code), "unknown")
        raise ValueError(f"has voxels of type {code} ({kind}), expected numbers")
    dtype = np.dtype(TYPES[int(code)]).newbyteorder(order)
    if math.prod(shape) * dtype.itemsize > LARGEST:
        raise ValueError(f"claims {math.prod(shape) * dtype.itemsize:,} bytes of voxels, more than "
                         f"{LARGEST:,}")
    if not HEADER <= offset <= 1e6 or offset != int(offset):
        raise ValueError(f"says that its voxels begin at byte {offset:g}")
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise ValueError(f"scales its voxels by {slope} and {intercept}")
    scale = (slope, intercept) if slope and (slope, intercept) != (1, 0) else None
    return shape, dtype, int(offset), scale, tuple(float(side) for side in sides[1:4])


class _Unpacked:
    """What is packed by gzip, in one piece or several, unpacked as far as it is read."""

    def __init__(self, stream):
        self.stream, self.packed = stream, zlib.decompressobj(wbits=31)
        self.ready = b""

    def read(self, count):
        parts, missing = [self.ready], count - len(self.ready)
        while missing > 0:
            taken = (self.packed.unused_data or self.packed.unconsumed_tail
                     or self.stream.read(1 << 20))
            if not taken:
                break
            if self.packed.eof:
                self.packed = zlib.decompressobj(wbits=31)
            parts.append(self.packed.decompress(taken, missing))
            missing -= len(parts[-1])
        found = b"".join(parts)
        self.ready = found[count:]
        return found[:count]
