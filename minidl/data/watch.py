"""Exercises on a watch: acceleration and rotation of a wrist, of people who do shoulder exercises.

The file is a pickle, a program for a small stack machine.  `weights/pickled.py` follows it by hand:
each of the three functions that it may call is one of ours, which notes its arguments.  What was
noted becomes arrays of numbers, no larger than the file.
"""
from collections.abc import Sequence
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from .. import files, packages
from ..operands import check_sizes, listed
from ..settings import numbers, of_kind

EXERCISES = {"PEN": "pendulum", "ABD": "abduction", "FEL": "forward elevation",
             "IR": "internal rotation", "ER": "external rotation", "TRAP": "trapezius extension",
             "ROW": "upright row"}
CHANNELS = [f"{what} {axis}" for what in ("acceleration", "rotation") for axis in "xyz"]
MIRRORED = np.array([-1, 1, 1, 1, -1, -1], np.float32)
HERTZ = 50
NUMBERS = ("f8", "f4", "i8", "i4")
CALLED = ("numpy.core.multiarray._reconstruct", "numpy.dtype", "_codecs.encode")
LARGEST = 1 << 25               # bytes of a file that is read


class Exercises(NamedTuple):
    """recordings: arrays float32 (T, 6), 50 moments a second, of one exercise of one arm each;
    labels int64 (N,), numbers of the names; people: (N,) whose; left: (N,) whether of a left arm.
    """
    recordings: list
    labels: np.ndarray
    names: list
    people: np.ndarray
    left: np.ndarray


def watch_exercises(mirrored: bool = True) -> Exercises:
    """140 Exercises of ten people: seven exercises with each arm, some twenty times over.

    A left arm is a right arm's mirror image.  mirrored: its x axis, along the forearm, is turned
    over, so that both look alike: of the acceleration, a vector, x changes its sign; of the
    rotation, an axial vector, y and z do.
    pip fetches the package seglearn (BSD licence, 11.3 MB) the first time; nothing of it is
    installed or run.  Raises packages.FetchError, an OSError, when it cannot be had.
    Source: Burns, Leung, Hardisty, Whyne, Henry and McLachlin 2018 (1802.01489).
    """
    of_kind("watch_exercises", "mirrored", mirrored, "True or False", bool)
    path = packages.fetch(
        "watch_dataset.npy", "seglearn==1.2.5", "seglearn/data/watch_dataset.npy",
        sha256="eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
        size=18_118_091, archive_size=11_320_941,
        archive_sha256="ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd",
        hint="the commands vowels and beats need other packages")
    return _exercises(_read_pickled(path), mirrored)


def _exercises(found, mirrored):
    left = found["side"] == 0
    recordings = [each.astype(np.float32) * (MIRRORED if mirrored and other else 1)
                  for each, other in zip(found["X"], left)]
    return Exercises(recordings, found["y"].astype(np.int64),
                     [EXERCISES[name] for name in found["y_labels"]],
                     found["subject"].astype(np.int64), left)


def windows(recordings: Sequence[np.ndarray], size: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """(x (N, size, C), which (N,)): pieces of recordings (T, C), `hop` moments apart, and of which
    recording each is.  Raises ValueError where all recordings are shorter, or their channels
    differ in number."""
    check_sizes("windows", size=size, hop=hop)
    recordings = [numbers("windows", "a recording", each, "(T, C)", None)
                  for each in listed("windows", "recordings", recordings, "arrays (T, C)")]
    pieces = [np.lib.stride_tricks.sliding_window_view(each, size, 0)[::hop].swapaxes(1, 2)
              for each in recordings if len(each) >= size]
    if not pieces:
        raise ValueError(f"windows: no recording has {size} moments")
    channels = {each.shape[2] for each in pieces}
    if len(channels) > 1:
        raise ValueError(f"windows: recordings must have one number of channels, got "
                         f"{sorted(channels)}")
    long = [i for i, each in enumerate(recordings) if len(each) >= size]
    return np.concatenate(pieces), np.repeat(long, [len(each) for each in pieces])


# ---- the pickle ---------------------------------------------------------------------------------

def _read_pickled(path):
    """What NumPy has pickled into a .npy file: of dictionaries, lists, texts, numbers and arrays.

    Raises ValueError, naming the file, where it is cut off, damaged, or asks for anything else.
    """
    from ..weights import pickled
    path = Path(path)
    with files.open_file(path) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path}: is larger than {LARGEST >> 20} MB")
    content = io.BytesIO(data)
    try:
        if npy.read_magic(content) != (1, 0):
            raise ValueError("it is of another version")
        _, _, dtype = npy.read_array_header_1_0(content)
        if dtype.kind != "O":
            raise ValueError(f"expected a pickled object, it holds {dtype}")
        return _plain(pickled.read(content, {}, _known, _build), len(data))
    except Exception as error:  # a damaged pickle has its own kinds
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: cut off, damaged or no such file ({type(error).__name__}: "
                         f"{text})") from None


class _Noted:
    """A call in the file: its arguments, and the state that the result was given later."""

    def __init__(self, arguments):
        self.arguments, self.state = arguments, None


def _note(*arguments):
    return _Noted(arguments)


def _known(name):
    """What stands for a function of NumPy's or Python's."""
    if name in CALLED:
        return _note
    if name != "numpy.ndarray":         # an argument of _reconstruct
        raise ValueError(f"asks for {name[:80]}: refused")
    return None


def _build(noted, state):
    if not isinstance(noted, _Noted):
        raise ValueError(f"gives a state to a {type(noted).__name__}: refused")
    noted.state = state


def _plain(value, room):
    """The value with arrays in the place of what was noted; an array of one object is the object.

    room: of how many bytes and entries it may be.  A file that names one array, or list, again and
    again would otherwise unpack to more than any memory holds.
    """
    def take(size):
        nonlocal room
        room -= size
        if room < 0:
            raise ValueError("it unpacks to more than its own size")

    def plain(value):
        take(1)
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [plain(entry) for entry in value]
        return array(*value.state) if isinstance(value, _Noted) else value

    def array(_, shape, dtype, fortran, content):
        kind, order = dtype.arguments[0], dtype.state[1]
        if kind == "O8" and isinstance(content, list):
            return plain(content[0] if len(content) == 1 else content)
        if kind not in NUMBERS or order != "<":
            raise ValueError("it has an array of other than plain numbers")
        text = content.arguments[0]
        take(len(text))
        return np.frombuffer(text.encode("latin-1"), f"<{kind}").reshape(
            shape, order="F" if fortran else "C")

    return plain(value)
