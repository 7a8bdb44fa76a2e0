"""The processes of a distributed training run, as the environment variable TF_CONFIG lists them."""

import dataclasses
import ipaddress
import json
import os
import re
from typing import Any

from tinytl_tf.errors import InputError

__all__ = ["Cluster"]

_CONFIG = "TF_CONFIG"
_EXPECTED = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers, and the index of this process among them.

    Attributes:
        addresses: `host:port` of each worker, with IPv6 addresses in brackets.
        index: Index of this process among the workers, from 0.

    Raises:
        InputError: If an address is invalid or is given twice.
    """

    addresses: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        ends = [_split(address) for address in self.addresses]
        for number, end in enumerate(ends):
            if end in ends[:number]:
                raise InputError(
                    f"expected an address of its own for each worker in {_CONFIG}, got {self.addresses[number]} twice; "
                    "give each another host or port"
                )

    @classmethod
    def from_environment(cls) -> "Cluster":
        """Reads `TF_CONFIG`.

        Raises:
            InputError: If it is missing or damaged; if it lists tasks other than workers; or if it does not give the
                index of a worker.
        """
        text = os.environ.get(_CONFIG, "")
        try:
            config = json.loads(text)
            workers, task = config["cluster"]["worker"], config["task"]
            index = _index(task["index"])
            fits = set(config["cluster"]) == {"worker"} and task["type"] == "worker" and index is not None
            fits = fits and isinstance(workers, list) and all(isinstance(address, str) for address in workers)
            fits = fits and index < len(workers)
        except (ValueError, KeyError, TypeError, RecursionError):
            fits = False
        if not fits:
            got = f"{text[:200]!r}{'...' * (len(text) > 200)}" if text else "nothing"
            raise InputError(f"expected {_CONFIG}={_EXPECTED} in the environment, got {got}; set it")
        return cls(tuple(workers), index)

    @property
    def ends(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each worker, with IPv6 addresses without brackets."""
        return tuple(map(_split, self.addresses))

    @property
    def others(self) -> tuple[int, ...]:
        """Indices of the other workers."""
        return tuple(number for number in range(len(self.addresses)) if number != self.index)


def _index(value: Any) -> int | None:
    """An integer of at most nine digits; TensorFlow accepts it as a string as well."""
    return int(value) if type(value) in (int, str) and re.fullmatch(r"\d{1,9}", str(value), re.ASCII) else None


def _split(address: str) -> tuple[str, int]:
    """Host, in lower case, and port of an address."""
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port, re.ASCII) or not 1 <= int(port) <= 65535:
        raise InputError(f"expected an address host:port with a port from 1 to 65535 in {_CONFIG}, got {address!r}")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError:
            pass
    elif _HOST.fullmatch(host):
        return host.lower(), int(port)
    raise InputError(
        f"expected an address host:port in {_CONFIG}, got {address!r}; a host is a name or an IPv4 address, or an IPv6 "
        "address in brackets"
    )
