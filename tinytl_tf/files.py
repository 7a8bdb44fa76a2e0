"""Atomic writes: files are complete or absent, and are replaced only on request. POSIX only (fsync of folders)."""

import contextlib
import errno
import functools
import hashlib
import os
import pathlib
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO

from tinytl_tf.errors import InputError
from tinytl_tf.locks import try_lock
from tinytl_tf.owner import Owner
from tinytl_tf.regular_file import open_regular

__all__ = [
    "atomic_write_bytes",
    "expand",
    "most_unpacked",
    "refuse_existing",
    "require_room",
    "sha256",
    "temporary_folder",
]

# Bytes. Linux (seen with 6.18) keeps the pages of one large write together: if a process maps the file and reads one
# page, all of them are mapped. A .tflite written at once would count completely as the memory of that process.
_WRITTEN_AT_ONCE = 65536
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = re.compile(r"No space left on device|errno = 28\b|Disk quota exceeded|File too large")
_TEMPORARY = re.compile(r"\.tinytl-(.+)-[0-9a-f]{8}\.tmp", re.ASCII)
_LOCK = "lock"  # name in a temporary folder
_OLD = 86400.0  # seconds after which files from before a host's restart count as abandoned
_KINDS = {
    stat.S_ISDIR: "folder",
    stat.S_ISFIFO: "FIFO",
    stat.S_ISCHR: "device",
    stat.S_ISBLK: "device",
    stat.S_ISSOCK: "socket",
}


def expand(path: str | os.PathLike) -> pathlib.Path:
    """Replaces a leading `~` or `~user` and environment variables (`$NAME`, `${NAME}`) in a path.

    Args:
        path: The path as the user wrote it. A path that exists as written keeps its `$`; `./~name` keeps its `~`.

    Returns:
        The path to open.

    Raises:
        InputError: If a variable is not set; if the user has no home folder; or if the path contains a NUL character.

    Example:
        >>> import os
        >>> os.environ["RUNS"] = "/data/runs"
        >>> str(expand("$RUNS/digits"))
        '/data/runs/digits'
    """
    text = os.fsdecode(path)
    if "\0" in text:
        raise InputError(f"expected a path without NUL characters, got {text!r}; choose another path")
    if "$" in text and not os.path.lexists(text):
        text = os.path.expandvars(text)
        missing = re.search(r"\$\{?([A-Za-z_]\w*)", text)
        if missing and not os.path.lexists(text):
            raise InputError(
                f"expected a set environment variable in the path {os.fsdecode(path)}, got none called "
                f"{missing[1]}; set it or write the path out"
            )
    if text.startswith("~"):
        text = os.path.expanduser(text)
        if text.startswith("~"):
            raise InputError(
                f"expected a home folder for {text.partition('/')[0]} in the path {os.fsdecode(path)}, got none; "
                "write the path out, or begin it with ./ if it is a name"
            )
    return pathlib.Path(text)


def atomic_write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path` atomically: even after a power cut, it is the complete old or the complete new file.

    The data is written to a temporary file in the same folder, flushed to disk, and renamed in one step. Temporary
    files of killed writers in this folder are removed. Files of running writers are kept, even if the writers run in
    another container or on another host. Missing folders are created.

    Args:
        path: The file to write. An existing file is replaced; for a symbolic link, its target is replaced.
        data: The complete content.

    Raises:
        InputError: If the folder or the file cannot be written; or if `path` is a folder or a device. An old file is
            untouched.
    """
    path = expand(path)
    _require_regular(path)
    path = pathlib.Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_file(path.parent) as (stream, temporary):
            for start in range(0, len(data), _WRITTEN_AT_ONCE):
                stream.write(data[start : start + _WRITTEN_AT_ONCE])
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, path)
        _fsync_folder(path.parent)
    except OSError as error:
        raise InputError(
            f"expected to write {path}, got: {error.strerror}; choose a path that can be written"
        ) from error


def most_unpacked(path: str | os.PathLike) -> int:
    """Returns the maximum number of bytes that a file may unpack to; readers refuse more before they allocate memory.

    Compression does not shrink photos and weights much, and the other arrays are small.

    Args:
        path: A file with compressed content.
    """
    return 16 * os.stat(path).st_size + 2**20


def refuse_existing(path: str | os.PathLike, overwrite: bool, folder: bool = False) -> None:
    """Checks, before any work, that `path` may be written when the work is done.

    Args:
        path: The file (or folder) that a command is going to write.
        overwrite: Whether an existing file may be replaced.
        folder: Whether a folder will be written.

    Raises:
        InputError: If `path` exists and `overwrite` is false; if it is of another kind, for example a device; if its
            folder is not writable; or if a name in it is too long.
    """
    path = expand(path)
    parent = _existing_folder(path)
    _require_short(path, parent)
    if os.path.lexists(path) and not overwrite:
        raise InputError(f"{path} exists already; choose another path, or give overwrite=True to replace it")
    if not folder:
        _require_regular(path)
    elif os.path.lexists(path) and not path.is_dir():
        raise InputError(f"expected a folder at {path}, got a file; choose another path")
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {parent} is not a writable folder; choose another path")


def require_room(path: str | os.PathLike, size: int) -> None:
    """Checks, before any work, that the disk has room for a file of `size` bytes at `path`.

    The space is allocated briefly and then freed, so that quotas and process limits are checked as well. The space of
    an existing file at `path` does not count as free, because the file is replaced only when the new one is complete.

    Args:
        path: The file to be written; its folder need not exist.
        size: Size of the file in bytes.

    Raises:
        InputError: If there is not enough room.
    """
    path = pathlib.Path(os.path.realpath(expand(path)))
    folder = _existing_folder(path)
    try:
        room = os.statvfs(folder)
        free = room.f_bavail * room.f_frsize
        if free < size:
            raise OSError(errno.ENOSPC, f"{free:,} bytes free")
        with _temporary_file(folder) as (stream, _):
            if size:
                os.posix_fallocate(stream.fileno(), 0, size)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot reserve
            return
        raise InputError(
            f"expected room for {size:,} bytes in {folder}, got: {error.strerror}; free some, or choose another path"
        ) from error


def sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file, in hexadecimal; the file is read in parts to keep the peak memory small.

    Args:
        path: The file.

    Raises:
        OSError: If the file cannot be read or is not a regular file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        for part in iter(functools.partial(stream.read, 1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


@contextlib.contextmanager
def temporary_folder(place: pathlib.Path | None = None) -> Iterator[pathlib.Path]:
    """Creates a folder that is removed at the end; first removes folders that killed processes left behind.

    Args:
        place: Parent of the folder; by default, the system's folder for temporary files.

    Returns:
        A context manager that returns the empty folder.

    Raises:
        InputError: If there is no writable folder for temporary files; or if the disk is full, before the block or
            while it runs.
    """
    remedy = "set TMPDIR to a folder with room" if place is None else "make room there"
    try:
        place = place or pathlib.Path(tempfile.gettempdir())
        _remove_leftovers(place)
        stream, outer = _locked_folder(place)
        try:
            with stream:
                inner = outer / "files"
                inner.mkdir()
                yield inner
        finally:
            shutil.rmtree(outer, ignore_errors=True)
    except OSError as error:
        if place is not None and error.errno not in _FULL and not _FULL_WORDS.search(str(error)):
            raise
        where = "none can be written" if place is None else f"{place} is full"
        raise InputError(f"expected room for temporary files, but {where}; {remedy}") from error


def _require_regular(path: pathlib.Path) -> None:
    """Refuses a path that a file must not replace, such as a folder or a device; a link counts as its target."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # absent, or a dangling link; other errors show up when it is written
        return
    kind = next((name for test, name in _KINDS.items() if test(mode)), None)
    if kind is not None:
        raise InputError(f"expected a path for a file, got {path}, a {kind}; choose another path")


def _require_short(path: pathlib.Path, parent: pathlib.Path) -> None:
    """Refuses a path that is too long for the file system; `parent` is its nearest existing folder."""
    try:
        for name in (path, *(parent / part for part in path.absolute().relative_to(parent).parts)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                os.lstat(name)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another path") from error


def _existing_folder(path: pathlib.Path) -> pathlib.Path:
    return next(p for p in path.absolute().parents if os.path.lexists(p))


@contextlib.contextmanager
def _temporary_file(folder: pathlib.Path) -> Iterator[tuple[BinaryIO, pathlib.Path]]:
    """An open file in a folder, and its path; removed at the end unless it was renamed."""
    _remove_leftovers(folder)
    stream, temporary = _locked_file(folder)
    try:
        with stream:
            yield stream, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _locked_file(folder: pathlib.Path) -> tuple[BinaryIO, pathlib.Path]:
    """Returns a new file, locked so that no other process mistakes it for a leftover."""
    while True:
        path = _temporary_path(folder)
        stream = open(path, "xb")  # noqa: SIM115
        try_lock(stream)
        if path.exists():  # otherwise another process removed it as a leftover before it was locked
            return stream, path
        stream.close()


def _locked_folder(place: pathlib.Path) -> tuple[BinaryIO, pathlib.Path]:
    """Returns the open lock file of a new folder, and the folder; no other process mistakes it for a leftover."""
    while True:
        path = _temporary_path(place)
        path.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):  # another process removed it before it had a lock
            stream = open(path / _LOCK, "xb")  # noqa: SIM115
            try_lock(stream)
            if (path / _LOCK).exists():
                return stream, path
            stream.close()


def _temporary_path(folder: pathlib.Path) -> pathlib.Path:
    return folder / f".tinytl-{Owner.here()}-{secrets.token_hex(4)}.tmp"


def _remove_leftovers(folder: pathlib.Path) -> None:
    """Removes temporary files and folders of ended processes; ignores errors, which must not stop the actual work."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = _TEMPORARY.fullmatch(name)
            owner = match and Owner.parse(match[1])
            if owner:
                with contextlib.suppress(OSError):  # another user's, or gone
                    _remove_leftover(folder / name, owner)


def _remove_leftover(path: pathlib.Path, owner: Owner) -> None:
    is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    try:
        descriptor = os.open(path / _LOCK if is_folder else path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        os.rmdir(path)  # a process that is about to put its lock there creates another folder
        return
    with open(descriptor, "r+b", buffering=0) as stream:
        locked = try_lock(stream)
        if owner.is_on_this_kernel:
            ended = owner.has_ended if locked is None else locked
        else:  # hosts may not see each other's locks: acquiring one does not prove that the owner has ended
            ended = locked is True and owner.host == Owner.here().host and _age(stream) > _OLD
        if ended and is_folder:
            shutil.rmtree(path, ignore_errors=True)
        elif ended:
            path.unlink()


def _age(stream: BinaryIO) -> float:
    return time.time() - os.fstat(stream.fileno()).st_mtime


def _fsync_folder(folder: pathlib.Path) -> None:
    """Flushes a folder to disk, so that a new name in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
