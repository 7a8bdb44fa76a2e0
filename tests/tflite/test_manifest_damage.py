"""Of each damaged manifest a client reads what the schema allows, or gives one clear line."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from tests.damage import LARGE, NUMBERS, OTHERS, damaged, require_line
from tests.tflite.test_manifest import MANIFEST
from tests.tflite.test_manifest_schema import SCHEMA, problems
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.strict_json import parse_json
from tinytl_tf.tflite.manifest import Manifest, manifest_path
from tinytl_tf.tflite.micro_contract import COMMANDS, GRAPH, INPUTS, OUTPUTS

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
WHOLE = json.loads((GOLDEN / "model_spare.manifest.json").read_text())
LITERT = json.loads(MANIFEST.to_json())
# Of these a client for LiteRT uses nothing: it reads the signatures of the file itself.
FREE = ("signatures", "sizes", "planned_peak_bytes", "passes", "parity", "tolerances")
STATE, NUMBER, FLAG = (
    {"shape": [7], "dtype": "float32"},
    {"shape": [1], "dtype": "float32"},
    {"shape": [1], "dtype": "int32"},
)
MICRO = LITERT | {
    "profile": "micro",
    "frozen_weights": "float32",
    "signatures": {
        GRAPH: {
            "inputs": dict(
                zip(INPUTS, ({"shape": [1, 96, 96, 3], "dtype": "uint8"}, FLAG, NUMBER, FLAG, STATE), strict=True)
            ),
            "outputs": dict(
                zip(OUTPUTS, (NUMBER, NUMBER, FLAG, {"shape": [1, 2], "dtype": "float32"}, STATE), strict=True)
            ),
        }
    },
    "sizes": {"variable_bytes": 28},
    "planned_peak_bytes": {GRAPH: 4096},
    "micro": {
        "inputs": list(INPUTS),
        "outputs": list(OUTPUTS),
        "commands": COMMANDS,
        "arena": {"bytes": 4096, "head_bytes": 3072, "tail_bytes": 1024},
        "operators": ["AddAdd", "AddIf"],
        "resource_variables": 3,
        "state_of": "",
    },
}
ARRAY = json.loads((GOLDEN / "model_regression.manifest.json").read_text())
KINDS = {"litert": LITERT, "micro": MICRO, "array": ARRAY}
OF_ARRAYS = ("task", "data", "label_smoothing", "inputs", "contract")  # what other kinds have otherwise


def read(text, values):
    """The manifest, or None where it is refused in one line."""
    try:
        content = parse_json(text)
    except ValueError as error:
        return require_line(error)
    try:
        return Manifest.from_json(content, "model.manifest.json", values["sha256"])
    except InputError as error:
        return require_line(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_is_read_as_it_is(kind):
    manifest = read(json.dumps(KINDS[kind]), KINDS[kind])
    assert json.loads(manifest.to_json()) == KINDS[kind]


@pytest.mark.parametrize("text", [*NUMBERS, *OTHERS, *LARGE], ids=lambda text: text[:10])
def test_what_is_no_object_is_refused(text):
    assert read(text, LITERT) is None


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind, values in KINDS.items() for field in (OF_ARRAYS if kind == "array" else values)],
)
def test_what_is_accepted_is_what_the_schema_allows(kind, field):
    values = KINDS[kind]
    for name, text in damaged(values, [field]):
        manifest = read(text, values)
        if manifest is not None:
            content = json.loads(manifest.to_json()) | {free: WHOLE[free] for free in FREE}
            content.pop("micro", None)  # the schema is that of files for LiteRT
            assert list(problems(content, SCHEMA)) == [], name


BOUNDS = {
    ("batch_size",): (1, 2**16),
    ("data", "split_seed"): (0, 2**53 - 1),
    ("input", "size", 0): (1, 2**16 - 1),
    ("spare_classes",): (0, 0),
    ("label_smoothing",): (0, 0.99),
    ("learning_rate",): (1e-30, 3.4e38),
    ("micro", "arena", "bytes"): (4096, 4096),
    ("micro", "arena", "head_bytes"): (1, 3072),
    ("micro", "arena", "tail_bytes"): (28, 1024),
    ("micro", "resource_variables"): (1, 2**64),
    ("planned_peak_bytes", "micro"): (4096, 4096),
    ("micro", "commands", "infer"): (0, 0),
    ("signatures", "micro", "outputs", "logits", "shape", 1): (2, 2),
    ("signatures", "micro", "inputs", "image", "shape", 1): (96, 96),
    ("state", 0, "offset"): (0, 0),
    ("state", 1, "shape", 0): (2, 2),
}


@pytest.mark.parametrize("place", BOUNDS, ids=lambda place: ".".join(map(str, place)))
def test_numbers_have_bounds(place):
    low, high = BOUNDS[place]
    for number in [*NUMBERS, "3", "4095", "4096", "4097", "96", "16", "512"]:
        values = json.loads(json.dumps(MICRO))
        parent = values
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = "HERE"
        manifest = read(json.dumps(values).replace('"HERE"', number), values)
        if place == ("input", "size", 0):  # which the image of the graph has to have, too
            assert (manifest is not None) == (number == "96")
        else:
            value = float(number)
            whole = value < 2**64 and (
                "label" in place[0] or place[0] == "learning_rate" or not set(number) & set(".e")
            )
            assert (manifest is not None) == (whole and low <= value <= high), number


def test_what_is_no_text_of_json_is_refused_in_one_line(tmp_path):
    path = tmp_path / "model.tflite"
    for content in (b"\xff", b"{", b"[1e400]", b"[" * 100_000, b'{"a": 1, "a": 1}', b" " * (16 * 2**20 + 1)):
        manifest_path(path).write_bytes(content)
        with pytest.raises(InputError, match="^expected JSON in .*, got: .*; export the model again$") as error:
            Manifest.read(path, digest="")
        require_line(error.value)
    manifest_path(path).unlink()
    os.mkfifo(manifest_path(path))
    with pytest.raises(InputError, match="got: Not a regular file: .*; copy both files that the export wrote"):
        Manifest.read(path, digest="")


USED = [
    "labels",
    "spare_classes",
    "task",
    "input",
    "data",
    "optimizer",
    "batch_size",
    "xnnpack",
    "state",
    "learning_rate",
]


def test_clients_run_what_they_accept(tmp_path):
    """The file itself is the golden one."""
    path = tmp_path / "model.tflite"
    shutil.copy(GOLDEN / "model_spare.tflite", path)
    manifest_path(path).write_text(json.dumps(WHOLE))
    expected, opened = TrainableModel(path).state(), 0
    for _, text in damaged(WHOLE, USED, [*NUMBERS[:7], str(2**63), "null", "true", '"x"', "[]", "{}"]):
        if read(text, WHOLE) is None:
            continue
        manifest_path(path).write_text(text)
        try:
            model = TrainableModel(path)
        except InputError as error:
            require_line(error)
            continue
        opened += 1
        np.testing.assert_array_equal(model.state(), expected)
        model.set_state(expected)
        assert model.augmentation is not None
        assert model.image_size == tuple(WHOLE["input"]["size"])
        assert (model.batch_size, model.num_classes) == (WHOLE["batch_size"], len(WHOLE["labels"]))
    assert 20 < opened < 100, opened
