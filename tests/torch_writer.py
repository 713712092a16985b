"""A writer of PyTorch's two weight-file formats, without PyTorch, and of wrong ones."""

import io
import pickle
import zipfile

import numpy as np

from minidl.weights.torch_file import MAGIC

KINDS = {
    "f8": "DoubleStorage", "f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage",
    "i4": "IntStorage",
    "i2": "ShortStorage", "i1": "CharStorage", "u1": "ByteStorage", "b1": "BoolStorage",
}  # fmt: skip


class Global:
    """A function or class that the pickle names without its existing here."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    def __init__(self, numbers, key, count=None, view=None):
        self.numbers, self.key = np.asarray(numbers), key
        self.count = self.numbers.size if count is None else count
        kind = KINDS[self.numbers.dtype.str[1:]]
        self.identifier = ("storage", Global("torch", kind), key, "cpu", self.count, view)


class Tensor:
    def __init__(self, storage, offset, size, stride, function="_rebuild_tensor_v2"):
        extra = (False, {}) if function.endswith("v2") else ()
        self.storage, self.function = storage, Global("torch._utils", function)
        self.arguments = (storage, offset, size, stride, *extra)


def tensor(array, key):
    """A fresh contiguous tensor."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    return Tensor(Storage(array.ravel(), key), 0, array.shape,
                  tuple(step // array.itemsize for step in array.strides))


class Pickler(pickle._Pickler):
    dispatch = pickle._Pickler.dispatch.copy()

    def persistent_id(self, value):
        if isinstance(value, Storage):
            self.storages[value.key] = value
            return value.identifier

    def save_global_name(self, value):
        self.write(f"c{value.module}\n{value.name}\n".encode())

    def save_tensor(self, value):
        self.save(value.function)
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch[Global] = save_global_name
    dispatch[Tensor] = save_tensor


def pickled(value, protocol=2):
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol)
    pickler.storages = {}
    pickler.dump(value)
    return stream.getvalue(), pickler.storages


def legacy(value, state=None, keys=None, little_endian=True, protocol=2):
    """A torch.save stream; `state` replaces the bytes of its main pickle."""
    body, storages = pickled(value, protocol)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(part, protocol) for part in (MAGIC, 1001, system)]
    parts += [body if state is None else state,
              pickle.dumps(sorted(storages) if keys is None else keys, protocol)]
    for key in sorted(storages):
        parts += [storages[key].numbers.size.to_bytes(8, "little"), storages[key].numbers.tobytes()]
    return b"".join(parts)


def zipped(value, state=None, byteorder=b"little", compression=zipfile.ZIP_STORED):
    body, storages = pickled(value)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("model/data.pkl", body if state is None else state)
        archive.writestr("model/byteorder", byteorder)
        for key, storage in storages.items():
            archive.writestr(f"model/data/{key}", storage.numbers.tobytes())
        archive.writestr("model/version", "3\n")
    return stream.getvalue()
