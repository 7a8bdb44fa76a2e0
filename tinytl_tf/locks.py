"""File locks. The system releases a lock when its process ends, so a kill leaves no stale lock. POSIX only."""

import contextlib
import errno
import fcntl
import io
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import Any

from tinytl_tf.errors import InputError
from tinytl_tf.owner import Owner

__all__ = ["is_at", "output_lock", "try_lock"]

_TRIES = 100  # attempts to open a lock file that its last owner has just removed


@contextlib.contextmanager
def output_lock(output: str | os.PathLike, *, folder: bool = False) -> Iterator[None]:
    """Keeps other runs from writing the same output while the block runs.

    The lock is a file next to the output, `<output>.lock`, or `.lock` inside a folder, and is removed afterwards. If
    the file system does not support locks, the file's content is the lock: after a process on another host was killed,
    remove the file by hand, as the error explains.

    Args:
        output: The file or folder that the run writes; for a symbolic link, its target is locked. Missing folders are
            created, and removed again if they stay empty.
        folder: Whether the output is a folder.

    Raises:
        InputError: If another run holds the lock, or the lock cannot be written.

    Example:
        >>> with output_lock("mine.tinytl"):  # doctest: +SKIP
        ...     adapt(model, splits, state_path="mine.tinytl")
    """
    real = pathlib.Path(os.path.realpath(output))
    path = real / ".lock" if folder else real.with_name(f"{real.name}.lock")
    made = [parent for parent in path.parents if not parent.exists()]
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, made)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(_hold(path, output))
            stack.callback(_remove, path)
            stream.write(json.dumps(_record_of_this_process()).encode())
        except OSError as error:
            raise InputError(
                f"expected to write {path}, got: {error.strerror}; choose a path that can be written"
            ) from error
        yield


def try_lock(stream: io.IOBase) -> bool | None:
    """Takes the lock of an open file without waiting; it is held until the file is closed.

    Returns:
        True if the lock was acquired; False if another process, or another descriptor of the file, holds it; None if
        the file system does not support locks.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(stream: io.IOBase, path: str | os.PathLike) -> bool:
    """Whether an open file is still at `path`: its last owner may have removed it before it was locked."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(stream.fileno()))
    except OSError:
        return False


def _hold(path: pathlib.Path, output: str | os.PathLike) -> io.FileIO:
    """Returns the open lock file, locked and empty."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    for _ in range(_TRIES):
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(open(path, "r+b", 0, opener=lambda name, _: os.open(name, flags, 0o666)))
            locked, text = try_lock(stream), stream.read(1000)
            if locked is False or (locked is None and not _has_ended(text)):
                remedy = "wait for it to end" if locked is False else f"wait for it to end (if it has, remove {path})"
                raise InputError(
                    f"{output} is in use by another training ({_who(text)}); {remedy}, or choose another path"
                )
            if is_at(stream, path):
                stream.seek(0)
                stream.truncate()
                stack.pop_all()
                return stream
    raise OSError(errno.EAGAIN, "it changes each time that it is opened")


def _record_of_this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "owner": str(Owner.here())}


def _record(text: bytes) -> dict[str, Any]:
    try:
        record = json.loads(text)
        return record if isinstance(record, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _has_ended(text: bytes) -> bool:
    owner = Owner.parse(str(_record(text).get("owner")))
    return not text or (owner is not None and owner.has_ended)


def _who(text: bytes) -> str:
    record = _record(text)
    if not {"pid", "host"} <= record.keys():
        return "a process that has just begun"
    return f"process {record['pid']} on {record['host']}"


def _remove(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # without a lock on it, a remaining file blocks no other run
        path.unlink()


def _remove_empty(folders: list[pathlib.Path]) -> None:
    with contextlib.suppress(OSError):  # stops at the first folder that is not empty
        for folder in folders:
            folder.rmdir()
