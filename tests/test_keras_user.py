"""What a user of Keras types first: it works, or one line says what to type instead."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tinytl_tf as tiny
from tests import tiny_network
from tinytl_tf import data
from tinytl_tf.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*run_functions_eagerly.*tf.data:UserWarning")
L = keras.layers
SIZE = {"resolution": 32, "width": 0.35, "weights": None}
PHOTOS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
LABELS = np.arange(6) % 3
SPLITS = data.load("digits", train_images=20, test_images=10)


def own_model(outputs=3):
    inputs = keras.Input((32, 32, 3))
    x = L.Conv2D(8, 3, 2, padding="same", use_bias=False)(L.Rescaling(1 / 127.5, -1)(inputs))
    x = L.GlobalAveragePooling2D()(L.ReLU()(L.BatchNormalization()(x)))
    return keras.Model(inputs, L.Dense(outputs, activation="softmax")(x))


def network(classes=3, **options):
    """A small one: building those of Keras takes seconds."""
    return tiny.build(tiny_network.ARCHITECTURE, classes=classes, resolution=32, weights=None, **options)


def mobilenet(**options):
    return tiny.build("MobileNetV2", **SIZE, **options)


def fitted(*args, classes=3, scheme="tinytl-b", **options):
    model = network(classes)
    tiny.apply_scheme(model, scheme)
    return model.fit(*args, verbose=0, **options)


def renamed(dataset):
    """The same images under other names."""
    classes = dataset.class_names[::-1]
    return data.ImageDataset(dataset.name, classes, dataset.labels, lambda index, short_side: dataset.image(index))


def fitted_network():
    model = network(10)
    model.fit(SPLITS.train, verbose=0)
    return model


def attributes():
    names, labels = tuple("abcdefghij"), np.eye(10)[:6]
    return data.ImageDataset("attributes", names, labels, lambda index, short_side: PHOTOS[index])


def fitted_attributes():
    model = network(10)
    tiny.apply_scheme(model, "last", task="multilabel")
    return model.fit(attributes(), verbose=0).history


WORKS = {
    "the name of Keras": lambda: mobilenet(classes=3).output_shape == (None, 3),
    "the name of a network of Keras Applications": lambda: (
        tiny.build("MobileNetV3Small", classes=4, resolution=32, weights=None).output_shape == (None, 4)
    ),
    "no classes": lambda: mobilenet().output_shape == (None, 1000),
    "no resolution": lambda: (
        tiny.build("MobileNetV2", classes=3, width=0.35, weights=None).input_shape[1:3] == (224, 224)
    ),
    "height and width": lambda: (
        tiny.build("MobileNetV2", classes=3, resolution=(96, 64), width=0.35, weights=None).input_shape
        == (None, 96, 64, 3)
    ),
    "a model of one's own": lambda: tiny.build(own_model()).output_shape == (None, 3),
    "a model of one's own for other classes": lambda: tiny.build(own_model(), classes=7).output_shape == (None, 7),
    "a scheme by its name": lambda: "trained parameters" in str(tiny.apply_scheme(network(), "tinytl-b")),
    "the schemes": lambda: {"last", "tinytl-b", "tinytl-lb", "full"} <= set(tiny.SCHEMES),
    "the networks": lambda: "mobilenet_v2" in tiny.list_networks(),
    "fit on arrays": lambda: set(fitted(PHOTOS, LABELS, epochs=2).history) == {"loss", "accuracy"},
    "fit on a data set": lambda: len(fitted(SPLITS.train, classes=10, epochs=3).history["loss"]) == 3,
    "fit on splits": lambda: "loss" in fitted(SPLITS, classes=10).history,
    "fit with validation": lambda: (
        "val_accuracy" in fitted(SPLITS.train, validation_data=SPLITS.test, classes=10, batch_size=4).history
    ),
    "fit with augmentation": lambda: (
        "loss" in fitted(SPLITS.train, augmentation=data.Augmentation(), classes=10).history
    ),
    "fit on attributes": lambda: set(fitted_attributes()) == {"loss", "accuracy"},
    "evaluate on a data set": lambda: len(network(10).evaluate(SPLITS.test, verbose=0)) == 2,
    "predict on a data set": lambda: network(10).predict(SPLITS.test, verbose=0).shape == (10, 10),
    "a picture of the training": lambda: len(tiny.plot_history(fitted(PHOTOS, LABELS)).axes) == 2,
    "repr": lambda: (
        repr(mobilenet(classes=3))
        == ("<Network mobilenet_v2: (None, 32, 32, 3) -> (None, 3), trains 3,843 of 414,051 parameters>")
    ),
}
REFUSED = {
    "an unknown name": (lambda: tiny.build("MobilNetV2", classes=3), "unknown backbone 'MobilNetV2'; choose one of"),
    "a class in place of its name": (
        lambda: tiny.build(keras.applications.MobileNetV2, classes=3),
        "expected the name of a network, a table of blocks or a keras.Model, got function; `tinytl networks`",
    ),
    "a network of Keras without classes": (
        lambda: tiny.build("ResNet50"),
        "expected the number of your classes for 'keras:ResNet50', got none; give classes=5",
    ),
    "names in place of the number of classes": (
        lambda: network(["rose", "tulip"]),
        "expected classes as a whole number, got ['rose', 'tulip']",
    ),
    "weights for a model of one's own": (
        lambda: tiny.build(own_model(), weights=None, resolution=32),
        "expected no resolution with a Keras model, which has its own, got 32; leave it out",
    ),
    "a scheme on a model of Keras": (
        lambda: tiny.apply_scheme(own_model(), "tinytl-b"),
        "tinytl_tf.from_keras(model) first",
    ),
    "a scheme on no model": (lambda: tiny.apply_scheme("MobileNetV2", "last"), "expected a keras.Model, got str"),
    "an unknown scheme": (lambda: tiny.apply_scheme(network(), "tinytl"), "unknown scheme 'tinytl'; choose one of"),
    "an unknown task": (lambda: tiny.apply_scheme(network(), "last", task="ranking"), "unknown task 'ranking'"),
    "branches that are not there": (
        lambda: tiny.apply_scheme(network(), "tinytl-lb"),
        "scheme tinytl-lb trains lite residual branches and this network has none; build it with",
    ),
    "data of other classes": (
        lambda: fitted(SPLITS.train),
        "expected data of 3 classes, as many as the model has outputs, got 10 in digits; build the model with",
    ),
    "validation data of other classes": (
        lambda: fitted(SPLITS.train, validation_data=renamed(SPLITS.test), classes=10),
        "expected the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 that the model was fit to, in this order, got 9, 8, 7, 6, 5",
    ),
    "an evaluation on other classes": (
        lambda: fitted_network().evaluate(renamed(SPLITS.test), verbose=0),
        "that the model was fit to, in this order, got 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 in digits",
    ),
    "data of another task": (
        lambda: network(10).fit(attributes(), verbose=0),
        "expected data for classification, which the network is trained for, got multilabel in attributes; give",
    ),
    "a seed without a data set": (
        lambda: fitted(PHOTOS, LABELS, seed=3),
        "expected seed with a data set of tinytl_tf.data, got other data; leave it out",
    ),
    "labels with a data set": (lambda: fitted(SPLITS.train, LABELS, classes=10), "expected no labels with a data set"),
    "no augmentation": (
        lambda: data.train_batches(SPLITS.train, batch_size=4, image_size=8, seed=0, epoch=0, augmentation=None),
        "expected an Augmentation, got NoneType; Augmentation(crop=False, flip=False) changes nothing",
    ),
    "a path in place of a data set": (lambda: fitted("photos/"), "tinytl_tf.data.load('photos/')"),
    "an export of a model of Keras": (
        lambda: tiny.export_model(own_model(), "own.tflite"),
        "tinytl_tf.from_keras",
    ),
    "an export to a folder": (lambda: tiny.export_model(network(), "folder"), "an exported file must end in .tflite"),
    "a picture of a model": (
        lambda: tiny.plot_history(network()),
        "expected the result of fit, its history, or a mapping of labels to several of these, got Network; give",
    ),
    "a model file of Keras on a device": (lambda: tiny.TrainableModel("model.keras"), "model.keras"),
}


@pytest.fixture(autouse=True)
def eagerly():
    """A step of Keras takes longer to trace than to compute."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", WORKS)
def test_works(name):
    assert WORKS[name]()


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, words = REFUSED[name]
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_scheme_compiles_until_its_user_does():
    model = network()
    tiny.apply_scheme(model, "full")
    model.fit(PHOTOS, LABELS, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(tiny.SCHEMES["full"].learning_rate)
    tiny.apply_scheme(model, "last")  # others are trained now
    model.fit(PHOTOS, LABELS, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(tiny.SCHEMES["last"].learning_rate)
    assert len(model.optimizer._trainable_variables) == 2
    model.compile("sgd", "sparse_categorical_crossentropy")
    tiny.apply_scheme(model, "last")
    model.fit(PHOTOS, LABELS, verbose=0)
    assert isinstance(model.optimizer, keras.optimizers.SGD)


def test_saving_and_loading_is_silent_and_whole(tmp_path):
    model = network()
    tiny.apply_scheme(model, "tinytl-b")
    model.save(tmp_path / "new.keras")
    model.fit(PHOTOS, LABELS, verbose=0)
    model.save(tmp_path / "fitted.keras")
    for name in ("new", "fitted"):
        again = keras.models.load_model(tmp_path / f"{name}.keras")
        assert type(again) is type(model)
        again.fit(PHOTOS, LABELS, verbose=0)
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model)
    assert [v.path for v in clone.trainable_variables] == [v.path for v in model.trainable_variables]


def test_the_summary_lists_what_is_trained(capsys):
    model = network()
    model.summary()
    printed = capsys.readouterr().out
    assert "trained variables of tiny_network:\n  classifier/kernel (32, 3)\n  classifier/bias (3,)\n" in printed
    assert "block_1_expand/kernel" not in printed


def test_batches_are_those_of_train_batches():
    seen, loss = [], keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = network(10, dropout=0.0)
    model.compile(keras.optimizers.SGD(0.0), loss)
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    model.fit(SPLITS.train, epochs=2, batch_size=4, seed=3, verbose=0, callbacks=[note])
    expected = []
    options = {"batch_size": 4, "image_size": 32, "augmentation": data.Augmentation(crop=False, flip=False)}
    for epoch in range(2):
        batches = data.train_batches(SPLITS.train, seed=3, epoch=epoch, **options)
        losses = [float(loss(labels, model(images.astype(np.float32)))) for images, labels in batches]
        expected += list(np.cumsum(losses) / np.arange(1, len(losses) + 1))  # Keras gives means
    np.testing.assert_allclose(seen, expected, rtol=1e-4)


@pytest.mark.parametrize("named", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_default_labels_are_those_of_the_data(tmp_path, named):
    tf.config.run_functions_eagerly(False)  # the exporter converts functions
    model = network()
    model.class_names = ("rose", "tulip", "daisy") if named else None
    manifest = tiny.export_model(model, tmp_path / "model.tflite", batch_size=1)
    assert manifest.labels == (model.class_names or ("0", "1", "2"))
