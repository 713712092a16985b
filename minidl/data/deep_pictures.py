"""Pictures of 16 bits a colour, which Pillow cannot write: PNG and TIFF.

A picture here is (H, W, 3) or (H, W), uint16.
Source: PNG specification (W3C, third edition); TIFF 6.0 (Adobe 1992).
"""
import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2                    # PNG's colour types
BLACK_IS_ZERO, RGB_PIXELS = 1, 2    # TIFF's photometric interpretations
SHORT, LONG = 3, 4                  # TIFF's types of numbers


def deepened(picture):
    """uint8, or floating-point in 0..255, as uint16: white is 65535 = 257 · 255."""
    if picture.dtype == np.uint8:
        return picture * np.uint16(257)
    return np.rint(np.asarray(picture, "float64").clip(0, 255) * 257).astype(np.uint16)


def encode_png(picture, texts=()):
    """The bytes of a PNG; texts: (key, value) pairs to be kept in it, Latin-1 or not."""
    height, width = picture.shape[:2]
    kind = RGB if picture.ndim == 3 else GREY
    rows = picture.astype(">u2").reshape(height, -1).view(np.uint8)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    up = np.full((height, 1), 2, np.uint8)  # filter 2: what is kept is the difference from above
    filtered = np.concatenate([up, rows - above], axis=1)
    return b"".join([
        SIGNATURE, _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        *(_text(key, value) for key, value in texts),
        _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)), _chunk(b"IEND", b"")])


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _text(key, value):
    """A text, in Latin-1 where it can be, and else in UTF-8."""
    try:
        return _chunk(b"tEXt", key.encode() + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + value.encode())


def encode_tiff(picture):
    """The bytes of a TIFF: little-endian, one strip, not compressed."""
    height, width = picture.shape[:2]
    colours = 1 if picture.ndim == 2 else 3
    pixels = picture.astype("<u2").tobytes()
    start = 8
    bits = start + len(pixels)                  # where the three numbers of bits stand
    def field(kind, count, value):
        """A value in 4 bytes: itself, or where it stands."""
        short = (kind, count) == (SHORT, 1)
        return struct.pack("<HH", value, 0) if short else struct.pack("<I", value)

    tags = [(256, LONG, 1, width), (257, LONG, 1, height),
            (258, SHORT, colours, 16 if colours == 1 else bits), (259, SHORT, 1, 1),
            (262, SHORT, 1, RGB_PIXELS if colours == 3 else BLACK_IS_ZERO), (273, LONG, 1, start),
            (277, SHORT, 1, colours), (278, LONG, 1, height), (279, LONG, 1, len(pixels))]
    table = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHI", tag, kind, count) + field(kind, count, value)
        for tag, kind, count, value in tags) + struct.pack("<I", 0)
    header = struct.pack("<2sHI", b"II", 42, bits + 6)
    return header + pixels + struct.pack("<HHH", 16, 16, 16) + table
