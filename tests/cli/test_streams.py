"""Commands whose standard output and error cannot be written: the work is done and saved, without a traceback."""

import json
import os
import subprocess
import sys

import pytest

from tests import tiny_tflite
from tests.cli.test_adapt import COLORS, write_images
from tinytl_tf.cli import runner, streams
from tinytl_tf.guarded_stream import GuardedStream

FULL = ">/dev/full 2>/dev/full"
NOWHERE = ["2>/dev/full", "2>&-", ">/dev/full", ">&-", "<&- >&- 2>&-", FULL]
NOWHERE += ["| head -1 >&3", "2>&1 | true", "2>&1 >/dev/null | head -1 >&3"]

# Prints in every way that a command or a library below it may take, and writes a file in between.
FAKE = """
import logging, os, sys, types, warnings
import absl.logging
from tinytl_tf.cli import runner
from tinytl_tf.progress import Progress

def main(values):
    with open("result", "w") as result, Progress(3, "work") as progress:
        for number in range(300):
            print("words " * 100, flush=number % 2)
            print("花 \\udcff", file=sys.stderr)
            logging.getLogger("library").error("remark")
            absl.logging.error("remark")
            warnings.warn("remark")
            for descriptor in (1, 2):
                try:
                    os.write(descriptor, b"remark of C\\n")
                except OSError:
                    pass
            progress.message("花")
        result.write("whole")
    return {"done": True}

module = types.ModuleType("tinytl_tf.cli.fake", "Does nothing.")
module.define_flags = lambda values, argv: None
module.main = main
sys.modules[module.__name__] = module
sys.exit(runner.run_command("fake", sys.argv[1:]))
"""


def shell(argv, redirection, place, **environment):
    """Runs a command in a shell; returns its own exit status and everything that was printed somewhere."""
    text = f"{{ {' '.join(argv)}; echo $? >status; }} {redirection}"
    if redirection[:1] != "|" and " | " not in redirection:  # its exit status is written outside of the redirection
        text = f"{{ {' '.join(argv)} {redirection}; }}; echo $? >status"
    done = subprocess.run(
        ["bash", "-c", f"exec 3>&1; {text}"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(runner.__file__).removesuffix("/tinytl_tf/cli/runner.py"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return int((place / "status").read_text()), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("redirection", "verbose"), [*((each, "") for each in NOWHERE), ("<&- >&- 2>&-", "--verbose"), (FULL, "--verbose")]
)
def test_no_way_of_printing_ends_the_work(tmp_path, redirection, verbose):
    (tmp_path / "fake.py").write_text(FAKE)
    status, printed = shell([sys.executable, "fake.py", "--json=r.json", verbose], redirection, tmp_path)
    assert status == 0, printed
    assert "Traceback" not in printed
    assert "Error" not in printed
    assert (tmp_path / "result").read_text() == "whole"  # it has no number of a closed descriptor
    assert json.loads((tmp_path / "r.json").read_text()) == {"done": True}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`model.tflite` with a class 花, and `photos/` of its classes."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "model.tflite").write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(folder / "model.tflite", sorted({*COLORS, "花"} - {"red"}))
    for split in ("train", "test"):
        write_images(folder / "photos" / split, COLORS, 4)
        (folder / "photos" / split / "red").rename(folder / "photos" / split / "花")
    return folder


TINYTL = [sys.executable, "-m", "tinytl_tf.cli.main"]
DATA = ["--model=model.tflite", "--data=photos"]


def adapt(place, redirection, *argv, **environment):
    flags = [*DATA, "--state_out=out.tinytl", "--overwrite", "--epochs=1", *argv]
    (place / "out.tinytl").unlink(missing_ok=True)
    result = shell([*TINYTL, "adapt", *flags], redirection, place, **environment)
    return (*result, (place / "out.tinytl").exists())


@pytest.mark.parametrize("redirection", NOWHERE)
def test_a_training_is_saved(place, redirection):
    status, printed, saved = adapt(place, redirection)
    assert (status, saved) == (0, True), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("redirection", ["2>&-", FULL, "2>&1 | true"])
def test_an_error_keeps_its_status(place, redirection):
    status, printed = shell([*TINYTL, "adapt", *DATA, "--state_out=out.tinytl", "--epochs=0"], redirection, place)
    assert status == 2
    assert "Traceback" not in printed


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_names_are_escaped_where_the_encoding_lacks_them(place, environment):
    status, printed, saved = adapt(place, "", "--json=$'r\\xff.json'", **environment)
    assert (status, saved) == (0, True), printed
    assert "Traceback" not in printed
    assert json.loads((place / "r\udcff.json").read_text())["classes"][-1] == "花"
    status, printed, saved = adapt(place, "", "--new_classes", "--data=$'no\\xffne/花'", **environment)
    assert (status, saved) == (2, False)
    assert "Traceback" not in printed
    assert "does not exist" in printed


PRINTED = {
    "evaluate": ["evaluate", *DATA],
    "memory": ["memory", "--account=planned", "--model=model.tflite"],
    "networks": ["networks"],
    "commands": ["help"],
    "flags": ["adapt", "--help"],
}


@pytest.mark.parametrize("argv", PRINTED.values(), ids=PRINTED)
def test_a_result_that_is_only_printed_has_to_be_printed(place, argv):
    name = "tinytl" if argv == ["help"] else f"tinytl {argv[0]}"
    for redirection, words in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        status, printed = shell([*TINYTL, *argv], redirection, place)
        assert status == 1
        assert printed.splitlines()[-1] == (
            f"{name}: error: expected to write the result to standard output, got: {words}; give it a place that can "
            "be written"
        )
        assert "Traceback" not in printed
    status, printed = shell([*TINYTL, *argv], "| true", place)
    assert status == 1
    assert "error" not in printed
    if argv[0] in ("evaluate", "memory", "networks"):
        status, printed = shell([*TINYTL, *argv, "--json=r.json", "--overwrite"], ">/dev/full", place)
        assert (status, "error" in printed) == (0, False)


def test_the_streams_come_back_after_the_block():
    before = sys.stdout, sys.stderr
    with streams.guarded_streams():
        assert isinstance(sys.stdout, GuardedStream)
        inside = sys.stdout, sys.stderr
        with streams.guarded_streams():
            assert (sys.stdout, sys.stderr) == inside
    assert (sys.stdout, sys.stderr) == before
