"""The C client with models of arrays and with regression: golden figures, what it refuses, and figures of its own."""

import json
import os
import subprocess
import tempfile

import numpy as np
import pytest

from tests import tiny_tflite
from tests.c.client import ENVIRONMENT, SANITIZERS, SOURCES, WARNINGS, Refused, find_library
from tests.c.conftest import GOLDEN
from tests.c.program import copy_model
from tests.c.test_golden import DELEGATES, assert_answers, numbers, state_of
from tests.c.test_model import change_manifest, no_rank, one_less, refuse, refuse_open, with_tensor
from tinytl_tf.device import TrainableModel
from tinytl_tf.files import sha256
from tinytl_tf.tasks import TASKS, Tally

KINDS = ("array", "regression")
FILES = {kind: json.loads((GOLDEN / f"{kind}.json").read_text("utf-8")) for kind in KINDS}
TRAIN = {"array": "train_arrays", "regression": "numbers_arrays"}
VALUES = np.fromfile(GOLDEN / "arrays.raw", "<f4").reshape(12, 40, 6)
WINDOW = json.loads((GOLDEN / "model_array.manifest.json").read_text("utf-8"))["inputs"]["array"]
PHOTO = {"dtype": "uint8", "shape": [64, 64, 3], "meaning": "raw pixels"}
IMAGE_DATA = ("crop", "crop_area", "crop_aspect", "flip", "color")


def batch_of(step):
    """The arrays of a step, with its number that is not finite."""
    batch = VALUES[step["arrays"]]
    if "not_finite" in step:
        batch[(0, *step["not_finite"]["index"])] = float(step["not_finite"]["value"])
    return batch


def take(c, folder, kind, step, name="a"):
    """Takes a step; returns loss, accuracy and whether it was applied."""
    batch_of(step).tofile(folder / "batch.f32")
    labels = np.array(step["labels"]).ravel().tolist()
    words = c.ask(TRAIN[kind], name, folder / "batch.f32", step["learning_rate"], *labels)
    return (*numbers(words[:2]), int(words[2]))


def answers(c, folder):
    found = []
    for array in VALUES:
        array.tofile(folder / "array.f32")
        found.append(np.split(numbers(c.ask("infer_array", "a", folder / "array.f32")), 2))
    return dict(zip(("logits", "probabilities"), np.swapaxes(found, 0, 1), strict=True))


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("kind", KINDS)
def test_golden_steps(c, tmp_path, kind, delegate):
    golden, folder = FILES[kind], tmp_path
    tolerances = golden["tolerances"]
    c.open(GOLDEN / golden["model"], xnnpack=DELEGATES[delegate])
    before = answers(c, folder)
    assert_answers(before, golden["before"][delegate], tolerances)
    exported = state_of(c, folder / "exported.f32")
    c.ask("save", "a", folder / "exported.tinytl")
    assert sha256(folder / "exported.tinytl") == golden["exported_state_sha256"]
    # The same steps in Python, which has to compute the very same.
    python = TrainableModel(GOLDEN / golden["model"], xnnpack=delegate == "xnnpack", api="compiled_model")
    for step in golden["steps"]:
        labels = np.array(step["labels"], np.int32 if kind == "array" else np.float32)
        result = python.train(batch_of(step), labels, float(np.float32(step["learning_rate"])))
        loss, accuracy, applied = take(c, folder, kind, step)
        assert (loss, accuracy, bool(applied)) == (np.float32(result.loss), np.float32(result.accuracy), result.applied)
        expected = step[delegate]
        assert loss == pytest.approx(expected["loss"], rel=tolerances["loss"])
        assert accuracy == pytest.approx(expected["accuracy"], abs=tolerances["accuracy"])
        assert applied == expected["applied"] == 1
    trained = state_of(c, folder / "trained.f32")
    np.testing.assert_array_equal(trained, python.state())
    for step in golden["refused"]:
        error = refused_step(c, folder, kind, step)
        assert error.status == "ARGUMENT"
    np.testing.assert_array_equal(state_of(c, folder / "same.f32"), trained)
    c.ask("restore", "a", GOLDEN / golden["state_after"])
    state = state_of(c, folder / "golden.f32")
    assert np.linalg.norm(trained - state) <= tolerances["update"] * np.linalg.norm(state - exported)
    c.ask("save", "a", folder / "again.tinytl")
    assert (folder / "again.tinytl").read_bytes() == (GOLDEN / golden["state_after"]).read_bytes()
    assert_answers(answers(c, folder), golden["after"][delegate], tolerances)
    for step in golden["continued"]:
        loss, _, applied = take(c, folder, kind, step)
        assert loss == pytest.approx(step[delegate]["loss"], rel=tolerances["loss"])
        assert applied == 1
    c.ask("reset", "a")
    assert_answers(answers(c, folder), before, {"logits": 0, "probabilities": 0})


def refused_step(c, folder, kind, step):
    with pytest.raises(Refused) as error:
        take(c, folder, kind, step)
    if "not_finite" in step:
        row, column = step["not_finite"]["index"]
        value = step["not_finite"]["value"]
        text = f"expected finite numbers in arrays, got {value} at index {6 * row + column} of array 0; "
        assert error.value.text.replace("got -nan", "got nan").startswith(text)
    else:
        assert "expected labels of 0 to 2, got " in error.value.text
    return error.value


@pytest.mark.parametrize("kind", KINDS)
def test_info(c, tmp_path, kind):
    outputs, names = (3, ("rest", "walk", "run")) if kind == "array" else (2, ("rate", "strength"))
    path = copy_model(tmp_path, f"model_{kind}.tflite")
    c.open(path)
    task = "0" if kind == "array" else "2"
    info = c.ask("info", "a")
    assert info[:5] + info[6:9] == ["0", "0", str(outputs), "4", "0", task, "1", "1"]
    assert c.ask("array", "a") == ["2", "40", "6", "0", "240", "0"]
    assert tuple(c.ask("label", "a", index)[0] for index in range(outputs)) == names
    settings = c.ask("settings", "a")
    assert [settings[index] for index in (4, 5, 10, 11)] == ["0", "0", "0", "0"]
    # Without its manifest the file itself says that it takes arrays, and what a label is.
    path.with_suffix(".manifest.json").unlink()
    c.open(path, "b", trust=True)
    assert c.ask("info", "b")[6] == task
    assert c.ask("array", "b") == ["2", "40", "6", "0", "240", "0"]


def test_arrays_and_images_are_never_taken_for_each_other(c, tmp_path):
    c.open(GOLDEN / "model_array.tflite")
    c.open(GOLDEN / "model_float32.tflite", "b")
    (tmp_path / "x").write_bytes(bytes(4 * 64 * 64 * 3))
    assert "call tinytl_infer_array()" in refuse(c, "infer", "a", tmp_path / "x").text
    assert "call tinytl_infer()" in refuse(c, "infer_array", "b", tmp_path / "x").text
    for command in ("train", "attributes", "numbers", "attributes_arrays", "numbers_arrays"):
        error = refuse(c, command, "a", tmp_path / "x", 0.1, 0, 0, 0, 0)
        assert (error.status, error.text) == (
            "ARGUMENT",
            "the model is for one class of an array; call tinytl_train_arrays()",
        )
    for command in ("attributes", "numbers", "train_arrays", "attributes_arrays", "numbers_arrays"):
        error = refuse(c, command, "b", tmp_path / "x", 0.1, 0, 0, 0, 0)
        assert error.text == "the model is for one class of an image; call tinytl_train()"
    c.ask("close", "b")
    c.open(GOLDEN / "model_regression.tflite", "b")
    for command in ("train", "train_arrays", "attributes_arrays", "numbers"):
        error = refuse(c, command, "b", tmp_path / "x", 0.1, *[0] * 8)
        assert error.text == "the model is for numbers of an array; call tinytl_train_arrays_regression()"


def test_arguments_of_arrays_are_checked(c, tmp_path):
    c.open(GOLDEN / "model_regression.tflite")
    array, batch = tmp_path / "array.f32", tmp_path / "batch.f32"
    for size in (0, 239, 241):
        np.zeros(size, np.float32).tofile(array)
        error = refuse(c, "infer_array", "a", array)
        assert (error.status, f"a number of values of 240, got {size};" in error.text) == ("ARGUMENT", True)
    for value in ("nan", "inf", "-inf"):
        numbers = np.zeros(240, np.float32)
        numbers[239] = float(value)
        numbers.tofile(array)
        assert "at index 239 of array 0; leave that array out" in refuse(c, "infer_array", "a", array).text
        numbers = np.zeros((4, 240), np.float32)
        numbers[3, 7] = float(value)
        numbers.tofile(batch)
        assert "at index 7 of array 3; " in refuse(c, "numbers_arrays", "a", batch, 0.1, *[0] * 8).text
    for size in (0, 240, 959, 961):
        np.zeros(size, np.float32).tofile(batch)
        assert f"of 960, got {size};" in refuse(c, "numbers_arrays", "a", batch, 0.1, *[0] * 8).text
    np.zeros(960, np.float32).tofile(batch)
    for count in (0, 4, 7, 9):
        assert f"of 8, got {count};" in refuse(c, "numbers_arrays", "a", batch, 0.1, *[0] * count).text
    for value in ("nan", "inf", "-inf"):
        error = refuse(c, "numbers_arrays", "a", batch, 0.1, *[0] * 7, value)
        assert (error.status, "labels that are finite numbers" in error.text) == ("ARGUMENT", True)
        assert "at index 7; " in error.text
        assert "learning rate" in refuse(c, "numbers_arrays", "a", batch, value, *[0] * 8).text
    # Labels may be any finite number.
    assert c.ask("numbers_arrays", "a", batch, 0.001, -3, 2.5, *[7] * 6)[2] == "1"


def change_inputs(path, inputs):
    """Replaces `inputs` of the manifest as a whole."""
    path = path.with_suffix(".manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"inputs": inputs}))


def test_fields_of_images_are_those_of_images(c, tmp_path):
    """Each is refused in a manifest of arrays, and required in one of images."""
    array, image = copy_model(tmp_path, "model_array.tflite"), copy_model(tmp_path)
    paths = [path.with_suffix(".manifest.json") for path in (array, image)]
    for name in ("input", *IMAGE_DATA):
        of_arrays, of_images = (json.loads((GOLDEN / path.name).read_text("utf-8")) for path in paths)
        if name == "input":
            of_arrays[name] = of_images.pop(name)
        else:
            of_arrays["data"][name] = of_images["data"].pop(name)
        for path, values in zip(paths, (of_arrays, of_images), strict=True):
            path.write_text(json.dumps(values))
        where = name if name == "input" else f"data.{name}"
        error = refuse_open(c, array)
        assert (error.status, f"images in a manifest of arrays, got {where} in " in error.text) == ("MANIFEST", True)
        error = refuse_open(c, image)
        assert (error.status, f"has no field {where}; " in error.text) == ("MANIFEST", True), error.text


BAD_INPUTS = [
    ({"array": WINDOW | {"dtype": "float64"}}, "expected dtype, shape and meaning"),
    ({"array": WINDOW | {"dtype": "uint8"}}, "expected dtype, shape and meaning"),
    ({"array": WINDOW | {"shape": []}}, "expected dtype, shape and meaning"),
    ({"array": WINDOW | {"shape": [1, 2, 3, 4]}}, "expected 1 to 3 sizes"),
    ({"array": WINDOW | {"shape": [40, 0]}}, "expected sizes above 0"),
    ({"array": WINDOW | {"shape": [40, -6]}}, "expected an integer"),
    ({"array": WINDOW | {"shape": [2**16, 2**15]}}, "expected sizes above 0 of an array that fits"),
    ({"array": WINDOW | {"shape": [2**31]}}, "expected a smaller integer"),
    ({"array": WINDOW | {"shape": 240}}, "expected a list"),
    ({"array": WINDOW | {"meaning": 1}}, "expected a string"),
    ({"array": WINDOW | {"sample_rate": -1}}, "expected an integer"),
    ({"array": WINDOW | {"sample_rate": 2**24 + 1}}, "expected a sample_rate of arrays"),
    *(({"array": {k: v for k, v in WINDOW.items() if k != name}}, "expected dtype, shape") for name in WINDOW),
    ({"array": []}, "expected an object"),
    ({"array": WINDOW, "image": PHOTO}, "expected one input"),
    ({"sound": WINDOW}, "expected the input image, features or array"),
    ([], "expected an object"),
    ({"array": WINDOW | {"shape": [40, 5]}}, "another shape than its manifest"),
    ({"array": WINDOW | {"shape": [240]}}, "another shape than its manifest"),
    ({"array": WINDOW | {"shape": [40, 6, 1]}}, "another shape than its manifest"),
]


def test_bad_inputs(c, tmp_path):
    path = copy_model(tmp_path, "model_array.tflite")
    for inputs, words in BAD_INPUTS:
        change_inputs(path, inputs)
        error = refuse_open(c, path)
        assert (error.status, words in error.text) == ("MANIFEST", True), (inputs, error.text)


def test_inputs_of_images(c, tmp_path):
    path = copy_model(tmp_path)
    for contract in (2, 3):
        change_manifest(path, contract=contract)
        for inputs in ({"image": PHOTO}, {}):
            change_inputs(path, inputs)
            c.open(path)
            assert c.ask("info", "a")[:2] + c.ask("array", "a")[:1] == ["64", "64", "0"]
            c.ask("close", "a")
    for inputs, words in (
        ({"image": PHOTO | {"shape": [64, 32, 3]}}, "another shape than its manifest"),
        ({"image": PHOTO | {"shape": [64, 64]}}, "another shape than its manifest"),
        ({"image": PHOTO | {"sample_rate": 100}}, "expected a sample_rate of arrays"),
        ({"image": PHOTO | {"dtype": "float32"}}, "expected dtype, shape and meaning"),
        ({"features": PHOTO | {"dtype": "int8"}}, "features of a Coral prefix"),
        ({"array": WINDOW}, "expected none of the fields of images in a manifest of arrays, got input"),
    ):
        change_inputs(path, inputs)
        error = refuse_open(c, path)
        assert (error.status, words in error.text) == ("MANIFEST", True), error.text


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_and_regression_need_contract_3(c, tmp_path, kind):
    path = copy_model(tmp_path, f"model_{kind}.tflite", contract=2)
    error = refuse_open(c, path)
    assert (error.status, "expected contract 3 of arrays and of regression, got 2" in error.text) == ("MANIFEST", True)
    # The same of what the file itself says.
    path.with_suffix(".manifest.json").unlink()
    path.write_bytes(path.read_bytes().replace(b'"contract": 3', b'"contract": 2'))
    error = refuse_open(c, path, trust=True)
    assert (error.status, "expected contract 3 of arrays" in error.text) == ("MODEL", True)
    path.write_bytes(path.read_bytes().replace(b'"contract": 2', b'"contract": 4'))
    error = refuse_open(c, path, trust=True)
    assert (error.status, "contract 2 or 3 in the .tflite, got those of contract 4" in error.text) == ("MODEL", True)


def test_a_file_and_a_manifest_of_another_kind(c, tmp_path):
    """Each has the checksum of the other one's file."""
    of_arrays, of_images = copy_model(tmp_path, "model_array.tflite"), copy_model(tmp_path)
    manifests = [path.with_suffix(".manifest.json") for path in (of_arrays, of_images)]
    texts = [json.loads(path.read_text("utf-8")) for path in manifests]
    own = ("sha256", "labels")
    for path, mine, other in zip(manifests, texts, reversed(texts), strict=True):
        path.write_text(json.dumps(other | {key: mine[key] for key in own}))
    assert "takes arrays, but its manifest is for images" in refuse_open(c, of_arrays).text
    assert "takes no arrays, but its manifest is for arrays" in refuse_open(c, of_images).text


def test_a_regression_has_no_spare_outputs(c, tmp_path):
    path = copy_model(tmp_path, "model_regression.tflite")
    path.write_bytes(path.read_bytes().replace(b'"spare_classes": 0', b'"spare_classes": 1'))
    path.write_bytes(path.read_bytes().replace(b'["rate", "strength"]', b'["rate"]            '))
    change_manifest(path, spare_classes=1, labels=["rate"], sha256=sha256(path))
    assert "expected names and spare classes for 2 outputs, got 1 and 1" in refuse_open(c, path).text


def test_tensors_of_arrays_that_do_not_fit(c, tmp_path):
    content, path = (GOLDEN / "model_array.tflite").read_bytes(), tmp_path / "changed.tflite"
    for signature, change, words in (
        ("train", no_rank, "train.array: expected rank 2 to 4, got 0"),
        ("infer", no_rank, "infer.array: expected type 1 and shape 1XY"),
        ("infer", one_less, "infer.array: expected type 1 and shape 1XY"),
        ("train", one_less, "train.label: expected type 2 and shape B"),
        ("infer", shorter, "train.array: expected type 1 and shape BXY"),
    ):
        path.write_bytes(with_tensor(content, signature, "array", change))
        error = refuse_open(c, path, trust=True)
        assert (error.status, words in error.text) == ("MODEL", True), error.text


def shorter(content, shape, _):
    content[shape + 8] -= 1  # of the second size


def build(folder, shape, dtype, task):
    """Writes a linear model of any input, with float labels."""
    import tensorflow as tf

    count, size, outputs = tiny_tflite.BATCH, int(np.prod(shape)), 3
    name = "image" if dtype == "uint8" else "array"

    class Linear(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(tf.zeros([size, outputs]))

        def logits(self, values):
            return tf.matmul(tf.reshape(tf.cast(values, tf.float32), [-1, size]), self.kernel)

        @tf.function(input_signature=[tf.TensorSpec([1, *shape], dtype, name=name)])
        def infer(self, values):
            logits = self.logits(values)
            return {"logits": logits, "probabilities": tf.maximum(logits, -3e38)}

        @tf.function(
            input_signature=[
                tf.TensorSpec([count, *shape], dtype, name=name),
                tf.TensorSpec([count, outputs], tf.float32, name="label"),
                tf.TensorSpec([1], tf.float32, name="learning_rate"),
            ]
        )
        def train(self, values, label, learning_rate):
            difference = self.logits(values) - label
            kernel = tf.reshape(tf.cast(values, tf.float32), [-1, size])
            self.kernel.assign_sub(learning_rate * tf.matmul(kernel, difference, transpose_a=True))
            loss = tf.reshape(tf.reduce_mean(difference**2), [1])
            return {"loss": loss, "accuracy": loss * 0.5, "applied": tf.ones([1], tf.int32)}

        @tf.function(input_signature=[])
        def save(self):
            return {"state": tf.reshape(self.kernel, [-1])}

        @tf.function(input_signature=[tf.TensorSpec([size * outputs], tf.float32, name="state")])
        def restore(self, state):
            self.kernel.assign(tf.reshape(state, [size, outputs]))
            return {"restored": tf.ones([1], tf.int32)}

    model, path = Linear(), folder / f"{task}.tflite"
    names = ("infer", "train", "save", "restore")
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(model, saved, {key: getattr(model, key) for key in names})
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(names)).convert())
    return path


def check_steps(c, folder, command, values, labels):
    """Compares losses and state of three steps with those of numpy."""
    values.tofile(folder / "batch.raw")
    rows, kernel = values.reshape(len(values), -1).astype(np.float64), np.zeros((values[0].size, 3))
    for _ in range(3):
        words = c.ask(command, "a", folder / "batch.raw", 0.01, *labels.ravel().tolist())
        difference = rows @ kernel - labels
        assert float.fromhex(words[0]) == pytest.approx((difference**2).mean(), rel=1e-5)
        kernel -= 0.01 * rows.T @ difference
    np.testing.assert_allclose(state_of(c, folder / "state.f32"), kernel.ravel(), rtol=1e-4, atol=1e-6)


def test_attributes_of_arrays_of_three_axes(c, tmp_path):
    c.open(build(tmp_path, (2, 3, 4), "float32", "multilabel"), trust=True)
    assert c.ask("array", "a") == ["3", "2", "3", "4", "24", "0"]
    labels = np.array([[1, 0, 0.5], [0, 1, 1]])
    check_steps(
        c, tmp_path, "attributes_arrays", np.random.default_rng(0).normal(size=(2, 2, 3, 4)).astype("f4"), labels
    )
    assert "tinytl_train_arrays_multilabel" in refuse(c, "train_arrays", "a", tmp_path / "batch.raw", 0.1, 0, 1).text
    for bad in (-0.1, 1.1, "nan"):
        error = refuse(c, "attributes_arrays", "a", tmp_path / "batch.raw", 0.1, 0, 0, 0, 0, 0, bad)
        assert "expected labels of 0 to 1" in error.text


def test_regression_of_images(c, tmp_path):
    path = build(tmp_path, (4, 4, 3), "uint8", "regression")
    state = (tiny_tflite.StateEntry("kernel", (48, 3), 0),)
    tiny_tflite.write_manifest(path, ["x", "y", "z"], task="regression", contract=3, state=state)
    c.open(path)
    assert c.ask("info", "a")[:2] + c.ask("info", "a")[6:7] == ["4", "4", "2"]
    pixels = np.random.default_rng(0).integers(0, 3, (2, 4, 4, 3)).astype(np.uint8)
    check_steps(c, tmp_path, "numbers", pixels, np.array([[-2, 0.5, 3], [0, 1, -1.5]]))
    assert "tinytl_train_regression" in refuse(c, "attributes", "a", tmp_path / "batch.raw", 0.1, *[0] * 6).text
    error = refuse(c, "numbers", "a", tmp_path / "batch.raw", 0.1, *[0] * 5, "inf")
    assert "labels that are finite numbers" in error.text


# Points of time of a recording, and the one that comes first in an array of 40; there are zeros before a negative one.
RECORDINGS = ((40, 0), (41, 0), (42, 1), (45, 2), (46, 3), (100, 30), (39, 0), (38, -1), (35, -2), (1, -19))


def test_a_recording_is_fitted(c, tmp_path):
    path = copy_model(tmp_path, "model_array.tflite")
    change_inputs(path, {"array": WINDOW | {"sample_rate": 50}})
    c.open(path)
    assert c.ask("array", "a")[5] == "50"
    for points, first in RECORDINGS:
        samples = np.random.default_rng(points).integers(-(2**15), 2**15, (points, 6)).astype(np.int16)
        samples.tofile(tmp_path / "samples")
        c.ask("waveform", "a", tmp_path / "samples", 50, tmp_path / "array.f32")
        padded = np.concatenate([np.zeros((40, 6)), samples / 2**15, np.zeros((40, 6))])
        expected = padded[40 + first : 80 + first].astype(np.float32)
        np.testing.assert_array_equal(np.fromfile(tmp_path / "array.f32", np.float32).reshape(40, 6), expected)
    c.ask("infer_array", "a", tmp_path / "array.f32")


def test_recordings_that_are_refused(c, tmp_path):
    (tmp_path / "samples").write_bytes(bytes(2 * 240))
    c.open(GOLDEN / "model_array.tflite")
    assert "expected a model of waveforms" in refuse(c, "waveform", "a", tmp_path / "samples", 50, "x").text
    c.ask("close", "a")
    path = copy_model(tmp_path, "model_array.tflite")
    change_inputs(path, {"array": WINDOW | {"sample_rate": 2**24}})
    c.open(path)
    for rate in (0, 50, 2**24 - 1):
        error = refuse(c, "waveform", "a", tmp_path / "samples", rate, "x")
        assert (error.status, f"of 16777216 samples per second, got {rate}; resample it" in error.text) == (
            "ARGUMENT",
            True,
        )
    for size in (0, 1, 241):
        (tmp_path / "samples").write_bytes(bytes(2 * size))
        error = refuse(c, "waveform", "a", tmp_path / "samples", 2**24, "x")
        assert f"complete points in time of 6 samples, got {size}" in error.text


def test_figures_of_a_regression_are_those_of_python(c, tmp_path):
    rng = np.random.default_rng(0)
    for examples, outputs, same in ((50, 3, 1), (1, 2, 0), (7, 1, None)):
        labels = (rng.normal(size=(examples, outputs)) * 3 + 5).astype(np.float32)
        predictions = (labels + rng.normal(size=labels.shape)).astype(np.float32)
        predictions[0] = labels[0] + 0.5  # which counts as right
        if same is not None:
            labels[:, same] = np.float32(0.1)  # whose mean is not exactly this
        predictions.tofile(tmp_path / "predictions")
        labels.tofile(tmp_path / "labels")
        words = c.ask("figures", tmp_path / "predictions", tmp_path / "labels", outputs)
        figures = np.array([float.fromhex(word) for word in words]).reshape(outputs, 4)
        tally = Tally(TASKS["regression"])
        tally.add(predictions, labels)
        expected = tally.result()
        for row, output in zip(figures, expected.classes, strict=True):
            assert row[:2] == pytest.approx([output.absolute_error, output.squared_error], rel=1e-12)
            assert row[2] == pytest.approx(np.nan if output.r2 is None else output.r2, rel=1e-9, nan_ok=True)
        assert [output.r2 is None for output in expected.classes].count(True) == (
            outputs if examples == 1 else same or 0
        )
        assert figures[:, 1].mean() == pytest.approx(expected.loss, rel=1e-12)
        assert figures[:, 3].mean() == pytest.approx(expected.accuracy, rel=1e-12)
    labels[0] = np.nan
    labels.tofile(tmp_path / "labels")
    assert "got nan at index 0" in refuse(c, "figures", tmp_path / "predictions", tmp_path / "labels", 1).text.replace(
        "-nan", "nan"
    )
    assert refuse(c, "figures", tmp_path / "predictions", tmp_path / "labels", 0).status == "ARGUMENT"


def test_the_example_of_the_readme(built, tmp_path):
    """It compiles and prints the figures of the same steps in Python."""
    text = (SOURCES / "README.md").read_text("utf-8")
    programs = [part.split("```")[0] for part in text.split("```c\n")[1:]]
    (program,) = (part for part in programs if "tinytl_train_arrays_regression" in part)
    (tmp_path / "example.c").write_text(program)
    command = ["cc", "-std=c11", *WARNINGS, f"-fsanitize={SANITIZERS}", f"-I{SOURCES}", tmp_path / "example.c"]
    command += [built / "libtinytl.a", "-ldl", "-lm", "-o", tmp_path / "example"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels = np.random.default_rng(0).normal(size=(12, 2)).astype("<f4")
    labels.tofile(tmp_path / "labels")
    model = GOLDEN / "model_regression.tflite"
    command = [tmp_path / "example", model, GOLDEN / "arrays.raw", tmp_path / "labels", find_library()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    python = TrainableModel(model, api="compiled_model")
    for first in list(range(0, 12, 4)) * 20:
        python.train(VALUES[first : first + 4], labels[first : first + 4], float(np.float32(0.003)))
    tally = Tally(TASKS["regression"])
    tally.add(np.stack([python.infer(array).logits for array in VALUES]), labels)
    figures = tally.result().classes
    assert done.stdout == "".join(
        f"{name}: mean absolute error {output.absolute_error:.4f}, R2 {output.r2:.3f}\n"
        for name, output in zip(("rate", "strength"), figures, strict=True)
    )
