"""`tinytl pretrain` on two workers and on two devices: the losses of one, and a run that outlives a killed worker."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli import runner
from tinytl_tf.training import RunFolder

pytestmark = pytest.mark.thorough

ROOT = pathlib.Path(__file__).parents[2]
EPOCHS = 3
SECONDS = 300
KEYS = ("epoch", "step", "loss", "accuracy", "feature_distance", "gradient_norm")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    tiny.write_shapes(folder / "shapes.npz")
    tiny.write_weights(folder / "tiny.weights.h5")
    return folder


def command(place, name):
    argv = tiny.argv(
        place / "shapes.npz",
        backbone={"dropout": 0.0, "weights": place / "tiny.weights.h5"},
        training={
            "epochs": EPOCHS,
            "saves_per_epoch": 2,
            "weight_decay": 0.1,
            "clip_norm": 0.5,
            "warmup_steps": 2,
            "distillation": 0.5,
            "teacher_scale": 2,
            "rate_factors": ((".kernel$", 0.5), ("gamma$", 2.0)),
        },
    )
    return ["pretrain", *argv, "--config.scheme=tinytl-l", f"--workdir={place / name}", "--resume"]


@pytest.fixture(scope="module")
def alone(place):
    """The log of a run on one worker, and its branches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        assert runner.run_command("pretrain", command(place, "alone")[1:]) == 0
    return RunFolder(place / "alone").read_log(), np.load(place / "alone" / "branches.npz")


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def start(place, name, log):
    """Starts two workers on one run."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    for index in range(2):
        yield worker(place, name, addresses, index, log)


def worker(place, name, addresses, index, log, *argv):
    """Starts one worker."""
    task = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.pretrain_worker", *command(place, name), "--distribute=workers", *argv],
        cwd=ROOT,
        env={**os.environ, "TF_CONFIG": task},
        stdout=log,
        stderr=log,
    )


@contextlib.contextmanager
def workers(place, name):
    """Two running workers; what is left of them at the end is killed."""
    with open(place / f"{name}.log", "a") as log:
        processes = list(start(place, name, log))
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.wait()


def run_to_the_end(place, name):
    with workers(place, name) as processes:
        statuses = [process.wait(SECONDS) for process in processes]
    assert statuses == [0, 0], (place / f"{name}.log").read_text()[-3000:]


def assert_like(place, name, alone):
    rows, branches = alone
    found = RunFolder(place / name).read_log()
    assert [row.keys() for row in found] == [row.keys() for row in rows]
    for row, expected in zip(found, rows, strict=True):
        assert [row[key] for key in KEYS] == pytest.approx([expected[key] for key in KEYS], rel=1e-3)
    values = np.load(place / name / "branches.npz")
    assert set(values) == set(branches)
    for path in set(values) - {"card"}:
        np.testing.assert_allclose(values[path], branches[path], rtol=0.02, atol=2e-3)


def test_two_workers_have_the_losses_of_one(place, alone):
    run_to_the_end(place, "two")
    assert_like(place, "two", alone)


def test_two_devices_of_a_machine_have_the_losses_of_one(place, alone):
    argv = [sys.executable, "-m", "tests.e2e.pretrain_worker", *command(place, "mirrored"), "--distribute=mirrored"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_like(place, "mirrored", alone)


def test_a_killed_worker_does_not_lose_the_run(place, alone):
    folder = RunFolder(place / "killed")
    with workers(place, "killed") as (first, second):
        end = time.monotonic() + SECONDS
        while not (folder.path / "last.keras").exists():
            assert time.monotonic() < end, (place / "killed.log").read_text()[-3000:]
            assert first.poll() is None
            time.sleep(0.02)
        second.send_signal(signal.SIGKILL)
        status = first.wait(SECONDS)
    text = (place / "killed.log").read_text()
    assert status == 5, text[-3000:]
    assert "tinytl pretrain: error: expected 2 workers, one has ended or cannot be reached (" in text
    assert 0 < len(folder.read_log()) < 2 * EPOCHS
    run_to_the_end(place, "killed")
    assert_like(place, "killed", alone)


@contextlib.contextmanager
def alone_of_two(place, name, *argv):
    """The first of two workers, whose second does not come; its log and the address of the second."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    with open(place / f"{name}.log", "a") as log:
        process = worker(place, name, addresses, 0, log, *argv)
        try:
            yield process, place / f"{name}.log", addresses
        finally:
            process.kill()
            process.wait()


def wait_for(text, path, process):
    end = time.monotonic() + SECONDS
    while text not in path.read_text():
        assert time.monotonic() < end
        assert process.poll() is None, path.read_text()[-3000:]
        time.sleep(0.05)


def test_a_worker_that_never_comes_is_named(place):
    with alone_of_two(place, "missing", "--worker_timeout=2.5") as (process, log, addresses):
        assert process.wait(SECONDS) == 5
    lines = log.read_text().splitlines()
    assert f"waiting for {addresses[1]} (Connection refused), for up to 1 s" in lines
    assert lines[-1].startswith(
        f"tinytl pretrain: error: expected 2 workers, after 2.5 s there is still no answer from {addresses[1]} (Conn"
    )
    assert lines[-1].endswith("all again with --resume")
    assert not (place / "missing").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_obeys_signals(place, number):
    """While it looks for the others, and while TensorFlow waits for one that has ended since."""
    meets = "from tinytl_tf.training.meeting import *; from tinytl_tf.training.cluster import *; import sys\n"
    meets += "meet(Cluster(tuple(sys.argv[1:]), 1), 300.0)"
    with alone_of_two(place, f"signal {number}") as (process, log, addresses):
        wait_for("waiting for", log, process)
        if number == signal.SIGTERM:
            subprocess.run([sys.executable, "-c", meets, *addresses], cwd=ROOT, check=True, capture_output=True)
            time.sleep(3)
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert time.monotonic() - started < 15  # at once; the process of this test has TensorFlow to unload
    assert log.read_text().endswith("tinytl pretrain: interrupted\n")


BAD = {
    "port": (
        "127.0.0.1:0",
        "expected an address host:port with a port from 1 to 65535 in TF_CONFIG, got '127.0.0.1:0'",
    ),
    "name": ("no-such-host.invalid:1", "expected an address that resolves in TF_CONFIG, got no-such-host.invalid:1 ("),
    "twice": (
        "127.0.0.1:1",
        "expected an address of its own for each worker in TF_CONFIG, got 127.0.0.1:1 twice",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_addresses_are_one_line(place, case, monkeypatch, capsys):
    address, words = BAD[case]
    cluster = {"cluster": {"worker": ["127.0.0.1:1", address]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    monkeypatch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
    assert runner.run_command("pretrain", [*command(place, "bad")[1:], "--distribute=workers"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinytl pretrain: error: {words}")
    assert error.count("\n") == 1
    assert not (place / "bad").exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e400", "x"])
def test_bad_times_are_one_line(place, seconds, capsys):
    argv = [*command(place, "bad")[1:], "--distribute=workers", f"--worker_timeout={seconds}"]
    assert runner.run_command("pretrain", argv) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_time_does_nothing_without_workers(place, capsys):
    assert runner.run_command("pretrain", [*command(place, "bad")[1:], "--worker_timeout=5"]) == 2
    assert capsys.readouterr().err.endswith(
        "--worker_timeout does nothing without --distribute=workers; leave it out\n"
    )
