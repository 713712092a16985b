"""Files that are whole or not there: the cache folder, atomic writing, locks, checksums."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path
import secrets
import stat
import sys
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
LONG_NAME = 100         # bytes; a hidden name beside a file stays below file systems' 143 or 255


def cache_folder():
    """The folder for files that can be fetched again, created if need be.

    The environment variable MINIDL_CACHE names it; otherwise it is `minidl` in the platform's
    per-user cache folder (Linux: $XDG_CACHE_HOME or ~/.cache, macOS: ~/Library/Caches, Windows:
    %LOCALAPPDATA%). Raises OSError if it cannot be created.
    """
    chosen = os.environ.get("MINIDL_CACHE")
    if chosen:
        folder = Path(chosen).expanduser()
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA")
                      or Path.home() / "AppData" / "Local") / "minidl"
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "minidl"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minidl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OSError(f"the cache folder {folder} cannot be made ({problem.strerror}); the "
                      "environment variable MINIDL_CACHE names another") from None
    return folder


def as_path(operation, argument, value):
    """The value as a Path; raises TypeError for what is none, as a number: `open` would take it for
    a file that is open already, 1 for the terminal, and close it.  ValueError for one with a null
    character, which ends a path."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{operation}: {argument} must be a path, got {type(value).__name__} "
                        f"{value!r:.40}")
    if "\0" in str(value):
        raise ValueError(f"{operation}: {argument} must have no null character, got {value!r:.40}")
    return Path(value)


def open_file(path):
    """`path` open for reading bytes, if it is a regular file.

    A named pipe would wait for ever for somebody to write into it, and a device may never end:
    these raise OSError at once, as does whatever cannot be opened.
    """
    return open(as_path("open_file", "path", path), "rb", opener=_open_at_once)


def _open_at_once(path, flags):
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # of a folder, `open` itself says so
        os.close(descriptor)
        raise OSError(f"{path} is a pipe or a device, expected a file")
    return descriptor


@contextlib.contextmanager
def atomic_write(path):
    """A binary file to write, which becomes `path` when the `with` block ends without an exception.

    The bytes go to the hidden file .NAME.part beside the target, reach the disk (fsync), and then
    take the target's name in one step, so a reader sees the old file or the new one, never a
    part. After an exception the old file is as it was. A killed run leaves its .NAME.part; the
    next save of the same path removes it. Of two processes that save at once, the second waits.

    A link stays a link: the file that it points to is replaced. That file's mode (and its owner
    and group, where the user may give files away) goes over to the new one; where there is none,
    the umask decides.

    Raises OSError if the folder does not exist or cannot be written, or `path` is something other
    than a file (a folder, a device).
    """
    path = _target(path)
    if path.exists() and not path.is_file():
        raise OSError(f"cannot write {path}: it exists and is not a file")
    part = _beside(path, ".part")
    with locked(part) as held:
        if not held:  # the name must then keep two processes apart
            part = _beside(path, f".{secrets.token_hex(4)}.part")
        part.unlink(missing_ok=True)  # of a killed run: a living one would hold the lock
        try:
            with open(part, "xb", opener=_like(path)) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    # the rename itself reaches the disk; not every platform opens folders
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def locked(path):
    """Hold a lock that is named after `path`; other threads and processes that ask for it wait.

    For what reads a file, changes it and saves it again, with nobody else in between:

        with files.locked(path):
            numbers = weights.load(path) | {"one_more": number}
            weights.save(path, numbers)

    The lock is the hidden file .NAME.lock beside `path`, which need not exist. It ends with the
    `with` block or with the process, however that dies, and the file goes with it; one that a
    killed process left stops nobody, and is removed by the next that asks. Asking for a lock that
    one holds already waits for ever.

    Gives True, or False where the file system knows no locks: then nobody waits.
    Raises OSError where the folder does not exist or cannot be written.
    """
    lock = _beside(_target(path), ".lock")
    descriptor, held = _claim(lock) if fcntl else (_claim_on_windows(lock), True)
    try:
        yield held
    finally:
        if fcntl:  # removed while it is held: whoever waits for it then looks again
            lock.unlink(missing_ok=True)
        os.close(descriptor)
        if not fcntl:
            with contextlib.suppress(OSError):  # somebody has it already
                lock.unlink()


def _claim(lock):
    """(descriptor, whether it is locked) of the file `lock`, made if need be."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            held = _wait_for(descriptor)
            # whoever held it before has removed it, and somebody may have made another
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.lstat(lock)):
                    return descriptor, held
        except BaseException:  # an interrupt, while it waited
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait_for(descriptor):
    """Lock an open file against other processes; False where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as problem:
        if problem.errno in WITHOUT_LOCKS:
            return False
        raise
    return True


def _claim_on_windows(lock):
    """The descriptor of the file `lock`, new: there nobody can remove a file that is open."""
    while True:
        try:
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            with contextlib.suppress(OSError):
                lock.unlink()
                continue
            time.sleep(0.02)


def _target(path):
    """The file to write, where `path` may be a link to it."""
    path = Path(os.path.realpath(as_path("write", "path", path)))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path.name}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"cannot write {path.name}: no file can be made in {path.parent}")
    return path


def _beside(path, ending):
    """A hidden file's path beside `path`: .NAMEending, a long name cut and told apart by a hash."""
    name = path.name
    encoded = os.fsencode(name)
    if len(encoded) > LONG_NAME:
        kept = encoded[:LONG_NAME // 2].decode("utf-8", "ignore")
        name = f"{kept}-{hashlib.sha256(encoded).hexdigest()[:16]}"
    return path.with_name(f".{name}{ending}")


def _like(path):
    """An opener of new files that have the mode, owner and group of `path`, where that exists."""

    def opener(name, flags):
        try:
            old = os.stat(path)
        except FileNotFoundError:
            return os.open(name, flags, 0o666)
        descriptor = os.open(name, flags, 0o600)
        mode = stat.S_IMODE(old.st_mode) & 0o777
        if hasattr(os, "fchown"):
            for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
                with contextlib.suppress(OSError):  # only some may give files away
                    os.fchown(descriptor, owner, group)
            if os.fstat(descriptor).st_gid != old.st_gid:
                mode &= ~0o070  # what one group might do is not for another
            os.fchmod(descriptor, mode)
        return descriptor

    return opener


def sha256(path):
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open_file(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
