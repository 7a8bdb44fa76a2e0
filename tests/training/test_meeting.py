import concurrent.futures
import contextlib
import socket
import threading
import time

import pytest

from tinytl_tf.errors import InputError, WorkerLost
from tinytl_tf.training import meeting
from tinytl_tf.training.cluster import Cluster
from tinytl_tf.training.meeting import meet


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(meeting, "_PAUSE", 0.02)
    monkeypatch.setattr(meeting, "_SETTLED", 0.1)


def addresses(count, host="127.0.0.1"):
    """Addresses whose ports are free."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(f"{host}:{each.getsockname()[1]}" for each in sockets)


@contextlib.contextmanager
def pool():
    with concurrent.futures.ThreadPoolExecutor() as executor:
        yield executor


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_meet_and_leave_their_ports(count):
    names, said = addresses(count), []
    with pool() as executor:
        for _ in range(2):  # the ports are free again
            futures = [executor.submit(meet, Cluster(names, i), 30.0, said.append) for i in range(count)]
            assert [future.result() for future in futures] == [None] * count
    assert said == []


def test_a_late_worker_is_named_and_waited_for():
    names, said = addresses(3), []
    with pool() as executor:
        futures = [executor.submit(meet, Cluster(names, i), 30.0, said.append) for i in (0, 1)]
        time.sleep(0.5)
        assert not any(future.done() for future in futures)
        meet(Cluster(names, 2), 30.0)
        for future in futures:
            future.result()
    assert len(said) == 2  # once each, until something changes
    assert all(line.startswith(f"waiting for {names[2]} (Connection refused), for up to ") for line in said)


@pytest.mark.parametrize("lost", [0, 1])
def test_after_the_time_the_missing_one_is_named(lost):
    names = addresses(2)
    started = time.monotonic()
    with pytest.raises(WorkerLost) as error:
        meet(Cluster(names, 1 - lost), 0.5, lambda line: None)
    assert time.monotonic() - started < 5
    assert str(error.value) == (
        f"expected 2 workers, after 0.5 s there is still no answer from {names[lost]} (Connection refused); start each "
        "with the same TF_CONFIG but for its index, and all again with resume=True"
    )


class Gone(Exception):
    """Stands for the end of a worker."""


@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_that_ends_while_it_waits_can_be_started_again(lost):
    names, said, leave = addresses(3), [], threading.Event()

    def wait(line):
        leave.wait()
        raise Gone

    with pool() as executor:
        first = executor.submit(meet, Cluster(names, 1 - lost), 30.0, said.append)
        second = executor.submit(meet, Cluster(names, lost), 30.0, wait)
        end = time.monotonic() + 20
        while not any(line.startswith(f"waiting for {names[2]} (") for line in said):
            assert time.monotonic() < end
            time.sleep(0.02)
        leave.set()
        with pytest.raises(Gone):
            second.result()
        while f"{names[lost]} (" not in said[-1]:
            assert time.monotonic() < end, said
            time.sleep(0.02)
        others = [executor.submit(meet, Cluster(names, i), 30.0, said.append) for i in (lost, 2)]
        for future in (first, *others):
            future.result()


def test_all_wait_for_one_that_does_not_reach_all(monkeypatch):
    """The third reaches the first alone: TensorFlow would wait for ever."""
    names, said = addresses(3), []
    real = socket.create_connection

    def connect(target, timeout):
        if threading.current_thread().name == "blind" and target[1] == int(names[1].rpartition(":")[2]):
            raise OSError(113, "No route to host")
        return real(target, timeout)

    class Blind(meeting._Meeting):
        def ask(self, other):
            threading.current_thread().name = "blind"
            super().ask(other)

    monkeypatch.setattr(socket, "create_connection", connect)
    with pool() as executor:
        futures = [executor.submit(meet, Cluster(names, i), 1.5, said.append) for i in (0, 1)]
        time.sleep(0.5)
        monkeypatch.setattr(meeting, "_Meeting", Blind)
        futures.append(executor.submit(meet, Cluster(names, 2), 1.0, said.append))
        errors = [str(future.exception()) for future in futures]
    assert f"{names[1]} (No route to host)" in errors[2]
    assert f"waiting for {names[2]} (does not reach all others)" in "".join(line for line in said)


def test_a_port_that_is_taken_is_refused():
    names = addresses(2)
    with socket.create_server(("127.0.0.1", int(names[1].rpartition(":")[2]))), pytest.raises(InputError) as error:
        meet(Cluster(names, 1), 30.0)
    assert str(error.value) == (
        f"expected the port of this worker, {names[1]}, to be free, got: Address already in use; end the process that "
        "uses it, or choose another port in the TF_CONFIG of all workers"
    )


def test_an_address_that_does_not_resolve_is_refused(monkeypatch):
    names = (*addresses(1), "no-such-host.invalid:1")
    with pytest.raises(InputError) as error:
        meet(Cluster(names, 0), 30.0)
    assert str(error.value).startswith("expected an address that resolves in TF_CONFIG, got no-such-host.invalid:1 (")

    def silent(*_, **__):
        time.sleep(3)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(InputError, match="no answer of the name server"):
        meet(Cluster(names, 0), 0.1)


def test_two_names_of_one_address_are_refused():
    (name,) = addresses(1)
    with pytest.raises(InputError, match=f"got {name} and localhost:.*, which are the same; give each"):
        meet(Cluster((name, name.replace("127.0.0.1", "localhost")), 0), 30.0)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"{}\n", b"[" * 5000, b"\xff" * 5000])
def test_another_service_is_not_taken_for_a_worker(reply):
    names = addresses(2)
    with socket.create_server(("127.0.0.1", int(names[1].rpartition(":")[2]))) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(WorkerLost) as error:
            meet(Cluster(names, 0), 0.5, lambda line: None)
        server.shutdown(socket.SHUT_RDWR)
    assert f"{names[1]} (" in str(error.value)


def test_a_worker_of_another_cluster_does_not_count():
    names = addresses(3)
    said = []
    with pool() as executor:
        futures = [
            executor.submit(meet, Cluster(names[:2], 0), 1.0, said.append),
            executor.submit(meet, Cluster(names, 1), 2.0, said.append),  # still there when the other gives up
        ]
        errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [WorkerLost] * 2
    assert f"{names[1]} (answers, but not as a worker of this cluster)" in str(errors[0])


def test_workers_meet_on_addresses_of_version_6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this system has no IPv6")
    names = addresses(2, "[::1]")
    with pool() as executor:
        for future in [executor.submit(meet, Cluster(names, i), 30.0) for i in range(2)]:
            future.result()


def test_it_says_what_is_missing_on_standard_error(capsys):
    with pytest.raises(WorkerLost):
        meet(Cluster(addresses(2), 0), 0.5)
    assert capsys.readouterr().err.startswith("waiting for 127.0.0.1:")
