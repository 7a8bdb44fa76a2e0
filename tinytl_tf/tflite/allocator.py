"""Keeps the C library's allocator from holding on to memory that LiteRT has freed.

LiteRT frees the arena of a loop or branch when it ends and allocates it again in the next step. After glibc's malloc
has freed a big block, it takes blocks of that size from its heap instead of mapping them. Small blocks in between keep
the heap from shrinking, so a process holds two to four arenas but uses only one.

Reference: mallopt(3), M_MMAP_THRESHOLD: setting it turns its adjustment off.
"""

import ctypes

__all__ = ["give_back_big_blocks"]

_M_MMAP_THRESHOLD = -3
_THRESHOLD = 128 * 1024  # bytes; glibc's initial threshold


def give_back_big_blocks() -> bool:
    """Makes the process return each block of 128 KiB or more to the system when it is freed.

    This affects the entire process from now on. Mapping such a block costs a few milliseconds for 10 MB.

    Returns:
        Whether the allocator supports the setting, as glibc's does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _THRESHOLD))
