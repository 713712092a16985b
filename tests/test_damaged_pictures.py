"""Damaged, absurd and foreign files give one clear error."""
import io
import os
import struct
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
    return sorted({*range(1, 40), *range(40, length - 40, max(1, length // 60)),
                   *range(length - 40, length)})


@pytest.mark.parametrize("extension, options",
                         [("png", {}), ("jpg", {}), ("jpg", {"progressive": True}), ("webp", {}),
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
    (tmp_path / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 "
                                          b"9\n%%EndComments\nshowpage\n")
    refused(tmp_path / "script.png", "none of PNG, JPEG")


def png_header(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


@pytest.mark.parametrize("width, height, reason",
                         [(100_000, 100_000, "pixels"), (12_000, 10_000, "12000 x 10000"),
                                                   (8001, 8000, "max_pixels = 64,000,000"),
                          (0, 5, "no pixels"),
                                                   (5, 0, "no pixels")])
def test_absurd_sizes_are_refused_from_the_header(tmp_path, monkeypatch, width, height, reason):
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    limit = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "large.png"
    path.write_bytes(png_header(width, height))
    filters = list(warnings.filters)
    refused(path, reason)
    refused(path, reason, read=read_metadata)
    assert limit == Image.MAX_IMAGE_PIXELS and filters == list(warnings.filters)


def jpeg_with_scans(more, between=b""):
    """A progressive JPEG of ten scans or so, whose last one comes `more` times again."""
    stream = io.BytesIO()
    Image.fromarray(smooth()).save(stream, "JPEG", progressive=True)
    whole = stream.getvalue()
    last = whole.rfind(b"\xff\xda")
    last = max(whole.rfind(b"\xff\xc4", 0, last), whole.rfind(b"\xff\xda", 0, last))
    return whole[:-2] + between + whole[last:-2] * more + b"\xff\xd9"


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    path, false_end = tmp_path / "scans.jpg", b"\xff\xfe\x00\x04\xff\xd9"      # a comment
    path.write_bytes(jpeg_with_scans(0) + b"\xff\xda\x00\x02" * 1000)  # behind the end: a film, say
    assert load_image(path).shape == (20, 30, 3) and load_image(path, max_pixels=600).shape == (
        20,
        30,
        3,
    )
    for between in b"", false_end, b"\xff\xff":
        path.write_bytes(jpeg_with_scans(120, between))
        refused(path, "its 600 pixels come in more than 100 scans")
        path.write_bytes(jpeg_with_scans(30, between))
        refused(
            path,
            "its 600 pixels come in 4",
            "scans",
            read=lambda path: load_image(path, max_pixels=600),
        )


def test_a_jpeg_of_endless_scans_inside_a_tiff_is_refused(tmp_path):
    many, endless = "its 600 pixels come in 4", "its 600 pixels come in more than 100 scans"
    for more, words in (0, None), (30, many), (120, endless):
        data = jpeg_with_scans(more)
        tags = [
            (256, 3, 1, 30),
            (257, 3, 1, 20),
            (258, 3, 1, 8),
            (259, 3, 1, 7),
            (262, 3, 1, 6),
            (273, 4, 1, 122),
            (277, 3, 1, 3),
            (278, 3, 1, 20),
            (279, 4, 1, len(data)),
        ]
        (tmp_path / "scans.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(
            struct.pack("<HHII", *tag) for tag in tags) + bytes(4) + data)
        if words is None:
            assert load_image(tmp_path / "scans.tif", max_pixels=600).shape == (20, 30, 3)
        else:
            refused(
                tmp_path / "scans.tif", words, read=lambda path: load_image(path, max_pixels=600)
            )


def test_a_ppm_of_endless_comments_is_refused(tmp_path):
    for comments in 1000, 1001:
        (tmp_path / "plain.pgm").write_bytes(b"P2 2 1 255 7 8\n" + b"#\n" * comments)
        if comments == 1000:
            assert load_image(tmp_path / "plain.pgm")[0, :, 0].tolist() == [7, 8]
    refused(tmp_path / "plain.pgm", "it has more than 1,000 comments")


def test_a_png_of_endless_chunks_is_refused(tmp_path):
    whole = encoded(tmp_path, "png")
    for name in b"tEXt", b"aaAa":
        empty = struct.pack(">I", 0) + name + struct.pack(">I", zlib.crc32(name))
        (tmp_path / "chunks.png").write_bytes(whole[:33] + empty * 20_000 + whole[33:])
        for read in load_image, read_metadata:
            refused(tmp_path / "chunks.png", "it consists of more than 10,", read=read)


def little_tiff(*tags):
    """A grey TIFF of 16 x 16 pixels; tags: (tag, its kind, how many values, value or place)."""
    tags = sorted(
        [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1), *tags]
    )
    return (b"II*\0" + struct.pack("<IH", 8, len(tags))
            + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4 + 256))


@pytest.mark.parametrize(
    "tags, words",
    [
        (
            [(259, 3, 1, 1), (322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 1, 130), (325, 4, 1, 256)],
            None,
        ),
        (
            [
                (259, 3, 1, 8),
                (322, 4, 1, 20_000),
                (323, 4, 1, 20_000),
                (324, 4, 1, 150),
                (325, 4, 1, 256),
            ],
            "its tiles have 20000 x 20000 pixels, the picture has 256",
        ),
        (
            [
                (259, 3, 1, 1),
                (322, 4, 1, 1),
                (323, 4, 1, 1),
                (324, 4, 10**6, 8),
                (325, 4, 10**6, 8),
            ],
            "1,000,000 strips or tiles",
        ),
        ([(259, 3, 1, 1), (273, 4, 10**6, 8), (279, 4, 10**6, 8)], "1,000,000 strips or tiles"),
    ],
)
def test_a_tiff_of_endless_or_huge_tiles_is_refused(tmp_path, tags, words):
    (tmp_path / "tiles.tif").write_bytes(little_tiff(*tags))
    if words is None:
        assert load_image(tmp_path / "tiles.tif").shape == (16, 16, 3)
    else:
        refused(tmp_path / "tiles.tif", words)


@pytest.mark.parametrize("rows, height, words", [
    (16, 16, None), (16, 17, "256 of its 272 pixels"), (16, 10**6, "256 of its 16,000,000 pixels"),
    (7, 16, "112 of its 256")])
def test_a_tiff_that_lacks_strips_is_refused(tmp_path, rows, height, words):
    content = little_tiff((259, 3, 1, 1), (273, 4, 1, 122), (278, 4, 1, rows),
                          (279, 4, 1, 16 * rows))
    as_it_is, as_said = struct.pack("<HHII", 257, 3, 1, 16), struct.pack("<HHII", 257, 4, 1, height)
    (tmp_path / "strips.tif").write_bytes(content.replace(as_it_is, as_said))
    if words is None:
        assert load_image(tmp_path / "strips.tif").shape == (16, 16, 3)
    else:
        refused(tmp_path / "strips.tif", "its strips or tiles hold", words)


def test_a_tiff_of_one_colour_at_a_time(tmp_path):
    planes = np.arange(3 * 256, dtype=np.uint16).astype("u1").reshape(3, 16, 16)
    for count, shape in (3, (16, 16, 3)), (2, None):
        tags = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 3, 158), (259, 3, 1, 1), (262, 3, 1, 2),
                (273, 4, count, 164), (277, 3, 1, 3), (278, 3, 1, 16), (279, 4, count, 176),
                (284, 3, 1, 2)]
        head = b"II*\0" + struct.pack("<IH", 8, 10)
        head += b"".join(struct.pack("<HHII", *tag) for tag in tags)
        head = head.ljust(158, b"\0")
        head += struct.pack("<3H3I3I", 8, 8, 8, 188, 444, 700, 256, 256, 256)
        (tmp_path / "planes.tif").write_bytes(head + planes.tobytes())
        if shape:
            assert (load_image(tmp_path / "planes.tif") == planes.transpose(1, 2, 0)).all()
        else:
            refused(tmp_path / "planes.tif", "170 of its 256 pixels")


def test_a_bmp_of_short_rows_is_refused(tmp_path):
    def bmp(width, height):
        rows = b"\1\0\0\0" * height + b"\0\1"                     # one pixel and the end of the row
        start = 14 + 40 + 1024
        return (
            b"BM"
            + struct.pack("<IHHI", start + len(rows), 0, 0, start)
            + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
            + bytes(1024)
            + rows
        )
    (tmp_path / "rows.bmp").write_bytes(bmp(20, 30))
    assert load_image(tmp_path / "rows.bmp").shape == (30, 20, 3)
    (tmp_path / "rows.bmp").write_bytes(bmp(4000, 4000))
    refused(tmp_path / "rows.bmp", "it has 16,000,000 pixels in run lengths")


def test_the_text_behind_an_endless_animation_is_not_looked_for(tmp_path):
    frames = [Image.new("L", (6, 4), shade) for shade in (0, 99, 200)]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    assert read_metadata(tmp_path / "moving.png") == {}
    content = bytearray((tmp_path / "moving.png").read_bytes())
    at = content.index(b"acTL")
    content[at + 4:at + 8] = struct.pack(">I", 200_000)
    content[at + 12:at + 16] = struct.pack(">I", zlib.crc32(content[at:at + 12]))
    (tmp_path / "moving.png").write_bytes(content)
    refused(tmp_path / "moving.png", "an animation of 200,000 frames", read=read_metadata)
    assert load_image(tmp_path / "moving.png").shape == (4, 6, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for read in (load_image, read_metadata):
        with pytest.raises(OSError, match="pipe.png is a pipe or a device"):
            read(tmp_path / "pipe.png")


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
    for size, kind in [(0, ValueError), (-4, ValueError), (2.5, TypeError), ("64", TypeError),
                       (True, TypeError),
                       ((4, 5, 6), TypeError), ((4, 0), ValueError)]:
        with pytest.raises(kind, match="^resize: size must"):
            load_image(tmp_path / "picture.png", size=size)
