"""TensorFlow.js' weight files: a manifest in JSON, which lists the arrays in order, and the numbers
in files beside it.

    [{"paths": ["FILE", ...], "weights": [{"name": "conv/filters", "shape": [3, 3, 32, 64], "dtype":
    "float32"}, ...]}]

The files, one after the other, are the arrays without gaps, little-endian. An array with
"quantization": {"dtype": "uint8", "scale": s, "min": m} is stored as integers q, and its values are
q·s + m.  No file and no array comes twice, and the sizes are compared before a file is read: what
is made of it is at most four times as large as the files are.
"""

import json
import math
import os
from pathlib import Path

import numpy as np

from ..files import open_file

MANIFEST_LIMIT = 2 << 20  # bytes; an array's description takes about 200
PLAIN = {"float32": "<f4", "int32": "<i4"}
QUANTIZED = {"uint8": "u1", "uint16": "<u2"}
MAX_DIMENSIONS = 64  # as in NumPy


def read(stream, folder):
    """The arrays of an open manifest whose files are in `folder`, name -> array."""
    text = stream.read(MANIFEST_LIMIT + 1)
    if len(text) > MANIFEST_LIMIT:
        raise ValueError("it begins as a manifest of weights does, but is longer than any")
    try:
        groups = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested deeper than any manifest of weights") from None
    except ValueError as problem:
        raise ValueError("it begins as a manifest of weights does, but is damaged or cut off: "
                         f"{problem}") from None
    arrays, seen = {}, set()
    for group in groups:
        if type(group) is not dict or any(type(group.get(key)) is not list
                                          for key in ("paths", "weights")):
            raise ValueError("it is JSON, but not a manifest of weights: it lacks 'paths' and "
                             "'weights', two lists")
        layout = [_layout(description) for description in group["weights"]]
        paths = [_path(Path(folder), name, seen) for name in group["paths"]]
        needed = sum(math.prod(shape) * stored.itemsize for _, shape, stored, *_ in layout)
        found = sum(path.stat().st_size for path in paths)
        if needed != found:
            raise ValueError(f"its arrays take {needed} bytes, the files beside it have {found}")
        for name, array in _arrays(layout, b"".join(map(_content, paths))):
            if name in arrays:
                raise ValueError(f"its array {ascii(name)[:80]} comes twice")
            arrays[name] = array
    return arrays


def _path(folder, name, seen):
    """The path of a file in the manifest's own folder, which is not in `seen` yet."""
    if (type(name) is not str or name in ("", ".", "..")
            or any(sign in name for sign in "/\\:\0")):
        raise ValueError(f"its file {ascii(name)[:100]} is not in its own folder: refused")
    path, shown = folder / name, ascii(name)[1:-1][:100]
    if not os.path.isfile(path):
        raise ValueError(f"its file {shown} is missing: it belongs beside the manifest")
    if path.resolve() in seen:
        raise ValueError(f"its file {shown} comes twice: refused")
    seen.add(path.resolve())
    return path


def _content(path):
    with open_file(path) as stream:
        return stream.read()


def _arrays(layout, content):
    """(name, array) of each description, one after the other."""
    offset = 0
    for name, shape, stored, scale, smallest in layout:
        values = np.ndarray(shape, stored, content, offset)
        offset += values.nbytes
        if scale is None:
            yield name, np.array(values, stored.newbyteorder("="))
        else:
            yield name, (values * scale + smallest).astype("float32")


def _layout(description):
    """(name, shape, dtype as stored, scale and smallest value or None) of one array."""
    name, shape = description["name"], description["shape"]
    quantization = description.get("quantization")
    known = PLAIN if quantization is None else QUANTIZED
    kind = (quantization or description)["dtype"]
    if (type(name) is not str or type(shape) is not list or len(shape) > MAX_DIMENSIONS
            or any(type(n) is not int or not 0 <= n < 2**63 for n in shape) or kind not in known):
        raise ValueError(f"its entry {ascii(name)[:80]} is {ascii(kind)[:40]} of shape "
                         f"{ascii(shape)[:80]}, expected "
                         f"{' or '.join(known)} of known shape")
    if quantization is None:
        return name, tuple(shape), np.dtype(known[kind]), None, None
    scale, smallest = float(quantization["scale"]), float(quantization["min"])
    stored = np.dtype(known[kind])
    largest = float(np.finfo("float32").max)
    if not (abs(smallest) <= largest and abs(np.iinfo(stored).max * scale + smallest) <= largest):
        raise ValueError(f"its entry {ascii(name)[:80]} has scale {scale} and min {smallest}, "
                         "which give no numbers of float32")
    return name, tuple(shape), stored, scale, smallest
