"""Alphabets from folders and zips, one-shot runs, and characters invented by a generator."""
import io
import os
import re
import shutil
import tracemalloc
import zipfile

import numpy as np
from PIL import Image
import pytest

from minidl.data.drawn_characters import drawn_characters
from minidl.data.omniglot import MAX_MEMBER_BYTES, read_characters, read_runs

NAMES = [f"{alphabet}/character{c:02}/{c:04}_{drawer:02}.png" for alphabet in ("Latin", "Greek")
         for c in (1, 2)
         for drawer in (1, 2, 3)]


def png(value, size=(9, 9)):
    """A picture in Omniglot's mode, one bit a pixel: paper with `value` pixels of ink in its first
    row."""
    pixels = np.full(size[::-1], 255, np.uint8)
    pixels[0, :value] = 0
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / "images_background" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number % 9))
    return tmp_path / "images_background"


def jpeg():
    stream = io.BytesIO()
    Image.new("L", (9, 9), 255).save(stream, "JPEG")
    return stream.getvalue()


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def archive(tmp_path):
    members = {f"images_background/{name}": png(number % 9) for number, name in enumerate(NAMES)}
    return zipped(tmp_path / "background.zip",
                  {"images_background/": b"", "__MACOSX/a/b/x.png": b"resource", **members})


def test_folder_and_zip_say_the_same(folder, archive, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    one, other = read_characters(folder), read_characters(archive)
    assert one.names == other.names == ["Greek/character01", "Greek/character02",
                                        "Latin/character01", "Latin/character02"]
    assert one.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3,
                                   3] and (one.pictures == other.pictures).all()
    assert one.pictures.shape == (12, 9, 9) and one.pictures.dtype == np.uint8
    assert (one.pictures == 0).sum((1, 2)).tolist() == [6, 7, 8, 0, 1, 2, 0, 1, 2, 3, 4, 5]
    assert sorted(tmp_path.rglob("*")) == before            # nothing was unpacked


def test_several_sources(folder, archive, tmp_path):
    more = zipped(tmp_path / "more.zip", {"Greek/character01/0001_01.png": png(9),
                                          "Korean/character01/0001_01.png": png(4)})
    both = read_characters(folder, more)
    assert both.names[0] == "Greek/character01" and both.names[2] == "Korean/character01"
    assert len(both.names) == 5
    assert (both.labels == 0).sum() == 3                    # Greek is taken from the first


def test_only_some_alphabets(folder):
    latin = read_characters(folder).only({"Latin"})
    assert latin.names == ["Latin/character01",
                           "Latin/character02"] and latin.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert latin.alphabets() == ["Latin",
                                 "Latin"] and (latin.pictures
                                               == 0).sum((1, 2)).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("members, words", [
    ({"a/b/1.png": png(1)[:40]}, "a/b/1.png is not a usable picture"),
    ({"a/b/1.png": b"\0" * (MAX_MEMBER_BYTES + 1)},
     "a/b/1.png would unpack to 1,000,001 bytes, more than"),
    ({"a/b/1.png": png(0, (1001, 1000))},
     "a/b/1.png is not a usable picture: .*1001 x 1000 pixels"),
    ({"a.png": png(1), "a/b.png": png(1)},
     "holds no characters: expected pictures alphabet/character/NAME.png"),
    ({}, "holds no characters"),
])
def test_bad_zips(tmp_path, members, words):
    with pytest.raises(ValueError, match=words) as caught:
        read_characters(zipped(tmp_path / "bad.zip", members))
    assert "bad.zip" in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_zips(tmp_path, archive):
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:-30])
    (tmp_path / "text.zip").write_text("no zip")
    for name in ("cut.zip", "text.zip"):
        with pytest.raises(ValueError, match=f"{name} is neither a folder nor a usable zip"):
            read_characters(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_characters(tmp_path / "missing.zip")
    content = bytearray(archive.read_bytes())
    start = content.index(b"0001_01.png") + len(b"0001_01.png")
    content[start:start + 60] = bytes(60)                   # the first picture's compressed bytes
    (tmp_path / "inside.zip").write_bytes(content)
    rest = read_characters(tmp_path / "inside.zip")
    assert len(rest.pictures) == 11 and len(rest.left_out) == 1
    assert (
        "inside.zip: images_background/Latin/character01/0001_01.png cannot be unpacked: "
        in rest.left_out[0]
    )


def test_every_file_is_used_or_named_in_folders_and_zips_alike(tmp_path):
    members = {
        "all/Greek/alpha/1.png": png(1),
        "all/Greek/alpha/2.PNG": png(2),
        "all/Greek/alpha/3.jpe": jpeg(),
        "all/Greek/alpha/._1.png": b"resource",
        "all/Greek/alpha/.DS_Store": b"",
        "__MACOSX/Greek/alpha/._1.png": b"fork",
        "all/Greek/alpha/4.png": png(1)[:40],
        "all/Greek/alpha/5.png": png(1, (9, 8)),
        "all/Greek/alpha/stroke.txt": b"1,2",
        "all/Greek/beta/1.png": b"",
        "Greek.png": png(3),
        "all/Jose\u0301/c/1.png": png(4),
        "all/Jos\u00e9/c/2.png": png(5),
    }
    for name, content in members.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    for source in tmp_path / "folder", zipped(tmp_path / "file.zip", members):
        found = read_characters(source)
        assert found.names == ["Greek/alpha", "José/c"] and found.labels.tolist() == [0, 0, 0, 1, 1]
        assert (found.pictures[[0, 1, 3, 4]] == 0).sum((1, 2)).tolist() == [1, 2, 4, 5]
        assert len(found.left_out) == 5 and found.only({"Greek"}).left_out == found.left_out
        for name, why in (("Greek.png", "is in no folder alphabet/character"),
                          ("4.png", "is not a usable picture"),
                          ("5.png", "has 9 × 8 pixels, most have 9 × 9"),
                          ("stroke.txt", "no picture by its ending '.txt'"),
                          ("beta/1.png", "the file is empty")):
            assert [why in line for line in found.left_out if f"{name} " in line] == [True]


def test_a_folder_of_one_alphabet_and_one_of_none(tmp_path):
    for name in "Greek/alpha/1.png", "Greek/beta/1.png", "loose.png":
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(1))
    assert read_characters(tmp_path / "Greek").names == ["Greek/alpha", "Greek/beta"]
    with pytest.raises(ValueError, match="of 1 files the first: .*1.png is in no folder"):
        read_characters(tmp_path / "Greek" / "alpha")


@pytest.mark.skipif(os.name == "nt", reason="links and pipes are POSIX's")
def test_links_and_pipes_in_a_folder(folder):
    (folder / "Linked").symlink_to(folder / "Latin")
    (folder / "Latin" / "character01" / "around").symlink_to(folder)
    os.mkfifo(folder / "Greek" / "character01" / "pipe.png")
    found = read_characters(folder)
    assert found.names[-2:] == ["Latin/character01", "Latin/character02"]
    assert len(found.pictures) == 12 and len(found.left_out) == 1
    assert "pipe.png is a pipe or a device" in found.left_out[0]
    os.mkfifo(folder / "pipe.zip")
    with pytest.raises(OSError, match="pipe.zip is a pipe or a device"):
        read_characters(folder / "pipe.zip")


def test_a_character_of_two_sources_is_named(folder, tmp_path):
    more = zipped(
        tmp_path / "more.zip",
        {"Greek/character01/1.png": png(9), "Korean/character01/1.png": png(4)},
    )
    assert read_characters(folder, more).left_out == [
        f"{more}: Greek/character01/1.png is of a character that an earlier source has"]


@pytest.mark.parametrize(
    "compression, words",
    [(zipfile.ZIP_LZMA, "compressed by lzma"), (zipfile.ZIP_BZIP2, "by bzip2")],
)
def test_members_that_may_unpack_to_more_than_they_say(tmp_path, compression, words):
    with zipfile.ZipFile(tmp_path / "other.zip", "w", compression) as archive:
        archive.writestr("a/b/1.png", png(1))
    with pytest.raises(ValueError, match=f"a/b/1.png cannot be unpacked: it is .*{words}"):
        read_characters(tmp_path / "other.zip")


def test_the_pixels_of_a_source_are_bounded_together(tmp_path):
    large = png(0, (1000, 1000))
    many = zipped(tmp_path / "many.zip", {f"a/c{number}/1.png": large for number in range(40)})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"more than 8,\d{3},\d{3} pixels, for 7,\d{3} b"):
            read_characters(many)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    blank = zipped(
        tmp_path / "blank.zip", {f"a/c{number}/1.png": bytes(10**6) for number in range(13)}
    )
    with pytest.raises(ValueError, match="its files would unpack to 13,000,000 bytes, from 1"):
        read_characters(blank)


def test_an_encrypted_member(tmp_path, archive):
    content = bytearray(archive.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(b"Latin/character01/0001_01.png")
        start = content.rindex(header, 0, place) if header == b"PK\x03\x04" else content.index(
            header, content.index(b"PK\x01\x02", place))
        content[start + flags] |= 1
    for start in [i for i in range(len(content)) if content[i:i + 4] == b"PK\x01\x02"]:
        content[start + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(ValueError, match="locked.zip: .* cannot be unpacked: .*encrypted"):
        read_characters(tmp_path / "locked.zip")


def test_no_source():
    with pytest.raises(ValueError, match="no source was given"):
        read_characters()


@pytest.fixture
def runs(tmp_path):
    for run, turn in (("run01", 1), ("run02", 2)):
        for part, stem in (("training", "class"), ("test", "item")):
            (tmp_path / "runs" / run / part).mkdir(parents=True)
            for i in range(1, 4):
                (tmp_path / "runs" / run / part / f"{stem}{i:02}.png").write_bytes(png(i))
        lines = [f"{run}/test/item{i:02}.png {run}/training/class{(i + turn - 1) % 3 + 1:02}.png"
                 for i in range(1, 4)]
        (tmp_path / "runs" / run / "class_labels.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "runs"


def test_runs(runs):
    found = read_runs(runs)
    assert list(found) == ["run01", "run02"]
    assert found["run01"].answers.tolist() == [1, 2,
                                               0] and found["run02"].answers.tolist() == [2, 0, 1]
    assert found["run01"].training.shape == found["run01"].test.shape == (3, 9, 9)
    assert (found["run01"].test == 0).sum((1, 2)).tolist() == [1, 2, 3]


@pytest.mark.parametrize("line, words", [
    ("run01/test/item01.png", "line 1: expected run01/test/NAME run01/training/NAME"),
    ("run01/test/item01.png run01/training/class09.png",
     "line 1: expected .* a picture that is there, got 'run01/test"),
    ("run01/test/item09.png run01/training/class01.png",
     "line 1: there is no picture .*item09.png"),
    ("run01/training/class01.png run01/test/item01.png", "line 1: expected"),
    ("../../etc/passwd run01/training/class01.png", "line 1: expected"),
    ("/ /", "line 1: expected"),
    ("run01/test/item01.png run01/training/class01.png\n" * 2, "line 2: names .*item01.png again"),
    ("", "names no test pictures"),
])
def test_bad_class_labels(runs, line, words):
    (runs / "run01" / "class_labels.txt").write_text(line + "\n")
    found = read_runs(runs)
    assert list(found) == ["run02"] and len(found.left_out) == 1
    assert re.search(f"run01: .*class_labels.txt.*{words}", found.left_out[0])
    shutil.rmtree(runs / "run02")
    with pytest.raises(ValueError, match=words) as caught:
        read_runs(runs)
    assert "class_labels.txt" in str(caught.value) and "\n" not in str(caught.value)


def test_runs_that_are_not_there(tmp_path, runs):
    with pytest.raises(ValueError, match="holds no one-shot runs"):
        read_runs(tmp_path)
    for path in (runs / "run02" / "training").iterdir():
        path.unlink()
    assert "training holds no pictures: expected one of each class" in read_runs(runs).left_out[0]


def test_a_run_with_pictures_of_two_sizes(runs):
    (runs / "run02" / "test" / "item03.png").write_bytes(png(1, (10, 9)))
    found = read_runs(runs)
    assert list(found) == ["run01"] and "item03.png has 10 × 9 pixels" in found.left_out[0]


@pytest.mark.parametrize("name", ["test/item02.png", "training/class02.png"])
def test_a_damaged_picture_ends_its_run_alone(runs, name):
    (runs / "run02" / name).write_bytes(png(2)[:50])
    found = read_runs(runs)
    assert list(found) == ["run01"] and len(found.left_out) == 1
    assert "run02: " in found.left_out[0] and "is not a usable picture" in found.left_out[0]


def test_drawn_characters():
    characters = drawn_characters(2, 3, drawers=4, size=24, seed=1)
    assert characters.pictures.shape == (24, 24, 24) and characters.pictures.dtype == np.uint8
    assert characters.names[3] == "drawn02/character01"
    assert characters.labels.tolist() == sorted(4 * list(range(6)))
    assert characters.alphabets() == 3 * ["drawn01"] + 3 * ["drawn02"]
    ink = (1 - characters.pictures / 255).mean((1, 2))
    assert 0.005 < ink.min() and ink.max() < 0.5
    assert (drawn_characters(2, 3, drawers=4, size=24, seed=1).pictures
            == characters.pictures).all()
    assert (drawn_characters(3, 3, drawers=4, size=24, seed=1).pictures[:24]
            == characters.pictures).all()
    assert (drawn_characters(2, 3, drawers=4, size=24,
                             seed=2).pictures != characters.pictures).any()


def test_drawn_characters_resemble_themselves():
    characters = drawn_characters(1, 12, drawers=4, size=32, seed=0)
    ink = 255.0 - characters.pictures.reshape(48, 8, 4, 8, 4).mean((2, 4)).reshape(48, 64)
    ink /= np.linalg.norm(ink, axis=1, keepdims=True)
    alike, same = ink @ ink.T, characters.labels[:, None] == characters.labels
    assert alike[same].mean() > alike[~same].mean() + 0.15


def test_nothing_to_invent():
    for arguments in ((0, 1), (1, 0), (1, 1, 0), (1, 1, 1, 8)):
        with pytest.raises(ValueError, match="drawn_characters: .* must be .*, got"):
            drawn_characters(*arguments)
