"""Filters standard error: our words always, those of the libraries below only when they matter.

TensorFlow, its converter, LiteRT and its delegates write remarks to the process's standard error, below Python. They
are held back while a command runs and shown after a fault of ours. `--verbose` shows them as they come.
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
    """Holds back output to standard error from below Python; `sys.stderr` still works.

    The held text is shown if the block raises anything but a `TinyTLError`, an interrupt or an exit.

    Args:
        verbose: Hold nothing back.
    """
    if verbose:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # spares the work of writing; whatever else comes is held
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115  closed by the block below
    except OSError:  # without room the output is lost; code that needs room for its work reports that itself
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
    """Suppresses the warnings that libraries raise, in Python, while they are imported."""
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
    """Keeps `sys.stderr` where it was, unless it is not a file of the process (in a test or a notebook)."""
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
    """A crash below Python ends the process at once: its stack is all that can be shown."""
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
