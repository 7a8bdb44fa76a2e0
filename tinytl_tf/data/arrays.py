"""Reads archives of arrays from untrusted sources: no pickles, and memory in proportion to the file's size."""

import math
import os
import zipfile
from typing import BinaryIO

import numpy as np

from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError
from tinytl_tf.files import most_unpacked
from tinytl_tf.regular_file import open_regular

__all__ = ["read_array", "read_arrays"]

# Version of an array's format -> the reader of its shape and type.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(path: str | os.PathLike, what: str, remedy: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an `.npz` file by name.

    Args:
        path: the file.
        what: beginning of error messages, with the path of the file.
        remedy: end of error messages about a damaged file.

    Raises:
        InputError: If the file is missing or is not such an archive; or if it would unpack to far more than its size.
    """
    try:
        with open_regular(path) as file:
            _require_bounded(path, file, what, remedy)
            return dict(np.load(file, allow_pickle=False))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{what} does not exist; give the path of an .npz file") from error
    # Broken archives raise OSError, BadZipFile, zlib.error, ValueError, TypeError and others.
    except Exception as error:
        raise InputError(f"{what} cannot be read as .npz ({reason(error)}); {remedy}") from error


def read_array(path: str | os.PathLike) -> np.ndarray:
    """Returns the array of an `.npy` file.

    Raises:
        InputError: If the file is missing, is not an `.npy` file, or claims more data than it has.
    """
    remedy = "save it again with numpy.save"
    try:
        with open_regular(path) as file:
            _require_data(file, os.fstat(file.fileno()).st_size, os.fspath(path), remedy)
            file.seek(0)
            return np.load(file, allow_pickle=False)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give the path of an .npy file") from error
    except Exception as error:  # numpy raises several kinds for damaged files
        raise InputError(f"{path} cannot be read as .npy ({reason(error)}); {remedy}") from error


def _require_bounded(path: str | os.PathLike, file: BinaryIO, what: str, remedy: str) -> None:
    """Refuses arrays that would take far more memory than the file: numpy allocates the size in their headers."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > most_unpacked(path):
            raise InputError(
                f"{what} unpacks to {size:,} bytes, at most {most_unpacked(path):,} are read of a file of "
                f"its size; {remedy}"
            )
        for member in members:
            with archive.open(member) as stream:
                _require_data(stream, member.file_size, f"{what}: {member.filename}", remedy)
    file.seek(0)


def _require_data(stream: BinaryIO, size: int, what: str, remedy: str) -> None:
    """Refuses an array whose header claims more data than there is in `size`, the bytes of header and data together."""
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    wanted, there = math.prod(shape) * max(dtype.itemsize, 1), size - stream.tell()
    if wanted > there:
        raise InputError(f"{what} claims {wanted:,} bytes and has {there:,}; {remedy}")
