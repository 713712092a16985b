"""Weight files: every format read right, every damaged or hostile file refused."""

import io
import json
import os
import pickle
import re
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from torch_writer import KINDS, Storage, Tensor, legacy, pickled, tensor, zipped

import minidl as md
from minidl import files, weights
from minidl.weights import WeightsError, torch_file

FORMATS = pytest.mark.parametrize("write", [legacy, zipped])


@pytest.fixture
def load(tmp_path):
    """load(bytes): what weights.load makes of them, under a name that says nothing."""

    def load_bytes(content):
        path = tmp_path / "file.bin"
        path.write_bytes(content)
        return weights.load(path)

    return load_bytes


def refusal(load, content):
    with pytest.raises(WeightsError) as caught:
        load(content)
    message = str(caught.value)
    assert "file.bin: " in message and "\n" not in message and len(message) < 600
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    return message.split("file.bin: ", 1)[1]


def example():
    base = Storage(np.arange(24, dtype="f4"), "100")
    return {
        "whole": Tensor(base, 0, (2, 3, 4), (12, 4, 1)),
        "transposed": Tensor(base, 0, (4, 6), (1, 4)),
        "part": Tensor(base, 5, (2, 2), (8, 2)),
        "old": Tensor(base, 23, (1,), (1,), "_rebuild_tensor"),
        "bytes": tensor(np.arange(6, dtype="u1").reshape(2, 3), "20"),
        "scalar": tensor(np.array(7, dtype="i8"), "3"),
        "empty": tensor(np.zeros((0, 5), "f4"), "4"),
    }


# PyTorch's formats


@FORMATS
def test_fabricated_torch_files(load, write):
    arrays = load(write(example()))
    numbers = np.arange(24, dtype="f4")
    assert list(arrays) == list(example())
    np.testing.assert_array_equal(arrays["whole"], numbers.reshape(2, 3, 4))
    np.testing.assert_array_equal(arrays["transposed"], numbers.reshape(6, 4).T)
    np.testing.assert_array_equal(arrays["part"], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(arrays["old"], [23])
    np.testing.assert_array_equal(arrays["bytes"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["bytes"].dtype == "u1" and arrays["scalar"] == 7 and arrays["scalar"].shape == ()
    assert arrays["empty"].shape == (0, 5) and arrays["empty"].dtype == "f4"
    for array in arrays.values():
        assert array.flags.c_contiguous and array.flags.writeable and array.dtype.isnative
    arrays["whole"][:] = -1  # arrays are copies: what shared a storage no longer does
    assert arrays["part"][0, 0] == 5


@FORMATS
@pytest.mark.parametrize("dtype", KINDS)
def test_every_storage(load, write, dtype):
    numbers = np.array([0, 1, 1, 0, 1], dtype)
    array = load(write({"x": tensor(numbers, "0")}))["x"]
    assert array.dtype == numbers.dtype
    np.testing.assert_array_equal(array, numbers)


@FORMATS
def test_state_dict_inside_a_checkpoint(load, write):
    value = {"epoch": 3, "loss": 0.5, "state_dict": {"w": tensor(np.ones(3, "f4"), "0")},
             "optimizer": {0: [1, (2,)]}}
    assert list(load(write(value))) == ["w"]


@FORMATS
def test_the_only_state_dict_inside_a_checkpoint(load, write):
    one, two = ({"w": tensor(np.full(2, number, "f4"), str(number))} for number in (1, 2))
    for value in ({"model_state_dict": one, "epoch": 3}, {"net": one, "optimizer": {"state": {}}}):
        assert load(write(value))["w"].tolist() == [1, 1]
    assert load(write({"ema": two, "state_dict": one}))["w"].tolist() == [1, 1]
    message = refusal(load, write({"generator": one, "critic": two, "epoch": 3}))
    assert "it holds 2 dictionaries of tensors, 'generator', 'critic', where one" in message
    message = refusal(load, write({str(number): number for number in range(7)}))
    assert "entry '0' is a int" in message and "'3', '4' and 2 more" in message


@FORMATS
def test_ordered_dict_with_metadata(load, write):
    # OrderedDict() and BUILD {"_metadata": {}}, as torch.save writes a module's state_dict
    state = b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00_metadata}sb."
    assert load(write({}, state=state)) == {}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_pickle_protocols(load, protocol):
    assert load(legacy({"w": tensor(np.ones(3, "f4"), "0")}, protocol=protocol))["w"].sum() == 3


def test_trailing_garbage_is_ignored(load):
    assert len(load(legacy(example()) + b"\x00garbage" * 50)) == len(example())


def test_compared_with_torch(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4),
                                 torch.nn.Linear(4, 2))
    state = module.state_dict()
    state.update(base=base, transposed=base.T, part=base[1:4, ::2], expanded=base[0].expand(3, 5))
    state.update(scalar=torch.tensor(2.5), half=base.half(), long=torch.arange(4), flags=base > 0)
    state.update(empty=torch.zeros(0, 3))
    for zip_format in (True, False):
        for value in (state, dict(state), {"state_dict": state, "epoch": 4}):
            path = tmp_path / "torch.npz"  # the name must not matter
            torch.save(value, path, _use_new_zipfile_serialization=zip_format)
            arrays = weights.load(path)
            assert list(arrays) == list(state)
            for name, expected in state.items():
                assert arrays[name].dtype == expected.numpy().dtype
                assert arrays[name].flags.c_contiguous
                np.testing.assert_array_equal(arrays[name], expected.numpy())


def test_parameters_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 3)
    torch.save(dict(module.named_parameters()), tmp_path / "file.pth")
    arrays = weights.load(tmp_path / "file.pth")
    assert list(arrays) == ["weight", "bias"]
    np.testing.assert_array_equal(arrays["weight"], module.weight.detach().numpy())


def test_torch_objects_that_are_not_plain_tensors_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    for value, named in (
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"w": torch.zeros(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage"),
        ({"w": np.zeros(2)}, "numpy"),
    ):
        torch.save(value, tmp_path / "file.pth")
        with pytest.raises(WeightsError, match=f"asks for {named}.*refused"):
            weights.load(tmp_path / "file.pth")


# Hostile files


class Evil:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def call(function, argument, protocol):
    return pickle.dumps(Evil(function, argument), protocol)


@FORMATS
@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_executed(load, write, tmp_path, protocol):
    marker = tmp_path / "marker"
    for function, argument, named in (
        (os.system, f"echo > {marker}", f"{os.name}.system"),
        (eval, f"open({str(marker)!r}, 'w')", "eval"),
        (exec, f"open({str(marker)!r}, 'w')", "exec"),
    ):
        message = refusal(load, write({}, state=call(function, argument, protocol)))
        assert named in message and "refused" in message
        assert not marker.exists()
        nested = pickle.dumps({"state_dict": {"w": Evil(dict, [("a", Evil(function, argument))])}},
                              protocol)
        assert "refused" in refusal(load, write({}, state=nested))
        assert not marker.exists()


@FORMATS
@pytest.mark.parametrize(
    "state, said",
    [
        (
            b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
            "asks for os.system, which a weight file has no business",
        ),
        (b"\x80\x02c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"\x80\x02ctorch\nload\n.", "asks for torch.load"),
        (b"(X\x02\x00\x00\x00lsios\nsystem\n.", "os system"),  # INST
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (
            b"\x80\x02ccollections\nOrderedDict\n)R)R.",
            "dict where a function",
        ),  # call what a call returned
        (
            b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00a)sb.",
            "function where a dict",
        ),  # change a function
        (b"\x80\x02ccollections\nOrderedDict\nX\x01\x00\x00\x00a\x85R.", "TypeError"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "TypeError"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))tR.", "description is not made of"),
        (
            b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns.",
            "key of type tuple",
        ),  # its hash would overflow
        (
            b"\x80\x02](" + b")" + b"\x85" * 250_000 + b"K\x01\x86e.",
            "it holds a list",
        ),  # as would that of a pair's first
        (b"\x80\x02" + b"]q\x00h\x00\x86" * 5 + b".", "it holds a tuple"),
        (b"\x80\x02}Q.", "dict where a tuple"),
        (
            b"\x80\x02(X\x07\x00\x00\x00storageK\x01X\x01\x00\x00\x000NK\x01tQ.",
            "storage's description",
        ),
        (
            b"\x80\x02X\xff\xff\xff\x7fabc.",
            "damaged|expected|not",
        ),  # a string of 2 GB in a file of 200 bytes
        (b"\x80\x02N.", "it holds a NoneType, expected a dictionary"),
        (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v3\n.",
            "asks for torch._utils._rebuild_tensor_v3, but only.* tensor.float.. makes plain ones",
        ),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x01s.", "entry 'a' is a int, expected a named tensor"),
        (
            b"\x80\x02}r\xff\xff\xff\xffj\x00\x00\x00\x00.",
            "KeyError",
        ),  # a memo index of 4e9 costs nothing
        (b"\x80\x02" + b"N" * 600_000 + b".", "more than 300,000 instructions"),
        (
            b"\x80\x02ctorch._utils\n_rebuild_parameter\n(K\x01\x88NtR.",
            "parameter's description is not",
        ),
        (b"\x80\x02.", "IndexError"),
        (b"\x80\x02e.", "IndexError"),
        (b"\x80\x02\xff.", "opcode"),
    ],
)
def test_hostile_pickles(load, write, state, said):
    assert re.search(said, refusal(load, write({}, state=state)))


@FORMATS
@pytest.mark.parametrize(
    "offset, size, stride, said",
    [
        (0, (25,), (1,), "reaches over the end"),
        (24, (1,), (1,), "reaches over the end"),
        (0, (5, 5), (5, 1), "reaches over the end"),
        (0, (2,), (2**62,), "reaches over the end"),
        (
            0,
            (5,),
            (2**60,),
            "reaches over the end",
        ),  # 4 x 2^60 x 4 bytes wraps around to 0 in 64 bits
        (2**62, (1,), (1,), "reaches over the end"),
        (2**62, (0,), (1,), "reaches over the end"),
        (2**64, (1,), (1,), "whole numbers, 0 to 2^63"),
        (2**70, (0,), (1,), "whole numbers, 0 to 2^63"),
        (
            0,
            (2**2000,) * 30,
            (0,) * 30,
            "whole numbers, 0 to 2^63",
        ),  # their product has 60,000 bits
        (-1, (2,), (1,), "whole numbers"),
        (0, (-2,), (1,), "whole numbers"),
        (23, (24,), (-1,), "whole numbers"),
        (0, (2.0,), (1,), "whole numbers"),
        (0, (2, 3), (1,), "2 sizes and 1 strides"),
        (0, (1,) * 33, (1,) * 33, "33 sizes"),
        (0, [2], [1], "description"),
        (None, (2,), (1,), "whole numbers"),
        (0, (10**6, 10**6), (0, 0), "claim 4000000000000 bytes"),  # one number, repeated
        (0, (2**40, 2**40, 0), (0, 0, 0), ""),
        (0, (1,), (2**70,), ""),
    ],
)
def test_windows_outside_their_storage(load, write, offset, size, stride, said):
    storage = Storage(np.arange(24, dtype="f4"), "0")
    assert said in refusal(load, write({"w": Tensor(storage, offset, size, stride)}))


@FORMATS
def test_many_tensors_on_one_storage_cannot_fill_the_memory(load, write):
    shared = Tensor(Storage(np.zeros(1 << 16, "f4"), "0"), 0, (1 << 16,), (1,))
    assert len(load(write({str(i): shared for i in range(5)}))) == 5
    assert "claim" in refusal(load, write({str(i): shared for i in range(50)}))


@FORMATS
@pytest.mark.parametrize("count", [3, 5, 2**40, 2**62, -1])
def test_wrong_counts(load, write, count):
    refusal(load, write({"w": Tensor(Storage(np.ones(4, "f4"), "0", count=count), 0, (2,), (1,))}))


@FORMATS
def test_inconsistent_storages(load, write):
    two = {"a": tensor(np.ones(4, "f4"), "0"), "b": tensor(np.ones(4, "i4"), "0")}
    assert "two ways" in refusal(load, write(two))
    view = Storage(np.ones(4, "f4"), "0", view=("1", 0, 4))
    assert "is a view" in refusal(load, write({"a": Tensor(view, 0, (4,), (1,))}))


def test_stream_with_wrong_parts(load):
    good = {"a": tensor(np.ones(4, "f4"), "0"), "b": tensor(np.ones(2, "f4"), "1")}
    for keys in (["0"], ["0", "1", "2"], ["0", "0"], ["0", 1], [((),), "1"], 5):
        refusal(load, legacy(good, keys=keys))
    assert "little-endian" in refusal(load, legacy(good, little_endian=False))
    assert "not one that torch.save wrote" in refusal(load, pickle.dumps({"a": 1}, 2))
    assert "protocol 1001" in refusal(load,
                                      pickle.dumps(torch_file.MAGIC, 2) + pickle.dumps(1000, 2))
    content = bytearray(legacy(good))
    content[-16:-8] = (1).to_bytes(8, "little")
    assert "storage '1' has 1 elements, its tensors expect 2" in refusal(load, content)


def test_zip_with_wrong_parts(load):
    good = {"a": tensor(np.ones(400, "f4"), "0")}
    assert "compressed by bzip2" in refusal(load, zipped(good, compression=zipfile.ZIP_BZIP2))
    assert "compressed by lzma" in refusal(load, zipped(good, compression=zipfile.ZIP_LZMA))
    assert "little-endian" in refusal(load, zipped(good, byteorder=b"big"))
    assert "no such entry" in refusal(load, zipped({}, state=pickled(good)[0]))
    large = b"\x80\x02" + b"N0" * torch_file.PICKLE_LIMIT
    assert "more than any weight file needs" in refusal(load, zipped({}, state=large))


def safetensors(**entries):
    """A file of arrays, each given as (dtype, shape, bytes)."""
    head, data = {}, b""
    for name, (dtype, shape, numbers) in entries.items():
        head[name] = {"dtype": dtype, "shape": shape,
                      "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    head = json.dumps(head).encode()
    return len(head).to_bytes(8, "little") + head + data


def test_safetensors(load):
    pytest.importorskip("safetensors")
    w = np.arange(6, dtype="<f4").reshape(2, 3)
    upper = (w.view("<u4") >> 16).astype("<u2")         # these numbers need no more
    read = load(safetensors(w=("F32", [2, 3], w.tobytes()), b=("BF16", [2, 3], upper.tobytes()),
                            n=("I64", [], np.int64(7).tobytes())))
    assert read["w"].dtype == read["b"].dtype == np.float32 and read["n"] == 7
    for name in "wb":
        np.testing.assert_array_equal(read[name], w)
        read[name][0, 0] = 1                            # writable, and its own
    whole = safetensors(w=("F32", [2, 3], w.tobytes()))
    for broken in (whole[:-1], whole[:20], whole + b"x"):
        assert "damaged or cut off (SafetensorError" in refusal(load, broken)
    assert "is of F8_E4M3, which is not read" in refusal(
        load, safetensors(w=("F8_E4M3", [1], b"x"))
    )


def test_safetensors_without_its_library(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    said = refusal(load, safetensors(w=("F32", [1], bytes(4))))
    assert "it is a safetensors file" in said and "pip install safetensors" in said


@pytest.mark.parametrize("first", [ord("{"), ord("<"), 0x80])
def test_a_safetensors_header_of_any_length(load, monkeypatch, first):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    content = first.to_bytes(8, "little") + b"{}" + bytes(20)
    assert "it is a safetensors file" in refusal(load, content)


def test_bfloat16_and_named_parameters_of_pytorch(load):
    torch = pytest.importorskip("torch")
    w = torch.tensor([[1.0, -2.5], [3e30, 1e-30]]).bfloat16()
    for value in {"w": w}, [("w", torch.nn.Parameter(w))]:
        for zipped_ in True, False:
            stream = io.BytesIO()
            torch.save(value, stream, _use_new_zipfile_serialization=zipped_)
            read = load(stream.getvalue())["w"]
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, w.float().numpy())
    stream = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), stream)
    assert "torch.save(model.state_dict(), FILE)" in refusal(load, stream.getvalue())


def test_files_of_other_kinds(load):
    assert "it is empty" in refusal(load, b"")
    for content in (b"\x89PNG\r\n", b"<html>", b"{}", b"P", b"\x93NUMPY", bytes(512)):
        assert "expected a weight file of PyTorch" in refusal(load, content)
    for content, kind in (
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (npy_file(np.ones(2)), "one single array"),
        (b'{"modelTopology": {}}', "not a manifest"), (b"\x1f\x8b\x08\0", "compressed by gzip"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html>", "download it again"),
    ):  # fmt: skip
        assert re.search(f"it is .*{re.escape(kind)}", refusal(load, content))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("letter.txt", "Dear reader")
    assert "'letter.txt'" in refusal(load, stream.getvalue())


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        weights.load(tmp_path / "nothing.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(OSError, match="pipe.pth is a pipe or a device"):
        weights.load(tmp_path / "pipe.pth")


# minidl's own format


def npy_file(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def own(arrays, tmp_path):
    weights.save(tmp_path / "own", arrays)
    return (tmp_path / "own").read_bytes()


def various():
    grid = np.arange(12, dtype="f4").reshape(3, 4)
    return {
        "0.weight": grid, "transposed": grid.T, "strided": grid[:, ::2],
        "fortran": np.asfortranarray(grid),
        "scalar": np.float64(3), "empty": np.zeros((0, 2), "i4"), "big": np.arange(3, dtype=">f8"),
        "flags": grid > 3, "complex": grid * 1j, "names": np.array(["Zoë", "李"]),
        "folder/x": np.int8([1]),
        "file": np.ones(1), "allow_pickle": np.ones(2), "größe": np.float16([1, 2]), "list": [1, 2],
    }  # fmt: skip


def test_save_and_load(tmp_path):
    path = tmp_path / "model.weights"
    weights.save(path, various())
    assert os.listdir(tmp_path) == ["model.weights"]
    arrays = weights.load(path)
    assert list(arrays) == list(various())
    with np.load(path, allow_pickle=False) as by_numpy:
        for name, expected in various().items():
            expected = np.asarray(expected)
            assert arrays[name].shape == expected.shape
            assert arrays[name].dtype == expected.dtype.newbyteorder("=")
            assert arrays[name].flags.c_contiguous and arrays[name].flags.writeable
            assert arrays[name].dtype.isnative
            np.testing.assert_array_equal(arrays[name], expected)
            np.testing.assert_array_equal(by_numpy[name], expected)
    with zipfile.ZipFile(path) as archive:  # no time stamps: the same arrays give the same bytes
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    weights.save(path, {})
    assert weights.load(path) == {}


def test_save_a_module(tmp_path):
    class HostTensor:
        def numpy(self):
            return np.full((2,), 5.0, "f4")

    class Module:
        def state_dict(self):
            return {"w": HostTensor(), "steps": np.int64(3)}

    weights.save(tmp_path / "m", Module())
    arrays = weights.load(tmp_path / "m")
    assert arrays["w"].tolist() == [5, 5] and arrays["steps"] == 3


def test_arrays_of_a_device_are_saved(tmp_path, device):
    x = md.tensor(np.arange(3.0), device=device)
    weights.save(tmp_path / "m", {"array": x.data, "tensor": x})
    read = weights.load(tmp_path / "m")
    assert read["array"].tolist() == read["tensor"].tolist() == [0, 1, 2]


def test_save_refuses_what_it_could_not_load(tmp_path):
    path = tmp_path / "m"
    weights.save(path, {"w": np.ones(2)})
    before = path.read_bytes()
    unnamed, not_numbers = ([1, 2], None, {1: np.ones(1)},
                            {"a\0b": np.ones(1)}), (None, np.array([{}]), [[1], [2, 3]])
    for bad in (*unnamed, *({"w": value} for value in not_numbers)):
        with pytest.raises(TypeError, match="^save: "):
            weights.save(path, bad)
    with pytest.raises(UnicodeEncodeError):
        weights.save(path, {"good": np.ones(3), "\ud800": np.ones(3)})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["m"]


def test_numpy_files_load_if_they_are_plain(load):
    arrays = load(npz({"w": np.ones((2, 3))}))
    assert arrays["w"].shape == (2, 3)
    stream = io.BytesIO()
    np.savez_compressed(stream, w=np.arange(12.0), v=np.zeros(10**6))
    arrays = load(stream.getvalue())
    assert arrays["w"].tolist() == list(range(12)) and not arrays["v"].any()
    stream = io.BytesIO()
    np.savez_compressed(stream, w=np.zeros(10**7))
    assert "its entries claim 80000128 bytes, the file has 7" in refusal(load, stream.getvalue())
    assert "expected numbers or text" in refusal(
        load, npz({"w": np.array([Evil(os.system, "ls")], object)})
    )
    assert "expected numbers or text" in refusal(load,
                                                 npz({"w": np.zeros(2, [("a", "f4"), ("b", "O")])}))


def npy(header):
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no npy",
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}\n") + bytes(16),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}\n") + bytes(16),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -2)}\n") + bytes(16),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1180591620717411303424)}\n"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (0, -1)}\n"),
        npy(b"{'descr': '<U0', 'fortran_order': False, 'shape': (1048576,)}\n"),      # 4 MB, copied
        npy(b"{'descr': '(2,2)<f4', 'fortran_order': False, 'shape': (1,)}\n") + bytes(16),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n")
        + call(os.system, "exit", 2),
        npy(b"{'descr': __import__('os').system('exit'), 'fortran_order': False, 'shape': (1,)}\n")
        + bytes(16),
        npy(b"-" * 9000 + b"1"),
        npy(b"(" * 9000),
        npy(b"[" * 40000),
        b"\x93NUMPY\x02\x00" + (50).to_bytes(4, "little") + b"{}",
    ],
)
def test_wrong_npy_members(load, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("w.npy", content)
    refusal(load, stream.getvalue())


def test_two_entries_of_one_name(load):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("w.npy", npy_file(np.ones(2)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("w.npy", npy_file(np.zeros(2)))
    assert "two of its entries have one name" in refusal(load, stream.getvalue())


def test_an_entry_that_unpacks_to_more_than_it_says(load):
    stream = io.BytesIO()
    np.savez_compressed(stream, w=np.zeros(10**6))
    content = bytearray(stream.getvalue())
    central = content.index(b"PK\x01\x02")
    content[central + 24 : central + 28] = (8128).to_bytes(4, "little")
    tracemalloc.start()
    try:
        assert "Bad CRC-32" in refusal(load, bytes(content))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20  # not the 8 MB that are in it
    finally:
        tracemalloc.stop()


def test_entries_that_claim_more_than_the_file_has(load):
    content = bytearray(npz({"w": np.ones(3)}))
    central = content.index(b"PK\x01\x02")
    for at in (20, 24):  # compressed and uncompressed size in the central directory
        content[central + at : central + at + 4] = (2**31).to_bytes(4, "little")
    assert "claim" in refusal(load, bytes(content))


# Damage


@pytest.fixture(params=["legacy", "zip", "own"])
def good_file(request, tmp_path):
    value = {"a": tensor(np.arange(6, dtype="f4"), "0"), "b": tensor(np.arange(3, dtype="u1"), "1")}
    if request.param == "own":
        return own({"a": np.arange(6, dtype="f4"), "b": np.arange(3)}, tmp_path)
    return legacy(value) if request.param == "legacy" else zipped(value)


def test_cut_off_anywhere(load, good_file):
    assert len(load(good_file)) == 2
    for cut in range(len(good_file)):
        refusal(load, good_file[:cut])


def test_flipped_bytes(load, good_file):
    generator, refused = np.random.default_rng(0), 0
    for _ in range(400):
        content = np.frombuffer(good_file, "u1").copy()
        where = generator.integers(len(content), size=generator.integers(1, 4))
        content[where] ^= generator.integers(1, 256, size=where.size, dtype="u1")
        try:
            arrays = load(content.tobytes())
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
        except WeightsError:
            refused += 1
    assert refused > 100


def test_names_of_weights():
    with pytest.raises(ValueError, match="no weights named 'vgg18'; known: .*vgg19"):
        weights.fetch("vgg18")


# The real file, where it has been fetched before


def test_vgg19_file():
    path = files.cache_folder() / weights.FILES["vgg19"]["name"]
    if not path.exists():
        pytest.skip("vgg19 has not been fetched")
    arrays = weights.load(path)
    assert len(arrays) == 48
    blocks, channels, total = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), 3, 0
    for block, (depth, width) in enumerate(blocks, 1):
        for layer in range(1, depth + 1):
            indices, table, bias = (arrays[f"block{block}_conv{layer}_{part}"]
                                    for part in ("W_q", "W_table", "b"))
            assert indices.shape == (width, channels, 3, 3) and indices.dtype == "u1"
            assert table.shape == (256,) and table.dtype == "f4" and np.isfinite(table).all()
            assert bias.shape == (width,) and bias.dtype == "f4" and bias.any()
            assert table[indices].shape == indices.shape
            channels, total = width, total + indices.size + bias.size
    assert total == 20_024_384
