r"""A file of features on disk: limited in size, checksummed, and intact after a kill.

| offset | size | content |
|---|---|---|
| 0 | 8 | magic: `TINYTLF\n` |
| 8 | 32 | SHA-256 of the inputs of the features: the network that computes them and the preparation of images |
| 40 | 4 | uint32: size of the features of one image, in bytes |
| 44 | 4 | CRC-32 of the bytes before |
| 48 | | records of equal size: key (32), features, CRC-32 of both (4) |

All numbers are little-endian. A record that a kill left incomplete is removed when the file is opened; a damaged record
counts as missing and is written again. A file without the magic belongs to another program and is neither replaced nor
removed.
"""

import contextlib
import errno
import hashlib
import os
import pathlib
import re
import stat
import struct
import threading
import zlib

import numpy as np

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.locks import is_at, try_lock

__all__ = ["CACHE_BYTES", "FeatureCache"]

CACHE_BYTES = 512 * 2**20
_MAGIC = b"TINYTLF\n"
_HEADER = struct.Struct("<8s32sI")
_CHECKSUM = struct.Struct("<I")
_START = _HEADER.size + _CHECKSUM.size
_KEY = 32
_NAME = re.compile(r"features-[0-9a-f]{32}\.bin")
# Neither wait for a FIFO nor follow a link.
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FeatureCache:
    """Features of images by key, in a separate file for each network and preparation of images.

    The folder holds at most `limit_bytes`. Files of other networks are removed first, starting with the least recently
    used one. When there is no room left, records that this object has neither read nor written are replaced. Without
    such records, new features are not stored: for a data set larger than the limit, one part stays cached instead of
    all records replacing each other.

    Only one process at a time can use a file. Threads may share an object.

    Args:
        folder: Folder of the file; created if it is missing.
        depends_on: Text that describes everything that the features depend on, except for the image.
        shape: Shape of the features of one image.
        dtype: Type of the features.
        limit_bytes: Maximum size of the folder in bytes.

    Raises:
        InputError: If the folder cannot be written; if another process uses the file; if its name is taken by an
            unrelated file; or if the features of not even one image fit.

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
        self.path = self._folder / f"features-{digest.hex()[:32]}.bin"
        if limit_bytes < _START + self._record:
            raise InputError(
                f"expected room for the features of an image, {_START + self._record:,} bytes, got a limit of "
                f"{limit_bytes:,} bytes; raise it"
            )
        header = _HEADER.pack(_MAGIC, digest, self._payload)
        self._header = header + _CHECKSUM.pack(zlib.crc32(header))
        with contextlib.ExitStack() as stack:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = self._hold()
                stack.callback(self.close)
                self._keys: list[bytes | None] = self._open((limit_bytes - _START) // self._record)
                room = limit_bytes - self._make_room(limit_bytes)
            except OSError as error:
                raise InputError(
                    f"expected a folder for features at {self._folder}, got: {error.strerror}; choose one that can be "
                    "written"
                ) from error
            stack.pop_all()
        self._most = max(1, (room - _START) // self._record)
        self._slots = {key: slot for slot, key in enumerate(self._keys)}
        self._lock = threading.Lock()
        self._used: set[int] = set()
        self._next = 0  # all slots before it are in use

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: bytes) -> bool:
        """Whether there is a record of a key; does not check that the record is intact."""
        return key in self._slots

    @property
    def bytes(self) -> int:
        """Size of the file in bytes."""
        return os.fstat(self._file).st_size

    def get(self, key: bytes) -> np.ndarray | None:
        """Returns the features of a key, or None without an intact record.

        Args:
            key: 32 bytes.
        """
        slot = self._slots.get(key)
        if slot is None:
            return None
        try:
            content = os.pread(self._file, self._record, self._offset(slot))
        except OSError:  # an error of the disk, or of a file server
            content = b""
        if not _is_whole(content, self._record) or content[:_KEY] != key:
            self._forget(slot)
            return None
        self._used.add(slot)
        return np.frombuffer(content, self.dtype, offset=_KEY, count=self._payload // self.dtype.itemsize).reshape(
            self.shape
        )

    def put(self, key: bytes, features: np.ndarray) -> bool:
        """Stores the features of an image.

        Args:
            key: 32 bytes.
            features: Features with the cache's `shape` and `dtype`.

        Returns:
            Whether there was room.

        Raises:
            InputError: If the disk is full or the file cannot be written.
        """
        if len(key) != _KEY or features.shape != self.shape or features.dtype != self.dtype:
            wanted = f"a key of {_KEY} bytes and {self.dtype} {list(self.shape)}"
            raise InputError(f"expected {wanted}, got {len(key)} and {features.dtype} {list(features.shape)}")
        with self._lock:
            slot = self._free_slot(key)
            if slot is None:
                return False
            content = key + np.ascontiguousarray(features).tobytes()
            try:
                if self.bytes < _START:  # another program has truncated the file
                    self._write(self._header, 0)
                self._write(content + _CHECKSUM.pack(zlib.crc32(content)), self._offset(slot))
            except OSError as error:
                raise InputError(
                    f"expected to write features to {self.path}, got: {error.strerror}; make room, or choose another "
                    "folder"
                ) from error
            self._slots[key] = slot
            self._keys[slot : slot + 1] = [key]
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
            return len(self._keys)
        while self._next in self._used:
            self._next += 1
        if self._next >= len(self._keys):
            return None
        self._forget(self._next)
        return self._next

    def _forget(self, slot: int) -> None:
        """Removes a record from the index, so that its slot can be reused."""
        if self._slots.get(self._keys[slot]) == slot:
            del self._slots[self._keys[slot]]
        self._keys[slot] = None

    def _write(self, content: bytes, offset: int) -> None:
        while content:
            written = os.pwrite(self._file, content, offset)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            content, offset = content[written:], offset + written

    def _hold(self) -> int:
        """Returns the locked descriptor of the file, which is created if it is missing."""
        flags = _FLAGS | os.O_CREAT
        while True:
            with contextlib.ExitStack() as stack:
                try:
                    stream = stack.enter_context(
                        open(self.path, "r+b", 0, opener=lambda name, _: os.open(name, flags, 0o644))
                    )
                except OSError as error:  # a link, for example
                    if os.path.lexists(self.path) and not _is_file(os.lstat(self.path)):
                        raise self._other("a link, folder or device") from error
                    raise
                if not _is_file(os.fstat(stream.fileno())):
                    raise self._other("a link, folder or device")
                if try_lock(stream) is False:
                    raise InputError(
                        f"another process uses the features in {self._folder}; wait for it, or choose another"
                    )
                if is_at(stream, self.path):
                    return os.dup(stream.fileno())  # shares the lock of the open file

    def _other(self, problem: str) -> InputError:
        return InputError(
            f"expected a file of features at {self.path}, got {problem}; move that away, or choose another folder"
        )

    def _open(self, most: int) -> list:
        """Reads the keys; a file with different features or an incomplete header is emptied first."""
        header = os.pread(self._file, _START, 0)
        if not header.startswith(_MAGIC) and not self._header.startswith(header):
            raise self._other("another file")
        if header != self._header:
            os.ftruncate(self._file, 0)
            self._write(self._header, 0)
            return []
        count = min(most, (self.bytes - _START) // self._record)
        os.ftruncate(self._file, self._offset(count))
        os.utime(self._file)
        return [os.pread(self._file, _KEY, self._offset(slot)) for slot in range(count)]

    def _make_room(self, limit_bytes: int) -> int:
        """Removes files of other networks until the rest fits; returns the total bytes of the remaining files."""
        others = {}
        for path in self._folder.iterdir():
            if path != self.path and _NAME.fullmatch(path.name):
                with contextlib.suppress(OSError), _opened(path) as stream:
                    others[path] = os.fstat(stream.fileno())
        kept = sum(status.st_size for status in others.values())
        for path in sorted(others, key=lambda path: others[path].st_mtime):
            # Half of the folder is left to the file that is in use.
            if kept <= limit_bytes // 2 and kept + self.bytes + self._record <= limit_bytes:
                break
            if _remove_unused(path):
                kept -= others[path].st_size
        return kept


def _is_whole(content: bytes, size: int) -> bool:
    return len(content) == size and _CHECKSUM.unpack(content[-_CHECKSUM.size :])[0] == zlib.crc32(
        content[: -_CHECKSUM.size]
    )


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)


@contextlib.contextmanager
def _opened(path: pathlib.Path):
    """Opens a file of features for the block; raises OSError for any other file."""
    with open(path, "r+b", 0, opener=lambda name, _: os.open(name, _FLAGS)) as stream:
        if not _is_file(os.fstat(stream.fileno())) or os.pread(stream.fileno(), len(_MAGIC), 0) != _MAGIC:
            raise OSError(errno.EINVAL, "another file")
        yield stream


def _remove_unused(path: pathlib.Path) -> bool:
    with contextlib.suppress(OSError), _opened(path) as stream:
        if try_lock(stream) and is_at(stream, path):
            path.unlink()
            return True
    return False
