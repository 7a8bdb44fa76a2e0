"""What TensorFlow logs below Python during an export: nothing, or with `verbose` all of it."""

import logging
import os
import subprocess
import sys
import threading
import warnings

import pytest

from tests.modules import ROOT
from tinytl_tf.export import native_log

GET, SET = native_log._functions() or pytest.fail("another release of TensorFlow: see docs/compatibility.md")


@pytest.fixture(autouse=True)
def level():
    """The level outside of all blocks."""
    before = GET()
    SET(0)
    yield
    assert GET() == 0
    SET(before)


def test_errors_alone_are_logged_in_a_block():
    with native_log.native_log(verbose=False):
        assert GET() == 2
        with native_log.native_log(verbose=False):
            assert GET() == 2
        assert GET() == 2
    assert GET() == 0


def test_with_verbose_nothing_changes():
    with native_log.native_log(verbose=True):
        assert GET() == 0


def test_an_exception_leaves_the_level_of_before():
    with pytest.raises(ZeroDivisionError), native_log.native_log(verbose=False):
        1 / 0  # noqa: B018
    assert GET() == 0


def test_a_higher_level_stays():
    SET(3)
    with native_log.native_log(verbose=False):
        assert GET() == 3
    assert GET() == 3
    SET(0)


def test_blocks_of_threads_end_in_any_order():
    entered, first_ends, seen = threading.Barrier(2), threading.Event(), []

    def first():
        with native_log.native_log(verbose=False):
            entered.wait(10)
        first_ends.set()

    thread = threading.Thread(target=first)
    thread.start()
    with native_log.native_log(verbose=False):
        entered.wait(10)
        assert first_ends.wait(10)
        seen.append(GET())
    thread.join()
    assert (seen, GET()) == ([2], 0)


def test_without_the_functions_everything_is_logged(monkeypatch):
    monkeypatch.setattr(native_log, "_GET", "another_name")
    native_log._functions.cache_clear()
    try:
        with native_log.native_log(verbose=False):
            assert GET() == 0
    finally:
        native_log._functions.cache_clear()


def test_python_is_heard_in_a_block(capsys, caplog):
    with native_log.native_log(verbose=False):
        print("printed", file=sys.stderr)
        logging.getLogger("tinytl_tf").warning("logged")
        with pytest.warns(UserWarning, match="warned"):
            warnings.warn("warned", UserWarning, stacklevel=1)
    assert capsys.readouterr().err.startswith("printed\n")
    assert [record.getMessage() for record in caplog.records] == ["logged"]


def test_a_function_is_quiet_unless_it_is_verbose():
    @native_log.quiet_unless_verbose
    def function(value, *, verbose=False):
        return value, verbose, GET()

    assert function(3) == (3, False, 2)
    assert function(3, verbose=True) == (3, True, 0)


EXPORT = """
import sys
import tinytl_tf as tiny
from tests import tiny_network

model = tiny.build(tiny_network.ARCHITECTURE, classes=3, resolution=32, weights=None)
tiny.apply_scheme(model, "last")
print("export", file=sys.stderr, flush=True)
tiny.export_model(model, "model.tflite", batch_size=1, verbose=len(sys.argv) > 1)
"""
OF_LITERT = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."  # once in a process, by whatever loads a file


@pytest.mark.parametrize("argv", [[], pytest.param(["--verbose"], marks=pytest.mark.thorough)])
def test_an_export_in_python_is_quiet(tmp_path, argv):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, *argv],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    log = done.stderr.partition("export\n")[2].splitlines()
    if argv:
        assert any("Reading SavedModel" in line for line in log)
        assert any(line.startswith("export 1/3: ") for line in log)
    else:
        assert [line for line in log if line != OF_LITERT] == []
