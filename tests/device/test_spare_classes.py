"""Classes that are added on the device: against a network that has them from the start, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_network
from tinytl_tf import data, files
from tinytl_tf.device import TrainableModel, adapt
from tinytl_tf.device.state_file import write_state
from tinytl_tf.errors import InputError
from tinytl_tf.export import export
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.spare_classes import with_spare_classes
from tinytl_tf.state import average_states, load_state, read_class_names, read_variables
from tinytl_tf.tasks import UNUSED
from tinytl_tf.tflite.runtime import load_signatures

LABELS, SPARE, BATCH, RATE = tiny_network.LABELS, 2, 4, 0.01


pytestmark = pytest.mark.thorough  # a file with spare classes is among the golden ones too


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`plain.tflite`, and the same network with two spare classes: `spare.tflite`."""
    folder = tmp_path_factory.mktemp("spare")
    for name, spare in (("plain", 0), ("spare", SPARE)):
        model = tiny_network.build("tinytl-lb")
        path = folder / f"{name}.tflite"
        export(model, path, labels=LABELS, batch_size=BATCH, optimizer="adam", save_optimizer=True, spare_classes=spare)
        assert model.output_shape == (None, len(LABELS))
    return folder


@pytest.fixture
def model(folder):
    return TrainableModel(folder / "spare.tflite")


def photos(steps):
    return zip(*tiny_network.photos(steps, BATCH), strict=True)


def classifier(model):
    return {
        entry.name.removeprefix("classifier/"): model.state()[entry.offset :][: np.prod(entry.shape)].reshape(
            entry.shape
        )
        for entry in model.manifest.state
        if entry.name.startswith("classifier/") and not entry.slot
    }


def test_spare_classes_change_nothing_for_the_others(folder, model):
    plain = TrainableModel(folder / "plain.tflite")
    assert (model.class_names, model.num_classes, model.num_outputs, model.spare_classes) == (LABELS, 4, 6, SPARE)
    for images, labels in photos(10):
        expected, result = (m.train(images, labels, RATE) for m in (plain, model))
        assert (result.applied, result.accuracy) == (True, expected.accuracy)
        assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    weights = classifier(model)
    assert (weights["bias"][4:] == UNUSED).all()
    assert (weights["kernel"][:, 4:] == 0).all()
    one, other = plain.infer(images[0]), model.infer(images[0])
    assert other.logits.shape == other.probabilities.shape == (4,)
    np.testing.assert_allclose(other.logits, one.logits, rtol=1e-3, atol=1e-4)
    assert other.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_an_added_class_trains_as_one_that_was_there(folder, model):
    """TensorFlow's own gradients, of a network of five classes whose fifth begins as the mean of the others."""
    reference = with_spare_classes(tiny_network.build("tinytl-lb"), 1)
    kernel, bias = (variable.numpy() for variable in reference.get_layer("classifier").weights)
    kernel[:, 4], bias[4] = kernel[:, :4].mean(axis=1), bias[:4].mean()
    reference.get_layer("classifier").set_weights([kernel, bias])
    variables = state_order(reference.trainable_variables)
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(variables)

    assert model.add_class("violet") == 4
    assert (model.class_names, model.num_classes, model.spare_classes) == ((*LABELS, "violet"), 5, 1)
    for step, (images, labels) in enumerate(photos(6)):
        labels[0] = 4
        with tf.GradientTape() as tape:
            logits = reference(images.astype(np.float32), training=False)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        if step == 0:
            np.testing.assert_allclose(model.infer(images[0]).logits, logits[0], rtol=1e-3, atol=1e-3)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        result = model.train(images, labels, RATE)
        assert result.applied
        assert result.loss == pytest.approx(float(loss), rel=1e-2)  # of Adam's first steps, the signs of gradients
    weights = classifier(model)
    np.testing.assert_allclose(weights["bias"][:5], reference.get_layer("classifier").bias, atol=2e-2)
    assert weights["bias"][5] == UNUSED


def test_labels_of_no_class_are_refused_by_client_and_file(folder, model):
    images, labels = next(photos(1))
    labels[-1] = 4
    with pytest.raises(InputError, match="expected labels from 0 to 3, got 4"):
        model.train(images, labels, RATE)
    runners = load_signatures(folder / "spare.tflite", num_threads=1)
    before = runners["save"]()["state"]
    inputs = {"image": images, "label": labels.astype(np.int32), "learning_rate": np.float32([RATE])}
    assert runners["train"](**inputs)["applied"].tolist() == [0]
    np.testing.assert_array_equal(runners["save"]()["state"], before)
    labels[-1] = 3
    assert runners["train"](**inputs | {"label": labels.astype(np.int32)})["applied"].tolist() == [1]


def test_names_travel_with_the_state(folder, model, tmp_path):
    model.add_class("viole\u0301t")
    for images, labels in photos(2):
        model.train(images, labels, RATE)
    model.save(tmp_path / "five.tinytl")
    other = TrainableModel(folder / "spare.tflite")
    other.save(tmp_path / "four.tinytl")
    other.restore(tmp_path / "five.tinytl")
    assert other.class_names == (*LABELS, "viol\u00e9t")
    np.testing.assert_array_equal(other.state(), model.state())
    with pytest.raises(InputError, match="expected 5 outputs in use, got 4; restore it from its file"):
        other.set_state(TrainableModel(folder / "spare.tflite").state())
    assert other.num_classes == 5
    other.restore(tmp_path / "four.tinytl")
    assert other.class_names == LABELS
    other.restore(tmp_path / "five.tinytl")
    other.reset()
    assert other.class_names == LABELS
    np.testing.assert_array_equal(other.state(), TrainableModel(folder / "spare.tflite").state())


@pytest.mark.parametrize(
    ("added", "biases", "used"),
    [
        ([], {4: 0.0}, 5),  # an output in use that has no name
        ([], {3: UNUSED}, 3),  # a name whose output is spare
        ([], {3: UNUSED, 4: 0.0}, 4),  # as many, at other places
        ([], {4: UNUSED + 1}, 4),  # neither: training would move it
        (["violet"], {4: UNUSED}, 4),
        (["violet"], {5: 0.0}, 6),
        (["violet"], {4: UNUSED, 5: 0.0}, 5),
    ],
)
def test_outputs_in_use_are_those_that_have_names(model, tmp_path, added, biases, used):
    """A state of valid numbers whose spare outputs are not those of the names."""
    for name in added:
        model.add_class(name)
    before, state = model.state(), model.state()
    bias = next(entry for entry in model.manifest.state if entry.name == "classifier/bias" and not entry.slot)
    for output, value in biases.items():
        state[bias.offset + output] = value
    message = f"cannot set the state: expected {4 + len(added)} outputs in use, got {used}; restore it from its file"
    with pytest.raises(InputError, match=message):
        model.set_state(state)
    write_state(tmp_path / "bad.tinytl", state, model.fingerprint, added)
    with pytest.raises(InputError, match=message):
        model.restore(tmp_path / "bad.tinytl")
    np.testing.assert_array_equal(model.state(), before)


def test_a_state_with_added_classes_comes_home(folder, model, tmp_path):
    model.add_class("violet")
    for images, labels in photos(3):
        model.train(images, labels, RATE)
    model.save(tmp_path / "mine.tinytl")
    tflite = folder / "spare.tflite"
    assert read_class_names(tmp_path / "mine.tinytl", tflite) == (*LABELS, "violet")
    assert read_variables(tmp_path / "mine.tinytl", tflite)["classifier/bias"].shape == (5,)
    with pytest.raises(InputError, match="give the model of the export, with an output for each class of the state"):
        load_state(tiny_network.build("tinytl-lb"), tmp_path / "mine.tinytl", tflite)
    home = with_spare_classes(tiny_network.build("tinytl-lb"), 1)
    load_state(home, tmp_path / "mine.tinytl", tflite)
    logits = np.asarray(home(images[:1].astype(np.float32), training=False))[0]
    np.testing.assert_allclose(logits, model.infer(images[0]).logits, rtol=1e-3, atol=1e-3)


def test_averages_are_of_the_same_classes(folder, model, tmp_path):
    names = {"a": ["violet"], "b": ["violet"], "c": ["brown"]}
    for file, added in names.items():
        model.reset()
        for name in added:
            model.add_class(name)
        model.save(tmp_path / file)
    average_states([tmp_path / "a", tmp_path / "b"], folder / "spare.tflite", tmp_path / "all.tinytl")
    model.restore(tmp_path / "all.tinytl")
    assert model.class_names == (*LABELS, "violet")
    message = r"expected the added classes violet of the first state in this order, got brown in .*; average states of"
    with pytest.raises(InputError, match=message):
        average_states([tmp_path / "a", tmp_path / "c"], folder / "spare.tflite", tmp_path / "all.tinytl")


def test_adapt_adds_the_classes_of_the_data(folder, model):
    images, labels = tiny_network.photos(1, 24)
    images, labels = images[0], labels[0] % 3
    names = ("violet", "red", "gray")  # one is new, in another order than the model's
    dataset = data.ImageDataset("photos", names, labels, lambda index, short_side: images[index])
    splits = data.Splits(train=dataset, test=dataset)
    with pytest.raises(InputError, match="photos has classes that the model does not have: violet; "):
        adapt(model, splits, epochs=1)
    result = adapt(model, splits, epochs=8, learning_rate=RATE, new_classes=True)
    assert model.class_names == (*LABELS, "violet")
    assert result.accuracy_after > result.accuracy_before
    more = data.ImageDataset("more", ("violet", "x", "y"), labels, lambda index, short_side: images[index])
    message = r"more has 2 new classes \(x, y\), expected at most 1, the spare ones of the model; leave some out, or "
    with pytest.raises(InputError, match=message):
        adapt(model, data.Splits(train=more, test=more), new_classes=True)
    assert model.num_classes == 5


def test_data_that_are_refused_add_no_class(model, tmp_path, monkeypatch):
    images, labels = tiny_network.photos(1, 8)
    read = lambda index, short_side: images[0][index]  # noqa: E731
    names = ("violet", "red")
    several = data.ImageDataset("several", names, np.eye(2, dtype=np.float32)[labels[0] % 2], read)
    with pytest.raises(InputError, match="several has labels for multilabel, expected classification"):
        adapt(model, data.Splits(train=several, test=several), new_classes=True)
    assert model.class_names == LABELS
    one = data.ImageDataset("one", names, labels[0] % 2, read)

    def full(*arguments):
        raise InputError("no room")

    monkeypatch.setattr(files, "require_room", full)
    with pytest.raises(InputError, match="no room"):
        adapt(model, data.Splits(train=one, test=one), new_classes=True, state_path=tmp_path / "out.tinytl")
    assert model.class_names == LABELS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("red", "expected labels that differ, got 'red' twice; give each class a name of its own"),
        (" ", "expected the name of a class, got ' ', which is invisible; give the class another name"),
        (
            "a\nb",
            r"expected the name of a class, got 'a\\nb', which has the control character or line separator U\+000A; ",
        ),
        (7, "expected the name of a class, got 7, which is not a str; "),
    ],
)
def test_names_that_are_refused(model, name, message):
    before = model.state()
    with pytest.raises(InputError, match=message):
        model.add_class(name)
    assert model.class_names == LABELS
    np.testing.assert_array_equal(model.state(), before)


def test_no_more_than_the_spare_ones(folder, model, tmp_path):
    model.add_class("a")
    model.add_class("b")
    with pytest.raises(
        InputError, match="got none: .*spare.tflite was exported with 2; export it with more spare_classes"
    ):
        model.add_class("c")
    with pytest.raises(InputError, match="plain.tflite was exported with 0"):
        TrainableModel(folder / "plain.tflite").add_class("c")
    lost = tmp_path / "lost.tflite"
    lost.write_bytes((folder / "spare.tflite").read_bytes())
    alone = TrainableModel(lost, trust=True)
    assert (alone.class_names, alone.spare_classes, alone.num_classes) == (LABELS, SPARE, 4)
    with pytest.raises(InputError, match="without its manifest the place of the classifier .* is unknown"):
        alone.add_class("c")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spare_classes": -1}, "spare_classes must be a whole number of at least 0, got -1"),
        ({"spare_classes": True}, "spare_classes must be a whole number of at least 0, got True"),
        ({"spare_classes": 1, "task": "multilabel"}, "expected spare_classes for a classification, got multilabel: "),
        ({"spare_classes": 1, "label_smoothing": 0.1}, "expected spare_classes without label_smoothing, got 0.1: "),
    ],
)
def test_exports_that_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export(tiny_network.build("last"), tmp_path / "m.tflite", labels=LABELS, **options)
    assert not list(tmp_path.iterdir())
