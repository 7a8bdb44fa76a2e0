"""Interrupts and requests to end, as one exit status wherever in the process they are noticed."""

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["Signals"]


class Signals:
    """Turns SIGINT and SIGTERM into `KeyboardInterrupt` and remembers that they came.

    A library may swallow the exception or wrap it into one of its own, so that the record decides, not the exception.
    Does nothing outside the main thread, where Python allows no handlers.

    Example:
        >>> signals = Signals()
        >>> with signals.handled():
        ...     pass
        >>> signals.exit_status is None
        True
    """

    def __init__(self) -> None:
        self._received: int | None = None

    @property
    def exit_status(self) -> int | None:
        """128 and the number of the first signal, as shells count; None if none came."""
        return None if self._received is None else 128 + self._received

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handles the signals in the block; the handlers from before come back after it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        if self._received is None:
            self._received = number
        raise KeyboardInterrupt
