"""PyTorch's pickles, read without running them.

A pickle is a program for a small stack machine, and two of its instructions fetch and call any
Python function: to unpickle a stranger's file is to run the stranger's code. Here the program is
followed by hand. The machine below knows the instructions that a file of arrays needs; a global is
looked up in a table of names, never imported; and a call can only make a dictionary or the
description of a tensor.
"""

from collections import namedtuple
import pickletools
from types import FunctionType

import numpy as np

BFLOAT16 = np.dtype([("upper_half", "<u2")])  # of a float32, which NumPy has no type for
MAX_DIMENSIONS = 32  # NumPy allows 64, no layer has more than 6
MAX_INSTRUCTIONS = 300_000  # a tensor's description takes about 35
# a flat run of `count` numbers, found in the file under `key`
Storage = namedtuple("Storage", "key dtype count")
# a window on it; all counted in elements
StoredTensor = namedtuple("Tensor", "storage offset size stride")


def _dictionary():
    """collections.OrderedDict(), filled by later instructions; a dict keeps its order as well."""
    return {}


def _tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    """torch._utils._rebuild_tensor_v2; the older _rebuild_tensor has the first four arguments
    only."""
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise ValueError("a tensor's description is not made of a storage, an offset, sizes and "
                         "strides")
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS:
        raise ValueError(f"a tensor has {len(size)} sizes and {len(stride)} strides")
    if not all(type(number) is int and 0 <= number < 2**63 for number in (offset, *size, *stride)):
        raise ValueError("a tensor's offset, sizes and strides must be whole numbers, 0 to 2^63")
    # Python's integers do not overflow: this bound is what makes a strided view of the storage safe
    end = offset if 0 in size else offset + 1 + sum((n - 1) * step for n, step in zip(size, stride))
    if end > storage.count:
        raise ValueError(f"a tensor reaches over the end of storage {storage.key[:80]!r}, of "
                         f"{storage.count} elements")
    return StoredTensor(storage, offset, size, stride)


def _parameter(tensor, requires_grad=True, hooks=None):
    """torch._utils._rebuild_parameter: a tensor that is learned."""
    if type(tensor) is not StoredTensor:
        raise ValueError("a parameter's description is not made of a tensor")
    return tensor


GLOBALS = {
    "collections.OrderedDict": _dictionary,
    "torch._utils._rebuild_parameter": _parameter,
    # before PyTorch 0.4; torchvision's VGG files are that old
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}
# push their argument
VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read(stream, storages, find=None, build=None):
    """The value of one pickle, of dictionaries, lists, tuples, numbers, strings and StoredTensors.

    Leaves the stream behind the pickle, and notes in `storages` (key -> Storage) those that it
    mentions. Raises ValueError for a global or an instruction outside the tables, and any error of
    a broken pickle.
    For other things than tensors: find(name) is what stands for a global, and build(value, state)
    completes what a call has made.
    """
    find, build = find or _global, build or _build
    stack, marks, memo = [], [], {}

    def since_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for count, (instruction, argument, position) in enumerate(pickletools.genops(stream)):
        if count == MAX_INSTRUCTIONS:
            raise ValueError(f"its pickle has more than {count:,} instructions, which no file of "
                             "arrays needs: refused")
        name = instruction.name
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "MARK":
            marks.append(len(stack))
        elif name in TUPLES:
            stack[-TUPLES[name]:] = [tuple(stack[-TUPLES[name]:])]
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("SETITEM", "SETITEMS"):
            items = since_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            for key, value in zip(items[::2], items[1::2], strict=True):
                _set(stack[-1], key, value)
        elif name in ("APPEND", "APPENDS"):
            items = since_mark() if name == "APPENDS" else [stack.pop()]
            _require(stack[-1], list).extend(items)
        elif name == "GLOBAL":
            stack.append(find(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            module, function = _require(stack.pop(-2), str), _require(stack.pop(), str)
            stack.append(find(f"{module}.{function}"))
        elif name == "REDUCE":
            constructor, arguments = stack.pop(-2), _require(stack.pop(), tuple)
            stack.append(_require(constructor, FunctionType)(*arguments))
        elif name == "BUILD":
            state = stack.pop()
            build(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(_storage(_require(stack.pop(), tuple), storages))
        elif name not in ("PROTO", "FRAME", "STOP"):
            used = name if argument is None else f"{name} {ascii(argument)[:100]}"
            raise ValueError(f"its pickle uses {used} at byte {position}, which no file of arrays "
                             "needs: refused")
    return stack.pop()


def _global(name):
    if name in GLOBALS:
        return GLOBALS[name]
    shown = ascii(name)[1:-1][:100]
    if name.startswith("torch."):
        known = ", ".join(sorted(key[6:-7] for key in GLOBALS if key.endswith("Storage")))
        kind = name.endswith("Storage") or name.startswith("torch._utils._rebuild_tensor")
        advice = ("tensor.float() makes plain ones of them" if kind else
                  "torch.save(model.state_dict(), FILE) writes the weights alone")
        raise ValueError(f"asks for {shown}, but only plain tensors ({known}) are read: refused; "
                         f"with PyTorch, {advice}")
    raise ValueError(f"asks for {shown}, which a weight file has no business with: refused; with "
                     "PyTorch, torch.save(model.state_dict(), FILE) writes the weights alone")


def _build(value, state):
    """The attributes of an OrderedDict, which PyTorch calls _metadata: not needed."""
    _require(value, dict)


def _storage(identifier, storages):
    """The storage that PyTorch's persistent id names: ("storage", type, key, device, count[,
    view])."""
    kind, dtype, key, _, count, *view = identifier
    known = kind == "storage" and isinstance(dtype, np.dtype) and type(key) is str
    if not known or type(count) is not int or not 0 <= count < 2**63:
        raise ValueError("a storage's description is not ('storage', type, key, device, count)")
    if view not in ([], [None]):
        raise ValueError(f"storage {key[:80]!r} is a view of another one, which only very old "
                         "PyTorch wrote: not read")
    if storages.setdefault(key, Storage(key, dtype, count)) != (key, dtype, count):
        raise ValueError(f"storage {key[:80]!r} is described in two ways")
    return storages[key]


def _set(dictionary, key, value):
    # only flat keys: hashing a deeply nested tuple can overflow the interpreter's own stack
    if type(key) not in (str, int):
        raise ValueError(f"its pickle has a dictionary key of type {type(key).__name__}")
    _require(dictionary, dict)[key] = value


def _require(value, kind):
    if type(value) is not kind:
        raise ValueError(f"its pickle has a {type(value).__name__} where a {kind.__name__} belongs")
    return value
