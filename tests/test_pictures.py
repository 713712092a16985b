"""Resizing, saving, metadata, lists."""
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from picture_files import difference, refused, smooth
from PIL import Image, PngImagePlugin
import pytest

from minidl.data import (
    captioned,
    crop_middle,
    decode_image,
    list_images,
    load_image,
    read_metadata,
    resize,
    save_image,
)

# -------------------------------------------------------------------------------------------------
# pictures: resize

@pytest.mark.parametrize("shape, size, expected",
                         [((20, 30), 15, (10, 15)), ((30, 20), 60, (60, 40)),
                                                   ((3, 500), 50, (1, 50)), ((500, 1), 10, (10, 1)),
                                                   ((20, 30), (7, 9), (7, 9)),
                          ((20, 30), np.int64(30), (20, 30))])
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


# -------------------------------------------------------------------------------------------------
# pictures: saving

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
    for picture in (grey, grey[..., None], np.asfortranarray(grey),
                    np.repeat(grey, 2, axis=1)[:, ::2]):
        save_image(tmp_path / "grey.png", picture)
        assert Image.open(tmp_path / "grey.png").mode == "L"
        assert (load_image(tmp_path / "grey.png") == grey[..., None]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_rounded_and_clipped(tmp_path, dtype):
    picture = np.array([[-9.0, 0.4, 0.6], [254.4, 254.6, 999.0], [np.inf, -np.inf, 128]], dtype)
    before = picture.copy()
    save_image(tmp_path / "float.png", picture)
    assert load_image(tmp_path / "float.png")[..., 0].tolist() == [
        [0, 0, 1],
        [254, 255, 255],
        [255, 0, 128],
    ]
    assert (picture == before).all()


def test_black_and_dark_pictures_are_saved(tmp_path):
    for picture in (np.zeros((2, 3)), np.ones((2, 3), np.uint8), np.full((2, 3), 1.01)):
        save_image(tmp_path / "dark.png", picture)
        assert (load_image(tmp_path / "dark.png") == np.rint(picture)[..., None]).all()


@pytest.mark.parametrize("name, picture, kind, message", [
    ("a.xyz", smooth(), ValueError, r"'.xyz' of .*a.xyz is none of .png, .jpg"),
    ("a", smooth(), ValueError, "extension ''"),
    ("a.png", smooth()[..., :2], ValueError, r"got \(20, 30, 2\)"),
    ("a.png", smooth()[None], ValueError, r"got \(1, 20, 30, 3\)"),
    ("a.png", smooth()[:0], ValueError, r"got \(0, 30, 3\)"),
    ("a.png", np.full((4, 4), np.nan), ValueError, "16 of the 16 values are NaN"),
    ("a.png", smooth() / 255, ValueError, "0.0..1.0: all but black; multiply by 255"),
    ("a.png", smooth().astype(int), TypeError, "got int64"),
    ("a.png", "picture", TypeError, "an array of numbers, got str"),
    ("a.gif", np.zeros((1, 70_000), np.uint8), ValueError, "cannot be written as GIF"),
    ("a.jpg", np.zeros((1, 70_000), np.uint8), ValueError, "cannot be written as JPEG")])
def test_save_refuses_and_leaves_the_old_file(tmp_path, name, picture, kind, message):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(kind, match=message) as caught:
        save_image(path, picture)
    assert str(caught.value).startswith("save_image: ") and "\n" not in str(caught.value)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("depth, kind", [(12, ValueError), (True, TypeError),
                                         (np.array([8, 8]), TypeError)])
def test_another_depth_is_refused(tmp_path, depth, kind):
    with pytest.raises(kind, match="save_image: depth must be"):
        save_image(tmp_path / "a.png", smooth(), depth=depth)
    with pytest.raises(TypeError, match="decode_image: file must be an open binary file, got str"):
        decode_image("a.png", "a.png")


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


METADATA = {"Software": "minidl", "settings": '{"size": 512}', "title": "Die Brücke – 橋",
            "empty": "", "lines": "a\nb"}


def test_metadata(tmp_path):
    path = tmp_path / "picture.png"
    save_image(path, smooth(), METADATA)
    assert read_metadata(path) == METADATA
    assert all(type(value) is str for value in read_metadata(path).values())
    assert (load_image(path) == smooth()).all()
    save_image(path, smooth())
    assert read_metadata(path) == {}


@pytest.mark.parametrize("name, metadata, kind", [
    ("a.jpg", METADATA, ValueError), ("a.png", {"": "x"}, ValueError),
    ("a.png", {"k" * 80: "x"}, ValueError),
    ("a.png", {"é": "x"}, ValueError), ("a.png", {"k": "\ud800"}, ValueError),
    ("a.png", {"size": 3}, TypeError),
    ("a.png", {3: "x"}, TypeError)])
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


def test_crop_middle():
    picture = np.arange(60).reshape(6, 10)
    assert (crop_middle(picture, 0.5) == picture[1:4, 2:7]).all() and (
        crop_middle(picture, 1) == picture
    ).all()
    assert crop_middle(picture[..., None], 0.01).shape == (1, 1, 1)
    for share in 0, 1.1, -1, np.nan:
        with pytest.raises(ValueError, match="share must be in 0 < share ≤ 1"):
            crop_middle(picture, share)


def test_list_images(tmp_path):
    for name in ["b.PNG", "a.jpg", "ä ö.webp", "c.txt", ".hidden.png", "10.png", "9.png",
                 "noextension"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == [
        "10.png",
        "9.png",
        "a.jpg",
        "b.PNG",
        "ä ö.webp",
    ]
    assert list_images(str(tmp_path))[0] == tmp_path / "10.png"
    with pytest.raises(FileNotFoundError, match="missing"):
        list_images(tmp_path / "missing")
    with pytest.raises(NotADirectoryError, match="a.jpg"):
        list_images(tmp_path / "a.jpg")


def test_importing_is_cheap():
    code = ("import minidl.data, sys; sys.exit(any(name in sys.modules for name in ('PIL', "
            "'scipy', 'matplotlib')))")
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent,
                          check=False).returncode == 0


def test_a_caption_stands_above_and_the_picture_stays():
    """Text is broken into lines where the picture is narrow, and cut nowhere."""
    picture = np.random.default_rng(0).integers(0, 256, (20, 120, 3), dtype=np.uint8)
    one, several = (captioned(picture, text) for text in ("short", "some words in several lines"))
    assert one.shape[1] == several.shape[1] == 120 and 20 < one.shape[0] < several.shape[0]
    for sheet in one, several:
        np.testing.assert_array_equal(sheet[-20:], picture)
        assert sheet[:-20].min() < 128 and sheet[0].min() == 255        # ink on white
    wide = captioned(picture[:, :10], "unbreakable")
    assert wide.shape[1] > 60 and (wide[-20:, 10:] == 255).all()
    for nothing in ("", "  "):
        sheet = captioned(picture, nothing)
        assert (sheet[-20:] == picture).all() and (sheet[:-20] == 255).all()
    with pytest.raises(ValueError, match="captioned: picture must be uint8 in 0..255, got float64"):
        captioned(picture / 255, "dark")
