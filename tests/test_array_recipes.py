"""The pages of docs/recipes are true: their Python runs as it stands and learns, and their command does the same."""

import importlib.util
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

PAGES = pathlib.Path(__file__).parents[1] / "docs" / "recipes"
# What is printed at least: accuracy before and after, in percent.
FIGURES = {"smart_watch": (25, 90), "speakers": (67, 90)}


def test_each_page_is_run():
    assert {page.stem for page in PAGES.glob("*.md")} == set(FIGURES)


@pytest.mark.thorough
@pytest.mark.parametrize("name", FIGURES)
def test_the_page_runs(name, tmp_path):
    if importlib.util.find_spec("aeon") is None:
        pytest.skip("needs the data in the package aeon: pip install .[recipes]")
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    output = run([sys.executable, "page.py"], tmp_path)
    if name == "smart_watch":
        keras, litert = (float(value) for value in re.findall(r"^the .*: ([0-9.]+)$", output, re.MULTILINE))
        assert abs(keras - litert) <= 1e-6
    before, after = map(int, re.search(r": (\d+)% before, (\d+)% after \d+ steps", output).groups())
    expected = FIGURES[name]
    assert f"It prints {expected[0]}% before" in text
    assert f"{expected[1]}% after" in text
    # Another build of TensorFlow rounds otherwise, and one window of twenty is 5 %.
    assert abs(before - expected[0]) <= 10
    assert abs(after - expected[1]) <= 10
    command = re.findall(r"^tinytl (adapt .*)$", text, re.MULTILINE)[-1]
    state = tmp_path / re.search(r"--state_out=(\S+)", command)[1]
    content = state.read_bytes()
    run([sys.executable, "-m", "tinytl_tf.cli.main", *shlex.split(command), "--overwrite"], tmp_path)
    assert state.read_bytes() == content


def run(argv, folder):
    result = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout
