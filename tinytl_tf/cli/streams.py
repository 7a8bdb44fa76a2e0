"""Standard output and error of a command, which may be closed, full or read by nobody any more."""

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
    """Lets nothing that is printed in the block fail, and flushes it at the end.

    `sys.stdout` and `sys.stderr` are a `GuardedStream` in the block.
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
    """Ends a command, inside of `guarded_streams`, whose result is its printed text.

    Args:
        program: Its name, for the error.

    Returns:
        The exit status: 0, or 1 if the result could not be written. That is told on standard error, unless the reader
        has gone, who had enough.
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
    """Opens standard descriptors that are closed on the null device, for good.

    The next file that is opened would take such a number, and get the output of libraries.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the least free number, which is this one


def _guarded(stream: TextIO | None, descriptor: int) -> GuardedStream:
    try:
        is_own = stream is not None and stream.fileno() == descriptor
    except (OSError, ValueError):  # it is not a file of the process: in a test or a notebook
        is_own = False
    if is_own:
        os.set_blocking(descriptor, True)  # a pipe that a shell of another kind made may lose text otherwise
    return GuardedStream(stream, is_own)
