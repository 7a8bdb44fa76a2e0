"""The library builds as its README says, without warnings; optimizing, gcc sees more than with sanitizers."""

import shutil
import subprocess

import pytest

from tests.c import client


@pytest.mark.parametrize("tool", ["make", "cmake"])
def test_build(tmp_path, tool):
    if shutil.which(tool) is None or shutil.which("cc") is None:
        pytest.skip(f"needs {tool} and cc")
    if tool == "make":
        commands = [["make", "-s", "-j2", "-C", client.SOURCES, f"BUILD={tmp_path}"]]
    else:
        commands = [["cmake", "-S", client.SOURCES, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Release"]]
        commands.append(["cmake", "--build", tmp_path])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    done = subprocess.run([tmp_path / "adapt"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: adapt --model=FILE")
