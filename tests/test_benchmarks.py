"""What the commands in benchmarks/ refuse before any work begins."""

import pathlib
import subprocess
import sys

import pytest

ACCURACY = pathlib.Path(__file__).parent.parent / "benchmarks" / "accuracy.py"


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--frozen_weights=float32,int4", "expected some of float32, int8, k-means"),
        ("--schemes=tinytl", "expected some of last, norm+last, full, tinytl-b, tinytl-l, tinytl-lb"),
    ],
)
def test_unknown_names_are_told_without_a_traceback(flag, expected):
    command = [sys.executable, ACCURACY, "--data=x.npz", "--weights=x.h5", flag]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert expected in result.stderr + result.stdout
    assert "Traceback" not in result.stderr
