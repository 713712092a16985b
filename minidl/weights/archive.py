"""minidl's own weight files: an uncompressed zip with one .npy file per array, as numpy.savez writes them."""

import io
import math
import zipfile

import numpy as np
from numpy.lib import format as npy

KINDS = "biufcUS"  # booleans, numbers and text: every kind that can be written and read without pickle


def stored_members(archive, size):
    """The members of an open zip, name -> ZipInfo, if all are stored uncompressed and fit into `size` bytes together.

    What is read is then never larger than the file itself: there is no room for a decompression bomb.
    """
    members = archive.infolist()
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise ValueError(f"its entry {member.filename[:80]!r} is compressed; weight files are stored uncompressed")
    declared = sum(member.file_size for member in members)
    if declared > size:
        raise ValueError(f"its entries claim {declared} bytes, the file has {size}")
    return {member.filename: member for member in members}


def read(archive, members):
    """The arrays of an open .npz archive, name -> array."""
    for name in members:
        if not name.endswith(".npy"):
            raise ValueError(f"expected a zip of .npy arrays or a PyTorch archive, but it holds {name[:80]!r}")
    return {name.removesuffix(".npy"): _read_array(archive.read(member), name) for name, member in members.items()}


def _read_array(content, name):
    header = io.BytesIO(content)
    if npy.read_magic(header) != (1, 0):
        raise ValueError(f"its entry {name[:80]!r} is not a plain .npy array (format 1.0)")
    shape, fortran_order, dtype = npy.read_array_header_1_0(header)
    if dtype.kind not in KINDS:
        raise ValueError(f"its entry {name[:80]!r} holds {dtype.name}, expected numbers or text")
    data = len(content) - header.tell()
    if math.prod(shape) * dtype.itemsize != data:
        raise ValueError(f"its entry {name[:80]!r} has {data} bytes of data, not those of {dtype} {shape}")
    view = np.ndarray(shape, dtype, content, header.tell(), order="F" if fortran_order else "C")
    return np.array(view, dtype.newbyteorder("="), order="C")


def as_arrays(source):
    """A dictionary name -> NumPy array from one of arrays, Tensors or numbers; TypeError for anything else."""
    if not isinstance(source, dict):
        raise TypeError(f"save: expected a module or a dictionary of arrays, got {type(source).__name__}")
    arrays = {}
    for name, value in source.items():
        if not isinstance(name, str) or "\0" in name:
            raise TypeError(f"save: names must be strings without null characters, got {name!r}")
        arrays[name] = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
        if arrays[name].dtype.kind not in KINDS:
            raise TypeError(f"save: {name!r} is {type(value).__name__}, expected an array of numbers or text")
    return arrays


def write(stream, arrays):
    """Write a dictionary name -> NumPy array to a binary file object."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            # a ZipInfo made by hand carries a fixed date: the same arrays give the same bytes
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, version=(1, 0), allow_pickle=False)
