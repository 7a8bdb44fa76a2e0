"""`TrainableModel.fit`, `evaluate` and `predict`, as users of Keras write them."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests import tiny_tflite
from tinytl_tf import data
from tinytl_tf.device import TrainableModel, adapt, evaluate
from tinytl_tf.errors import InputError

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
RNG = np.random.default_rng(0)
LABELS = np.arange(9) % 3  # nine: the last batch of two is half full
PHOTOS = np.clip(np.eye(3)[LABELS][:, None, None] * 150 + RNG.integers(0, 100, (9, 4, 4, 3)), 0, 255).astype(np.uint8)
NAMES = ["blue", "green", "red"]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(path, NAMES)
    return TrainableModel(path)


def test_fit_is_adapt_on_examples_as_they_are(model):
    result = model.fit(PHOTOS, LABELS, epochs=3, learning_rate=0.01, validation_data=(PHOTOS, LABELS))
    state = model.state()
    assert result.steps == 3 * 4
    assert list(result.history) == ["loss", "accuracy"]
    assert result.history["loss"] == sorted(result.losses, reverse=True)
    assert result.accuracy_after > result.accuracy_before
    model.reset()
    images = data.ImageDataset("same", NAMES, LABELS, lambda index, short_side: PHOTOS[index])
    options = {"augmentation": data.Augmentation(crop=False, flip=False), "central_fraction": 1.0}
    adapt(model, data.Splits(images, None), epochs=3, learning_rate=0.01, **options)
    np.testing.assert_array_equal(model.state(), state)


@pytest.mark.parametrize(
    ("photos", "labels"),
    [
        (PHOTOS.tolist(), LABELS.tolist()),
        (PHOTOS.astype(np.float32), [NAMES[label] for label in LABELS]),
        (list(PHOTOS), tuple(LABELS.tolist())),
        (PHOTOS.astype(np.int64), np.array(NAMES)[LABELS]),
    ],
)
def test_lists_floats_and_names_are_taken(model, photos, labels):
    model.fit(PHOTOS, LABELS, epochs=1, learning_rate=0.01)
    expected = model.state()
    model.reset()
    model.fit(photos, labels, epochs=1, learning_rate=0.01)
    np.testing.assert_array_equal(model.state(), expected)


def test_evaluate_and_predict(model):
    model.fit(PHOTOS, LABELS, epochs=3, learning_rate=0.01)
    result = model.evaluate(PHOTOS, LABELS)
    assert result == evaluate(model, [(PHOTOS, LABELS.astype(np.int32))])
    chances = model.predict(PHOTOS)
    assert (chances.shape, chances.dtype) == ((9, 3), np.float32)
    np.testing.assert_array_equal(chances[4], model.infer(PHOTOS[4]).probabilities)
    assert np.mean(chances.argmax(1) == LABELS) == result.accuracy


def test_photos_by_path_and_data_sets(model, tmp_path):
    for label, photo in zip(LABELS, PHOTOS, strict=True):
        (tmp_path / "set" / NAMES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "set" / NAMES[label] / f"{photo.sum()}.png")
    paths = sorted((tmp_path / "set").rglob("*.png"))
    np.testing.assert_array_equal(model.predict(paths)[0], model.infer(paths[0]).probabilities)
    splits = data.load(tmp_path / "set")
    assert model.fit(splits, epochs=1).after is not None
    assert model.fit(splits.train, epochs=1, validation_data=splits.test).after is not None
    assert model.evaluate(splits.test).examples == len(splits.test)


def test_arrays_and_numbers():
    path = GOLDEN / json.loads((GOLDEN / "regression.json").read_text())["model"]
    model = TrainableModel(path)
    arrays = RNG.normal(size=(model.batch_size + 1, *model.input_shape))
    numbers = RNG.normal(size=(len(arrays), model.num_classes))
    before = model.evaluate(arrays, numbers).loss
    model.fit(arrays, numbers, epochs=20, learning_rate=0.01)
    assert model.evaluate(arrays, numbers).loss < before
    assert model.predict(arrays).shape == numbers.shape


def test_variables_have_names(model):
    variables = model.variables()
    state = model.state()
    assert np.concatenate([value.ravel() for value in variables.values()]).tolist() == state.tolist()
    assert repr(model) == (
        "<TrainableModel model.tflite: image (4, 4, 3) -> 3 outputs, classification, batches of 2, state of 147 "
        "numbers>"
    )


@pytest.mark.parametrize(
    ("photos", "labels", "message"),
    [
        (PHOTOS / np.float32(255), LABELS, "expected pixels that are whole numbers of 0 to 255, got float32 from 0"),
        (PHOTOS > 100, LABELS, "expected pixels of 0 to 255, got bool; give uint8"),
        ((PHOTOS > 100).astype(float), LABELS, "expected pixels of 0 to 255, got only floats of 0 and 1; multiply"),
        (PHOTOS - 128.0, LABELS, "expected pixels that are whole numbers of 0 to 255, got float64 from -1"),
        (PHOTOS[:, :3], LABELS, "expected images [n, 4, 4, 3], got [9, 3, 4, 3]; data.photo scales a photo"),
        (PHOTOS[0], LABELS, "expected images [n, 4, 4, 3], got [4, 4, 3]"),
        ([PHOTOS[0], PHOTOS[1][:2]], LABELS[:2], "expected examples of one shape, got list of several ("),
        ([], [], "expected images [n, 4, 4, 3], got [0]"),
        ("rose.jpg", [0], "expected several examples, got a single path 'rose.jpg'; give a list, or"),
        (["rose.jpg"], [0], "rose.jpg"),
        (PHOTOS, None, "expected labels, got none; give one for each example"),
        (PHOTOS, LABELS[:3], "expected labels: integers [9], got int64 [3]"),
        (PHOTOS, LABELS + 1, "expected labels from 0 to 2, got 3"),
        (PHOTOS, ["pink"] * 9, "expected labels of blue, green, red, got ['pink']; see class_names"),
    ],
)
def test_refused_and_unchanged(model, photos, labels, message):
    before = model.state()
    with pytest.raises(InputError) as error:
        model.fit(photos, labels)
    assert message in str(error.value)
    np.testing.assert_array_equal(model.state(), before)


def test_splits_are_no_examples(model):
    splits = data.Splits(data.ImageDataset("set", NAMES, LABELS, lambda index, short_side: PHOTOS[index]), None)
    with pytest.raises(InputError, match="expected one data set, got splits; give splits.test, for example"):
        model.evaluate(splits)
