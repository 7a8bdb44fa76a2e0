import dataclasses
import hashlib

import pytest

from tests import tiny_tflite
from tinytl_tf.errors import InputError
from tinytl_tf.export.manifest import TOLERANCES, describe
from tinytl_tf.memory import planned_peak
from tinytl_tf.tflite.manifest import DataSettings, Manifest, StateEntry
from tinytl_tf.tflite.model import Model

FACTS = {
    "labels": tuple(tiny_tflite.LABELS),
    "spare_classes": 0,
    "task": "classification",
    "data": DataSettings(flip=False, split_seed=3),
    "backbone": "linear",
    "scheme": "full",
    "optimizer": "sgd",
    "label_smoothing": 0.1,
    "profile": "min-memory",
    "xnnpack": False,
    "frozen_weights": "int8",
    "state": (StateEntry("kernel", (48, 3), 0), StateEntry("bias", (3,), 144)),
    "passes": {"converted": {"planned_peak_bytes": 3000}},
    "parity": {"steps": 5},
}


@pytest.fixture(scope="module")
def content():
    return tiny_tflite.build()


def test_says_everything_a_client_needs(content):
    manifest = describe(content, central_fraction=0.5, **FACTS)
    assert {key: getattr(manifest, key) for key in FACTS} == FACTS
    assert dataclasses.asdict(manifest.input) == {
        "range": (0, 255),
        "dtype": "uint8",
        "size": (4, 4),
        "color_order": "RGB",
        "central_fraction": 0.5,
    }
    assert manifest.batch_size == 2
    assert manifest.signatures["train"] == {
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
    assert set(manifest.signatures) == set(tiny_tflite.SIGNATURES)
    assert manifest.sha256 == hashlib.sha256(content).hexdigest()
    assert manifest.sizes["file_bytes"] == len(content)
    assert manifest.sizes["state_bytes"] == 4 * tiny_tflite.STATE_SIZE == 4 * manifest.state_size
    assert 0 < manifest.sizes["constant_bytes"] < len(content)
    assert {"name": "SOFTMAX", "version": 1, "count": 1} in manifest.operators
    assert manifest.min_runtime_version[:2] == "2."
    assert set(manifest.planned_peak_bytes) == set(tiny_tflite.SIGNATURES)
    assert manifest.planned_peak_bytes["train"] == planned_peak(Model.from_bytes(content), "train").peak_bytes > 0
    assert set(manifest.tools) == {"tinytl_tf", "tensorflow", "keras", "ai-edge-litert"}
    assert manifest.tolerances == TOLERANCES["int8"]


@pytest.mark.parametrize(
    ("scheme", "optimizer", "rate"),
    [("full", "adam", 1e-4), ("full", "momentum", 3e-4), ("tinytl-b", "sgd", 1e-2), ("a user's own", "adam", 1e-3)],
)
def test_the_learning_rate_is_that_of_scheme_and_optimizer(content, scheme, optimizer, rate):
    facts = FACTS | {"scheme": scheme, "optimizer": optimizer}
    manifest = describe(content, central_fraction=1, **facts)
    assert manifest.learning_rate == pytest.approx(rate)
    assert (manifest.learning_rate_from, manifest.schedule) == ("default", "cosine")
    manifest = describe(content, central_fraction=1, **facts, learning_rate=0.03, schedule="constant")
    assert (manifest.learning_rate, manifest.learning_rate_from, manifest.schedule) == (0.03, "run", "constant")


def test_is_read_as_it_was_written(content, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    manifest = describe(
        content, central_fraction=1, **FACTS | {"labels": ("G\u00e4nsebl\u00fcmchen", "\u685c", "rose")}
    )
    manifest.write(path)
    assert Manifest.read(path) == manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("red", "green")}, "expected 3 labels, one for each output of the file, got 2"),
        (
            {"state": (StateEntry("kernel", (48, 3), 0),)},
            "expected state entries of 588 bytes, got 576; list the trained variables",
        ),
    ],
)
def test_what_does_not_fit_the_file_is_refused(content, change, message):
    with pytest.raises(InputError) as error:
        describe(content, central_fraction=1, **FACTS | change)
    assert str(error.value) == message
