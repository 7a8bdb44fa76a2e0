import hashlib
import json
import math

import pytest

from tests import tiny_tflite
from tinytl_tf.errors import InputError
from tinytl_tf.export.manifest import write_manifest
from tinytl_tf.memory import planned_peak
from tinytl_tf.profiles import get_profile
from tinytl_tf.tflite.manifest import manifest_path, read_manifest
from tinytl_tf.tflite.model import Model

FACTS = {
    "backbone": "linear",
    "scheme": "full",
    "optimizer": "sgd",
    "frozen_weights": "float32",
    "passes": {"converted": 3000, "reorder": 2000},
    "parity": {"steps": 5, "max_loss_error": 1e-6},
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    return path


def write(path, **changes):
    arguments = {
        "labels": tiny_tflite.LABELS,
        "central_fraction": 0.5,
        "profile": get_profile("balanced"),
        **FACTS,
        **changes,
    }
    return write_manifest(path, **arguments)


def test_says_everything_a_client_needs(path):
    written = write(path)
    manifest = read_manifest(path)
    assert manifest == written
    assert sorted(p.name for p in path.parent.iterdir()) == ["model.manifest.json", "model.tflite"]
    assert {key: manifest[key] for key in FACTS} == FACTS
    assert manifest["labels"] == tiny_tflite.LABELS
    assert manifest["input"] == {
        "range": [0, 255],
        "dtype": "uint8",
        "size": [4, 4],
        "color_order": "RGB",
        "central_fraction": 0.5,
    }
    assert manifest["signatures"]["train"] == {
        "inputs": {
            "image": {"shape": [2, 4, 4, 3], "dtype": "uint8"},
            "label": {"shape": [2], "dtype": "int32"},
            "learning_rate": {"shape": [1], "dtype": "float32"},
        },
        "outputs": {
            "accuracy": {"shape": [1], "dtype": "float32"},
            "applied": {"shape": [1], "dtype": "int32"},
            "loss": {"shape": [1], "dtype": "float32"},
        },
    }
    assert set(manifest["signatures"]) == set(tiny_tflite.SIGNATURES)
    content = path.read_bytes()
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["sizes"]["file_bytes"] == len(content)
    assert manifest["sizes"]["state_bytes"] == 4 * tiny_tflite.STATE_SIZE
    assert manifest["sizes"]["variable_bytes"] == 4 * tiny_tflite.STATE_SIZE
    assert 0 < manifest["sizes"]["constant_bytes"] < len(content)
    assert {"name": "SOFTMAX", "version": 1, "count": 1} in manifest["operators"]
    assert manifest["min_runtime_version"][:2] == "2."
    assert set(manifest["planned_peak_bytes"]) == set(tiny_tflite.SIGNATURES)
    assert manifest["planned_peak_bytes"]["train"] == planned_peak(Model.read(path), "train").peak_bytes > 0
    assert set(manifest["tools"]) == {"tinytl_tf", "tensorflow", "keras", "ai-edge-litert"}
    assert manifest["tools"]["tensorflow"][:2] == "2."


@pytest.mark.parametrize(("name", "xnnpack"), [("min-memory", False), ("balanced", True), ("fast", True)])
def test_says_the_profile_and_the_delegate_it_is_made_for(path, name, xnnpack):
    manifest = write(path, profile=get_profile(name))
    assert read_manifest(path) == manifest
    assert (manifest["profile"], manifest["xnnpack"]) == (name, xnnpack)


def test_labels_are_any_text(path):
    labels = ["Gänseblümchen", "桜", "rose"]
    write(path, labels=labels)
    assert read_manifest(path)["labels"] == labels


def test_refuses_a_wrong_number_of_labels(path):
    with pytest.raises(InputError) as error:
        write(path, labels=["red", "green"])
    assert str(error.value) == f"expected 3 labels, one for each output of {path}, got 2"
    assert not manifest_path(path).exists()


def test_figures_that_are_no_numbers_leave_no_manifest(path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(path, parity={"max_loss_error": math.nan})
    assert not manifest_path(path).exists()


def test_missing_manifest(path):
    with pytest.raises(InputError) as error:
        read_manifest(path)
    assert str(error.value) == (
        f"expected {path} with its manifest model.manifest.json beside it, got: No such file or directory: "
        f"{manifest_path(path)}; copy both files that the export wrote"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "expected a manifest of format version 1 in .*, got 2; export the model again with"),
        ({"labels": "red"}, "expected a list of names as `labels` in .*, got 'red'; export the model again"),
        ({"labels": []}, r"expected a list of names as `labels` in .*, got \[\]; export the model again"),
        ({"labels": [1]}, r"expected a list of names as `labels` in .*, got \[1\]; export the model again"),
        ({"sha256": "0"}, r"expected the manifest of .*model.tflite \(sha256 .*\), got that of another file in .*"),
    ],
)
def test_damaged_manifest(path, change, message):
    manifest_path(path).write_text(json.dumps(write(path) | change))
    with pytest.raises(InputError, match=f"^{message}"):
        read_manifest(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff"])
def test_manifest_that_is_no_json_object(path, text):
    manifest_path(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        InputError, match=r"^expected (JSON in .*, got: |a manifest of format version 1 in .*, got None)"
    ):
        read_manifest(path)
