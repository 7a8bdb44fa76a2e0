r"""The `.tinytl` state file: the learned values of a model, without the model. One format for all clients.

All numbers are little-endian; offsets and sizes are in bytes; N is the number of values of the state.

| offset  | size | type           | content                                                             |
|---------|------|----------------|---------------------------------------------------------------------|
| 0       | 8    | bytes          | magic: 54 49 4E 59 54 4C 0D 0A (`TINYTL\r\n`)                       |
| 8       | 4    | uint32         | format version: 1, or 2 if classes were added                       |
| 12      | 32   | bytes          | fingerprint: SHA-256 of all bytes of the `.tflite` it belongs to    |
| 44      | 4    | uint32         | N                                                                   |
| 48      | 4 N  | float32 (IEEE) | the state, in the order of the signature `save`; every value finite |
| 48 + 4N | 4    | uint32         | version 2 only: L, the length of the names                          |
| 52 + 4N | L    | UTF-8          | version 2 only: names of the added classes, one on each line        |
| the end | 4    | uint32         | CRC-32 of all bytes before it (zlib's, `java.util.zip.CRC32`)       |

The file ends there: its length is 52 + 4 N, or 56 + 4 N + L, with L from 1 to 2^20. The names follow the rule in
docs/formats.md, and no two names have the same bytes. They are separated by 0A and are in the order of their outputs,
which come after the outputs of the exported classes. A reader checks, in this order, the magic, the version, the
length, the checksum, the fingerprint, N against the model, the names, and that each value is finite; it uses nothing
from a file that fails a check. It keeps the names as they are: they need not be in Unicode's form NFC, which not every
client can compute.
"""

import dataclasses
import os
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from tinytl_tf import files
from tinytl_tf.data.classes import check_name
from tinytl_tf.device.state_check import check_finite
from tinytl_tf.errors import InputError
from tinytl_tf.regular_file import open_regular

__all__ = ["SavedState", "check_added", "read_state", "write_state"]

_MAGIC = b"TINYTL\r\n"
_VERSION, _WITH_NAMES = 1, 2
_HEADER = struct.Struct("<8sI32sI")
_NUMBER = struct.Struct("<I")
_MOST_NAMES = 2**20  # bytes


@dataclasses.dataclass(frozen=True)
class SavedState:
    """Content of a state file.

    Attributes:
        values: The state, float32 `[N]`.
        added_classes: Names of the classes that were added on the device, in the order of their outputs.
    """

    values: np.ndarray
    added_classes: tuple[str, ...] = ()


def write_state(
    path: str | os.PathLike, state: np.ndarray, fingerprint: bytes, added_classes: Sequence[str] = ()
) -> None:
    """Writes a state file; a reader always sees the complete old or new file.

    Args:
        path: The file to write; an existing file is replaced.
        state: float32 `[N]`, finite.
        fingerprint: SHA-256 of the model's file, 32 bytes.
        added_classes: Names of the classes that were added on the device.

    Raises:
        InputError: If the state is not finite; if a name is refused; or if the file cannot be written. An old file is
            untouched.
    """
    check_finite(state, f"cannot save {path}")
    check_added(added_classes)
    version = _WITH_NAMES if added_classes else _VERSION
    content = _HEADER.pack(_MAGIC, version, fingerprint, state.size) + state.astype("<f4").tobytes()
    if added_classes:
        names = "\n".join(added_classes).encode()
        content += _NUMBER.pack(len(names)) + names
    files.atomic_write_bytes(path, content + _NUMBER.pack(zlib.crc32(content)))


def check_added(names: Sequence[str]) -> None:
    """Checks the names of added classes for a state file.

    Raises:
        InputError: If `check_name` refuses a name; if two names have the same bytes; or if all names together take over
            2^20 bytes.
    """
    for name in names:
        check_name(name)
    if len(set(names)) < len(names):
        raise InputError(f"expected names of classes that differ, got one twice among {list(names)!r:.200}")
    size = len("\n".join(names).encode())
    if size > _MOST_NAMES:
        raise InputError(f"expected names of classes of {_MOST_NAMES} bytes in all, got {size}; give shorter names")


def read_state(path: str | os.PathLike, fingerprint: bytes, size: int) -> SavedState:
    """Reads a state file, which must belong to the model with this fingerprint.

    Args:
        path: The file to read.
        fingerprint: SHA-256 of the model's file, 32 bytes.
        size: Number of values in the model's state.

    Returns:
        The state, `[size]`, and the names of the added classes.

    Raises:
        InputError: If the file cannot be read; if it is not a state file or is damaged; or if it belongs to a different
            model.
    """
    try:
        with open_regular(files.expand(path)) as stream:
            header = stream.read(_HEADER.size)
            count = _parse_header(path, header, os.fstat(stream.fileno()).st_size)
            content = header + stream.read()
    except OSError as error:
        raise InputError(f"expected a state file at {path}, got: {error.strerror}; check the path") from error
    names = _names(path, content, count)
    (expected,) = _NUMBER.unpack(content[-_NUMBER.size :])
    actual = zlib.crc32(content[: -_NUMBER.size])
    if actual != expected:
        raise InputError(f"{path} is damaged: expected checksum {expected:08x}, got {actual:08x}; use another copy")
    written_for = content[12:44]
    if written_for != fingerprint:
        raise InputError(
            f"{path} belongs to the model with SHA-256 {written_for.hex()[:16]}..., expected "
            f"{fingerprint.hex()[:16]}...; load the .tflite file that it was saved from"
        )
    if count != size:
        raise InputError(f"{path} has {count} values, expected the {size} of the model; save the state again")
    added = _parse_names(path, names)
    state = np.frombuffer(content, "<f4", count, _HEADER.size).astype(np.float32)
    check_finite(state, f"cannot use {path}")
    return SavedState(state, added)


def _parse_header(path: str | os.PathLike, header: bytes, length: int) -> int:
    """Checks magic, version and length before large reads; returns N."""
    if header[: len(_MAGIC)] != _MAGIC:
        raise InputError(f"{path} is not a state file: expected it to begin with {_MAGIC!r}, got {header[:8]!r}")
    if len(header) < _HEADER.size:
        raise InputError(f"{path} is cut short: expected {_HEADER.size} bytes or more, got {length}; use another copy")
    _, version, _, count = _HEADER.unpack(header)
    if version not in (_VERSION, _WITH_NAMES):
        raise InputError(
            f"{path} has format version {version}, expected {_VERSION} or {_WITH_NAMES}; use the tinytl_tf that "
            "wrote it"
        )
    least = _HEADER.size + 4 * count + _NUMBER.size
    most = least
    if version == _WITH_NAMES:
        least += _NUMBER.size + 1
        most = least + _MOST_NAMES
    if not least <= length <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(
            f"{path} is damaged: expected {expected} bytes for {count} values, got {length}; use another copy"
        )
    return count


def _names(path: str | os.PathLike, content: bytes, count: int) -> bytes:
    """Returns the bytes of the names, which must fill the file up to its checksum."""
    if _HEADER.unpack_from(content)[1] == _VERSION:
        return b""
    start = _HEADER.size + 4 * count
    (size,) = _NUMBER.unpack_from(content, start)
    expected = start + 2 * _NUMBER.size + size
    if len(content) != expected:
        raise InputError(
            f"{path} is damaged: expected {expected} bytes for {count} values and {size} bytes of names, got "
            f"{len(content)}; use another copy"
        )
    return content[start + _NUMBER.size : -_NUMBER.size]


def _parse_names(path: str | os.PathLike, names: bytes) -> tuple[str, ...]:
    if not names:
        return ()
    try:
        added = tuple(names.decode().split("\n"))
        check_added(added)
        return added
    except (UnicodeDecodeError, InputError) as error:
        raise InputError(f"{path} has names of classes that cannot be used ({error}); use another copy") from error
