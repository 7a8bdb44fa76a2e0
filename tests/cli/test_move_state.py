"""`tinytl move-state`."""

import json
import pathlib

import numpy as np
import pytest

from tinytl_tf.cli import runner
from tinytl_tf.device import TrainableModel
from tinytl_tf.state import read_variables

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
FROM, TO = (GOLDEN / f"model_{kind}.tflite" for kind in ("float32", "int8"))


@pytest.fixture
def state(tmp_path):
    """What a device learned with the float32 file."""
    rng = np.random.default_rng(0)
    model = TrainableModel(FROM)
    photos = rng.integers(0, 256, (model.batch_size, *model.input_shape)).astype(np.uint8)
    model.train(photos, np.arange(model.batch_size) % model.num_classes, 0.01)
    model.save(tmp_path / "mine.tinytl")
    return tmp_path / "mine.tinytl"


def argv(learned, output, **changes):
    values = {"state": learned, "from_model": FROM, "model": TO, "output": output} | changes
    return [f"--{name}={value}" for name, value in values.items()]


def test_the_other_file_has_what_was_learned(state, tmp_path, capsys):
    output = tmp_path / "new.tinytl"
    assert runner.run_command("move-state", [*argv(state, output), f"--json={tmp_path}/r.json"]) == 0
    assert capsys.readouterr().out == f"wrote {output}, a state of {TO}\n"
    assert json.loads((tmp_path / "r.json").read_text()) == {"output": str(output)}
    old, new = read_variables(state, FROM), read_variables(output, TO)
    assert old.keys() == new.keys()
    for name, value in old.items():
        np.testing.assert_array_equal(new[name], value, err_msg=name)
    TrainableModel(TO).restore(output)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"from_model": TO}, "belongs to the model with SHA-256"),
        ({"model": GOLDEN / "model_array.tflite"}, "expected the classes"),
        ({"state": "none.tinytl"}, "expected a state file at none.tinytl"),
    ],
)
def test_refused_in_one_line(state, tmp_path, capsys, changes, message):
    output = tmp_path / "new.tinytl"
    assert runner.run_command("move-state", argv(state, output, **changes)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not output.exists()


def test_a_state_that_is_there_is_kept(state, capsys):
    before = state.read_bytes()
    assert runner.run_command("move-state", argv(state, state)) == 2
    assert "exists already" in capsys.readouterr().err
    assert state.read_bytes() == before
