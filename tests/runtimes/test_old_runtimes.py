"""Exported files train in TensorFlow Lite's older runtimes; each in a virtual environment of its own.

Run by `pytest -m runtimes`: it installs from PyPI.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.runtimes.files import (
    KERNELS,
    SCHEMES,
    TOLERANCES,
    copy_golden,
    golden_figures,
    problems,
    reference,
    run,
    write_batches,
    write_files,
)
from tinytl_tf.device import prefix_runner
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.tflite.snr import snr_db

pytestmark = pytest.mark.runtimes

RUNTIMES = {
    "2.14.0": ("3.11", ["tflite-runtime==2.14.0", "numpy<2"]),
    "2.7.0": ("3.9", ["tflite-runtime==2.7.0", "numpy<1.24"]),
}


def find_python(version):
    """A Python of that version: this one, one on the path, or one of pyenv's."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    root = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


@pytest.fixture(scope="module", params=RUNTIMES)
def python(request, tmp_path_factory):
    version, packages = RUNTIMES[request.param]
    base = find_python(version)
    if base is None:
        pytest.skip(f"needs Python {version} for tflite-runtime {request.param}")
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([base, "-m", "venv", str(folder)], check=True)
    executable = str(folder / "bin" / "python")
    done = subprocess.run([executable, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot install {packages[0]}: {done.stderr.strip().splitlines()[-1]}")
    return executable


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    return write_batches(tmp_path_factory.mktemp("batches") / "batches.npz")


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_trains_saves_restores_and_resets(python, models, batches, scheme, kernels):
    model = models[scheme, kernels]
    report = run([python], "tflite_runtime", model, batches)
    assert problems(report, reference(model, batches), TOLERANCES[kernels]) == []


@pytest.mark.parametrize("kernels", KERNELS)
def test_computes_the_golden_figures(python, kernels, tmp_path):
    model, batches = copy_golden(tmp_path, kernels)
    assert problems(run([python], "tflite_runtime", model, batches), *golden_figures(kernels)) == []


@pytest.fixture(scope="module")
def features(coral_export):
    """Photos, and the features that ai-edge-litert makes of them."""
    from tests import tiny_coral

    photos = tiny_coral.photos(16)
    run_prefix = prefix_runner.PrefixRunner(coral_export.with_name("prefix_int8.tflite"))
    return photos, np.stack([run_prefix(photo) for photo in photos])


def test_runs_the_prefix_of_a_board(python, coral_export, features):
    photos, expected = features
    command = [python, prefix_runner.__file__, str(coral_export.with_name("prefix_int8.tflite"))]
    done = subprocess.run(command, input=photos.tobytes(), capture_output=True, check=True)
    _, _, content = done.stdout.partition(b"\n")
    got = np.frombuffer(content, np.int8).reshape(expected.shape).astype(int)
    # Kernels of other versions round in another way, by a step in some layers.
    assert np.abs(got - expected).max() <= 6
    assert snr_db(expected.astype(int), got) > 25


def test_trains_the_suffix_of_a_board_where_its_manifest_says(request, python, coral_export, features, tmp_path):
    photos, integers = features
    path = tmp_path / "features.npz"
    labels = (np.arange(16, dtype=np.int32) % 4).reshape(4, 4)
    np.savez(path, images=integers.reshape(4, 4, *integers.shape[1:]), labels=labels)
    model = pathlib.Path(shutil.copy(coral_export.with_name("suffix_train.tflite"), tmp_path))
    needed = Manifest.read(coral_export.with_name("suffix_train.tflite")).min_runtime_version
    runtime = request.node.callspec.params["python"]
    if _numbers(runtime) < _numbers(needed):
        with pytest.raises(RuntimeError, match="Didn't find op for builtin opcode"):
            run([python], "tflite_runtime", model, path)
        return
    report = run([python], "tflite_runtime", model, path)
    assert problems(report, reference(model, path), TOLERANCES["float32"]) == []


def _numbers(version):
    return [int(part) for part in version.split(".")]
