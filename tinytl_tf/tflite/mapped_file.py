"""Removes pages of a mapped file from the memory of the process after they were read.

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
    """Removes the pages of a file that is mapped read-only from the resident memory of this process.

    It works on Linux only and does nothing elsewhere.

    Args:
        path: The file.

    Returns:
        Total bytes of the mappings whose pages were removed.
    """
    if not _MAPS.exists():
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    ranges = _read_only_ranges(os.path.realpath(path))
    return sum(end - start for start, end in ranges if madvise(start, end - start, mmap.MADV_DONTNEED) == 0)


def _read_only_ranges(path: str) -> list[tuple[int, int]]:
    """Returns the address ranges of this process's read-only mappings of a file; see proc(5)."""
    rows = [line.split(maxsplit=5) for line in _MAPS.read_text(errors="replace").splitlines()]
    found = [row[0].split("-") for row in rows if len(row) == 6 and row[5] == path and row[1].startswith("r-")]
    return [(int(start, 16), int(end, 16)) for start, end in found]
