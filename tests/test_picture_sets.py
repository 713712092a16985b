"""Folders of pictures as small squares, and emoji from a font."""

import numpy as np
from PIL import ImageFont
import pytest

from minidl import packages
from minidl.data import emoji, read_pictures, save_image
from minidl.data.picture_sets import middle_square

rng = np.random.default_rng


def test_pictures_of_many_sizes(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (200, 30, 30)  # the middle square
    save_image(tmp_path / "b.png", wide)
    save_image(tmp_path / "a.jpg", rng(0).integers(0, 256, (90, 30, 3), dtype=np.uint8))
    found = read_pictures(tmp_path, 8)
    assert found.pictures.shape == (2, 8, 8, 3) and found.labels is None and found.names == []
    assert (found.pictures[1] == (200, 30, 30)).all()
    assert middle_square(np.arange(12).reshape(3, 4)).tolist() == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]


def test_labelled_folders_and_grey(tmp_path):
    for name, value in (("pears", 200), ("apples", 40)):
        (tmp_path / name).mkdir()
        for i in range(2):
            save_image(tmp_path / name / f"{i}.png", np.full((9, 9), value + i, np.uint8))
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "pears" / "notes.txt").write_text("x")
    (tmp_path / "pears" / "cut.png").write_bytes(b"\x89PNG")
    found = read_pictures(tmp_path, 8)
    assert found.names == ["apples", "pears"] and found.labels.tolist() == [0, 0, 1, 1]
    assert found.pictures.shape == (4, 8, 8, 1) and found.pictures[0].max() == 40
    assert [each.path.name for each in found.left_out] == ["cut.png"]


def test_folders_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures"):
        read_pictures(tmp_path, 8)
    with pytest.raises(ValueError, match="is not a folder"):
        read_pictures(tmp_path / "none", 8)
    (tmp_path / "class").mkdir()
    for place in (tmp_path, tmp_path / "class"):
        save_image(place / "a.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(ValueError, match="pictures and folders of pictures"):
        read_pictures(tmp_path, 8)


class Font:
    """A font that draws coloured squares, one black sign, and nothing."""

    def getbbox(self, text):
        return (0, 0, 0, 0) if ord(text) % 7 == 0 else (2, 3, 22, 33)


def test_emoji(monkeypatch, tmp_path):
    monkeypatch.setattr(
        packages, "fetch", lambda *names, **known: asked.update(known) or tmp_path / "font.ttf"
    )
    monkeypatch.setattr(ImageFont, "truetype", lambda path, size: Font())
    drawn, asked = [], {}

    class Draw:
        def __init__(self, image):
            self.image = image

        def text(self, place, text, font, embedded_color):
            drawn.append(text)
            colour = (0, 0, 0) if ord(text) % 7 == 1 else (ord(text) % 5 * 40, 60, 250)
            self.image.paste(colour, (0, 0, 20, 15))
            self.image.paste((0, 0, 0), (5, 15, 10, 25))

    monkeypatch.setattr("PIL.ImageDraw.Draw", Draw)
    pictures = emoji(16)
    assert pictures.shape == (5, 16, 16, 3)  # each once; black ones left out
    assert (pictures[:, 0] == 255).all() and (pictures[:, :, 0] == 255).all()
    assert (pictures < 200).any(axis=(1, 2, 3)).all() and len(asked["sha256"]) == 64
    with pytest.raises(ValueError, match="8 ≤ size ≤ 4096, got"):
        emoji(4)
