"""Filters standard error: shows the messages of this package, and those of native libraries only when they matter.

TensorFlow, its converter, LiteRT and its delegates write messages directly to the process's standard error, bypassing
Python. They are held back while a command runs, and shown after an unexpected exception. `--verbose` shows them
immediately.
"""

import contextlib
import faulthandler
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from absl import logging

from tinytl_tf.errors import TinyTLError
from tinytl_tf.guarded_stream import GuardedStream

__all__ = ["held_back", "quiet_imports"]


@contextlib.contextmanager
def held_back(verbose: bool = False) -> Iterator[None]:
    """Holds back what native libraries write to standard error; `sys.stderr` still works.

    The held text is shown if the block raises an exception other than `TinyTLError`, `KeyboardInterrupt` or
    `SystemExit`.

    Args:
        verbose: If true, nothing is held back.
    """
    if verbose:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # avoids most of the output; the rest is held back
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115  closed by the block below
    except OSError:  # the disk is full: drop the output; code that needs disk space reports that itself
        held = open(os.devnull, "r+b")  # noqa: SIM115
    sys.stderr.flush()
    with held, _duplicate(2) as terminal, _python_writes_to(terminal), _crashes_are_traced(terminal):
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (TinyTLError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            _show(held, terminal)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            logging.set_verbosity(before)


@contextlib.contextmanager
def quiet_imports(verbose: bool = False) -> Iterator[None]:
    """Suppresses Python warnings from libraries while they are imported."""
    with warnings.catch_warnings():
        if not verbose:
            warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _duplicate(descriptor: int) -> Iterator[int]:
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)


@contextlib.contextmanager
def _python_writes_to(terminal: int) -> Iterator[None]:
    """Keeps `sys.stderr` on the terminal, if it uses the process's file descriptor (not in tests or notebooks)."""
    try:
        is_own = sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        is_own = False
    if not is_own:
        yield
        return
    encoding = sys.stderr.encoding
    with open(terminal, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False) as stream:
        guarded = GuardedStream(stream, is_own=True)
        with contextlib.redirect_stderr(guarded):
            yield
        guarded.flush()


@contextlib.contextmanager
def _crashes_are_traced(terminal: int) -> Iterator[None]:
    """Prints the Python stack if native code crashes: such a crash ends the process without an exception."""
    if faulthandler.is_enabled():
        yield
        return
    faulthandler.enable(terminal)
    try:
        yield
    finally:
        faulthandler.disable()


def _show(held: BinaryIO, terminal: int) -> None:
    held.seek(0)
    with contextlib.suppress(OSError):
        while chunk := held.read(65536):
            os.write(terminal, chunk)
