import hashlib
import json
import re

import keras
import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf import layers
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.export import exporter, update_rules
from tinytl_tf.export.exporter import export
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.tflite.manifest import Manifest, manifest_path
from tinytl_tf.tflite.model import Model

LABELS = list(tiny_network.LABELS)


@pytest.fixture(scope="module")
def model():
    return tiny_network.build("last")


@pytest.fixture
def ready(exported, monkeypatch):
    """Makes `export` write a file of the session, so that a test of the writing costs no conversion."""
    content = exporter.with_labels(exported("last", "sgd", 1).read_bytes(), "classification", LABELS)
    monkeypatch.setattr(exporter, "build_file", lambda module: (content, {}))
    monkeypatch.setattr(exporter, "check_parity", lambda *args, **kwargs: {"steps": 4})
    return content


def test_writes_a_checked_file_and_its_manifest(model, tmp_path):
    path = tmp_path / "new" / "tiny.tflite"
    before = [variable.numpy() for variable in model.weights]
    manifest = export(model, path, labels=LABELS, optimizer="momentum", batch_size=2)
    assert sorted(file.name for file in path.parent.iterdir()) == ["tiny.manifest.json", "tiny.tflite"]
    assert Manifest.read(path) == manifest
    facts = {"labels": tuple(LABELS), "scheme": "last", "optimizer": "momentum", "backbone": "tiny_network"}
    assert {key: getattr(manifest, key) for key in facts} == facts
    assert manifest.sizes["state_bytes"] == 4 * (32 * 4 + 4)
    parity = manifest.parity
    assert (parity["steps"], parity["batch_size"], parity["tolerance"]["loss"]) == (4, 2, 1e-4)
    for delegate in ("xnnpack", "without_xnnpack"):
        assert 0 <= parity[delegate]["loss_difference"] <= 1e-5
        assert 0 <= parity[delegate]["update_difference"] <= 1e-4
    device = TrainableModel(path)
    assert device.class_names == tuple(LABELS)
    images, labels = tiny_network.photos(1, 2)
    assert device.train(images[0], labels[0], 0.01).applied
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("frozen_weights", ["float32", "int8"])
def test_names_are_inside_the_file_too(model, tmp_path, ready, monkeypatch, frozen_weights):
    monkeypatch.setattr(exporter, "check_quantized", lambda *args, **kwargs: {})
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)
    path = tmp_path / "m.tflite"
    names = ["Ga\u0308nsebl\u00fcmchen", "\u685c", "red", "a b"]
    manifest = export(model, path, labels=names, batch_size=1, frozen_weights=frozen_weights)
    normal = ["G\u00e4nsebl\u00fcmchen", *names[1:]]
    inside = json.loads(Model.read(path).metadata("TINYTL"))
    assert inside == {"contract": 2, "task": "classification", "labels": normal, "spare_classes": 0}
    assert manifest.labels == tuple(normal)
    assert manifest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


BAD = {
    "suffix": (
        {"path": "model.bin"},
        "an exported file must end in .tflite, got {folder}/model.bin",
    ),
    "optimizer": ({"optimizer": "lion"}, "unknown optimizer 'lion'; choose one of sgd, momentum, adam"),
    "frozen weights": (
        {"frozen_weights": "int4"},
        "frozen_weights must be one of float32, int8, got 'int4'",
    ),
    "profile": ({"profile": "tiny"}, "unknown profile 'tiny'; choose one of micro, min-memory, balanced, fast"),
    "batch": ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    "half a batch": ({"batch_size": 8.0}, "batch_size must be a whole number of at least 1, got 8.0"),
    "batch of truth": ({"batch_size": True}, "batch_size must be a whole number of at least 1, got True"),
    "optimizers": ({"optimizer": ["sgd"]}, "expected optimizer as the name of one, got ['sgd']"),
    "no profile": ({"profile": None}, "expected profile as the name of one, got None"),
    "smoothing in words": ({"label_smoothing": "0.1"}, "label_smoothing must be in [0, 1), got '0.1'"),
    "limit": ({"max_planned_bytes": 0}, "max_planned_bytes must be a whole number of at least 1, or None, got 0"),
    "half a byte": (
        {"max_planned_bytes": 1.5},
        "max_planned_bytes must be a whole number of at least 1, or None, got 1.5",
    ),
    "fraction": ({"central_fraction": 0}, "central_fraction must be above 0 and at most 1, got 0"),
    "data": ({"data": {"flip": False}}, "expected data as DataSettings, got dict"),
    "numbers as labels": (
        {"labels": [0, 1, 2, 3]},
        "expected the name of a class, got 0, which is not a str; give the class another name",
    ),
    "photos": (
        {"photos": (np.zeros((1, 8, 64, 64, 3), np.float32), np.zeros((1, 8), np.int32))},
        "expected photos as uint8 [steps, 8, 64, 64, 3] and integers [steps, 8], got float32 [1, 8, 64, 64, 3] and "
        "int32 [1, 8]",
    ),
    "labels of photos": (
        {"photos": (np.zeros((1, 8, 64, 64, 3), np.uint8), np.full((1, 8), 4))},
        "expected labels from 0 to 3, got 4",
    ),
    "one array of photos": (
        {"photos": np.zeros((1, 8, 64, 64, 3), np.uint8)},
        "expected photos as two arrays, uint8 [steps, 8, 64, 64, 3] and integers [steps, 8], got ndarray",
    ),
    "smoothing": ({"label_smoothing": 1}, "label_smoothing must be in [0, 1), got 1"),
    "negative smoothing": ({"label_smoothing": -0.1}, "label_smoothing must be in [0, 1), got -0.1"),
    "no number": ({"label_smoothing": float("nan")}, "label_smoothing must be in [0, 1), got nan"),
    "labels": ({"labels": ["a", "b"]}, "expected 4 labels, one for each output of the model, got 2"),
    "folder": (
        {"path": "file/model.tflite"},
        "cannot write {folder}/file/model.tflite: {folder}/file is not a writable folder; choose another path",
    ),
    "exists": (
        {"path": "old.tflite"},
        "{folder}/old.tflite exists already; choose another path, or give overwrite=True to replace it",
    ),
    "manifest exists": (
        {"path": "lone.tflite"},
        "{folder}/lone.manifest.json exists already; choose another path, or give overwrite=True to replace it",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_bad_arguments_are_refused_at_once_and_nothing_is_written(model, tmp_path, changes, message):
    for name in ("file", "old.tflite", "lone.manifest.json"):
        (tmp_path / name).write_text("mine")
    arguments = {"labels": LABELS, "path": "model.tflite", **changes}
    path = tmp_path / arguments.pop("path")
    with pytest.raises(InputError) as error:
        export(model, path, **arguments)
    assert str(error.value) == message.format(folder=tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "lone.manifest.json", "old.tflite"]
    assert all(file.read_text() == "mine" for file in tmp_path.iterdir())


def test_bad_arguments_are_refused_before_anything_is_converted(model, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "build_file", lambda module: pytest.fail("the work has begun"))
    for changes, _ in BAD.values():
        if "path" not in changes:
            with pytest.raises(InputError):
                export(model, tmp_path / "m.tflite", **{"labels": LABELS, **changes})
    with pytest.raises(InputError, match="^expected the path of a file, got None$"):
        export(model, None, labels=LABELS)


def test_numbers_of_numpy_are_numbers(model, tmp_path, ready):
    manifest = export(
        model, tmp_path / "m.tflite", labels=LABELS, batch_size=np.int64(1), label_smoothing=np.float32(0.5)
    )
    assert json.loads(manifest.to_json())["label_smoothing"] == 0.5


def test_images_need_not_be_square(tmp_path):
    images = keras.Input((24, 32, 3))
    x = layers.FrozenConv2D(8, 3, strides=2, train=["norm/beta"], name="stem")(keras.layers.Rescaling(1 / 255)(images))
    x = layers.GlobalAveragePooling(name="pool")(layers.Activation("relu6")(x))
    model = keras.Model(images, keras.layers.Dense(3, name="classifier")(x), name="wide")
    manifest = export(model, tmp_path / "m.tflite", labels=list("abc"), batch_size=2)
    assert (manifest.input.size, manifest.scheme) == ((24, 32), "tinytl-b")
    device = TrainableModel(tmp_path / "m.tflite")
    photo = np.arange(24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8)
    expected = model.predict(photo[None].astype(np.float32), verbose=0)[0]
    np.testing.assert_allclose(device.infer(photo).logits, expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_model_is_refused(tmp_path):
    model = tiny_network.build("last")
    for variable in model.trainable_variables:
        variable.trainable = False
    with pytest.raises(InputError) as error:
        export(model, tmp_path / "m.tflite", labels=LABELS)
    assert str(error.value) == "the model has no trainable variable; apply an update scheme first"


def test_a_network_that_is_dead_is_not_written(tmp_path):
    """Its file would train like TensorFlow: neither moves."""
    model = tiny_network.build("tinytl-b")
    for variable in model.weights:
        if variable.path.endswith("/gamma"):
            variable.assign(np.zeros(variable.shape))
    with pytest.raises(ParityError) as error:
        export(model, tmp_path / "m.tflite", labels=LABELS, batch_size=1)
    assert str(error.value).startswith("expected every trained variable to have a gradient, got none for ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_trains_otherwise_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setitem(
        update_rules._RULES, "sgd", lambda row, value, gradient, *rest: (value - 1.05 * rest[-1] * gradient, ())
    )
    with pytest.raises(ParityError) as error:
        export(model, tmp_path / "m.tflite", labels=LABELS, batch_size=1)
    message = str(error.value)
    assert message.startswith("parity check failed (xnnpack): after 4 steps the losses differ by ")
    assert re.search(r" and the updates by (4\.|5\.).e-02 \(at most 1e-02\) ", message)
    assert message.endswith("from TensorFlow's; nothing was written. Please report it with the model")
    assert list(tmp_path.iterdir()) == []


def test_overwrite_replaces_both_files(model, tmp_path, ready):
    path = tmp_path / "m.tflite"
    for old in (path, manifest_path(path)):
        old.write_text("old")
    export(model, path, labels=LABELS, overwrite=True)
    assert path.read_bytes() == ready
    assert Manifest.read(path).labels == tuple(LABELS)


@pytest.mark.parametrize("written", [0, 1])
def test_killed_while_writing_no_file_has_the_manifest_of_another(model, tmp_path, ready, monkeypatch, written):
    path = tmp_path / "m.tflite"
    path.write_text("old")
    manifest_path(path).write_text("of the old one")
    calls = []

    def killed(target, content):
        if len(calls) == written:
            raise KeyboardInterrupt
        calls.append(target)
        target.write_bytes(content)

    monkeypatch.setattr(exporter, "atomic_write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        export(model, path, labels=LABELS, overwrite=True)
    assert path.read_bytes() == (ready if written else b"old")
    assert not manifest_path(path).exists()
