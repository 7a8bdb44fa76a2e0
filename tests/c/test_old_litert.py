"""The C client with older libraries of LiteRT, whose C API is another.

Run by `pytest -m runtimes`: it downloads wheels from PyPI.
"""

import subprocess
import sys
import zipfile

import pytest

from tests.c.client import Client, Refused
from tests.c.conftest import GOLDEN
from tests.c.test_golden import DELEGATES, read_golden, train

pytestmark = pytest.mark.runtimes

# From the one that has no environment in LiteRtCreateModelFromBuffer() to the one before the installed one.
VERSIONS = ("2.1.5", "2.1.6", "2.2.0")
TOO_OLD = "2.1.4"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A function that returns the libLiteRt.so of a version."""

    def download(version):
        folder = tmp_path_factory.mktemp("wheel")
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
        done = subprocess.run([*pip, f"ai-edge-litert=={version}"], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"pip cannot download ai-edge-litert {version}: {done.stderr.strip().splitlines()[-1]}")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            return wheel.extract("ai_edge_litert/libLiteRt.so", folder)

    return download


@pytest.mark.parametrize("version", VERSIONS)
def test_trains_saves_and_restores(built, library, tmp_path, version):
    path = library(version)
    for kernels in ("float32", "int8"):
        training, pixels = read_golden(kernels)
        for delegate, xnnpack in DELEGATES.items():
            with Client([built / "client"], path) as c:
                c.open(GOLDEN / training["model"], xnnpack=xnnpack)
                for step in training["steps"]:
                    loss, _, applied = train(c, tmp_path, pixels, step)
                    assert loss == pytest.approx(step[delegate]["loss"], rel=training["tolerances"]["loss"])
                    assert applied == 1
                c.ask("restore", "a", GOLDEN / training["state_after"])
                c.ask("save", "a", tmp_path / "again.tinytl")
                assert (tmp_path / "again.tinytl").read_bytes() == (GOLDEN / training["state_after"]).read_bytes()


def test_a_library_that_cannot_train_is_refused(built, library):
    path = library(TOO_OLD)
    with (
        Client([built / "client"], path) as c,
        pytest.raises(Refused, match=r"expected LiteRT 2\.1\.5 or later in .*, got a library without LiteRtGetSub"),
    ):
        c.open(GOLDEN / "model_float32.tflite")
