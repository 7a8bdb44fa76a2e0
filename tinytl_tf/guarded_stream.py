"""Printing that never decides over the work: what cannot be written is left out."""

import contextlib
import errno
import io
import os
from typing import Any, TextIO

__all__ = ["GuardedStream"]


class GuardedStream:
    r"""A text stream whose failures are remembered, not raised.

    After the first write that fails (a closed stream, a full disk, a reader that has gone) nothing is written any more.
    Characters that the stream's encoding lacks are written as escapes, such as `\u82b1`.

    Args:
        stream: The stream; None for one that was closed before Python started.
        is_own: Whether its descriptor may be led to nowhere after a failure. What Python still holds for it would
            otherwise fail again when the process ends, and change the exit status.

    Attributes:
        error: Why nothing is written any more; None while all is well.

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
        """Writes `text`, or nothing; returns its length."""
        if self.error is None:
            with self._failures_are_remembered():
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    encoding = self._stream.encoding or "ascii"
                    self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Writes what the stream holds back."""
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
        except BlockingIOError:  # a slow reader of a pipe that does not block: only this text is lost
            pass
        except (OSError, ValueError) as error:  # the latter of a stream that Python has closed
            self.error = error if isinstance(error, OSError) else OSError(errno.EBADF, "I/O operation on closed file")
            if self._is_own:
                with contextlib.suppress(OSError, ValueError):
                    self._lead_to_nowhere()

    def _lead_to_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._stream.flush()
