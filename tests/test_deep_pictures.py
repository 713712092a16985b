"""Pictures of 16 bits a colour, and colour profiles."""
import io

import numpy as np
from picture_files import difference, refused, smooth
from PIL import Image, ImageCms
import pytest

from minidl.data import load_image, read_metadata, save_image


def unfiltered(path):
    """The 16-bit values of a PNG that save_image wrote, by zlib alone."""
    import struct
    import zlib
    data, at, parts = path.read_bytes(), 8, []
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I",
                             data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(name + body)
        if name == b"IHDR":
            width, height, depth, kind, *_ = struct.unpack(">IIBBBBB", body)
            assert depth == 16
        if name == b"IDAT":
            parts.append(body)
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(b"".join(parts)), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    values = rows[:, 1:].cumsum(0, dtype=np.uint8)
    return np.ascontiguousarray(values).view(">u2").reshape(height, width, 3 if kind == 2 else 1)


@pytest.mark.parametrize("shape", [(20, 30, 3), (7, 5), (6, 4, 1)])
def test_sixteen_bits_keep_fractions(tmp_path, shape):
    picture = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    save_image(tmp_path / "deep.png", picture, {"Title": "wide", "Names": "Ω λ"}, depth=16)
    values = unfiltered(tmp_path / "deep.png")
    np.testing.assert_allclose(values / 257, picture.reshape(values.shape), atol=0.5 / 257 + 1e-4)
    assert read_metadata(tmp_path / "deep.png") == {"Title": "wide", "Names": "Ω λ"}
    if len(shape) == 3:
        save_image(tmp_path / "deep.tif", picture, depth=16)
        with Image.open(tmp_path / "deep.tif") as tiff:
            assert tiff.tag_v2[258] == (16,) * len(values[0, 0]) and tiff.size == shape[1::-1]


def test_sixteen_bits_are_read_again(tmp_path):
    picture = smooth()
    for name in ("deep.png", "deep.tif"):
        save_image(tmp_path / name, picture, depth=16)
        assert difference(load_image(tmp_path / name), picture) == 0
        save_image(tmp_path / name, picture[..., 0], depth=16)
        assert difference(load_image(tmp_path / name)[..., 0], picture[..., 0]) == 0


def test_what_has_no_sixteen_bits(tmp_path):
    for name, depth in (("a.jpg", 16), ("a.png", 12)):
        with pytest.raises(ValueError, match="depth must be 8, or 16 for .png and .tif"):
            save_image(tmp_path / name, smooth(), depth=depth)
    assert not list(tmp_path.iterdir())


def profile(space="XYZ"):
    """An ICC profile in which red and blue are exchanged: sRGB's own with two tags renamed."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    return data.replace("sRGB".encode("utf-16-be"),
                        "swap".encode("utf-16-be")).replace(b"sRGB", b"swap")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_is_applied_at_the_door(tmp_path, mode):
    flat = np.full((8, 8, 3), (200, 50, 10), np.uint8)
    image = Image.fromarray(flat).convert(mode)
    image.save(tmp_path / "swapped.png", icc_profile=profile())
    shown = np.array(image.convert("RGB"))              # a palette does not have every colour
    assert difference(load_image(tmp_path / "swapped.png"), shown[..., ::-1]) <= 3


def test_srgb_stays_as_it_is(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(smooth()).save(tmp_path / "srgb.png", icc_profile=srgb)
    assert difference(load_image(tmp_path / "srgb.png"), smooth()) == 0
    Image.fromarray(smooth()[..., 0]).save(tmp_path / "grey.png", icc_profile=srgb)
    assert difference(load_image(tmp_path / "grey.png")[..., 0], smooth()[..., 0]) == 0


def test_a_damaged_profile_is_refused_by_name(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, "PNG", icc_profile=b"no profile at all")
    (tmp_path / "damaged.png").write_bytes(buffer.getvalue())
    refused(tmp_path / "damaged.png", "colour profile")
