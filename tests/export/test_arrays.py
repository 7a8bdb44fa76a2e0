"""Networks of arrays, and of regression, are exported with what those of photos have."""

import logging
import wave

import keras
import numpy as np
import pytest

from tests import made
from tinytl_tf import layers
from tinytl_tf.data import load
from tinytl_tf.device import TrainableModel, adapt
from tinytl_tf.errors import InputError
from tinytl_tf.export.contract import check_model
from tinytl_tf.export.exporter import export
from tinytl_tf.export.inputs import input_kind, random_arrays
from tinytl_tf.state import load_state
from tinytl_tf.tflite.manifest import DataSettings, InputFacts, Manifest
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import APIS

RATE, SAMPLES = 4000, 1000
WORDS = ("high", "low")


def network(shape, outputs=2, first=lambda x: x, width=8):
    """Frozen convolutions, or a dense layer of a row, with their biases and a classifier to train."""
    inputs = keras.Input(shape)
    x = first(inputs)
    if len(x.shape) > 2:
        convolution = {3: keras.layers.Conv1D, 4: keras.layers.Conv2D}[len(x.shape)]
        for number in range(2):
            x = convolution(width, 3, padding="same", name=f"conv_{number}")(x)
            x = layers.Activation("relu6")(x)
        x = keras.layers.Flatten()(x)
    else:
        x = layers.Activation("relu6")(keras.layers.Dense(width, name="dense")(x))
    model = keras.Model(inputs, keras.layers.Dense(outputs, name="classifier")(x))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith(("/bias", "/kernel")):
            variable.trainable = variable.path.endswith("/bias") or variable.path.startswith("classifier/")
            variable.assign(rng.normal(0, np.prod(variable.shape[:-1] or [10]) ** -0.5, variable.shape))
    return model


def of_sound():
    ears = layers.LogMel(RATE, frame_length=128, hop=64, bands=12)
    return network((SAMPLES,), first=lambda x: keras.layers.Rescaling(0.2)(ears(x)))


def write_words(root, count):
    """Tones of two heights as WAV files."""
    rng, times = np.random.default_rng(count), np.arange(SAMPLES) / RATE
    for word, pitch in zip(WORDS, (1200, 300), strict=True):
        (root / word).mkdir(parents=True)
        for number in range(count):
            tone = np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * times) * rng.uniform(0.2, 0.8)
            with wave.open(str(root / word / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((tone * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def sound():
    """An exported file of waveforms with a spare class."""

    def make(folder):
        export(
            of_sound(),
            folder / "sound.tflite",
            labels=WORDS,
            meaning="a quarter of a second of sound",
            sample_rate=RATE,
            batch_size=4,
            spare_classes=1,
        )

    return made.folder("sound", make) / "sound.tflite"


def test_a_file_of_sound_learns_from_recordings(sound, tmp_path):
    for split, count in (("train", 8), ("test", 3)):
        write_words(tmp_path / split, count)
    model = TrainableModel(sound)
    assert (model.input_name, model.input_shape, model.sample_rate) == ("array", (SAMPLES,), RATE)
    splits = load(tmp_path, samples=SAMPLES, sample_rate=RATE)
    result = adapt(model, splits, epochs=3, learning_rate=0.05)
    assert result.applied == result.steps
    assert result.after.loss < 0.5 * result.before.loss
    assert result.accuracy_after == 1.0
    other = load(tmp_path, samples=SAMPLES - 1, sample_rate=RATE)
    with pytest.raises(InputError, match=r"expected arrays \[1000\] for this model, got \[999\]"):
        adapt(model, other)


def test_the_transform_is_inside_the_file_and_what_it_learnt_comes_home(sound, tmp_path):
    device, model = TrainableModel(sound), of_sound()
    arrays, labels = random_arrays(model, 1, 4, 2)
    np.testing.assert_allclose(
        [device.infer(array).logits for array in arrays[0]], model(arrays[0]), rtol=1e-4, atol=1e-4
    )
    assert device.train(arrays[0], labels[0], 0.05).applied
    device.save(tmp_path / "mine.tinytl")
    load_state(model, tmp_path / "mine.tinytl", sound)
    np.testing.assert_allclose(
        [device.infer(array).logits for array in arrays[0]], model(arrays[0]), rtol=1e-4, atol=1e-4
    )
    assert device.add_class("middle") == 2
    assert device.train(arrays[0], np.array([2, 0, 1, 2]), 0.05).applied


def test_the_manifest_says_what_a_client_needs(sound):
    manifest = Manifest.read(sound)
    assert manifest.inputs == {"array": InputFacts("float32", (SAMPLES,), "a quarter of a second of sound", RATE)}
    assert (manifest.input, manifest.data) == (None, DataSettings(crop=False, flip=False))
    # The cosines and sines of 128 samples and 65 frequencies are in the file once, for `train` and `infer`.
    constants = [tensor.buffer for graph in Model.read(sound).graphs for tensor in graph.tensors if tensor.is_constant]
    sizes = [tensor.bytes for graph in Model.read(sound).graphs for tensor in graph.tensors if tensor.is_constant]
    waves = {buffer for buffer, size in zip(constants, sizes, strict=True) if size == 128 * 130 * 4}
    assert len(waves) == 1


@pytest.mark.parametrize("rank", [2, pytest.param(4, marks=pytest.mark.thorough)])
def test_one_number_is_predicted_from_arrays_of_any_rank(rank, tmp_path):
    shape = {2: (12,), 4: (6, 5, 2)}[rank]
    model = network(shape, outputs=1)
    path = tmp_path / "m.tflite"
    manifest = export(model, path, labels=["age"], task="regression", batch_size=1, optimizer="adam")
    device = TrainableModel(path)
    assert (device.input_shape, manifest.contract, manifest.task) == (shape, 3, "regression")
    arrays, labels = random_arrays(model, 1, 1, 1, "regression")
    losses = [device.train(arrays[0], labels[0], 0.01).loss for _ in range(5)]
    assert losses[-1] < losses[0]
    for api in APIS:
        other = TrainableModel(path, api=api)
        other.set_state(device.state())
        result = other.infer(arrays[0, 0])
        np.testing.assert_array_equal(result.logits, result.probabilities)
        np.testing.assert_allclose(result.logits, device.infer(arrays[0, 0]).logits, rtol=1e-5)
        assert result.logits.shape == (1,)


@pytest.mark.thorough
def test_kernels_become_int8(tmp_path):
    model = network((16, 12, 1), width=16)
    manifest = export(model, tmp_path / "m.tflite", labels=WORDS, batch_size=2, frozen_weights="int8")
    assert manifest.parity["int8"]["xnnpack"]["cosine"] > 0.95
    dtypes = {tensor.dtype for graph in Model.read(tmp_path / "m.tflite").graphs for tensor in graph.tensors}
    assert "int8" in dtypes


def test_what_cannot_be_a_photo_is_an_array(caplog):
    with caplog.at_level(logging.WARNING):
        assert input_kind(network((40, 6))) == "array"
    assert caplog.messages == ["an input of [None, 40, 6] cannot be photos: the file takes arrays"]
    caplog.clear()
    assert input_kind(network((8, 8, 3))) == "image"
    assert input_kind(network((8, 8, 3)), "array") == "array"
    assert input_kind(network((8, 8, 1)), "image") == "image"
    assert not caplog.messages


def refused(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_three_channels_that_are_no_photo_are_named():
    model = network((8, 8, 3))
    assert refused(lambda: check_model(model)).endswith('or give inputs="array" if these are not photos')
    check_model(model, "array")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: network((None, 6), first=keras.layers.GlobalAveragePooling1D()),
            "1 to 3 fixed sizes as the input, got",
        ),
        (lambda: network((2, 2, 2, 2), first=keras.layers.Flatten()), "1 to 3 fixed sizes as the input, got"),
        (lambda: network((40, 6), outputs=1), "expected logits (None, classes) of 2 classes or more as the output"),
    ],
)
def test_inputs_outside_the_contract(build, message):
    assert message in refused(lambda: check_model(build(), "array"))


def test_integers_are_no_arrays():
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(7, 4)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="classifier")(x))
    assert refused(lambda: check_model(model, "array")).startswith("expected arrays of float32 as the input, got int32")


WRONG = {
    "kind": ({"inputs": "sound"}, "expected inputs of 'image' or 'array', got 'sound'"),
    "meaning": ({"meaning": "a\nb"}, "expected meaning of at most 255 printable characters, got 'a\\nb'"),
    "rate": ({"sample_rate": 16e3}, "expected a sample_rate that is an integer of 0 to 16777216, got 16000.0"),
    "rate of windows": (
        {"sample_rate": 50},
        "expected a sample_rate only for waveforms (None, samples), got (None, 40, 6)",
    ),
    "fraction": ({"central_fraction": 0.875}, "expected no central_fraction of arrays, got 0.875"),
    "augmentation": (
        {"data": DataSettings()},
        "expected data without crop, flip and color for arrays, got DataSettings(",
    ),
    "micro": (
        {"target": "micro"},
        "expected images and a classification or attributes for TensorFlow Lite Micro, got array",
    ),
    "smoothing": (
        {"task": "regression", "label_smoothing": 0.1},
        "expected no label_smoothing for a regression, got 0.1",
    ),
    "spare": (
        {"task": "regression", "spare_classes": 1},
        "expected spare_classes for a classification, got regression",
    ),
    "photos": (
        {"photos": (np.zeros((1, 8, 40, 6), np.uint8), np.zeros((1, 8), np.int32))},
        "expected photos as float32 [steps, 8, 40, 6] and integers [steps, 8], got uint8 [1, 8, 40, 6] ",
    ),
    "not finite": (
        {"photos": (np.full((1, 8, 40, 6), np.nan, np.float32), np.zeros((1, 8), np.int32))},
        "expected photos as arrays of finite numbers",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_arguments_that_do_not_fit_are_refused_before_any_work(case, tmp_path):
    values, message = WRONG[case]
    options = {"labels": WORDS, **values}
    assert refused(lambda: export(network((40, 6)), tmp_path / "m.tflite", **options)).startswith(message)
    assert not list(tmp_path.iterdir())


def test_facts_of_arrays_are_refused_for_images(tmp_path):
    call = {"labels": WORDS, "meaning": "photos"}
    text = refused(lambda: export(network((8, 8, 3)), tmp_path / "m.tflite", **call))
    assert text == "expected meaning and sample_rate only for arrays, got them for images; leave them out"


@pytest.mark.parametrize(
    "first",
    [
        keras.layers.Rescaling(0.01, offset=-3.0),
        keras.layers.Normalization(mean=[100.0, 0, 0, 0, 0, -7], variance=[400.0, 1, 1, 1, 1, 9]),
        lambda x: x,
    ],
)
def test_made_up_arrays_are_what_the_network_normalizes(first):
    model = network((40, 6), first=first)
    arrays, labels = random_arrays(model, 2, 16, 3)
    assert (arrays.dtype, arrays.shape, labels.shape) == (np.float32, (2, 16, 40, 6), (2, 16))
    seen = np.asarray(first(arrays.reshape(-1, 40, 6)))
    assert np.abs(seen.mean((0, 1))).max() < 0.3
    assert 0.6 < seen.std((0, 1)).min() <= seen.std((0, 1)).max() < 1.3
    assert np.abs(np.diff(seen, axis=1)).mean() < 0.6 * np.abs(seen[1:] - seen[:-1]).mean()  # smooth along time
