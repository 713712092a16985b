"""PyTorch's two weight-file formats, read without PyTorch.

Both hold a pickle that describes the tensors as windows (offset, size, stride) on numbered
storages, and the storages as raw little-endian numbers: torch.save's stream appends them to the
pickle, its zip archive has one member for each.
"""

import io
import math

import numpy as np

from . import pickled
from .archive import content, widened

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
PICKLE_LIMIT = 8 << 20  # bytes; a tensor's description takes about 110
SHARING_LIMIT = 8  # tensors may share storages, but not turn a small file into endless memory


def read_stream(stream, size):
    """The arrays of a torch.save stream of `size` bytes (PyTorch before 1.6), name -> array.

    Five pickles (magic number, protocol, byte order, the dictionary, the list of storage keys),
    then for each key in that order a 64-bit count and the numbers. What follows is ignored.
    """
    head, storages = io.BytesIO(stream.read(PICKLE_LIMIT)), {}
    if pickled.read(head, storages) != MAGIC:
        raise ValueError("it is a pickle, but not one that torch.save wrote")
    if pickled.read(head, storages) != PROTOCOL:
        raise ValueError(f"it is not of torch.save's protocol {PROTOCOL}")
    if pickled.read(head, storages).get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    value = pickled.read(head, storages)
    keys = pickled.read(head, storages)
    if not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("its list of storages is not that of its tensors")
    needed = head.tell() + sum(8 + storage.count * storage.dtype.itemsize
                               for storage in storages.values())
    if needed > size:
        raise ValueError(f"cut off: its tensors need {needed} bytes, the file has {size}")

    def numbers(storage):
        count = int.from_bytes(stream.read(8), "little", signed=True)
        if count != storage.count:
            raise ValueError(f"storage {storage.key[:80]!r} has {count} elements, its tensors "
                             f"expect {storage.count}")
        return stream.read(count * storage.dtype.itemsize)

    stream.seek(head.tell())
    return _arrays(value, [storages[key] for key in keys], numbers, size)


def read_zip(archive, members):
    """The arrays of a torch.save zip archive (PyTorch from 1.6 on), name -> array.

    ROOT/data.pkl is the dictionary, ROOT/data/KEY the numbers of a storage, ROOT/byteorder (if
    there) their order.
    """
    pickle = next(member for name, member in members.items() if name.endswith("/data.pkl"))
    root = pickle.filename.removesuffix("data.pkl")
    if pickle.file_size > PICKLE_LIMIT:
        raise ValueError(f"{pickle.filename[:80]!r} has {pickle.file_size} bytes, more than any "
                         "weight file needs")
    if root + "byteorder" in members and content(archive, members[root + "byteorder"]) != b"little":
        raise ValueError("its numbers are not little-endian")
    storages = {}
    value = pickled.read(io.BytesIO(content(archive, pickle)), storages)

    def numbers(storage):
        member = members.get(f"{root}data/{storage.key}")
        expected = storage.count * storage.dtype.itemsize
        if member is None or member.file_size != expected:
            came = "no such entry" if member is None else f"{member.file_size} bytes"
            raise ValueError(f"storage {storage.key[:80]!r} should have {expected} bytes, there is "
                             f"{came}")
        return content(archive, member)

    size = sum(member.file_size for member in members.values())
    return _arrays(value, storages.values(), numbers, size)


def _arrays(value, storages, numbers, size):
    """The tensors of a state dictionary as arrays of their own, copied one storage at a time.

    `size` is the number of bytes that justify them.
    """
    tensors = _tensors(value)
    claimed = sum(math.prod(tensor.size) * tensor.storage.dtype.itemsize
                  for tensor in tensors.values())
    if claimed > SHARING_LIMIT * size + (1 << 20):
        raise ValueError(f"its tensors claim {claimed} bytes, the file has {size}")
    users = {}
    for name, tensor in tensors.items():
        users.setdefault(tensor.storage.key, []).append((name, tensor))
    arrays = dict.fromkeys(tensors)  # in the file's order of names, whatever the order of storages
    for storage in storages:
        data, width = numbers(storage), storage.dtype.itemsize
        for name, (_, offset, shape, stride) in users.get(storage.key, ()):
            view = np.ndarray(shape, storage.dtype, data, offset * width,
                              [step * width for step in stride])
            plain = widened(view["upper_half"]) if storage.dtype == pickled.BFLOAT16 else view
            arrays[name] = np.array(plain, plain.dtype.newbyteorder("="), order="C")
    return arrays


def _tensors(value):
    """The dictionary name -> StoredTensor in a pickle's value.

    A checkpoint keeps it beside other things, as in {"epoch": 3, "model_state_dict": ...}: then it
    is the entry "state_dict", or else the only one that is a dictionary of tensors.
    """
    if type(value) is list and all(type(item) is tuple and len(item) == 2 and type(item[0]) is str
                                   for item in value):      # list(module.named_parameters())
        value = dict(value)
    if type(value) is not dict:
        raise ValueError(f"it holds a {type(value).__name__}, expected a dictionary of tensors")
    if type(value.get("state_dict")) is dict:
        value = value["state_dict"]
    elif not _is_state(value):
        inner = [key for key, entry in value.items()
                 if type(entry) is dict and entry and _is_state(entry)]
        if len(inner) > 1:
            raise ValueError(f"it holds {len(inner)} dictionaries of tensors, {_shown(inner)}, "
                             "where one is expected; with PyTorch, "
                             "torch.save(torch.load(FILE)[KEY], OTHER) takes one out")
        value = value[inner[0]] if inner else value
    for name, tensor in value.items():
        if type(name) is not str or type(tensor) is not pickled.StoredTensor:
            raise ValueError(f"its entry {str(name)[:80]!r} is a {type(tensor).__name__}, expected "
                             f"a named tensor; there are {_shown(value)}")
    return value


def _is_state(value):
    return all(type(name) is str and type(tensor) is pickled.StoredTensor
               for name, tensor in value.items())


def _shown(keys):
    """The first few keys, for an error."""
    listed = [repr(str(key)[:40]) for key, _ in zip(keys, range(5))]
    return ", ".join(listed) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
