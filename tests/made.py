"""Expensive files that several tests share: each is created once per test run, by the process that needs it first.

The processes of pytest-xdist share a folder that is new in each run, so no file is older than the code that made it.
"""

import fcntl
import functools
import hashlib
import inspect
import pathlib
import shutil
from collections.abc import Callable

__all__ = ["folder", "once", "use"]

_DONE = ".done"
_root: pathlib.Path | None = None


def use(root: pathlib.Path) -> None:
    """Sets the folder that the processes of this run share; `tests/conftest.py` does."""
    global _root
    _root = root


def folder(name: str, make: Callable[[pathlib.Path], object]) -> pathlib.Path:
    """Returns the folder `name` of the run, which `make` fills where no process has done so.

    Its files are for reading; a test that changes one takes a copy.
    """
    path = _root / name
    path.parent.mkdir(exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path / _DONE).exists():
            shutil.rmtree(path, ignore_errors=True)  # of a process that was killed, or failed
            path.mkdir()
            make(path)
            (path / _DONE).touch()
    return path


def once(function: Callable[..., bytes]) -> Callable[..., bytes]:
    """Decorates a function of names and numbers that makes the content of a file."""

    signature = inspect.signature(function)

    @functools.cache
    @functools.wraps(function)
    def content(*args: object, **options: object) -> bytes:
        given = signature.bind(*args, **options)
        given.apply_defaults()
        key = hashlib.sha256(repr(given.arguments).encode()).hexdigest()[:16]
        name = f"{function.__module__}.{function.__qualname__}-{key}"
        made = folder(name, lambda path: (path / "content").write_bytes(function(*args, **options)))
        return (made / "content").read_bytes()

    return content
