"""Waits until all workers of a training run reach each other, before TensorFlow connects them.

TensorFlow waits for a missing worker forever, without output, and blocks signals. So the workers first look for each
other, on the ports that TensorFlow uses afterwards. Each worker answers requests at its own address and asks all other
workers. The first worker ends the meeting when each worker reports that it reaches all others.
"""

import contextlib
import errno
import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tinytl_tf.errors import InputError, WorkerLost
from tinytl_tf.training.cluster import Cluster

__all__ = ["meet"]

_PAUSE = 0.2  # seconds between two questions to a worker
_PATIENCE = 2.0  # seconds for an answer
_LAST = 10.0  # seconds for all workers to receive the end of the meeting
_SETTLED = 1.0  # seconds until a missing worker is reported
_REPEAT = 30.0  # seconds until the same report is repeated
_LONGEST = 1000  # maximum bytes of a message


def meet(cluster: Cluster, timeout: float, say: Callable[[str], None] | None = None) -> None:
    """Returns when all workers of a cluster run and reach each other.

    Args:
        cluster: The workers.
        timeout: Seconds to wait for the other workers.
        say: Prints a line with the missing workers; to standard error by default.

    Raises:
        InputError: If an address does not resolve; if two addresses are the same; or if this worker's port is taken.
        WorkerLost: If a worker is still missing after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    targets = _resolve(cluster, end)
    with _listening(cluster) as listener:
        meeting = _Meeting(cluster, targets)
        threads = [threading.Thread(target=meeting.answer, args=[listener], daemon=True)]
        threads += [threading.Thread(target=meeting.ask, args=[other], daemon=True) for other in cluster.others]
        for thread in threads:
            thread.start()
        try:
            _wait(meeting, timeout, end, say)
        finally:
            meeting.stopped.set()
            threads[0].join()  # it holds the port


def _wait(meeting: "_Meeting", timeout: float, end: float, say: Callable[[str], None]) -> None:
    seen, since, said, again = "", 0.0, "", 0.0
    while not meeting.is_over():
        now, missing = time.monotonic(), meeting.missing()
        if now >= end:
            raise WorkerLost(
                f"expected {len(meeting.cluster.addresses)} workers, after {timeout:g} s there is still no answer from "
                f"{missing}; start each with the same TF_CONFIG but for its index, and all again with resume=True"
            )
        if missing != seen:
            seen, since = missing, now
        if now >= since + _SETTLED and (missing != said or now >= again):
            say(f"waiting for {missing}, for up to {end - now:.0f} s")
            said, again = missing, now + _REPEAT
        time.sleep(0.05)


class _Meeting:
    """One worker's view of all other workers."""

    def __init__(self, cluster: Cluster, targets: list[list[tuple]]) -> None:
        self.cluster = cluster
        self.stopped = threading.Event()
        self._targets = targets
        self._digest = hashlib.sha256(json.dumps(cluster.addresses).encode()).hexdigest()
        self._reasons = dict.fromkeys(cluster.others, "not asked yet")  # why a worker does not count; None if it does
        self._ready: set[int] = set()  # workers that report that they reach all others
        self._told: set[int] = set()  # for the first worker: workers that received the end
        self._ends_at: float | None = None

    def missing(self) -> str:
        """Returns the workers that block the meeting, and why."""
        reasons = {number: reason for number, reason in self._reasons.items() if reason}
        if not reasons:
            reasons = {
                number: "does not reach all others" for number in self._reasons if number not in self._ready
            } or {0: "does not end the meeting"}
        return ", ".join(f"{self.cluster.addresses[number]} ({reason})" for number, reason in reasons.items())

    def is_over(self) -> bool:
        """Whether all workers have met.

        Raises:
            WorkerLost: If a worker disappears at the last moment.
        """
        if self.cluster.index:
            return self._ends_at is not None
        if self._ends_at is None:
            if self._reaches_all() and self._ready == set(self.cluster.others):
                self._ends_at = time.monotonic()
            return False
        gone = set(self.cluster.others) - self._told
        if gone and time.monotonic() > self._ends_at + _LAST:
            names = ", ".join(self.cluster.addresses[number] for number in sorted(gone))
            raise WorkerLost(f"expected all workers to begin, {names} has gone; start all again with resume=True")
        return not gone

    def answer(self, listener: socket.socket) -> None:
        """Answers requests, until the meeting is stopped."""
        listener.settimeout(_PAUSE)
        while not self.stopped.is_set():
            with contextlib.suppress(OSError, ValueError):
                connection, _ = listener.accept()
                threading.Thread(target=self._answer_one, args=[connection], daemon=True).start()

    def ask(self, other: int) -> None:
        """Asks another worker again and again, until the meeting is stopped."""
        while not self.stopped.is_set():
            try:
                message = self._ask_one(other)
                self._reasons[other] = None
                (self._ready.add if message["ready"] is True else self._ready.discard)(other)
                if other == 0 and message["over"] is True:
                    self._ends_at = time.monotonic()
            except OSError as error:
                self._refuse(other, error.strerror or str(error) or "no answer")
            except (ValueError, KeyError, TypeError, RecursionError):
                self._refuse(other, "answers, but not as a worker of this cluster")
            time.sleep(_PAUSE)

    def _refuse(self, other: int, reason: str) -> None:
        self._reasons[other] = reason
        self._ready.discard(other)

    def _reaches_all(self) -> bool:
        return not any(self._reasons.values())

    def _message(self) -> bytes:
        message = {
            "cluster": self._digest,
            "worker": self.cluster.index,
            "ready": self._reaches_all(),
            "over": self._ends_at is not None,
        }
        return json.dumps(message).encode() + b"\n"

    def _read(self, connection: socket.socket) -> dict[str, Any]:
        """Returns the message of another worker of the same cluster."""
        with connection.makefile("rb") as stream:
            message = json.loads(stream.readline(_LONGEST))
        if message["cluster"] != self._digest or message["worker"] not in self.cluster.others:
            raise ValueError("a worker of another cluster")
        return message

    def _ask_one(self, other: int) -> dict[str, Any]:
        for number, target in enumerate(self._targets[other]):
            try:
                connection = socket.create_connection(target[:2], _PATIENCE)
                break
            except OSError:
                if number == len(self._targets[other]) - 1:
                    raise
        with connection:
            connection.settimeout(_PATIENCE)
            connection.sendall(self._message())
            message = self._read(connection)
        if message["worker"] != other:
            raise ValueError("another worker than the one of this address")
        return message

    def _answer_one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            connection.settimeout(_PATIENCE)
            other = self._read(connection)["worker"]
            message = self._message()
            connection.sendall(message)
            with contextlib.suppress(OSError):
                connection.recv(1)  # the side that closes first blocks its port for a while: here, the other worker
            if json.loads(message)["over"]:
                self._told.add(other)


def _resolve(cluster: Cluster, end: float) -> list[list[tuple]]:
    """Resolves the address of each worker, in threads, because a name server may be slow."""
    found: list[Any] = [None] * len(cluster.ends)

    def resolve(number: int) -> None:
        try:
            answers = socket.getaddrinfo(*cluster.ends[number], type=socket.SOCK_STREAM)
            found[number] = list(dict.fromkeys(answer[4] for answer in answers))
        except (OSError, UnicodeError) as error:
            found[number] = error

    for number in range(len(found)):
        threading.Thread(target=resolve, args=[number], daemon=True).start()
    while None in found and time.monotonic() < end:
        time.sleep(0.02)
    seen: dict[tuple, str] = {}
    for address, answer in zip(cluster.addresses, found, strict=True):
        if not isinstance(answer, list):
            reason = getattr(answer, "strerror", None) or "no answer of the name server"
            raise InputError(f"expected an address that resolves in TF_CONFIG, got {address} ({reason}); correct it")
        for target in answer:
            if target in seen:
                raise InputError(
                    f"expected an address of its own for each worker in TF_CONFIG, got {seen[target]} and {address}, "
                    "which are the same; give each another host or port"
                )
        seen |= dict.fromkeys(answer, address)
    return found


@contextlib.contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """A socket on this worker's port, at all addresses of the machine, like TensorFlow's."""
    port = cluster.ends[cluster.index][1]
    try:
        try:
            listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES):
                raise
            listener = socket.create_server(("", port), backlog=128)  # a system without IPv6
    except OSError as error:
        reason = os.strerror(error.errno)
        raise InputError(
            f"expected the port of this worker, {cluster.addresses[cluster.index]}, to be free, got: {reason}; end "
            "the process that uses it, or choose another port in the TF_CONFIG of all workers"
        ) from error
    with listener:
        yield listener
