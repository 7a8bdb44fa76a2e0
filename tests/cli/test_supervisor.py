import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from tinytl_tf.cli.supervisor import supervised

# `kind` says what the child does; it prints its process id first.
CODE = """
import ctypes, os, signal, sys, time
from tinytl_tf.cli import supervisor
from tinytl_tf.cli.signals import Signals

def run():
    print(os.getpid(), flush=True)
    kind = sys.argv[1]
    if kind == "status":
        return 4
    if kind == "fault":
        raise ZeroDivisionError
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind in ("deaf", "silent"):  # as TensorFlow does while it connects workers
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
        ctypes.PyDLL(None).sleep(60)  # this one does not let other Python run
    if kind == "hangs at its end":
        import atexit
        atexit.register(ctypes.PyDLL(None).sleep, 60)
        return int(sys.argv[2])
    signals = Signals()
    try:
        with signals.handled():
            time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return signals.exit_status

if sys.argv[1] == "silent":
    supervisor._SILENCE = 2.0
if sys.argv[1] == "hangs at its end":
    supervisor._SILENCE = 4.0
sys.exit(supervisor.supervised(["pretrain", "--distribute=workers"], run))
"""


@contextlib.contextmanager
def supervisor(*argv):
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        child = int(process.stdout.readline())
        assert child != process.pid
        yield process, child
        assert has_ended(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def has_ended(pid):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("status", 4, ""),
        ("fault", 1, "ZeroDivisionError"),
        ("killed", 5, "tinytl pretrain: error: this worker is lost: signal 9 ended it; start all workers again with"),
        (
            "silent",
            5,
            "tinytl pretrain: error: this worker is lost: it did not answer for 2 s, perhaps another",
        ),
    ],
)
def test_the_status_is_that_of_the_child(kind, status, words):
    with supervisor(kind) as (process, _):
        _, error = process.communicate(timeout=30)
    assert process.returncode == status
    assert words in error
    assert bool(error) == bool(words)


@pytest.mark.parametrize("status", [0, 5])
def test_a_child_that_hangs_at_its_end_has_the_status_of_its_work(status):
    started = time.monotonic()
    with supervisor("hangs at its end", str(status)) as (process, _):
        assert process.wait(30) == status
    assert (time.monotonic() - started < 3.5) == (status != 0)  # one that is well may take its time


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["works", "deaf"])
def test_signals_are_obeyed_whatever_the_child_does(number, kind):
    with supervisor(kind) as (process, _):
        time.sleep(0.5)
        started = time.monotonic()
        process.send_signal(number)
        output, error = process.communicate(timeout=30)
    assert time.monotonic() - started < (1.5 if kind == "works" else 6)
    assert process.returncode == 128 + number
    assert output == ("interrupted\n" if kind == "works" else "")
    assert error == ("" if kind == "works" else "tinytl pretrain: interrupted\n")


@pytest.mark.parametrize("kind", ["works", "deaf"])
def test_a_child_ends_with_its_parent(kind):
    with supervisor(kind) as (process, _):
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("argv", "forks"),
    [
        (["pretrain", "--distribute=workers"], True),
        (["pretrain", "-distribute", "workers", "--resume"], True),
        (["pretrain", "--distribute=none", "--distribute=workers"], True),
        (["pretrain", "--distribute=workers", "--distribute=none"], False),
        (["pretrain", "--distribute=mirrored"], False),
        (["pretrain", "--workdir=workers"], False),
        (["train", "--distribute=workers"], False),
        ([], False),
    ],
)
def test_only_workers_have_a_process_of_their_own(monkeypatch, argv, forks):
    class Forked(Exception):
        pass

    def fork():
        raise Forked

    monkeypatch.setattr(os, "fork", fork)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    if forks:
        with pytest.raises(Forked):
            supervised(argv, lambda: 7)
    else:
        assert supervised(argv, lambda: 7) == 7
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
