"""Standard output and error of a command, which may be closed, on a full disk, or a pipe without a reader."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from tinytl_tf.guarded_stream import GuardedStream

__all__ = ["end_of_printed", "guarded_streams", "open_missing_descriptors"]


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Keeps printing in the block from raising exceptions, and flushes both streams at the end.

    Within the block, `sys.stdout` and `sys.stderr` are `GuardedStream` objects.
    """
    if isinstance(sys.stdout, GuardedStream):
        yield
        return
    open_missing_descriptors()
    before, logging.raiseExceptions = logging.raiseExceptions, False
    streams = [_guarded(sys.stdout, 1), _guarded(sys.stderr, 2)]
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            yield
    finally:
        for stream in streams:
            stream.flush()
        logging.raiseExceptions = before


def end_of_printed(program: str) -> int:
    """Ends a command whose result is its printed text. Call it within `guarded_streams`.

    Args:
        program: Name of the program, for the error message.

    Returns:
        The exit status: 0, or 1 if the result could not be written. The error is printed on standard error, unless
        the reader closed the pipe, which is not an error.
    """
    sys.stdout.flush()
    error = sys.stdout.error
    if error is None:
        return 0
    if not isinstance(error, BrokenPipeError):
        print(
            f"{program}: error: expected to write the result to standard output, got: {error.strerror}; "
            "give it a place that can be written",
            file=sys.stderr,
        )
    return 1


def open_missing_descriptors() -> None:
    """Opens closed standard descriptors on the null device, for the rest of the process.

    Otherwise the next opened file would get the descriptor of a standard stream and receive the output of libraries.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one


def _guarded(stream: TextIO | None, descriptor: int) -> GuardedStream:
    try:
        is_own = stream is not None and stream.fileno() == descriptor
    except (OSError, ValueError):  # not a file descriptor of the process: in a test or a notebook
        is_own = False
    if is_own:
        os.set_blocking(descriptor, True)  # otherwise a pipe left non-blocking by the shell may lose text
    return GuardedStream(stream, is_own)
