"""Damaged, absurd and foreign files give one clear error."""
import struct
import time
import warnings
import zlib

import numpy as np
from picture_files import check_picture, refused, smooth
from PIL import Image
import pytest

from minidl.data import load_image, read_metadata


def encoded(tmp_path, extension, **options):
    path = tmp_path / f"whole.{extension}"
    Image.fromarray(smooth()).save(path, **options)
    return path.read_bytes()


def cut_points(length):
    return sorted({*range(1, 40), *range(40, length - 40, max(1, length // 60)), *range(length - 40, length)})


@pytest.mark.parametrize("extension, options", [("png", {}), ("jpg", {}), ("jpg", {"progressive": True}), ("webp", {}),
                                                ("tiff", {})])
def test_truncated_at_many_points(tmp_path, extension, options):
    exif = Image.Exif()
    exif[0x0112] = 1
    whole = encoded(tmp_path, extension, exif=exif, **options)
    path = tmp_path / f"cut.{extension}"
    path.write_bytes(whole)
    load_image(path)
    for length in cut_points(len(whole)):
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("extension", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm"])
def test_random_damage_raises_nothing_but_value_errors(tmp_path, extension):
    whole = np.frombuffer(encoded(tmp_path, extension), np.uint8)
    rng = np.random.default_rng(0)
    path = tmp_path / f"damaged.{extension}"
    failures = 0
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 8)] = rng.integers(0, 256, 8)
        damaged[rng.integers(0, 30, 1)] = rng.integers(0, 256, 1)
        path.write_bytes(damaged.tobytes())
        try:
            check_picture(picture := load_image(path), picture.shape)
        except ValueError as error:
            failures += 1
            assert str(path) in str(error)
    assert failures > 0


def test_a_wrong_checksum_is_noticed(tmp_path):
    whole = bytearray(encoded(tmp_path, "png"))
    whole[whole.index(b"IDAT") + 20] ^= 1
    (tmp_path / "flipped.png").write_bytes(whole)
    refused(tmp_path / "flipped.png")


def test_empty_file(tmp_path):
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty")
    refused(tmp_path / "empty.png", "empty", read=read_metadata)


def test_not_a_picture(tmp_path):
    (tmp_path / "text.png").write_text("not a picture\n" * 30)
    refused(tmp_path / "text.png", "none of PNG, JPEG")


def test_formats_that_would_start_another_program_are_not_opened(tmp_path):
    (tmp_path / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    refused(tmp_path / "script.png", "none of PNG, JPEG")


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


@pytest.mark.parametrize("width, height, reason", [(100_000, 100_000, "pixels"), (12_000, 10_000, "12000 x 10000"),
                                                   (8001, 8000, "max_pixels = 64,000,000"), (0, 5, "no pixels"),
                                                   (5, 0, "no pixels")])
def test_absurd_sizes_are_refused_from_the_header(tmp_path, monkeypatch, width, height, reason):
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    limit = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "large.png"
    path.write_bytes(png_header(width, height))
    filters = list(warnings.filters)
    start = time.perf_counter()
    refused(path, reason)
    refused(path, reason, read=read_metadata)
    assert time.perf_counter() - start < 1
    assert limit == Image.MAX_IMAGE_PIXELS and filters == list(warnings.filters)


def test_max_pixels(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(smooth()).save(path)
    with pytest.raises(ValueError, match="30 x 20 pixels.*max_pixels = 599"):
        load_image(path, max_pixels=599)
    assert load_image(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(ValueError, match="40 x 60 pixels.*max_pixels = 600"):
        load_image(path, size=60, max_pixels=600)


def test_a_missing_file_or_a_folder_is_an_os_error(tmp_path):
    for read in (load_image, read_metadata):
        with pytest.raises(FileNotFoundError, match="missing.png"):
            read(tmp_path / "missing.png")
        with pytest.raises(OSError, match="folder.png") as caught:
            (tmp_path / "folder.png").mkdir(exist_ok=True)
            read(tmp_path / "folder.png")
        assert "\n" not in str(caught.value)


def test_a_user_error_leaves_the_block_as_it_is_said(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "picture.png")
    for size, kind in [(0, ValueError), (-4, ValueError), (2.5, TypeError), ("64", TypeError), (True, TypeError),
                       ((4, 5, 6), TypeError), ((4, 0), ValueError)]:
        with pytest.raises(kind, match="^resize: size must"):
            load_image(tmp_path / "picture.png", size=size)
