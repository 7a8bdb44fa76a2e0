"""Classes that are added and images of several attributes, in TensorFlow Lite Micro: as in LiteRT and TensorFlow."""

import numpy as np
import pytest

from tests import tiny_network
from tests.export import test_multilabel
from tests.export.conftest import LABEL_SMOOTHING
from tests.export.test_training import relative
from tinytl_tf import data
from tinytl_tf.device import MicroModel, TrainableModel, adapt
from tinytl_tf.errors import InputError
from tinytl_tf.export import export
from tinytl_tf.tasks import UNUSED
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.tflite.runtime.micro_signature import MicroInterpreter

pytestmark = pytest.mark.thorough

runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")

LABELS, SPARE, BATCH, RATE = tiny_network.LABELS, 2, 4, 0.01


def interpreter(path):
    """The graph itself, below what the client refuses."""
    arena = Manifest.read(path).micro["arena"]["bytes"]
    return MicroInterpreter(runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=arena))


@pytest.fixture(scope="module")
def spare(tmp_path_factory):
    """The same network with two spare classes, for LiteRT and for Micro, which shares its states."""
    folder = tmp_path_factory.mktemp("spare")
    options = {"labels": LABELS, "batch_size": BATCH, "optimizer": "adam", "save_optimizer": True}
    litert, micro = folder / "litert.tflite", folder / "micro.tflite"
    export(tiny_network.build("tinytl-b"), litert, spare_classes=SPARE, **options)
    export(tiny_network.build("tinytl-b"), micro, spare_classes=SPARE, target="micro", state_of=litert, **options)
    return litert, micro


@pytest.fixture
def models(spare):
    return TrainableModel(spare[0], xnnpack=False), MicroModel(spare[1])


def photos(steps):
    return zip(*tiny_network.photos(steps, BATCH), strict=True)


def test_an_added_class_trains_as_in_litert(models):
    for model in models:
        assert (model.class_names, model.num_classes, model.num_outputs) == (LABELS, 4, 6)
        assert model.infer(tiny_network.photos(1, 1)[0][0, 0]).probabilities.shape == (4,)
        assert model.add_class("violet") == 4
        assert (model.class_names, model.spare_classes) == ((*LABELS, "violet"), 1)
    litert, micro = models
    start = micro.state()
    np.testing.assert_array_equal(start, litert.state())
    for images, labels in photos(6):
        labels[0] = 4
        expected, result = (model.train(images, labels, RATE) for model in models)
        assert (result.applied, result.accuracy) == (True, expected.accuracy)
        assert result.loss == pytest.approx(expected.loss, rel=1e-2)  # of Adam's first steps, the signs of gradients
    assert relative(micro.state() - start, litert.state() - start) <= 2e-2
    expected, answer = litert.infer(images[0]), micro.infer(images[0])
    assert answer.probabilities.shape == (5,)
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-2)
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_what_is_still_spare_stays_as_it_is(models):
    _, micro = models
    micro.add_class("violet")
    for images, labels in photos(3):
        assert micro.train(images, labels, RATE).applied
    state, entries = micro.state(), {entry.name: entry for entry in micro.manifest.state if not entry.slot}
    bias, kernel = (entries[f"classifier/{name}"] for name in ("bias", "kernel"))
    assert state[bias.offset :][:6][5] == UNUSED
    assert (state[bias.offset :][:5] > UNUSED / 2).all()
    weights = state[kernel.offset :][: np.prod(kernel.shape)].reshape(kernel.shape)
    assert not weights[:, 5].any()
    assert weights[:, 4].all()


def test_names_travel_between_litert_and_micro(models, tmp_path):
    litert, micro = models
    micro.add_class("violet")
    for images, labels in photos(2):
        micro.train(images, labels, RATE)
    micro.save(tmp_path / "five.tinytl")
    litert.restore(tmp_path / "five.tinytl")
    assert litert.class_names == (*LABELS, "violet")
    np.testing.assert_array_equal(litert.state(), micro.state())
    litert.add_class("brown")
    litert.save(tmp_path / "six.tinytl")
    micro.restore(tmp_path / "six.tinytl")
    assert (micro.class_names, micro.spare_classes) == ((*LABELS, "violet", "brown"), 0)
    with pytest.raises(InputError, match="expected a spare output for another class, got none: "):
        micro.add_class("black")
    micro.reset()
    assert micro.class_names == LABELS


def test_labels_of_no_class_are_refused_by_client_and_graph(spare, models):
    images, labels = next(photos(1))
    labels[-1] = 4
    with pytest.raises(InputError, match="expected labels from 0 to 3, got 4"):
        models[1].train(images, labels, RATE)
    graph = interpreter(spare[1])
    state = graph.run("save")["state"]
    for label in (4, 5, 6, -1):  # the first two are outputs without a class
        assert graph.run("accumulate", image=images[:1], label=np.int32([3]))["applied"].tolist() == [1]
        assert graph.run("accumulate", image=images[1:2], label=np.int32([label]))["applied"].tolist() == [0]
        assert graph.run("apply", learning_rate=np.float32([RATE]))["applied"].tolist() == [0]
        np.testing.assert_array_equal(graph.run("save")["state"], state)


def test_adapt_adds_the_classes_of_the_data(models):
    _, micro = models
    images, labels = tiny_network.photos(1, 24)
    images, labels = images[0], labels[0] % 3
    names = ("violet", "red", "gray")  # one is new, in another order than the model's
    dataset = data.ImageDataset("photos", names, labels, lambda index, short_side: images[index])
    splits = data.Splits(train=dataset, test=dataset)
    result = adapt(micro, splits, epochs=6, learning_rate=RATE, new_classes=True)
    assert micro.class_names == (*LABELS, "violet")
    assert result.accuracy_after > result.accuracy_before


@pytest.fixture(scope="module")
def attributes(tmp_path_factory):
    """A file for images of several attributes."""
    path = tmp_path_factory.mktemp("attributes") / "micro.tflite"
    options = {"task": "multilabel", "optimizer": "sgd", "label_smoothing": LABEL_SMOOTHING, "target": "micro"}
    export(tiny_network.build("tinytl-lb"), path, labels=LABELS, batch_size=BATCH, **options)
    return path


def test_attributes_train_as_in_tensorflow(attributes):
    losses, accuracies, end, network = test_multilabel.eager(BATCH)
    model = MicroModel(attributes)
    assert model.task.name == "multilabel"
    start = model.state()
    batches = zip(*test_multilabel.photos(BATCH), losses, accuracies, strict=True)
    for images, labels, loss, accuracy in batches:
        result = model.train(images, labels, test_multilabel.RATE)
        assert result.applied
        assert result.loss == pytest.approx(loss, rel=1e-4)
        assert result.accuracy == pytest.approx(accuracy, abs=1e-6)
    assert relative(model.state() - start, end - start) <= 1e-2
    answer = model.infer(images[0])
    logits = network(images[:1].astype(np.float32), training=False).numpy()[0]
    np.testing.assert_allclose(answer.logits, logits, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(answer.probabilities, 1 / (1 + np.exp(-answer.logits)), rtol=1e-5)


@pytest.mark.parametrize("label", [-0.1, 1.1, np.nan, np.inf])
def test_attributes_out_of_range_change_nothing(attributes, label):
    images, labels = (array[0] for array in test_multilabel.photos(BATCH))
    bad = labels.copy()
    bad[-1, -1] = label
    with pytest.raises(InputError, match="expected labels from 0 to 1 for each attribute"):
        MicroModel(attributes).train(images, bad, test_multilabel.RATE)
    graph = interpreter(attributes)
    state = graph.run("save")["state"]
    rate = np.float32([test_multilabel.RATE])
    for given, applied in ((bad, 0), (labels, 1)):
        results = [
            graph.run("accumulate", image=images[i : i + 1], label=given[i : i + 1])["applied"].item()
            for i in range(BATCH)
        ]
        assert results == [1] * (BATCH - 1) + [applied]
        assert graph.run("apply", learning_rate=rate)["applied"].tolist() == [applied]
        assert np.array_equal(graph.run("save")["state"], state) == (not applied)
