"""Progress of long commands."""

import os
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import TextIO

from tinytl_tf.guarded_stream import GuardedStream

__all__ = ["Progress", "clear_progress"]

_SECONDS_BETWEEN_UPDATES = {True: 0.2, False: 10.0}  # by whether the stream is a terminal
_CLEAR = "\r\x1b[K"

_open: list["Progress"] = []  # those in whose blocks the program is
_lock = threading.RLock()  # threads that decode images log warnings


def clear_progress() -> None:
    """Clears the updating line of a terminal before other text; the next update shows it again."""
    with _lock:
        for progress in _open:
            progress._clear()


class Progress:
    """Steps done, time passed and time left: one updating line on a terminal, plain lines otherwise.

    The updating line is cut to the width of the terminal. Print other text in its block by `message`, or after
    `clear_progress`.

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
        with _lock:
            _open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            _open.remove(self)
            self._clear()

    def advance(self, text: str = "", steps: int = 1) -> None:
        """Counts `steps` more steps as done; shows the count and `text`, unless the last update is too recent."""
        self._done += steps
        now = self._clock()
        if now - self._shown < _SECONDS_BETWEEN_UPDATES[self._is_terminal]:
            return
        self._shown = now
        line = f"{self._label} {self._status()} {text}".rstrip()
        with _lock:
            self._write(f"{_CLEAR}{_cut(line, self._columns())}" if self._is_terminal else f"{line}\n")

    def message(self, text: str) -> None:
        """Writes a line that stays, for example at the end of an epoch."""
        with _lock:
            self._clear()
            self._write(f"{text} [{self._status()}]\n")

    def _status(self) -> str:
        passed = self._clock() - self._start
        left = passed / self._done * (self._total - self._done) if self._done else 0.0
        return f"{self._done}/{self._total}, {_clock_face(passed)} passed, ETA {_clock_face(left)}"

    def _clear(self) -> None:
        if self._is_terminal:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _columns(self) -> int:
        """Columns of the terminal but the last, after which it may begin a new line."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (AttributeError, OSError, ValueError):  # not a file of the process
            columns = 0
        return (columns or shutil.get_terminal_size().columns) - 1


def _clock_face(seconds: float) -> str:
    """Formats seconds as `m:ss`, or as `h:mm:ss` from one hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _cut(text: str, columns: int) -> str:
    """The start of `text` that fits into so many columns; letters of East Asia take two, marks on a letter none."""
    width = 0
    for place, letter in enumerate(text):
        width += 0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if width > columns:
            return text[:place]
    return text
