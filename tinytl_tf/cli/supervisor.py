"""Supervises a worker of distributed training, so that it can be interrupted at any time.

TensorFlow installs its own SIGTERM handler, and runs no Python code while it connects workers: in a worker that waits
for another one, our signal handlers are never called. The work is therefore done in a child process. The parent
process does not use TensorFlow; it handles the signals, and ends the child if it does not respond.
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
_TURN = 0.1  # seconds between two checks of the child
_PULSE = 1.0  # seconds between two heartbeats of the child
_SILENCE = 120.0  # seconds without a heartbeat; if all workers run, they connect in one or two
_GRACE = 3.0  # seconds for cleanup in a child that was interrupted or has failed
_LIFE = b"\xff"  # not an exit status that we use
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def supervised(argv: Sequence[str], run: Callable[[], int]) -> int:
    """Runs a command, in a child process if it is a worker. Call it while the process has no other threads.

    Args:
        argv: The name of the command and its flags.
        run: Function that runs the command and returns its exit status.

    Returns:
        The exit status, both in the child and in its parent.
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
    """Makes this process end if its parent is killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class _Child:
    """The child process, as seen by the parent. The parent blocks the signals and polls for them."""

    def __init__(self, name: str, pid: int, reader: int) -> None:
        os.set_blocking(reader, False)
        self._name, self._pid, self._reader = name, pid, reader
        self._status: int | None = None  # exit status that the child has announced
        self._ended: int | None = None  # exit code of the ended process
        self._silence = 0.0

    def close(self) -> None:
        """Closes the pipe; kills the child if it still runs."""
        if self._ended is None:
            self._end(0.0)
        os.close(self._reader)

    def wait(self) -> int:
        """Waits for the child to end; returns its exit status, or the status for the signal or loss that ended it."""
        while not self._has_ended():
            info = signal.sigtimedwait(_SIGNALS, _TURN)
            if info is not None:
                return self._interrupt(info)
            self._read()
            self._silence += _TURN  # by turns of this loop: time while both processes are stopped does not count
            if self._status:
                self._end(0.0)  # only disconnecting from other workers is left, which takes long if they hang
            elif self._silence > _SILENCE:
                self._end(0.0)
                if self._status is None:
                    reason = "another one has ended, or cannot be reached"
                    return self._lose(f"it did not answer for {_SILENCE:g} s, perhaps {reason}")
        self._read()
        if self._status is not None:
            return self._status
        if self._ended >= 0:
            return self._ended  # after an unexpected exception, whose traceback it has printed
        return self._lose(f"signal {-self._ended} ended it")

    def _interrupt(self, info: signal.struct_siginfo) -> int:
        if info.si_code <= 0:  # sent by a process; a signal from a terminal reaches the child too
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGINT)
        self._end(_GRACE)
        if self._status is None:  # otherwise the child has printed it
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
        """Kills the child once it has announced its exit status, or after `grace` seconds."""
        end = time.monotonic() + grace
        while not self._has_ended():
            self._read()
            if time.monotonic() >= end or self._status is not None:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.02)
        self._read()
