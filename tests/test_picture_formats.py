"""Pictures are read right in every form that Pillow can fabricate."""
import math
import struct
import warnings
import zlib

import numpy as np
from picture_files import check_picture, difference, refused, smooth
from PIL import Image, ImageCms
import pytest

from minidl.data import images, load_image

# ----------------------------------------------------------------------------------------------
# pictures: every mode

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
    assert flat[0] == 0 and flat[-1] == 255 and (np.diff(flat)
                                                 >= 0).all() and len(set(flat.tolist())) == 256
    assert np.abs(picture[..., 1] - levels / 257).max() <= 0.5 + 1e-4


def tiff(values, bits=None, photometric=1, sample_format=1, compression=1, order="<"):
    """A grey TIFF of one strip, written by hand."""
    content = np.asarray(values)
    bits = 8 * content.itemsize if bits is None else bits
    data = content.astype(content.dtype.newbyteorder(order)).tobytes()
    tags = [
        (256, 3, content.shape[1]),
        (257, 3, content.shape[0]),
        (258, 3, bits),
        (259, 3, compression),
        (262, 3, photometric),
        (273, 4, 8 + 2 + 12 * 10 + 4),
        (277, 3, 1),
        (278, 3, content.shape[0]),
        (279, 4, len(data)),
        (339, 3, sample_format),
    ]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + struct.pack(f"{order}I" if kind == 4 else f"{order}H2x", value)
        for tag, kind, value in tags
    )
    return (
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}IH", 8, len(tags))
        + entries
        + bytes(4)
        + data
    )


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_in_either_byte_order(tmp_path, order):
    (tmp_path / "deep.tif").write_bytes(tiff(np.array([[0, 257, 32768, 65535]], "u2"), order=order))
    assert load_image(tmp_path / "deep.tif")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    "values, bits",
    [
        (np.array([[0, 257, 65535]], "u2"), 16),
        (np.array([[0, 1, 255]], "u1"), 8),
        (np.array([[0, 1 / 255, 1]], "f4"), 32),
    ],
)
def test_white_may_be_zero(tmp_path, values, bits):
    kind = 3 if values.dtype.kind == "f" else 1
    for photometric, expected in (1, [0, 1, 255]), (0, [255, 254, 0]):
        (tmp_path / "deep.tif").write_bytes(tiff(values, bits, photometric, kind))
        assert load_image(tmp_path / "deep.tif")[0, :, 0].tolist() == expected


def test_twelve_bits(tmp_path):
    packed = np.frombuffer(bytes.fromhex("000800fff000"), "u1")[None]       # 0, 2048, 4095, 0
    content = bytearray(tiff(packed, bits=12))
    content[content.index(struct.pack("<HHI", 256, 3, 1)) + 8] = 4          # 4 pixels in 6 bytes
    (tmp_path / "deep.tif").write_bytes(content)
    assert load_image(tmp_path / "deep.tif")[0, :, 0].tolist() == [0, 128, 255, 0]


@pytest.mark.parametrize(
    "values, sample_format, words",
    [
        (np.array([[0, 2**32 - 1]], "u4"), 1, "its numbers have 32 bits"),
        (np.array([[0, 7]], "i4"), 2, "are signed"),
        (np.array([[0, 7]], "i2"), 2, "are signed"),
        (np.array([[0, 7]], "i1"), 2, "are signed"),
        (np.array([[0, 7]], "f8"), 3, "header"),
    ],
)
def test_numbers_whose_white_is_not_known(tmp_path, values, sample_format, words):
    (tmp_path / "deep.tif").write_bytes(tiff(values, sample_format=sample_format))
    refused(tmp_path / "deep.tif", words)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([-3, 100.4, 300], [0, 100, 255]),
        ([math.nan, 2, 254.6], [0, 2, 255]),
        ([0, 0, 0], [0, 0, 0]),
        ([0, 0.5, 1 + 1e-7], [0, 128, 255]),
        ([-0.1, 0.5, 1.2], [0, 128, 255]),
        ([0, 0.5, math.inf], [0, 128, 255]),
        ([-math.inf, 0.5, 1], [0, 128, 255]),
        ([math.inf, 20, 254.6], [255, 20, 255]),
        ([math.nan, math.inf, -math.inf], [0, 255, 0]),
    ],
)
def test_floating_point_grey(tmp_path, values, expected):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "float.tiff")
    assert Image.open(tmp_path / "float.tiff").mode == "F"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(tmp_path / "float.tiff")[0, :, 2].tolist() == expected


@pytest.mark.parametrize(
    "values, words",
    [
        ([-1, 1], "from -1 to 1"),
        ([0, 4], "from 0 to 4"),
        ([0, 65535], "to 65535"),
        ([-100, 200], "from -100 to 200"),
        ([0, 3e38], "3e\\+38"),
    ],
)
def test_floating_point_grey_of_another_range(tmp_path, values, words):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(ValueError, match=f"float.tiff .*{words}, neither from 0 to 1 nor"):
        load_image(tmp_path / "float.tiff")


@pytest.mark.parametrize("mode, extension",
                         [("RGBA", "png"), ("RGBA", "webp"), ("LA", "png"), ("RGBA", "tiff")])
def test_alpha_is_laid_over_white(tmp_path, mode, extension):
    colours = smooth() if mode == "RGBA" else smooth()[..., :1]
    alpha = np.broadcast_to(np.linspace(0, 255, 30).astype(np.uint8)[:, None], (20, 30, 1))
    path = tmp_path / f"alpha.{extension}"
    Image.fromarray(np.concatenate([colours, alpha],
                                   axis=-1)).save(path, **images.ENCODING.get("WEBP", {}))
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


@pytest.mark.parametrize("transparency, corner",
                         [(0, [255, 255, 255]), (bytes([128, 255, 0]), [227, 127, 127])])
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
    source = Image.new(mode, (6, 4),
                       "white" if mode == "1" else 90 if mode == "L" else (90, 90, 90))
    source.putpixel((2, 1), transparency)
    source.save(tmp_path / "key.png", transparency=transparency)
    picture = load_image(tmp_path / "key.png")
    assert picture[1, 2].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == ([255] * 3 if mode == "1" else [90] * 3)


def keyed_png(rows, bits, colour, key):
    """A PNG of one row, of `bits` a value and PNG's kind of colour 0 (grey) or 2 (RGB), in which
    `key` is transparent."""
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )
    row = "".join(f"{value:0{bits}b}" for value in rows)
    data = b"\0" + int(row.ljust(-len(row) % 8 + len(row), "0"), 2).to_bytes(
        -(-len(row) // 8), "big"
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(
            b"IHDR",
            struct.pack(
                ">IIBBBBB", len(rows) // (1 if colour == 0 else 3), 1, bits, colour, 0, 0, 0
            ),
        )
        + chunk(b"tRNS", b"".join(struct.pack(">H", value) for value in key))
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("rows, bits, key, expected", [
    ([0, 1], 1, 1, [0, 255]), ([0, 1], 1, 0, [255, 255]), ([0, 1, 2, 3], 2, 1, [0, 255, 170, 255]),
    ([0, 3, 5, 15], 4, 3, [0, 255, 85, 255]), ([0, 3, 5, 15], 8, 3, [0, 255, 5, 15]),
    ([0, 771, 772, 65535], 16, 771, [0, 255, 3, 255])])
def test_a_transparent_grey_of_any_depth_becomes_white(tmp_path, rows, bits, key, expected):
    (tmp_path / "key.png").write_bytes(keyed_png(rows, bits, 0, [key]))
    assert load_image(tmp_path / "key.png")[0, :, 0].tolist() == expected


def test_a_transparent_colour_of_sixteen_bits_is_refused(tmp_path):
    (tmp_path / "key.png").write_bytes(keyed_png([1, 2, 3, 4, 5, 6], 8, 2, [4, 5, 6]))
    assert load_image(tmp_path / "key.png")[0].tolist() == [[1, 2, 3], [255] * 3]
    (tmp_path / "key.png").write_bytes(keyed_png([1, 2, 3, 4, 5, 6], 16, 2, [4, 5, 6]))
    refused(tmp_path / "key.png", "of 16 bits is transparent")


@pytest.mark.parametrize("mode, extension, tolerance",
                         [("CMYK", "tiff", 2), ("CMYK", "jpg", 10), ("YCbCr", "tiff", 3),
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


# --------------------------------------------------------------------------------------------
# pictures: orientation

@pytest.mark.parametrize("extension", ["png", "tiff", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, extension):
    """Store the picture as a camera held that way would: orientation n names the transform that
    sets it upright."""
    upright = Image.fromarray(smooth())
    T = Image.Transpose
    undo = {1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE,
            6: T.ROTATE_90,
            7: T.TRANSVERSE, 8: T.ROTATE_270}[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{extension}"
    options = {"jpg": {"quality": 100, "subsampling": 0},
               "webp": {"lossless": True}}.get(extension, {})
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
