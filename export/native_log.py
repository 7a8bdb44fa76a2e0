"""The log that TensorFlow's converter writes to standard error below Python, which a user rarely needs."""

import contextlib
import ctypes
import functools
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

__all__ = ["native_log", "quiet_unless_verbose"]

# `absl::MinLogLevel()` and `absl::SetMinLogLevel()` of the release of Abseil in TensorFlow 2.21.
_LIBRARY = "libtensorflow_framework.so.2"
_GET = "_ZN4absl12lts_2025081411MinLogLevelEv"
_SET = "_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE"
_ERROR = 2  # absl::LogSeverityAtLeast::kError

_lock = threading.Lock()
_quiet_blocks = 0
_level_outside = 0


@contextlib.contextmanager
def native_log(verbose: bool) -> Iterator[None]:
    """Lets TensorFlow log nothing but errors below Python in the block; Python's output is left alone.

    The level is one of the process: blocks of several threads share it until the last one ends. Without the functions
    that set it, as in another release of TensorFlow, everything is logged.

    Args:
        verbose: Leave the level as it is.
    """
    functions = None if verbose else _functions()
    if functions is None:
        yield
        return
    get, set_ = functions
    _enter(get, set_)
    try:
        yield
    finally:
        _leave(set_)


def quiet_unless_verbose(function: Callable) -> Callable:
    """Decorates a function with a keyword `verbose`, without which it runs in a block of `native_log`."""

    @functools.wraps(function)
    def run(*args: Any, verbose: bool = False, **options: Any) -> Any:
        with native_log(verbose):
            return function(*args, verbose=verbose, **options)

    return run


def _enter(get: Callable, set_: Callable) -> None:
    global _quiet_blocks, _level_outside
    with _lock:
        if not _quiet_blocks:
            _level_outside = get()
            set_(max(_level_outside, _ERROR))
        _quiet_blocks += 1


def _leave(set_: Callable) -> None:
    global _quiet_blocks
    with _lock:
        _quiet_blocks -= 1
        if not _quiet_blocks:
            set_(_level_outside)


@functools.cache
def _functions() -> tuple[Callable, Callable] | None:
    try:
        library = ctypes.CDLL(str(pathlib.Path(tf.sysconfig.get_lib()) / _LIBRARY))
        get, set_ = getattr(library, _GET), getattr(library, _SET)
    except (OSError, AttributeError):
        return None
    get.argtypes, get.restype = [], ctypes.c_int
    set_.argtypes, set_.restype = [ctypes.c_int], None
    return get, set_
