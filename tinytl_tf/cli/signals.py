"""Turns SIGINT and SIGTERM into one exit status, regardless of which code they interrupt."""

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["Signals"]

_AGAIN = 3.0  # seconds until an interrupt without effect is raised again; cleanup takes less


class Signals:
    """Turns SIGINT and SIGTERM into `KeyboardInterrupt` and records the signal.

    A library may wrap the exception in one of its own; therefore rely on `exit_status`, not on the exception. A
    library may also swallow the exception, as TensorFlow does at times during tracing; therefore it is raised again
    after a few seconds, until the block ends. Outside the main thread, where Python does not allow signal handlers,
    this class does nothing.

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
        """128 plus the number of the first signal, as in a shell; None if no signal was received."""
        return None if self._received is None else 128 + self._received

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handles the signals in the block, and restores the previous handlers after it."""
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
            # If an interrupt passed through `exec` or `eval`, `python -m` exits with SIGINT although it was caught,
            # unless another `exec` runs afterwards: see CPython's `run_eval_code_obj` and `Py_RunMain`.
            exec("")  # noqa: S102

    @contextlib.contextmanager
    def unwrapped(self) -> Iterator[None]:
        """Raises `KeyboardInterrupt` instead of the exception that a library in the block turned it into."""
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
