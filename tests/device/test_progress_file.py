"""A progress file is read back as it was written, or refused."""

import functools
import json
import math
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from tinytl_tf import files
from tinytl_tf.device.progress_file import (
    AdaptProgress,
    best_path,
    check_paths,
    progress_path,
    read_progress,
    remove_progress,
    step_path,
    write_progress,
)
from tinytl_tf.errors import InputError
from tinytl_tf.figures import ClassFigures, EvaluateResult

SETTINGS = {"seed": 3, "data": {"train": "ab", "test": "cd"}, "learning_rate": 1e-3, "features": None, "flip": True}
PROGRESS = AdaptProgress(
    SETTINGS,
    EvaluateResult(0.25, 1.5, 4, (ClassFigures(3, 1), ClassFigures(1, 0))),
    [(1.25, 0.5, True, 3.5), (math.nan, 0.0, False, 2.25), (1.0, 1.0, True, 3.0)],
    best=0.75,
    validated=1,
    state="mine.tinytl.step-3",
)


def write(folder):
    path = progress_path(folder / "mine.tinytl")
    step_path(folder / "mine.tinytl", 3).write_bytes(b"the state")
    write_progress(path, PROGRESS)
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path)


def refused(path, words=""):
    with pytest.raises(InputError) as error:
        read_progress(path, SETTINGS)
    message = str(error.value)
    assert words in message
    assert message.isprintable()
    assert len(message) < 500
    return message


def test_progress_comes_back_as_it_was_written(path):
    read = read_progress(path, SETTINGS)
    assert math.isnan(read.steps[1][0])
    assert repr(read) == repr(PROGRESS)


def test_every_changed_byte_and_every_cut_is_refused(path):
    content = path.read_bytes()
    for place in range(len(content)):
        for damaged in (
            content[:place],
            content[:place] + content[place + 1 :],
            content[:place] + content[place : place + 1] + content[place:],
            *(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :] for bit in (1, 4, 32, 128)),
        ):
            path.write_bytes(damaged)
            refused(path)
    for damaged in (content + content, content + b"\n", b"\n" + content, b"\xef\xbb\xbf" + content, content + b"\0"):
        path.write_bytes(damaged)
        refused(path)


HUGE = ["1e400", "-1e400", "NaN", "Infinity", "-1", "0", "1e308", str(2**63), str(10**30), "9" * 5000]
OTHERS = ["null", "true", '""', "[]", "{}", "[" * 50_000, '{"a":' * 50_000, '"\\ud800"', '"' + "x" * 10_000 + '"']


@pytest.mark.parametrize("field", ["version", "settings", "before", "steps", "best", "validated", "state", "sha256"])
@pytest.mark.parametrize("value", HUGE + OTHERS, ids=lambda value: value[:12])
def test_every_changed_value_is_refused(path, field, value):
    values = json.loads(path.read_text())
    changed = json.dumps({**values, field: "HERE"}).replace('"HERE"', value)
    path.write_text(changed)
    refused(path)


@pytest.mark.parametrize("field", ["version", "steps", "state_sha256", "sha256"])
def test_fields_that_are_missing_added_or_there_twice_are_refused(path, field):
    text = path.read_text()
    values = json.loads(text)
    path.write_text(json.dumps({name: value for name, value in values.items() if name != field}))
    refused(path)
    path.write_text(text[:-2] + f", {json.dumps({field: values[field]})[1:]}\n")
    refused(path)
    path.write_text(json.dumps({**values, "mood": "good"}))
    refused(path)


@functools.cache
def _content(path):
    return path.read_bytes()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.data())
def test_content_that_was_moved_within_the_file_is_refused(path, draw):
    content = _content(path)
    places = sorted(draw.draw(strategies.integers(0, len(content))) for _ in range(4))
    a, b, c, d = places
    damaged = content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]
    path.write_bytes(damaged)
    if damaged == content:
        read_progress(path, SETTINGS)
    else:
        refused(path)


def test_progress_of_another_version_names_the_remedy(path):
    values = json.loads(path.read_text())
    for version in (1, 2, 4, "3", None):
        path.write_text(json.dumps({**values, "version": version}))
        expected = f"expected progress of format version 3 in {path}, got {version!r}; start the run again"
        assert refused(path) == expected
    for text in ("[3]", "3", "null"):
        path.write_text(text)
        refused(path, "expected progress of format version 3")


def test_the_state_has_to_be_the_one_that_was_saved(path):
    state = step_path(path.with_name("mine.tinytl"), 3)
    state.write_bytes(b"the State")
    refused(path, f"cannot resume: {state} is not the state that the run has saved")
    state.unlink()
    refused(path, f"cannot resume: expected the state {state} of the run, got: No such file or directory")
    os.mkfifo(state)
    refused(path, "Not a regular file")


def test_what_is_not_a_file_is_refused_and_not_waited_for(path):
    for make, reason in ((os.mkfifo, "Not a regular file"), (os.mkdir, "Is a directory")):
        path.unlink()
        make(path)
        refused(path, f"expected the progress of a run at {path}, got: {reason}; check the path")
    path.rmdir()
    refused(path, f"there is no run to resume: {path} does not exist; start it without resuming")


def test_another_setting_is_named(path):
    with pytest.raises(
        InputError, match="^cannot resume: seed was 3 and is now 4; use the same, or start the run again$"
    ):
        read_progress(path, {**SETTINGS, "seed": 4})
    with pytest.raises(InputError, match="^cannot resume: api was None and is now 'new'; "):
        read_progress(path, {**SETTINGS, "api": "new"})


def test_what_a_run_has_left_is_removed_and_nothing_else(path):
    others = ["mine.tinytl.step-by-step", "mine.tinytl.step-", "mine2.tinytl.step-3", "mine.tinytl"]
    for name in others:
        path.with_name(name).touch()
    step_path(path.with_name("mine.tinytl"), 12).touch()
    remove_progress(path)
    assert sorted(item.name for item in path.parent.iterdir()) == sorted(others)
    remove_progress(path.parent / "none" / path.name)


def longest_name(folder):
    """The length of the longest name that is accepted."""
    for length in range(100, 260):
        try:
            check_paths(folder / ("n" * length))
        except InputError:
            return length - 1
    raise AssertionError


@pytest.mark.parametrize("letter", ["n", "\u00f6"])
def test_a_name_is_refused_exactly_when_a_file_of_the_run_could_not_be_written(tmp_path, letter):
    length = longest_name(tmp_path) // len(letter.encode())
    assert length * len(letter.encode()) > 100
    path = tmp_path / (letter * length)
    for name in (path, progress_path(path), step_path(path, 10**7), best_path(path)):
        files.atomic_write_bytes(name, b"")
    path = tmp_path / (letter * (length + 1))
    with pytest.raises(InputError, match="^cannot write .*: File name too long"):
        check_paths(path)
    with pytest.raises(InputError, match="File name too long"):
        files.atomic_write_bytes(progress_path(path), b"")


def test_a_folder_that_could_not_be_made_is_refused(tmp_path):
    check_paths(tmp_path / "new" / "folder" / "mine.tinytl")
    assert not list(tmp_path.iterdir())
    for folder in ("x" * 256, "/".join(["y" * 200] * 25)):
        with pytest.raises(InputError, match="^cannot write .*: File name too long"):
            check_paths(tmp_path / folder / "mine.tinytl")
    with pytest.raises(InputError, match="expected the path of a state file"):
        check_paths("/")


@pytest.mark.parametrize("beside", [progress_path, best_path], ids=lambda function: function.__name__)
def test_what_cannot_be_replaced_by_a_file_of_the_run_is_refused(tmp_path, beside):
    path = tmp_path / "mine.tinytl"
    beside(path).mkdir()
    with pytest.raises(InputError, match="expected a path for a file, got .*, a folder; choose another path"):
        check_paths(path)
    shutil.rmtree(beside(path))
    os.mkfifo(beside(path))
    with pytest.raises(InputError, match="a FIFO; choose another path"):
        check_paths(path)
