"""Files that are either whole or absent, and never overwritten unasked. POSIX only (fsync of folders)."""

import contextlib
import os
import pathlib
import secrets

from tinytl_tf.errors import InputError

__all__ = ["atomic_write_bytes", "refuse_existing"]

# Bytes. Linux keeps in one piece what is written at once, and brings all of it into a process that maps the file and
# reads one page (seen with 6.18): a .tflite written at once counts whole.
_WRITTEN_AT_ONCE = 65536


def atomic_write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path` so that a reader, or a power cut, sees the old file or the new one and nothing between.

    The data go to a temporary file in the same folder, are flushed to the disk, and take the name in one step.
    Temporary files that a killed writer of the same path left behind are removed. Missing folders are made.

    Args:
        path: The file to write; an existing one is replaced.
        data: The whole content.

    Raises:
        InputError: If the folder or the file cannot be written; the old file, if any, is untouched.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        try:
            with open(temporary, "xb") as stream:
                for start in range(0, len(data), _WRITTEN_AT_ONCE):
                    stream.write(data[start : start + _WRITTEN_AT_ONCE])
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _fsync_folder(path.parent)
    except OSError as error:
        raise InputError(
            f"expected to write {path}, got: {error.strerror}; choose a path that can be written"
        ) from error


def refuse_existing(path: str | os.PathLike, overwrite: bool) -> None:
    """Checks, before any work, that `path` may be written when the work is done.

    Args:
        path: The file (or folder) that a command is going to write.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: If it exists and `overwrite` is false, or its folder cannot be written.
    """
    path = pathlib.Path(path)
    if os.path.lexists(path) and not overwrite:
        raise InputError(f"{path} exists already; choose another path, or give --overwrite to replace it")
    folder = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {folder} is not a writable folder; choose another path")


def _remove_leftovers(path: pathlib.Path) -> None:
    """Removes temporary files for `path` whose writer, named by its process id, runs no more."""
    for name in os.listdir(path.parent):
        if not (name.startswith(f".{path.name}.") and name.endswith(".tmp")):
            continue
        pid = name.removeprefix(f".{path.name}.").partition("-")[0]
        if pid.isdigit() and not _is_running(int(pid)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path.parent / name)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _fsync_folder(folder: pathlib.Path) -> None:
    """Makes the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
