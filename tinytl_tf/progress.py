"""Progress of long commands."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from tinytl_tf.guarded_stream import GuardedStream

__all__ = ["Progress"]

_SECONDS_BETWEEN_UPDATES = {True: 0.2, False: 10.0}  # by whether the stream is a terminal


class Progress:
    """Steps done, time passed and time left: one updating line on a terminal, plain lines otherwise.

    Args:
        total: Total number of steps.
        label: Text before the count.
        stream: Where to write; standard error by default, so that results can be piped. Text that cannot be written is
            dropped.
        clock: Returns the time in seconds from any origin; tests pass their own.

    Example:
        >>> with Progress(total=2, label="train", stream=sys.stdout, clock=lambda: 0.0) as progress:
        ...     for loss in (0.7, 0.5):
        ...         progress.advance(f"loss {loss:.3f}")
        ...     progress.message("epoch 1/1: loss 0.600")
        epoch 1/1: loss 0.600 [2/2, 0:00 passed, ETA 0:00]
    """

    def __init__(
        self,
        total: int,
        label: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total = total
        self._label = label
        self._stream = GuardedStream(sys.stderr if stream is None else stream)
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._start = self._shown = clock()
        self._done = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def advance(self, text: str = "", steps: int = 1) -> None:
        """Counts `steps` more steps as done; shows the count and `text`, unless the last update is too recent."""
        self._done += steps
        now = self._clock()
        if now - self._shown < _SECONDS_BETWEEN_UPDATES[self._is_terminal]:
            return
        self._shown = now
        line = f"{self._label} {self._status()} {text}".rstrip()
        self._stream.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
        self._stream.flush()

    def message(self, text: str) -> None:
        """Writes a line that stays, for example at the end of an epoch."""
        self._clear()
        self._stream.write(f"{text} [{self._status()}]\n")
        self._stream.flush()

    def _status(self) -> str:
        passed = self._clock() - self._start
        left = passed / self._done * (self._total - self._done) if self._done else 0.0
        return f"{self._done}/{self._total}, {_clock_face(passed)} passed, ETA {_clock_face(left)}"

    def _clear(self) -> None:
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _clock_face(seconds: float) -> str:
    """Formats seconds as `m:ss`, or as `h:mm:ss` from one hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
