"""Files of safetensors, the format of Hugging Face, read by its own library (an optional extra)."""

import numpy as np

from .archive import widened

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}


def read(stream):
    """The arrays of a file, name -> array; bfloat16 in float32."""
    try:
        from safetensors import deserialize
    except ImportError:
        raise ValueError("it is a safetensors file, which the library of that name reads: "
                         "pip install safetensors") from None
    return {name: _array(name, entry) for name, entry in deserialize(stream.read())}


def _array(name, entry):
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if dtype == "BF16":
        return widened(np.frombuffer(entry["data"], "<u2")).reshape(shape)
    if dtype not in DTYPES:
        raise ValueError(f"its array {name[:80]!r} is of {dtype}, which is not read; of these are: "
                         f"BF16, {', '.join(DTYPES)}")
    stored = np.frombuffer(entry["data"], DTYPES[dtype]).reshape(shape)
    return stored.astype(stored.dtype.newbyteorder("="))            # writable, and its own
