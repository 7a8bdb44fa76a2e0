"""Ends a worker of a distributed training whatever it is waiting for.

TensorFlow takes SIGTERM for itself, and lets no Python run while it connects workers: in a worker that waits for
another one, no handler of ours is ever called. So the work is done in a child process. Its parent, which runs no
TensorFlow, obeys the signals, and ends the child when it does not answer.
"""

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence

from tinytl_tf.errors import WorkerLost

__all__ = ["supervised"]

_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_TURN = 0.1  # seconds between two looks at the child
_PULSE = 1.0  # seconds between two signs of life of the child
_SILENCE = 120.0  # seconds without one: where all workers run, they are connected in one or two
_GRACE = 3.0  # seconds for a child that was interrupted or has failed to put its things away
_LIFE = b"\xff"  # no exit status of ours
_PARENT_DEATH_SIGNAL = 1  # of prctl in Linux


def supervised(argv: Sequence[str], run: Callable[[], int]) -> int:
    """Runs a command, in a child process if it is a worker. It is called where nothing else of the process runs.

    Args:
        argv: The name of the command and its flags.
        run: Runs it, and returns its exit status.

    Returns:
        The exit status, in the child as well as in its parent.
    """
    if not _is_worker(argv) or not hasattr(signal, "sigtimedwait"):
        return run()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        parent, (reader, writer) = os.getpid(), os.pipe()
        child = os.fork()
        if child:
            os.close(writer)
            with contextlib.closing(_Child(argv[0], child, reader)) as supervisor:
                return supervisor.wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(reader)
    _end_with(parent)
    threading.Thread(target=_show_life, args=[writer], daemon=True).start()
    status = run()
    os.write(writer, bytes([status]))
    return status


def _is_worker(argv: Sequence[str]) -> bool:
    words = " ".join(argv[1:]).replace("=", " ").split()
    given = [value for flag, value in zip(words, words[1:], strict=False) if flag.lstrip("-") == "distribute"]
    return argv[:1] == ["pretrain"] and given[-1:] == ["workers"]


def _show_life(writer: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            os.write(writer, _LIFE)
            time.sleep(_PULSE)


def _end_with(parent: int) -> None:
    """Lets this process end with its parent, should that be killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class _Child:
    """The child, seen from its parent, which has the signals blocked and takes them from the queue."""

    def __init__(self, name: str, pid: int, reader: int) -> None:
        os.set_blocking(reader, False)
        self._name, self._pid, self._reader = name, pid, reader
        self._status: int | None = None  # which it is about to end with
        self._ended: int | None = None  # how it has ended
        self._silence = 0.0

    def close(self) -> None:
        """Closes the pipe; kills the child if it still runs."""
        if self._ended is None:
            self._end(0.0)
        os.close(self._reader)

    def wait(self) -> int:
        """Returns the exit status of the child, or of what ended it."""
        while not self._has_ended():
            info = signal.sigtimedwait(_SIGNALS, _TURN)
            if info is not None:
                return self._interrupt(info)
            self._read()
            self._silence += _TURN  # by our own turns: while both processes are stopped, nobody is silent
            if self._status:
                self._end(0.0)  # the others are only to be left alone, which takes long if they hang
            elif self._silence > _SILENCE:
                self._end(0.0)
                if self._status is None:
                    reason = "another one has ended, or cannot be reached"
                    return self._lose(f"it did not answer for {_SILENCE:g} s, perhaps {reason}")
        self._read()
        if self._status is not None:
            return self._status
        if self._ended >= 0:
            return self._ended  # after a fault, with its traceback
        return self._lose(f"signal {-self._ended} ended it")

    def _interrupt(self, info: signal.struct_siginfo) -> int:
        if info.si_code <= 0:  # from a process; a signal from a terminal has reached the child as well
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGINT)
        self._end(_GRACE)
        if self._status is None:  # otherwise the child has said so
            self._say("interrupted")
        return 128 + info.si_signo

    def _lose(self, reason: str) -> int:
        self._say(f"error: this worker is lost: {reason}; start all workers again with --resume")
        return WorkerLost.exit_status

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"tinytl {self._name}: {text}\n".encode())

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._reader, 4096):
                self._silence = 0.0
                self._status = next((value for value in data if value != _LIFE[0]), self._status)

    def _has_ended(self) -> bool:
        if self._ended is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._ended = os.waitstatus_to_exitcode(status)
        return self._ended is not None

    def _end(self, grace: float) -> None:
        """Kills the child when it has returned its status, or after so many seconds."""
        end = time.monotonic() + grace
        while not self._has_ended():
            self._read()
            if time.monotonic() >= end or self._status is not None:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.02)
        self._read()
