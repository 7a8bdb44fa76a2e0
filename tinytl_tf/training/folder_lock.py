"""One training at a time in a run folder."""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
from collections.abc import Iterator

from tinytl_tf.errors import InputError

__all__ = ["LOCK_NAME", "folder_lock"]

LOCK_NAME = ".lock"


@contextlib.contextmanager
def folder_lock(folder: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a folder; the system gives it up with the process, so that a kill leaves no stale one.

    Args:
        folder: Is made if it is missing.

    Raises:
        InputError: If another process holds the lock, or the folder cannot be written.
    """
    path, existed = folder / LOCK_NAME, folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = _lock(path)
    except OSError as error:
        raise InputError(
            f"expected to write {path}, got: {error.strerror}; choose a folder that can be written"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        stream.close()
        if not existed:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _lock(path: pathlib.Path):
    while True:
        stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115, it is held open as long as the lock
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read(1000)
            stream.close()
            raise InputError(
                f"{path.parent} is in use by another training ({_who(holder)}); wait for it to end, or choose "
                "another folder"
            ) from error
        # Whoever held it before may have removed the file in between.
        if path.exists() and os.stat(path).st_ino == os.fstat(stream.fileno()).st_ino:
            stream.truncate(0)
            stream.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            stream.flush()
            return stream
        stream.close()


def _who(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has just begun"
