"""minidl's own weight files: a zip with one .npy file per array, as numpy.savez writes them."""

import io
import math
import zipfile

import numpy as np
from numpy.lib import format as npy

from .. import backend

LARGEST_RATIO = 8  # of what compressed entries unpack to and the file; deflate can reach 1,032
ALWAYS_ALLOWED = 16 << 20  # bytes
# booleans, numbers and text: every kind that can be written and read without pickle
KINDS = "biufcUS"


def checked_members(archive, size):
    """The members of an open zip of `size` bytes, name -> ZipInfo, if it justifies what they claim.

    Stored ones lie in it one beside the other. Deflated ones, as numpy.savez_compressed writes
    them, may together be LARGEST_RATIO times as large as the file.
    """
    members, stored, unpacked = archive.infolist(), 0, 0
    for member in members:
        name = member.filename[:80]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            kind = zipfile.compressor_names.get(member.compress_type, member.compress_type)
            raise ValueError(f"its entry {name!r} is compressed by {kind}; stored and deflated "
                             "ones are read")
        if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
            raise ValueError(f"its entry {name!r} takes {member.compress_size} bytes and claims "
                             f"{member.file_size}")
        stored += member.compress_size
        unpacked += member.file_size
    if stored > size or unpacked > max(LARGEST_RATIO * size, ALWAYS_ALLOWED):
        raise ValueError(f"its entries claim {max(stored, unpacked)} bytes, the file has {size}")
    names = {member.filename: member for member in members}
    if len(names) < len(members):
        raise ValueError("two of its entries have one name")
    return names


def content(archive, member):
    """The bytes of a member: as many as it claims, whatever is packed in it."""
    with archive.open(member) as stream:
        return stream.read(member.file_size)


def read(archive, members):
    """The arrays of an open .npz archive, name -> array."""
    for name in members:
        if not name.endswith(".npy"):
            raise ValueError("expected a zip of .npy arrays or a PyTorch archive, but it holds "
                             f"{name[:80]!r}")
    return {name.removesuffix(".npy"): _read_array(content(archive, member), name)
            for name, member in members.items()}


def _read_array(data, name):
    header = io.BytesIO(data)
    if npy.read_magic(header) != (1, 0):
        raise ValueError(f"its entry {name[:80]!r} is not a plain .npy array (format 1.0)")
    shape, fortran_order, dtype = npy.read_array_header_1_0(header)
    if dtype.kind not in KINDS:
        raise ValueError(f"its entry {name[:80]!r} holds {dtype.name}, expected numbers or text")
    if dtype.itemsize == 0:     # no bytes justify any number of them, and a copy takes 1 or 4 each
        raise ValueError(f"its entry {name[:80]!r} holds texts of no width")
    there = len(data) - header.tell()
    if not all(0 <= n < 2**63 for n in shape) or math.prod(shape) * dtype.itemsize != there:
        raise ValueError(f"its entry {name[:80]!r} has {there} bytes of data, not those of {dtype} "
                         f"{shape}")
    view = np.ndarray(shape, dtype, data, header.tell(), order="F" if fortran_order else "C")
    return np.array(view, dtype.newbyteorder("="), order="C")


def widened(halves):
    """bfloat16 numbers, given as uint16, in float32, whose upper 16 bits they are: exactly."""
    return (halves.astype("uint32") << 16).view("float32")


def as_arrays(source):
    """A dictionary name -> NumPy array from one of arrays, Tensors or numbers; TypeError for
    anything else."""
    if not isinstance(source, dict):
        raise TypeError("save: expected a module or a dictionary of arrays, got "
                        f"{type(source).__name__}")
    arrays = {}
    for name, value in source.items():
        if not isinstance(name, str) or "\0" in name:
            raise TypeError(f"save: names must be strings without null characters, got {name!r}")
        arrays[name] = _on_host(value)
        if arrays[name].dtype.kind not in KINDS:
            raise TypeError(f"save: {name!r} is {type(value).__name__}, expected an array of "
                            "numbers or text")
    return arrays


def _on_host(value):
    if backend.is_array(value):
        return backend.to_host(value)
    try:
        return value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    except ValueError:                                  # rows of several lengths
        return np.asarray(None)


def write(stream, arrays):
    """Write a dictionary name -> NumPy array to a binary file object."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            # a ZipInfo made by hand carries a fixed date: the same arrays give the same bytes
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, version=(1, 0), allow_pickle=False)
