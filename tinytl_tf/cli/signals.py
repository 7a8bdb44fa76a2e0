"""Interrupts and requests to end, as one exit status wherever in the process they are noticed."""

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["Signals"]

_AGAIN = 3.0  # seconds until an interrupt that had no effect is raised again; cleaning up takes less


class Signals:
    """Turns SIGINT and SIGTERM into `KeyboardInterrupt` and remembers that they came.

    A library may wrap the exception into one of its own, so that the record decides, not the exception. Or it may
    swallow it, as TensorFlow does at some moments of tracing: it is raised again after a while, until the block ends.
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
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._raise)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
            # An interrupt that has passed through `exec` or `eval` makes `python -m` end by SIGINT, though it was
            # caught, unless another one runs after it: CPython's `run_eval_code_obj` and `Py_RunMain`.
            exec("")  # noqa: S102

    @contextlib.contextmanager
    def unwrapped(self) -> Iterator[None]:
        """Raises `KeyboardInterrupt` in place of the exception that a library raised for it in the block."""
        try:
            yield
        except BaseException:
            if self._received is None:
                raise
            raise KeyboardInterrupt from None

    def _handle(self, number: int, _frame: object) -> None:
        if self._received is None:
            self._received = number
        self._raise(number, _frame)

    def _raise(self, _number: int, _frame: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise KeyboardInterrupt
