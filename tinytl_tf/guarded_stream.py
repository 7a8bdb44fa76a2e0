"""Output that never interrupts a program: lines that cannot be written are dropped."""

import contextlib
import errno
import io
import os
from typing import Any, TextIO

__all__ = ["GuardedStream"]


class GuardedStream:
    r"""A text stream that records write errors instead of raising them.

    After the first failed write (a closed stream, a full disk, a closed pipe), nothing more is written. Characters that
    the stream's encoding lacks are written as escapes, such as `\u82b1`.

    Args:
        stream: The stream; None for one that was closed before Python started.
        is_own: Whether its descriptor may be redirected to the null device after a failure. Otherwise, flushing
            Python's buffer would fail again when the process ends, and change the exit status.

    Attributes:
        error: The error after which nothing more is written; None if no write has failed.

    Example:
        >>> import io
        >>> closed = io.StringIO()
        >>> closed.close()
        >>> stream = GuardedStream(closed)
        >>> print("lost", file=stream)
        >>> stream.error.strerror
        'I/O operation on closed file'
    """

    def __init__(self, stream: TextIO | None, is_own: bool = False) -> None:
        self._stream = io.TextIOWrapper(io.BytesIO(), "utf-8") if stream is None else stream
        self._is_own = is_own
        self.error = OSError(errno.EBADF, os.strerror(errno.EBADF)) if stream is None else None

    def write(self, text: str) -> int:
        """Writes `text`, or drops it after a failure; returns its length."""
        if self.error is None:
            with self._failures_are_remembered():
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    encoding = self._stream.encoding or "ascii"
                    self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        if self.error is None:
            with self._failures_are_remembered():
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        try:
            return self.error is None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _failures_are_remembered(self):
        try:
            yield
        except BlockingIOError:  # a non-blocking pipe with a slow reader: only this text is lost
            pass
        except (OSError, ValueError) as error:  # ValueError if Python has closed the stream
            self.error = error if isinstance(error, OSError) else OSError(errno.EBADF, "I/O operation on closed file")
            if self._is_own:
                with contextlib.suppress(OSError, ValueError):
                    self._lead_to_nowhere()

    def _lead_to_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._stream.flush()
