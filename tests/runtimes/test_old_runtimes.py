"""Exported files train in TensorFlow Lite's older runtimes; each in a virtual environment of its own.

Run by `pytest -m runtimes`: it installs from PyPI.
"""

import os
import pathlib
import shutil
import subprocess
import sys

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
