"""Opens files for reading without waiting for a FIFO or reading a device."""

import errno
import os
import stat
from typing import BinaryIO

__all__ = ["open_regular"]


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file for reading.

    Args:
        path: The file; a symbolic link is followed.

    Returns:
        The open file.

    Raises:
        OSError: If the file cannot be opened or is a folder, FIFO, socket or device; `strerror` and `filename` are set.
    """
    try:
        # A FIFO without a writer would block a plain open forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        problem = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "Not a regular file"
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, problem, os.fspath(path))
    return open(descriptor, "rb")
