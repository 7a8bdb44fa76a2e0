r"""A file of features on disk: bounded, checked, and whole after a kill.

| offset | size | content |
|---|---|---|
| 0 | 8 | magic: `TINYTLF\n` |
| 8 | 32 | SHA-256 of what the features depend on: the network that makes them and how images are prepared |
| 40 | 4 | uint32: size of the features of one image, in bytes |
| 44 | 4 | CRC-32 of the bytes before |
| 48 | | records of equal size: key (32), features, CRC-32 of both (4) |

All numbers are little-endian. A record that a kill has cut short is cut off when the file is opened; one that is
damaged counts as missing and is written again.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import struct
import zlib

import numpy as np

from tinytl_tf import files
from tinytl_tf.errors import InputError

__all__ = ["CACHE_BYTES", "FeatureCache"]

CACHE_BYTES = 512 * 2**20
_MAGIC = b"TINYTLF\n"
_HEADER = struct.Struct("<8s32sI")
_CHECKSUM = struct.Struct("<I")
_START = _HEADER.size + _CHECKSUM.size
_KEY = 32
_PREFIX, _SUFFIX = "features-", ".bin"


class FeatureCache:
    """Features of images by key, in a file of their own for each network and preparation of images.

    The folder holds at most `limit_bytes`. Files of other networks go first, the one that was not used for longest
    before the others. When there is no room left, records that this object has neither read nor written are replaced;
    where there is none of those, what comes is not kept: a set that is larger than the limit keeps a part of it, and is
    not pushed through.

    One process at a time uses a file. Threads may share an object.

    Args:
        folder: Made if it is missing.
        depends_on: Text of all that the features depend on but the image.
        shape: Of the features of one image.
        dtype: Of the features.
        limit_bytes: Of the folder.

    Raises:
        InputError: If the folder cannot be written, another process uses the file, or not even one image fits.

    Example:
        >>> cache = FeatureCache("features", "a network", (4, 4, 8), "int8")
        >>> cache.put(b"k" * 32, np.zeros((4, 4, 8), np.int8))
        True
        >>> cache.get(b"k" * 32).shape, cache.get(b"x" * 32)
        ((4, 4, 8), None)
        >>> cache.close()
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        depends_on: str,
        shape: tuple[int, ...],
        dtype: str,
        *,
        limit_bytes: int = CACHE_BYTES,
    ) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._payload = int(np.prod(self.shape)) * self.dtype.itemsize
        self._record = _KEY + self._payload + _CHECKSUM.size
        digest = hashlib.sha256(f"{depends_on}\0{self.shape}\0{self.dtype}".encode()).digest()
        self._folder = files.expand(folder)
        self.path = self._folder / f"{_PREFIX}{digest.hex()[:32]}{_SUFFIX}"
        if limit_bytes < _START + self._record:
            raise InputError(
                f"expected room for the features of an image, {_START + self._record:,} bytes, got a limit of "
                f"{limit_bytes:,} bytes; raise it"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(
                f"expected a folder for features at {self._folder}, got: {error.strerror}; choose one that can be "
                "written"
            ) from error
        try:
            if not _lock(self._file):
                raise InputError(f"another process uses the features in {self._folder}; wait for it, or choose another")
            self._keys: list[bytes | None] = self._open(digest)
            room = limit_bytes - self._make_room(limit_bytes)
        except BaseException:
            os.close(self._file)
            raise
        self._most = max(1, (room - _START) // self._record)
        self._slots = {key: slot for slot, key in enumerate(self._keys)}
        self._used: set[int] = set()
        self._next = 0  # all slots before it are in use

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: bytes) -> bool:
        """Whether there is a record of a key, without a look whether it is whole."""
        return key in self._slots

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return os.fstat(self._file).st_size

    def get(self, key: bytes) -> np.ndarray | None:
        """Returns the features of a key, or None where there are none that are whole.

        Args:
            key: 32 bytes.
        """
        slot = self._slots.get(key)
        if slot is None:
            return None
        content = os.pread(self._file, self._record, self._offset(slot))
        if not _is_whole(content, self._record) or content[:_KEY] != key:
            self._forget(slot)
            return None
        self._used.add(slot)
        return np.frombuffer(content, self.dtype, offset=_KEY, count=self._payload // self.dtype.itemsize).reshape(
            self.shape
        )

    def put(self, key: bytes, features: np.ndarray) -> bool:
        """Keeps features.

        Args:
            key: 32 bytes.
            features: Of `shape` and `dtype`.

        Returns:
            Whether there was room.

        Raises:
            InputError: If the disk is full or the file cannot be written.
        """
        if len(key) != _KEY or features.shape != self.shape or features.dtype != self.dtype:
            wanted = f"a key of {_KEY} bytes and {self.dtype} {list(self.shape)}"
            raise InputError(f"expected {wanted}, got {len(key)} and {features.dtype} {list(features.shape)}")
        slot = self._free_slot(key)
        if slot is None:
            return False
        content = key + np.ascontiguousarray(features).tobytes()
        try:
            os.pwrite(self._file, content + _CHECKSUM.pack(zlib.crc32(content)), self._offset(slot))
        except OSError as error:
            raise InputError(
                f"expected to write features to {self.path}, got: {error.strerror}; make room, or choose another folder"
            ) from error
        self._slots[key] = slot
        self._keys[slot] = key
        self._used.add(slot)
        return True

    def close(self) -> None:
        """Closes the file, so that another process can use it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _offset(self, slot: int) -> int:
        return _START + slot * self._record

    def _free_slot(self, key: bytes) -> int | None:
        if key in self._slots:
            return self._slots[key]
        if len(self._keys) < self._most:
            self._keys.append(None)
            return len(self._keys) - 1
        while self._next in self._used:
            self._next += 1
        if self._next >= len(self._keys):
            return None
        self._forget(self._next)
        return self._next

    def _forget(self, slot: int) -> None:
        """Takes a record out of the list; another one may take its place."""
        if self._slots.get(self._keys[slot]) == slot:
            del self._slots[self._keys[slot]]
        self._keys[slot] = None

    def _open(self, digest: bytes) -> list[bytes]:
        """Reads the keys; a file that is not as it should be starts afresh."""
        header = _HEADER.pack(_MAGIC, digest, self._payload)
        header += _CHECKSUM.pack(zlib.crc32(header))
        if os.pread(self._file, _START, 0) != header:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, header, 0)
            return []
        count = (os.fstat(self._file).st_size - _START) // self._record
        os.ftruncate(self._file, self._offset(count))
        os.utime(self._file)
        return [os.pread(self._file, _KEY, self._offset(slot)) for slot in range(count)]

    def _make_room(self, limit_bytes: int) -> int:
        """Removes files of other networks until what is there fits; returns the bytes of those that stay."""
        others = [path for path in self._folder.glob(f"{_PREFIX}*{_SUFFIX}") if path != self.path]
        sizes = {path: path.stat() for path in others}
        kept = sum(status.st_size for status in sizes.values())
        for path in sorted(others, key=lambda path: sizes[path].st_mtime):
            # Half of the folder is left to the file that is in use.
            if kept <= limit_bytes // 2 and kept + self.bytes + self._record <= limit_bytes:
                break
            if _remove_unused(path):
                kept -= sizes[path].st_size
        return kept


def _is_whole(content: bytes, size: int) -> bool:
    return len(content) == size and _CHECKSUM.unpack(content[-_CHECKSUM.size :])[0] == zlib.crc32(
        content[: -_CHECKSUM.size]
    )


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_unused(path: pathlib.Path) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _lock(descriptor):
                path.unlink()
                return True
        finally:
            os.close(descriptor)
    return False
