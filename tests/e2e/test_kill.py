"""`tinytl train` killed with SIGKILL at random moments: whole files always, and the same numbers in the end."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.training import RunFolder

pytestmark = pytest.mark.thorough

EPOCHS = 8
ROOT = pathlib.Path(__file__).parents[2]


class Server:
    """`train_server.py` in a process of its own."""

    def __init__(self, log):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.train_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert self._answer() == "ready"

    def run(self, argv, kill_after=None):
        """Returns the exit status and the seconds a command took; it is killed after so many, unless it is done."""
        self._process.stdin.write(json.dumps([argv, kill_after]) + "\n")
        self._process.stdin.flush()
        start = time.monotonic()
        return int(self._answer()), time.monotonic() - start

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _answer(self):
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module", autouse=True)
def registered():
    """`RunFolder` reads a run of the tiny network here too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    tiny.write_shapes(folder / "shapes.npz")
    return folder


@pytest.fixture(scope="module")
def server(place):
    with open(place / "log", "w") as log:
        server = Server(log)
        yield server
        server.close()


def command(place, workdir):
    argv = tiny.argv(place / "shapes.npz", training={"epochs": EPOCHS})
    return ["train", *argv, f"--workdir={workdir}", "--resume"]


def assert_whole(workdir):
    """Each file of a run is absent or can be read; a `.keras` file is opened with Keras alone."""
    folder = RunFolder(workdir)
    if folder.exists:
        folder.read_run()
    rows = folder.read_log()
    assert [row["epoch"] for row in rows] == list(range(len(rows)))
    for path in workdir.glob("*.keras"):
        assert keras.models.load_model(path).output_shape == (None, len(tiny.CLASSES))
    names = {"run.json", "log.jsonl", "best.keras", "last.keras"}
    leftovers = (".tmp", ".lock")
    assert all(path.name in names or path.name.endswith(leftovers) for path in workdir.iterdir())


def numbers(workdir):
    folder = RunFolder(workdir)
    times = ("step_ms", "images_per_second", "waiting")
    rows = [{key: row[key] for key in row if key not in times} for row in folder.read_log()]
    models = [folder.load(name) for name in ("best", "last")]
    return rows, [v.numpy() for model in models for v in [*model.weights, *model.optimizer.variables]]


@pytest.fixture(scope="module")
def undisturbed(place, server):
    """Seconds and numbers of a run that nothing disturbed."""
    status, seconds = server.run(command(place, place / "whole"))
    assert status == 0, (place / "log").read_text()
    return seconds, numbers(place / "whole")


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_run_is_whole_and_ends_like_another(place, server, undisturbed, kills):
    seconds, (rows, values) = undisturbed
    delays = random.Random(kills)
    killed, run, found = 0, 0, []
    while killed < kills or not found or found[-1] != 0:
        workdir = place / f"{kills}-{run}"
        # The last run is left to end.
        delay = delays.uniform(0, seconds) if killed < kills else None
        status, _ = server.run(command(place, workdir), delay)
        found.append(status)
        assert status in (0, -signal.SIGKILL), (place / "log").read_text()
        if workdir.exists():
            assert_whole(workdir)
        if status != 0:
            killed += 1
            continue
        run += 1
        other_rows, other_values = numbers(workdir)
        assert other_rows == rows
        for value, other in zip(values, other_values, strict=True):
            np.testing.assert_array_equal(value, other)
        assert {path.name for path in workdir.iterdir()} == {"run.json", "log.jsonl", "best.keras", "last.keras"}
