"""`tinytl train` interrupted at random moments, its imports included: one line, 130 or 143, and nothing left behind."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.thorough

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 12.0  # imports, building and the first epochs of a run that would take much longer


def interrupted(place, number, delay):
    """Starts a long run, sends it the signal after so many seconds; returns its exit status and standard error."""
    argv = [
        *(sys.executable, "-m", "tinytl_tf.cli.main", "train", f"--config={ROOT}/configs/default.py"),
        *(f"--workdir={place}/run", "--overwrite", "--config.backbone.weights=", "--config.backbone.width=0.35"),
        *("--config.data.name=digits", "--config.backbone.resolution=64", "--config.training.epochs=1000"),
        *("--config.data.train_images=40", "--config.data.test_images=20"),
    ]
    (place / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": f"{place}/tmp", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    process = subprocess.Popen(
        argv, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(delay)
    assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    return process.returncode, error


@pytest.mark.parametrize("times", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_interrupted_at_any_moment(tmp_path, times):
    moments = random.Random(times)
    for index in range(times):
        number = (signal.SIGINT, signal.SIGTERM)[index % 2]
        # Python itself takes up to a second to start on a busy machine, and ends without a word until then.
        delay = max(1.0, SECONDS * (index + moments.random()) / times)
        status, error = interrupted(tmp_path, number, delay)
        assert status == 128 + number, (delay, error)
        assert error.endswith("interrupted\n"), (delay, error)
        assert "Traceback" not in error, (delay, error)
        # Python's bytecode of what TensorFlow generates there is not ours.
        assert {path.name for path in (tmp_path / "tmp").iterdir()} <= {"__pycache__"}, delay
        assert not list(tmp_path.glob("run/*.tmp")), delay
