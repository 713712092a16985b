"""Recorded electrocardiograms: pieces that packages hold, a user's own, and the beats in them."""
import os
from typing import NamedTuple

import numpy as np

from .. import files, packages
from ..operands import number
from ..settings import bounded, numbers, of_kind
from ..weights import WeightsError, load
from .drawn_beats import HERTZ, LENGTH

SLOWEST, FASTEST = 25, 220      # beats a minute, outside of which the sampling rate is not believed
LEAST_HERTZ = 50                # below it the QRS complex is one moment
LARGEST = 1 << 26               # bytes of a text that is read

# name: the arguments of packages.fetch, and moments a second
PIECES = {
    # 21 s of the MIT-BIH arrhythmia database, one beat of it marked (package: BSD)
    "mitdb.csv": (dict(
        requirement="sktime==1.2.0", member="sktime/datasets/data/mitdb/mitdb.csv", size=63_099,
        sha256="d4f2539a5e85e1ac1e7f8bba152b5e60a02356282463a8a1c97848ad3e1bb386",
        archive_size=8_201_107,
        archive_sha256="dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae"), 360),
    # 1,024 moments (package: MIT); no archive's SHA-256, as each platform has its own wheel
    "ecg.npz": (dict(
        requirement="pywavelets==1.9.0", member="pywt/data/ecg.npz", size=4_358,
        sha256="ea720476139341eabecf3e44cc602cd75576aff1e4156b1c069f7b33e86a9e6b"), 360),
}


class Recording(NamedTuple):
    """name; values float64 (T,), in whatever unit; hertz: moments a second."""
    name: str
    values: np.ndarray
    hertz: float


def recorded_ecgs() -> list[Recording]:
    """Two pieces of real electrocardiograms, as Recordings: 21 s of the MIT-BIH arrhythmia
    database (from sktime), and 3 s (from PyWavelets, whose rate, 360 a second, is not stated there
    but taken for the same database's).

    pip fetches the packages the first time, 8.2 and some 4.5 MB.  Raises packages.FetchError.
    """
    return [read_ecg(packages.fetch(name, **where, hint="an electrocardiogram of your own: --ecg "
                                    "FILE --hertz RATE"), hertz)
            for name, (where, hertz) in PIECES.items()]


def read_ecg(path: str | os.PathLike, hertz: float) -> Recording:
    """The Recording in a file: text (a number a line; of several in a line the first; one line of
    headings may come first) or .npz with one array of one axis.

    Raises ValueError, naming the file, where it is damaged, empty or of another kind, and for a
    rate below 50.
    """
    path, hertz = files.as_path("read_ecg", "path", path), number("read_ecg", "hertz", hertz)
    if not LEAST_HERTZ <= hertz < float("inf"):
        raise ValueError(f"{path}: expected {LEAST_HERTZ} moments a second or more, got {hertz:g}; "
                         "a heartbeat's waves are too short for fewer")
    with files.open_file(path) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path}: is larger than {LARGEST >> 20} MB")
    values = _array(path) if content[:2] == b"PK" else _column(path, content)
    if not values.size:
        raise ValueError(f"{path}: holds no numbers")
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(f"{path}: expected one channel of finite numbers, got {values.dtype} "
                         f"{values.shape}")
    return Recording(path.name, values.astype(float), float(hertz))


def _array(path):
    try:
        arrays = load(path)
    except WeightsError as error:
        raise ValueError(str(error)) from None
    if len(arrays) != 1:
        raise ValueError(f"{path}: expected one array, it has {len(arrays)}")
    array, = arrays.values()
    return array


def _column(path, content):
    try:
        lines = content.decode("ascii").split("\n")
        cells = [line.replace(",", " ").split() for line in lines]
        cells = [line[0] for line in cells if line]
        if cells and not _is_number(cells[0]):
            del cells[0]
        return np.array(cells, float)
    except ValueError:
        raise ValueError(f"{path}: is no electrocardiogram: expected a number in each line, or "
                         ".npz with one array") from None


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def find_beats(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """(values (N, 250, 1), seconds (N,)): its beats as `drawn_beats` draws them, two seconds of 125
    moments each, R in the middle; and when they are.  Beats nearer to an end than a second are left
    out.

    A beat is where the signal is steep: its squared slope, smoothed over a tenth of a second, has a
    peak of at least a third of its 0.99 quantile.  R is what is furthest from the baseline there.
    Raises ValueError where there are none, or so few or many a minute as no heart has, as where
    `hertz` is not the recording's.
    """
    from scipy.ndimage import median_filter, uniform_filter1d
    from scipy.signal import find_peaks
    name, values, hertz = of_kind("find_beats", "recording", recording, "a Recording", Recording)
    values = numbers("find_beats", "values", values, "(T,)", finite=True)
    hertz = bounded("find_beats", f"{LEAST_HERTZ} ≤ hertz < inf", hertz)
    seconds = (len(values) - 1) / hertz
    if seconds < LENGTH / HERTZ:
        raise ValueError(f"{name}: is {seconds:.1f} seconds long at {hertz:g} moments a second, "
                         f"expected more than {LENGTH / HERTZ:g}")
    values = np.interp(np.arange(0, seconds, 1 / HERTZ), np.arange(len(values)) / hertz, values)
    level = values - median_filter(values, int(0.6 * HERTZ) | 1)
    slope = uniform_filter1d(np.square(np.gradient(level)), int(0.1 * HERTZ))
    peaks, _ = find_peaks(slope, height=np.quantile(slope, 0.99) / 3, distance=int(0.2 * HERTZ))
    reach = int(0.08 * HERTZ)
    places = [max(0, p - reach) + np.abs(level[max(0, p - reach):p + reach]).argmax()
              for p in peaks]
    rate = 60 * len(places) / seconds
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(f"{name}: has {rate:.0f} beats a minute at {hertz:g} moments a second; is "
                         "it an electrocardiogram, and that its rate?")
    half = LENGTH // 2
    places = np.array([p for p in places if half <= p <= len(values) - half], int)
    if not len(places):
        raise ValueError(f"{name}: has no beat with a second before and after it")
    return np.stack([values[p - half:p + half] for p in places])[..., None].astype(
        np.float32), places / HERTZ


def levelled(beats: np.ndarray) -> np.ndarray:
    """Each beat (N, 250, 1) from its own median, in its own standard deviations: neither the unit
    nor the gain of a recording counts."""
    beats = numbers("levelled", "beats", beats, "(N, T, C)", None)
    beats = beats - np.median(beats, axis=1, keepdims=True)
    deviation = beats.std(axis=1, keepdims=True)
    return beats / np.where(deviation > 0, deviation, 1)
