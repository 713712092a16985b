"""Pictures are read right in every form that Pillow can fabricate."""
import math
import warnings

import numpy as np
from picture_files import check_picture, difference, smooth
from PIL import Image, ImageCms
import pytest

from minidl.data import images, load_image

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
