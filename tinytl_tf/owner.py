"""Identifies the process that created a file, in a form that other containers and hosts on the volume can check."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import socket

__all__ = ["Owner"]


@dataclasses.dataclass(frozen=True)
class Owner:
    """A process. Its id has no meaning in another PID namespace, on another host, or after a restart.

    Attributes:
        host: Digest of the host's name.
        kernel: Digest of the running kernel's boot id or, on a system without one, of the host.
        namespace: Number of the PID namespace; 0 on a system without namespaces.
        pid: The process id in this namespace.

    Example:
        >>> owner = Owner.here()
        >>> Owner.parse(str(owner)) == owner, owner.has_ended
        (True, False)
    """

    host: str
    kernel: str
    namespace: int
    pid: int

    @classmethod
    def here(cls) -> "Owner":
        """Returns this process."""
        return cls(*_machine(), os.getpid())

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """Parses the result of `str(owner)`; returns None for any other text."""
        match = re.fullmatch(r"([0-9a-f]{8})-([0-9a-f]{8})-(\d{1,20})-(\d{1,20})", text, re.ASCII)
        return match and cls(match[1], match[2], int(match[3]), int(match[4]))

    def __str__(self) -> str:
        return f"{self.host}-{self.kernel}-{self.namespace}-{self.pid}"

    @property
    def is_on_this_kernel(self) -> bool:
        """Whether a lock that this process can take proves that the owner has ended."""
        return self.kernel == Owner.here().kernel

    @property
    def has_ended(self) -> bool:
        """Whether the process has certainly ended; False if that cannot be determined."""
        here = Owner.here()
        return (self.kernel, self.namespace) == (here.kernel, here.namespace) and not _is_running(self.pid)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@functools.cache
def _machine() -> tuple[str, str, int]:
    host = socket.gethostname()
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    return _digest(host), _digest(boot or host), namespace


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
