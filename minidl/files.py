"""Files that are whole or not there: the per-user cache folder, atomic writing, checksums."""

import contextlib
import hashlib
import os
from pathlib import Path
import secrets
import sys


def cache_folder():
    """The folder for files that can be fetched again, created if need be.

    The environment variable MINIDL_CACHE names it; otherwise it is `minidl` in the platform's per-user cache folder
    (Linux: $XDG_CACHE_HOME or ~/.cache, macOS: ~/Library/Caches, Windows: %LOCALAPPDATA%). Raises OSError if it cannot
    be created.
    """
    chosen = os.environ.get("MINIDL_CACHE")
    if chosen:
        folder = Path(chosen).expanduser()
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "minidl"
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "minidl"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minidl"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def atomic_write(path):
    """A binary file to write, which becomes `path` only when the `with` block ends without an exception.

    The bytes go to a file beside the target, reach the disk (fsync), and then take its name in one step, so a reader
    sees the old file or the new one, never a part. After an exception the old file is as it was. Raises OSError if the
    folder does not exist or `path` is something other than a file (a folder, a device).
    """
    path = Path(os.path.realpath(path))  # through a link: replace the file it points to, not the link
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path.name}: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise OSError(f"cannot write {path}: it exists and is not a file")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(beside, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # the rename itself reaches the disk; not every platform opens folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sha256(path):
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
