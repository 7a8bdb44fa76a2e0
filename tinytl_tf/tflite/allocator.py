"""The C library's allocator: keeps it from holding on to memory that LiteRT has freed.

LiteRT frees the arena of a loop or branch when it ends and allocates it again in the next step. After glibc's malloc
has freed a big block, it takes blocks of that size from its heap instead of mapping them. Small blocks in between
keep the heap from shrinking, so that a process holds two to four arenas and uses one.

Reference: mallopt(3), M_MMAP_THRESHOLD: setting it turns its adjustment off.
"""

import ctypes

__all__ = ["give_back_big_blocks"]

_M_MMAP_THRESHOLD = -3
_THRESHOLD = 128 * 1024  # bytes; where glibc starts


def give_back_big_blocks() -> bool:
    """Makes the process give back each block of 128 KiB or more when it is freed.

    Affects the complete process from now on. Mapping such a block costs a few milliseconds for 10 MB.

    Returns:
        Whether the allocator has the setting, as glibc's has.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _THRESHOLD))
