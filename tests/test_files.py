"""Files: never half-written; and files fetched from packages: the expected bytes or one clear
line."""

import errno
import hashlib
import io
import os
from pathlib import Path
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import venv
import zipfile

import pytest

from minidl import files, packages, weights


class Stop(BaseException):
    """Like KeyboardInterrupt."""


@pytest.mark.parametrize("problem", [OSError("no space"), Stop()])
def test_atomic_write_keeps_the_old_file(tmp_path, problem):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(problem)), files.atomic_write(path) as stream:
        stream.write(b"half of the n")
        raise problem
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    with files.atomic_write(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


def test_a_process_that_dies_while_saving(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    program = f"""
        import os
        from minidl import files
        with files.atomic_write({str(path)!r}) as stream:
            stream.write(b"x" * 100_000)
            os._exit(7)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)],
                          check=False).returncode == 7
    assert path.read_bytes() == b"old"


KILLING = """
    import os, random, signal, sys, time
    from pathlib import Path
    import numpy as np
    from minidl import weights
    path, kills, draw = Path(sys.argv[1]), int(sys.argv[2]), random.Random(0)
    weights.save(path, {"w": np.zeros(50_000)})
    left = 0
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            for number in range(10**9):
                weights.save(path, {"w": np.full(50_000, number)})
        time.sleep(draw.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        w = weights.load(path)["w"]
        assert w.shape == (50_000,) and (w == w[0]).all()
        left += len(os.listdir(path.parent)) > 1
        if draw.random() < 0.5:  # else the next child finds what this one has left
            weights.save(path, {"w": w})
            assert os.listdir(path.parent) == [path.name], os.listdir(path.parent)
    weights.save(path, {"w": w})
    assert os.listdir(path.parent) == [path.name]
    print(left)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")
def test_killed_again_and_again_while_saving(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(KILLING), str(tmp_path / "file"), "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0  # some of the kills did come between a part and its name


SAVING = """
    import sys
    import numpy as np
    from minidl import weights
    for _ in range(20):
        weights.save(sys.argv[1], {"w": np.full(20_000, int(sys.argv[2]))})
"""


def test_of_two_that_save_at_once_one_stays_whole(tmp_path):
    path = tmp_path / "file"
    command = [sys.executable, "-c", textwrap.dedent(SAVING), str(path)]
    processes = [subprocess.Popen([*command, number]) for number in "12"]
    assert [process.wait() for process in processes] == [0, 0]
    w = weights.load(path)["w"]
    assert w.shape == (20_000,) and (w == w[0]).all() and os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_saving_again_keeps_the_mode(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with files.atomic_write(path) as stream:
        assert (tmp_path / ".file.part").stat().st_mode & 0o777 == mode  # and never more than that
        stream.write(b"new")
    assert path.stat().st_mode & 0o777 == mode and path.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_saving_again_keeps_the_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    with files.atomic_write(path) as stream:
        stream.write(b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 5678, 0o640)


@pytest.mark.skipif(os.name == "nt", reason="links and modes are POSIX's")
def test_what_one_group_might_do_is_not_for_another(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o660)
    real = os.stat

    def of_another_group(name, **options):
        found = real(name, **options)
        if Path(name) != path:
            return found
        return os.stat_result([*found[:5], found.st_gid + 1, *found[6:10]])

    def refuse(descriptor, owner, group):
        raise PermissionError("may not give files away")

    monkeypatch.setattr(os, "stat", of_another_group)
    monkeypatch.setattr(os, "fchown", refuse)
    with files.atomic_write(path) as stream:
        stream.write(b"new")
    monkeypatch.undo()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["n" * 255, "猫" * 85, "." + "n" * 254])
def test_the_longest_names(tmp_path, name):
    try:
        (tmp_path / name).write_bytes(b"old")
    except OSError:
        pytest.skip("this file system wants shorter names")
    with files.locked(tmp_path / name), files.atomic_write(tmp_path / name) as stream:
        stream.write(b"new")
    assert (tmp_path / name).read_bytes() == b"new" and os.listdir(tmp_path) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in tmp_path / "pipe", "/dev/zero":
        if os.path.exists(path):
            with pytest.raises(OSError, match="is a pipe or a device, expected a file"):
                files.open_file(path)
            with pytest.raises(OSError, match="is not a file"), files.atomic_write(path):
                pass
    with pytest.raises(IsADirectoryError):
        files.open_file(tmp_path)
    for act in (files.open_file, lambda path: files.atomic_write(path).__enter__()):
        with pytest.raises(ValueError, match="path must have no null character, got"):
            act("a\0b")


def test_atomic_write_refuses_what_it_would_destroy(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="is not a file"), files.atomic_write(folder):
        pass
    with pytest.raises(FileNotFoundError,
                       match="no folder"), files.atomic_write(tmp_path / "none" / "file"):
        pass
    assert folder.is_dir() and os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes are POSIX's")
def test_atomic_write_follows_links_and_the_umask(tmp_path):
    target, link, ordinary = tmp_path / "target", tmp_path / "link", tmp_path / "ordinary"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with files.atomic_write(link) as stream:
        stream.write(b"new")
    ordinary.write_bytes(b"")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert target.stat().st_mode == ordinary.stat().st_mode


COUNTING = """
    import sys, time
    from pathlib import Path
    from minidl import files
    path = Path(sys.argv[1])
    for _ in range(30):
        with files.locked(path):
            number = int(path.read_text())
            time.sleep(0.001)
            path.write_text(str(number + 1))
"""


def test_with_a_lock_no_process_overtakes_another(tmp_path):
    path = tmp_path / "number"
    path.write_text("0")
    command = [sys.executable, "-c", textwrap.dedent(COUNTING), str(path)]
    assert [process.wait() for process in [subprocess.Popen(command) for _ in range(3)]] == [0] * 3
    assert path.read_text() == "90" and os.listdir(tmp_path) == ["number"]


def test_with_a_lock_no_thread_overtakes_another(tmp_path):
    number = 0

    def count():
        nonlocal number
        for _ in range(20):
            with files.locked(tmp_path / ("x" * 255)):
                seen = number
                time.sleep(0.0005)
                number = seen + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert number == 80 and os.listdir(tmp_path) == []


def test_a_lock_ends_with_its_process(tmp_path):
    program = f"""
        import os
        from minidl import files
        with files.locked({str(tmp_path / 'file')!r}):
            os._exit(7)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(command, check=False).returncode == 7
    with files.locked(tmp_path / "file") as held:
        assert held
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(files.fcntl is None, reason="Windows' locks are of another kind")
def test_where_the_file_system_knows_no_locks(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with files.locked(tmp_path / "file") as held:
        assert not held
    with files.atomic_write(tmp_path / "file") as one, files.atomic_write(tmp_path / "file") as two:
        one.write(b"one" * 1000)  # of two that save at once, one of the two whole files stays
        two.write(b"two")
    assert (tmp_path / "file").read_bytes() == b"one" * 1000 and os.listdir(tmp_path) == ["file"]


def test_a_lock_needs_a_folder(tmp_path):
    missing = tmp_path / "none" / "file"
    with pytest.raises(FileNotFoundError, match="no folder"), files.locked(missing):
        pass


def test_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "a" / "b"))
    assert files.cache_folder() == tmp_path / "a" / "b" and (tmp_path / "a" / "b").is_dir()
    monkeypatch.delenv("MINIDL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for platform, expected in (("linux", "xdg"), ("win32", "local"),
                               ("darwin", "home/Library/Caches")):
        monkeypatch.setattr(sys, "platform", platform)
        assert files.cache_folder() == tmp_path / expected / "minidl"


def test_sha256(tmp_path):
    content = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(content)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


# Fetching: a pip of our own, found before the real one, runs in a real process

PIP = """
import os, shutil, sys, time
from pathlib import Path
arguments = sys.argv[1:]
assert arguments[0] == "download" and "--no-deps" in arguments
assert "--only-binary=:all:" in arguments
assert arguments[-1] == "toy==1.0", arguments
with open(os.environ["TOY_LOG"], "a") as log:
    log.write("called\\n")
if os.environ.get("TOY_ERRORS"):
    sys.stderr.write(os.environ["TOY_ERRORS"])
    sys.exit(1)
wheel = Path(os.environ["TOY_WHEEL"])
shutil.copy(wheel, os.environ["TMPDIR"])
time.sleep(float(os.environ.get("TOY_SECONDS", 0)))
shutil.copy(wheel, arguments[arguments.index("--dest") + 1])
"""
CONTENT, PYTHON = b"weights" * 1000, Path(sys.executable).name


class Toy:
    """A package `toy` in a wheel, the pip that brings it, and the arguments that fetch its one
    file."""

    def __init__(self, folder, monkeypatch):
        (folder / "path" / "pip").mkdir(parents=True)
        (folder / "path" / "pip" / "__init__.py").touch()
        (folder / "path" / "pip" / "__main__.py").write_text(PIP)
        self.wheel, self.log = folder / "toy-1.0-py3-none-any.whl", folder / "log"
        self.cache = folder / "cache"
        for name, value in (("PYTHONPATH", folder / "path"), ("TOY_WHEEL", self.wheel),
                            ("TOY_LOG", self.log),
                            ("MINIDL_CACHE", self.cache)):  # fmt: skip
            monkeypatch.setenv(name, str(value))
        with zipfile.ZipFile(self.wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("toy/w.bin", CONTENT)
        self.arguments = {
            "name": "toy.bin", "requirement": "toy==1.0", "member": "toy/w.bin",
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "archive_sha256": files.sha256(self.wheel),
            "archive_size": self.wheel.stat().st_size, "hint": "pass a path instead",
        }  # fmt: skip

    def fetch(self, **changes):
        return packages.fetch(**(self.arguments | changes))

    def failure(self, **changes):
        before = {path.name: path.read_bytes() for path in self.cache.glob("*")}
        with pytest.raises(packages.FetchError) as caught:
            self.fetch(**changes)
        assert {path.name: path.read_bytes() for path in self.cache.glob("*")} == before
        message = str(caught.value)
        assert message.startswith("cannot fetch toy.bin: ")
        assert message.endswith("; pass a path instead")
        assert "\n" not in message and len(message) < 500
        return message


@pytest.fixture
def toy(tmp_path, monkeypatch):
    return Toy(tmp_path, monkeypatch)


def test_fetch_once(toy, capsys):
    path = toy.fetch()
    assert path == toy.cache / "toy.bin" and path.read_bytes() == CONTENT
    said = f"fetching toy.bin: {PYTHON} -m pip download toy==1.0 (0.0 MB)\n"
    assert capsys.readouterr().err == said
    assert toy.fetch() == path and toy.log.read_text().count("called") == 1
    assert capsys.readouterr().err == "" and os.listdir(toy.cache) == ["toy.bin"]
    assert toy.fetch(name="other.bin", archive_sha256=None,
                     archive_size=None).read_bytes() == CONTENT


def test_a_damaged_cache_is_fetched_again(toy, monkeypatch):
    path = toy.fetch()
    path.write_bytes(CONTENT[:-1] + b"!")
    monkeypatch.setenv("TOY_ERRORS", "ERROR: no")
    toy.failure()
    monkeypatch.delenv("TOY_ERRORS")
    assert toy.fetch().read_bytes() == CONTENT and toy.log.read_text().count("called") == 3


def test_what_came_is_not_what_was_expected(toy):
    assert "toy-1.0-py3-none-any.whl has SHA-256" in toy.failure(archive_sha256="0" * 64)
    assert "toy/w.bin has SHA-256" in toy.failure(sha256="0" * 64)
    assert "has 7000 bytes, expected 6999" in toy.failure(size=6999)
    assert "has no toy/other" in toy.failure(member="toy/other")
    toy.wheel.write_bytes(toy.wheel.read_bytes()[:-30])
    assert "is damaged" in toy.failure(archive_sha256=None)
    for compression in zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA:
        with zipfile.ZipFile(toy.wheel, "w", compression) as archive:
            archive.writestr("toy/w.bin", CONTENT)
        content = bytearray(toy.wheel.read_bytes())
        start = content.index(b"toy/w.bin") + len("toy/w.bin")
        content[start + 4:start + 30] = b"\xff" * 26
        toy.wheel.write_bytes(content)
        assert "is damaged" in toy.failure(archive_sha256=None)


def test_pip_fails(toy, monkeypatch):
    monkeypatch.setenv(
        "TOY_ERRORS",
        "WARNING: Retrying (Retry(total=0)) after connection broken\n  other text\nERROR: Could "
        "not find a version\n"
        "ERROR: No matching distribution found\n\n[notice] new pip\n",
    )
    message = toy.failure()
    assert ("-m pip download toy==1.0` failed: ERROR: No matching distribution found (is there "
            "a network") in message
    monkeypatch.setenv("TOY_ERRORS", "long " * 1000)
    toy.failure()


def test_no_pip_and_no_python(toy, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH")
    venv.create(tmp_path / "bare", symlinks=os.name != "nt", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(next((tmp_path / "bare").glob("[bS]*/python*"))))
    assert "this Python has no pip (uv leaves it out): python -m ensurepip" in toy.failure()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert "nothing" in toy.failure()


def test_an_unwritable_cache(toy, monkeypatch):
    def full(path):
        raise OSError("No space left on device")

    monkeypatch.setattr(files, "atomic_write", full)
    assert "No space left" in toy.failure()


# npm, found before the real one

NPM = f"""#!{sys.executable}
import os, shutil, sys
from pathlib import Path
arguments = sys.argv[1:]
assert arguments[:2] == ["pack", "--ignore-scripts"] and arguments[-1] == "@toy/toy@1.0", arguments
with open(os.environ["TOY_LOG"], "a") as log:
    log.write("called\\n")
if os.environ.get("TOY_ERRORS"):
    sys.stderr.write(os.environ["TOY_ERRORS"])
    sys.exit(1)
assert Path(os.environ["npm_config_cache"]).is_dir()
shutil.copy(os.environ["TOY_WHEEL"], ".")
"""


class NodeToy(Toy):
    """A package of npm's with two files to keep, and the npm that brings it."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder, monkeypatch)
        self.wheel = folder / "toy-toy-1.0.tgz"
        monkeypatch.setenv("TOY_WHEEL", str(self.wheel))
        monkeypatch.setenv("PATH", str(folder / "path"))
        (folder / "path" / "npm").write_text(NPM)
        (folder / "path" / "npm").chmod(0o755)
        with tarfile.open(self.wheel, "w:gz") as archive:
            for name, content in (("package/w.bin", CONTENT), ("package/w.json", b"{}"),
                                  ("package/other", b"!")):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        self.arguments |= {
            "client": "npm", "requirement": "@toy/toy@1.0", "member": "package/w.bin",
            "archive_sha256": files.sha256(self.wheel), "archive_size": self.wheel.stat().st_size,
            "beside": [("toy.json", "package/w.json", hashlib.sha256(b"{}").hexdigest(), 2)],
        }  # fmt: skip


@pytest.fixture
def node_toy(tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("the stand-in for npm is a script with a first line that POSIX reads")
    return NodeToy(tmp_path, monkeypatch)


def test_npm_brings_two_files_once(node_toy, capsys):
    path = node_toy.fetch()
    assert path == node_toy.cache / "toy.bin" and path.read_bytes() == CONTENT
    assert path.with_name("toy.json").read_bytes() == b"{}"
    assert sorted(os.listdir(node_toy.cache)) == ["toy.bin", "toy.json"]
    assert capsys.readouterr().err == "fetching toy.bin: npm pack @toy/toy@1.0 (0.0 MB)\n"
    assert node_toy.fetch() == path and node_toy.log.read_text().count("called") == 1
    path.with_name("toy.json").write_bytes(b"[]")
    assert node_toy.fetch() == path and path.with_name("toy.json").read_bytes() == b"{}"


def test_what_comes_along_is_kept_but_not_asked_for(node_toy):
    """Two nets in one archive: whichever is asked for first brings the other."""
    files_ = [("toy.bin", "package/w.bin", node_toy.arguments["sha256"], len(CONTENT)),
              ("toy.json", "package/w.json", hashlib.sha256(b"{}").hexdigest(), 2)]
    node_toy.failure(beside=[], along=[("toy.json", "package/w.json", "0" * 64, 2)])
    path = node_toy.fetch(beside=[], along=files_[1:])
    other = path.with_name("toy.json")
    assert other.read_bytes() == b"{}"
    name, member, sha256, size = files_[1]
    arguments = {"name": name, "member": member, "sha256": sha256, "size": size, "beside": [],
                 "along": files_[:1]}
    assert node_toy.fetch(**arguments) == other and node_toy.log.read_text().count("called") == 2
    other.unlink()
    # it is not missed
    assert node_toy.fetch(beside=[], along=files_[1:]) == path and not other.exists()
    assert node_toy.fetch(**arguments) == other and node_toy.log.read_text().count("called") == 3


def test_what_npm_brought_is_not_what_was_expected(node_toy):
    assert "toy-toy-1.0.tgz has SHA-256" in node_toy.failure(archive_sha256="0" * 64)
    assert "package/w.bin has SHA-256" in node_toy.failure(sha256="0" * 64)
    assert "package/w.json has SHA-256" in node_toy.failure(
        beside=[("toy.json", "package/w.json", "0" * 64, 2)]
    )
    assert "has 2 bytes, expected 3" in node_toy.failure(
        beside=[("toy.json", "package/w.json", "0" * 64, 3)]
    )
    assert "toy-toy-1.0.tgz has no package/none" in node_toy.failure(member="package/none")
    whole = node_toy.wheel.read_bytes()
    for damaged in (whole[:len(whole) // 2], whole[:40] + b"????" + whole[44:], b"no archive", b""):
        node_toy.wheel.write_bytes(damaged)
        assert "toy-toy-1.0.tgz is damaged" in node_toy.failure(archive_sha256=None)


def test_npm_fails(node_toy, monkeypatch):
    monkeypatch.setenv("TOY_ERRORS", "npm warn x\nnpm error code E404\nnpm error 404 Not Found - "
                                     "GET https://r/toy\n\n")
    assert "`npm pack @toy/toy@1.0` failed: npm error 404 Not Found - GET" in node_toy.failure()
    monkeypatch.setenv("TOY_ERRORS",
                       "npm error code ENOTFOUND\nnpm error request to https://r failed\n")
    assert ("npm error request to https://r failed (is there a network "
            "connection?)") in node_toy.failure()


def test_no_npm(node_toy, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = node_toy.failure()
    assert ("npm, the package client of Node.js, is not installed: install Node.js "
            "(https://nodejs.org)") in message


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress(toy, monkeypatch):
    monkeypatch.setenv("TOY_SECONDS", "0.5")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)  # not installed
    toy.fetch(name="first")
    assert sys.stderr.getvalue().count("\n") == 1
    monkeypatch.delitem(sys.modules, "tqdm")
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    toy.fetch(name="second")
    assert "100%" in sys.stderr.getvalue() and "pip download toy==1.0" in sys.stderr.getvalue()
