"""Random numbers for training, which all clients draw in the same way; see "Random numbers" in docs/formats.md."""

from typing import TypeVar

import numpy as np

__all__ = ["RandomStream"]

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_BITS = 2**64 - 1
_UNIT = 2.0**-53
_Number = TypeVar("_Number", int, np.ndarray)


class RandomStream:
    """Random numbers that depend only on a few whole numbers: SplitMix64, seeded with a mix of them.

    Args:
        names: Whole numbers from 0 to 2^53 - 1. Different numbers, or more of them, yield an independent stream.

    Example:
        >>> stream = RandomStream(0, 1, 2)
        >>> round(stream.unit(), 6), stream.integer(10), stream.permutation(5)
        (0.497514, 7, [1, 4, 3, 2, 0])

    Reference:
        Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
    """

    def __init__(self, *names: int) -> None:
        self._state = 0
        for name in names:
            self._state = _mix(self._state ^ name)

    def unit(self) -> float:
        """Returns a number in [0, 1), a multiple of 2^-53."""
        bits = _mix(self._state)
        self._state = (self._state + _GAMMA) & _BITS
        return (bits >> 11) * _UNIT

    def uniform(self, low: float, high: float) -> float:
        """Returns a number from `low` to `high`."""
        return low + (high - low) * self.unit()

    def integer(self, end: int) -> int:
        """Returns a whole number from 0 to `end - 1`."""
        return int(end * self.unit())

    def permutation(self, count: int) -> list[int]:
        """Returns the numbers from 0 to `count - 1` in random order (Fisher-Yates, from the last position down)."""
        order, draws = list(range(count)), max(0, count - 1)
        states = np.uint64(self._state) + np.arange(draws, dtype=np.uint64) * np.uint64(_GAMMA)
        self._state = (self._state + draws * _GAMMA) & _BITS
        units = (_mix(states) >> 11) * _UNIT
        others = (np.arange(count, 1, -1) * units).astype(np.int64).tolist()
        for last, other in zip(range(count - 1, 0, -1), others, strict=True):
            order[last], order[other] = order[other], order[last]
        return order


def _mix(value: _Number) -> _Number:
    """Spreads small differences between numbers over all 64 bits (the finalizer of SplitMix64)."""
    value = (value + _GAMMA) & _BITS
    value = ((value ^ (value >> 30)) * _FIRST) & _BITS
    value = ((value ^ (value >> 27)) * _SECOND) & _BITS
    return value ^ (value >> 31)
