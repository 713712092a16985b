"""TensorFlow.js' weight files: a manifest in JSON, which lists the arrays in order, and the numbers in files beside it.

    [{"paths": ["FILE", ...], "weights": [{"name": "conv/filters", "shape": [3, 3, 32, 64], "dtype": "float32"}, ...]}]

The files, one after the other, are the arrays without gaps, little-endian. An array with "quantization": {"dtype": "uint8",
"scale": s, "min": m} is stored as integers q, and its values are q·s + m.
"""

import json
import math
from pathlib import Path

import numpy as np

MANIFEST_LIMIT = 4 << 20  # bytes; an array's description takes about 200
PLAIN = {"float32": "<f4", "int32": "<i4"}
QUANTIZED = {"uint8": "u1", "uint16": "<u2"}


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
        raise ValueError(f"it begins as a manifest of weights does, but is damaged or cut off: {problem}") from None
    arrays = {}
    for group in groups:
        if type(group) is not dict or not {"paths", "weights"} <= group.keys():
            raise ValueError("it is JSON, but not a manifest of weights: it lacks 'paths' and 'weights'")
        arrays |= _arrays(group["weights"], _content(group["paths"], Path(folder)))
    return arrays


def _content(names, folder):
    """The bytes of the files, one after the other; only files in the manifest's own folder are opened."""
    for name in names:
        if type(name) is not str or name in ("", ".", "..") or any(sign in name for sign in "/\\:\0"):
            raise ValueError(f"its file {ascii(name)[:100]} is not in its own folder: refused")
        if not (folder / name).is_file():
            raise ValueError(f"its file {name} is missing: it belongs beside the manifest")
    return b"".join((folder / name).read_bytes() for name in names)


def _arrays(descriptions, content):
    layout = [_layout(description) for description in descriptions]
    needed = sum(math.prod(shape) * stored.itemsize for _, shape, stored, *_ in layout)
    if needed != len(content):
        raise ValueError(f"its arrays take {needed} bytes, the files beside it have {len(content)}")
    arrays, offset = {}, 0
    for name, shape, stored, scale, smallest in layout:
        values = np.ndarray(shape, stored, content, offset)
        offset += values.nbytes
        arrays[name] = np.array(values, stored.newbyteorder("=")) if scale is None else (
            values * scale + smallest).astype("float32")
    return arrays


def _layout(description):
    """(name, shape, dtype as stored, scale and smallest value or None) of one array."""
    name, shape, quantization = description["name"], description["shape"], description.get("quantization")
    known = PLAIN if quantization is None else QUANTIZED
    kind = (quantization or description)["dtype"]
    if type(name) is not str or any(type(n) is not int or n < 0 for n in shape) or kind not in known:
        raise ValueError(f"its entry {ascii(name)[:80]} is {ascii(kind)[:40]} of shape {ascii(shape)[:80]}, expected "
                         f"{' or '.join(known)} of known shape")
    if quantization is None:
        return name, tuple(shape), np.dtype(known[kind]), None, None
    return name, tuple(shape), np.dtype(known[kind]), float(quantization["scale"]), float(quantization["min"])
