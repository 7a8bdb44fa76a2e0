"""Peak memory growth of this process, as reported by Linux."""

import pathlib

__all__ = ["PeakGrowth"]

STATUS = pathlib.Path("/proc/self/status")
_CLEAR_REFS = pathlib.Path("/proc/self/clear_refs")


class PeakGrowth:
    """Peak resident memory (VmHWM) since this object was created, minus the resident memory at that time.

    If the kernel does not allow the process to reset its peak, the growth is relative to the earlier peak.

    Example:
    >>> growth = PeakGrowth()
    >>> block = b"x" * 10**7
    >>> growth.bytes() >= 10**7  # doctest: +SKIP
    True
    """

    def __init__(self) -> None:
        try:
            _CLEAR_REFS.write_text("5")  # proc(5): resets VmHWM
        except OSError:
            self._start = _status_bytes("VmHWM")
        else:
            self._start = _status_bytes("VmRSS")

    def bytes(self) -> int:
        """Returns the growth in bytes."""
        return _status_bytes("VmHWM") - self._start


def _status_bytes(key: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024
