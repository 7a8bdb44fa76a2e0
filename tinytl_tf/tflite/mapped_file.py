"""Drops pages of a mapped file that were read from the process.

LiteRT maps a `.tflite` and reads its constants from there. Constants that are read once, such as the initial value of
a variable or a kernel that XNNPACK packs, stay resident until the operating system needs the page, possibly never,
and count as the process's memory.

Reference: madvise(2), MADV_DONTNEED: on a read-only mapping, a page that is read again is loaded from the file.
"""

import ctypes
import mmap
import os
import pathlib

__all__ = ["give_back_pages"]

_MAPS = pathlib.Path("/proc/self/maps")


def give_back_pages(path: str | os.PathLike) -> int:
    """Takes the pages of a file that this process has mapped for reading out of its resident memory.

    Linux only; elsewhere it does nothing.

    Args:
        path: The file.

    Returns:
        Bytes of the mappings that were given back.
    """
    if not _MAPS.exists():
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    ranges = _read_only_ranges(os.path.realpath(path))
    return sum(end - start for start, end in ranges if madvise(start, end - start, mmap.MADV_DONTNEED) == 0)


def _read_only_ranges(path: str) -> list[tuple[int, int]]:
    """Addresses at which this process has mapped a file and cannot write to it; see proc(5)."""
    rows = [line.split(maxsplit=5) for line in _MAPS.read_text(errors="replace").splitlines()]
    found = [row[0].split("-") for row in rows if len(row) == 6 and row[5] == path and row[1].startswith("r-")]
    return [(int(start, 16), int(end, 16)) for start, end in found]
