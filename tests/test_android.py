"""The Kotlin client is built and tested: `pytest -m android -rs`. Needs JDK 17 or later and Maven 3.8 or later."""

import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tinytl_tf.device import TrainableModel
from tinytl_tf.state import average_states

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
ANDROID = pathlib.Path(__file__).parents[1] / "export" / "android"
JDK, MAVEN = (17,), (3, 8)
INSTALL = "install JDK 17 and Maven 3.8, with Debian: apt-get install openjdk-17-jdk-headless maven"


def what_is_missing(outputs, system="linux", machine="x86_64"):
    """Returns why the build cannot run, or an empty text.

    Args:
        outputs: What `javac -version` and `mvn --version` print; None for a command that is not there.
        system: `sys.platform`.
        machine: `platform.machine()`.
    """
    if (system, machine) != ("linux", "x86_64"):
        return f"the runtime of the Kotlin tests is for Linux on x86_64, this is {system} on {machine}; run them there"
    javac, maven = (version(output) for output in outputs)
    if javac < JDK or maven < MAVEN:
        found = " and ".join(
            f"{name} {'.'.join(map(str, found)) or 'nowhere'}" for name, found in (("javac", javac), ("mvn", maven))
        )
        return f"the Kotlin client needs JDK 17 and Maven 3.8, got {found}; {INSTALL}"
    return ""


def version(output):
    """Returns the first version in what a command prints, or () without one; Maven's is in bold letters."""
    plain = re.sub("\x1b\\[[0-9;]*m", "", output or "")
    found = re.search(r"\d+(\.\d+)*", plain)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def printed(*command):
    if shutil.which(command[0]) is None:
        return None
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.android
def test_the_kotlin_client_builds_and_passes_its_tests():
    reason = what_is_missing(
        [printed("javac", "-version"), printed("mvn", "--version")], sys.platform, platform.machine()
    )
    if reason:
        pytest.skip(reason)
    command = ["mvn", "--batch-mode", "--quiet", f"--file={ANDROID}", "clean", "verify"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout[-10_000:]}\n{result.stderr[-2_000:]}"
    reports = list(ANDROID.glob("library/target/surefire-reports/TEST-*.xml"))
    ran = sum(int(re.search(r'<testsuite [^>]*tests="(\d+)"', report.read_text("utf-8"))[1]) for report in reports)
    assert ran > 150
    print(f"{ran} tests of the Kotlin client passed")


@pytest.fixture
def left():
    """What the tests of the Kotlin client leave: states, and the losses with which they went on."""
    folder = ANDROID / "library" / "target" / "left"
    if not folder.exists():
        pytest.skip("the tests of the Kotlin client have not run; run `mvn -f export/android verify`")
    return folder


def losses(model, kernels):
    """Those of the golden steps that go on from a state."""
    golden = json.loads((GOLDEN / f"training_{kernels}.json").read_text(encoding="utf-8"))
    photos = [np.frombuffer((GOLDEN / photo["pixels"]).read_bytes(), np.uint8) for photo in golden["photos"]]
    images = np.stack(photos).reshape(-1, *model.image_size, 3)
    return [
        model.train(images[step["photos"]], np.array(step["labels"]), step["learning_rate"]).loss
        for step in golden["continued"]
    ]


@pytest.mark.android
@pytest.mark.parametrize(("kernels", "tolerance"), [("float32", 5e-4), ("int8", 4e-2)])
def test_python_goes_on_from_a_state_that_kotlin_trained(kernels, tolerance, left):
    """After 20 steps there and a file, six steps give the losses that Kotlin had when it went on by itself."""
    model = TrainableModel(GOLDEN / f"model_{kernels}.tflite")
    model.restore(left / f"{kernels}.tinytl")
    expected = json.loads((left / f"{kernels}.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(losses(model, kernels), expected, rtol=tolerance)
    model.reset()
    assert not np.allclose(losses(model, kernels), expected, rtol=tolerance)


@pytest.mark.android
def test_states_that_kotlin_trained_are_averaged(left, tmp_path):
    model = TrainableModel(GOLDEN / "model_float32.tflite")
    before = losses(model, "float32")[0]
    states = [left / "float32.tinytl", (left / "int8.tinytl", GOLDEN / "model_int8.tflite")]
    average_states(states, GOLDEN / "model_float32.tflite", tmp_path / "all.tinytl")
    model.restore(tmp_path / "all.tinytl")
    assert losses(model, "float32")[0] < 0.8 * before


@pytest.mark.parametrize("javac", [None, "", "javac 11.0.2", "javac 1.8.0_402"])
def test_a_jdk_that_is_missing_or_old_is_named(javac):
    reason = what_is_missing([javac, "Apache Maven 3.9.9 (8e85)"])
    assert INSTALL in reason
    assert "\n" not in reason


@pytest.mark.parametrize("maven", [None, "Apache Maven 3.6.3"])
def test_a_maven_that_is_missing_or_old_is_named(maven):
    assert INSTALL in what_is_missing(["javac 17.0.15", maven])


def test_nothing_is_missing_where_both_are_new():
    assert not what_is_missing(["javac 17.0.15", "Apache Maven 3.8.7"])
    assert not what_is_missing(["javac 21", "Apache Maven 4.0.0"])
    assert not what_is_missing(["javac 17.0.15", "\x1b[1mApache Maven 3.8.7\x1b[m (8e85)"])


def test_another_processor_is_named():
    assert "aarch64" in what_is_missing(["javac 17", "Apache Maven 3.9"], machine="aarch64")


def test_the_readme_says_what_the_build_needs():
    text = (ANDROID / "README.md").read_text(encoding="utf-8")
    assert "JDK 17" in text
    assert "Maven 3.8" in text
