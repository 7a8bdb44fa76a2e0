import dataclasses
import hashlib
import json

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import (
    IMAGE_DATA,
    OPTIONAL,
    DataSettings,
    InputFacts,
    InputSettings,
    Manifest,
    StateEntry,
    manifest_path,
)

CONTENT = b"a model"
MANIFEST = Manifest(
    labels=("daisy", "rosé"),
    spare_classes=0,
    task="classification",
    input=InputSettings("uint8", (96, 96), (0, 255), "RGB", 0.875),
    data=DataSettings(),
    backbone="mobilenet_v2",
    scheme="tinytl-b",
    optimizer="sgd",
    batch_size=8,
    label_smoothing=0.1,
    profile="balanced",
    xnnpack=True,
    frozen_weights="int8",
    signatures={"save": {"inputs": {}, "outputs": {"state": {"shape": [7], "dtype": "float32"}}}},
    state=(StateEntry("head/beta", (3,), 0), StateEntry("classifier/kernel", (2, 2), 3)),
    sizes={"file_bytes": 7},
    operators=({"name": "ADD", "version": 1, "count": 2},),
    min_runtime_version="2.7.0",
    planned_peak_bytes={"train": 100},
    passes={"converted": 120},
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    tools={"tinytl_tf": "0.1.0"},
    parity={"steps": 4},
    tolerances={"float32": 1e-5},
    learning_rate=0.01,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(CONTENT)
    MANIFEST.write(path)
    return path


def refused(path):
    with pytest.raises(InputError) as error:
        Manifest.read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def change(path, **values):
    file = manifest_path(path)
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_comes_back_as_it_was_written(path):
    assert Manifest.read(path) == MANIFEST
    assert MANIFEST.state_size == 7


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Manifest) if field.name not in OPTIONAL])
def test_each_field_is_required(path, field):
    file = manifest_path(path)
    values = json.loads(file.read_text())
    del values[field]
    file.write_text(json.dumps(values))
    assert field.replace("_", " ") in refused(path).replace("_", " ")


@pytest.mark.parametrize(("field", "value"), [("frozen_sha256", ""), ("learning_rate", 1e-3)])
def test_the_manifest_of_an_older_export_lacks_a_field(path, field, value):
    file = manifest_path(path)
    values = json.loads(file.read_text())
    del values[field]
    file.write_text(json.dumps(values))
    assert getattr(Manifest.read(path), field) == value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"format_version": 1},
            "expected a manifest of format version 2 in {path}, got 1; export the model again with",
        ),
        ({"format_version": True}, "expected a manifest of format version 2 in {path}, got True; "),
        ({"contract": 1}, "expected signatures of contract 2 or 3, got 1 in {path}; "),
        ({"labels": [0, 1]}, "expected str as labels in {path}, got 0; "),
        ({"labels": ["a", "a"]}, "expected labels that are names, none twice, got ['a', 'a'] in {path}; "),
        ({"labels": ["\u00e9", "e\u0301"]}, "expected labels that are names, none twice, got "),
        ({"task": "sorting"}, "expected a task of classification, multilabel, regression, got 'sorting' in {path}; "),
        ({"task": "regression"}, "expected signatures of contract 3 for arrays and for regression, got 2 in {path}; "),
        ({"task": "regression", "contract": 3}, "expected label_smoothing of 0 for regression, got 0.1 in {path}; "),
        ({"xnnpack": 1}, "expected bool as xnnpack in {path}, got 1; "),
        ({"mood": "good"}, "{path} has the unknown field 'mood'; "),
        ({"sha256": "0" * 64}, "expected the manifest of the .tflite with sha256 "),
        ({"learning_rate": 0}, "expected a learning_rate above 0, got 0.0 in {path}; "),
        ({"learning_rate": float("inf")}, "expected JSON in {path}, got: the number Infinity; "),
        ({"input": []}, "expected InputSettings as input in {path}, got []; "),
        ({"input": None}, "expected InputSettings as input in {path}, got None; "),
        (
            {"state": [{"name": "a", "shape": [2], "offset": 1, "slot": ""}]},
            "expected state entries without gaps, got 'a' at 1 for 0 in {path}; ",
        ),
    ],
)
def test_what_does_not_fit_is_refused(path, values, message):
    change(path, **values)
    assert refused(path).startswith(message.format(path=manifest_path(path)))


PHOTO = {"dtype": "uint8", "shape": [96, 96, 3], "meaning": "raw pixels"}
WINDOW = {"dtype": "float32", "shape": [40, 6], "meaning": "40 samples of 6 sensors"}
OF_ARRAYS = {"inputs": {"array": WINDOW}, "contract": 3, "data": {"split_seed": 1}}


def arrays(path, **values):
    """Makes the manifest one of arrays, with changes."""
    file = manifest_path(path)
    content = json.loads(file.read_text()) | OF_ARRAYS | values
    del content["input"]
    file.write_text(json.dumps(content))


def test_an_image_is_an_input_like_others(path):
    change(path, inputs={"image": PHOTO})
    manifest = Manifest.read(path)
    assert manifest.inputs == {"image": InputFacts("uint8", (96, 96, 3), "raw pixels")}
    assert (manifest.takes_arrays, manifest.input) == (False, MANIFEST.input)


def test_a_manifest_of_arrays_has_no_settings_of_images(path):
    arrays(path)
    manifest = Manifest.read(path)
    assert manifest.inputs == {"array": InputFacts("float32", (40, 6), "40 samples of 6 sensors")}
    assert (manifest.takes_arrays, manifest.input) == (True, None)
    assert manifest.data == DataSettings(split_seed=1, crop=False, flip=False)
    values = json.loads(manifest.to_json())
    assert values["data"] == {"split_seed": 1, "split": ""}
    assert values["inputs"] == {"array": WINDOW}
    assert "input" not in values


@pytest.mark.parametrize("name", [*IMAGE_DATA, "input"])
def test_settings_of_images_are_refused_in_a_manifest_of_arrays(path, name):
    whole = json.loads(manifest_path(path).read_text())
    arrays(path)
    values = json.loads(manifest_path(path).read_text())
    (values if name == "input" else values["data"])[name] = (whole if name == "input" else whole["data"])[name]
    manifest_path(path).write_text(json.dumps(values))
    where = name if name == "input" else f"data.{name}"
    assert refused(path).startswith(f"expected none of the fields of images in a manifest of arrays, got '{where}' in ")


@pytest.mark.parametrize("name", [*IMAGE_DATA, "input"])
def test_settings_of_images_are_required_in_a_manifest_of_images(path, name):
    values = json.loads(manifest_path(path).read_text())
    del (values if name == "input" else values["data"])[name]
    manifest_path(path).write_text(json.dumps(values))
    where = name if name == "input" else f"data.{name}"
    assert refused(path).startswith(f"{manifest_path(path)} has no field '{where}'; ")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"array": WINDOW | {"dtype": "float64"}}, "float32 as inputs.array.dtype, got 'float64'"),
        ({"array": WINDOW | {"shape": []}}, "1 to 3 sizes above 0 as inputs.array.shape, got ()"),
        ({"array": WINDOW | {"shape": [1, 2, 3, 4]}}, "1 to 3 sizes above 0 as inputs.array.shape, got (1, 2, 3, 4)"),
        ({"array": WINDOW | {"shape": [40, 0]}}, "1 to 3 sizes above 0 as inputs.array.shape, got (40, 0)"),
        (
            {"array": WINDOW | {"meaning": "a\nb"}},
            "at most 255 printable characters as inputs.array.meaning, got ",
        ),
        ({"array": WINDOW | {"sample_rate": -1}}, "inputs.array.sample_rate of 0 to 16777216, got -1"),
        ({"array": WINDOW, "image": PHOTO}, "inputs of one name of image, features, array, got ['array', 'image']"),
    ],
)
def test_inputs_have_rules(path, facts, message):
    arrays(path, inputs=facts)
    assert refused(path).startswith(f"expected {message}")


def test_an_unknown_input_is_refused(path):
    change(path, inputs={"sound": WINDOW})
    assert refused(path).startswith("expected inputs of image, features, array, got 'sound' in ")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\u0000", "null", '"x"', "[]"])
def test_damaged_text_is_refused_in_one_line(path, text):
    manifest_path(path).write_text(text)
    assert "export the model again" in refused(path)


def test_a_missing_manifest_is_refused(path):
    manifest_path(path).unlink()
    assert refused(path).endswith("copy both files that the export wrote")
