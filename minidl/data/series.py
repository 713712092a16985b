"""Labelled time series: files of the `.ts` form, and the spoken vowels that packages hold in it.

    # a comment
    @problemName JapaneseVowels         a header: lines of @key value, in any order
    @timestamps false
    @classLabel true 1 2 3
    @data
    1.6,1.5,1.7:0.0,0.1,0.2:3           an example a line: its channels, apart by ":", each a list
    …                                   of numbers, apart by ","; and last its class

Source: Bagnall et al., The UEA & UCR time series classification repository.
"""
import os
from typing import NamedTuple

import numpy as np

from .. import files, packages

LARGEST = 1 << 28               # bytes of a file that is read


class Series(NamedTuple):
    """values float32 (N, T, C); labels int64 (N,), numbers of the names; names: of the classes."""
    values: np.ndarray
    labels: np.ndarray
    names: list


def read_ts(path: str | os.PathLike) -> Series:
    """The Series in a `.ts` file whose examples have one length, all numbers given, and a class.

    Raises ValueError, naming file and line, for anything else: timestamps, targets that are no
    classes, missing values, examples of two lengths or numbers of channels, a cut-off line, a file
    of more than 256 MB.  OSError where it cannot be opened.
    """
    path = files.as_path("read_ts", "path", path)
    with files.open_file(path) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path}: is larger than {LARGEST >> 20} MB")
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text; expected a .ts file") from None
    names, start = _header(path, lines)
    values: list[list] = []
    labels = []
    for number, line in enumerate(lines[start:], start + 1):
        if line.strip() and not line.startswith("#"):
            *channels, label = line.strip().split(":")
            if label not in names:
                known = repr(", ".join(names))[1:-1][:100]
                raise ValueError(f"{path}, line {number}: ends in {label[:30]!r}, expected one of "
                                 f"the classes {known}; is it cut off?")
            values.append(_example(path, number, channels, values))
            labels.append(names.index(label))
    if not values:
        raise ValueError(f"{path}: holds no examples after @data")
    return Series(np.stack(values), np.array(labels), names)


def _header(path, lines):
    """(names of the classes, number of the first line behind @data)."""
    names = None
    for number, line in enumerate(lines, 1):
        key, *words = line.split() or [""]
        if key.lower() == "@data":
            if not names:
                raise ValueError(f"{path}: has no classes; expected a line @classLabel true, and "
                                 "their names")
            return names, number
        if key.lower() == "@classlabel" and words[:1] == ["true"]:
            names = words[1:]
        if key.lower() in ("@timestamps", "@timestamp") and words[:1] == ["true"]:
            raise ValueError(f"{path}: has timestamps; expected values at equal distances")
        if key and key[0] not in "@#":
            break
    raise ValueError(f"{path}: has no line @data behind a header; expected a .ts file")


def _example(path, number, channels, before):
    """float32 (T, C) of the texts of its channels, as long as the one before."""
    if not channels:
        raise ValueError(f"{path}, line {number}: has a class and no values")
    try:
        with np.errstate(over="ignore"):                # of 1e60, which is refused below
            rows = [np.array(channel.split(","), np.float32) for channel in channels]
    except ValueError:
        raise ValueError(f"{path}, line {number}: has something other than numbers in it, or a "
                         "value is missing") from None
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(f"{path}, line {number}: its channels have {lengths[0]} to {lengths[-1]} "
                         "values, expected one length")
    example = np.stack(rows, axis=1)
    if not np.isfinite(example).all():
        raise ValueError(f"{path}, line {number}: has values that are not finite")
    if before and before[0].shape != example.shape:
        expected, got = (f"{t} values of {c} channels" for t, c in (before[0].shape, example.shape))
        raise ValueError(f"{path}, line {number}: is a series of {got}, expected {expected}, as "
                         "the first one has")
    return example


def japanese_vowels() -> tuple[Series, Series]:
    """(train, test): 270 + 370 Series of nine men who say the two vowels /ae/, and who of them.

    values (N, 25, 12): twelve cepstral coefficients of each of 25 moments, which 7 to 29 moments
    were resampled to; the split is its authors'.  pip fetches the package aeon (BSD licence, 6.4
    MB) the first time; nothing of it is installed.
    Raises packages.FetchError, an OSError, when it cannot be had.
    Source: Kudo, Toyama and Shimbo 1999; the UCI Machine Learning Repository.
    """
    names = [f"JapaneseVowels_eq_{part}.ts" for part in ("TRAIN", "TEST")]
    facts = [("8958279c6296b97c8e34038346407935222db171492b84dffa3b930d087bc2d6", 768_798),
             ("bb83bb1aa6bfb17faae269f6829b7cac71de36fdd3264ee34137fe90270d5895", 1_053_833)]
    first, second = ((name, f"aeon/datasets/data/JapaneseVowels/{name}", *fact)
                     for name, fact in zip(names, facts))
    name, member, sha256, size = first
    path = packages.fetch(
        name, "aeon==1.6.0", member, sha256, size, beside=[second], archive_size=6_421_000,
        archive_sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
        hint="other series in .ts files can be read with --train and --test")
    train, test = (read_ts(path.with_name(each)) for each in names)
    return train, test
