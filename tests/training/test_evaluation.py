import keras
import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf import data
from tinytl_tf.errors import InputError
from tinytl_tf.figures import ClassFigures
from tinytl_tf.training import Experiment, evaluate, make_evaluate
from tinytl_tf.training import evaluation as module


@pytest.fixture
def model(config):
    config.scheme = "last"
    return Experiment(config).build_model(len(tiny.CLASSES))[0]


def test_accuracy_and_loss_without_smoothing_or_dropout(model, shapes, monkeypatch):
    dataset = data.load(shapes).test
    images, labels = next(data.eval_batches(dataset, batch_size=len(dataset), image_size=tiny.SIDE))
    logits = np.array(model(images.astype(np.float32), training=False), np.float64)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    for batch_size in (32, 4):  # the last batch of 4 has 1 image of the 9
        monkeypatch.setattr(module, "BATCH_SIZE", batch_size)
        result = evaluate(model, dataset)
        assert result.loss == pytest.approx(losses.mean(), rel=1e-5)
        assert (result.accuracy, result.examples) == (np.mean(logits.argmax(1) == labels), len(dataset))
        assert result.classes == tuple(
            ClassFigures(int((labels == label).sum()), int(((logits.argmax(1) == label) & (labels == label)).sum()))
            for label in range(len(tiny.CLASSES))
        )


def test_many_evaluations_trace_the_model_once(model, shapes, monkeypatch):
    traces, call = [], type(model).call

    def counted(*args, **kwargs):
        traces.append(1)
        return call(*args, **kwargs)

    monkeypatch.setattr(type(model), "call", counted)
    monkeypatch.setattr(module, "BATCH_SIZE", 4)
    splits, test = data.load(shapes), make_evaluate(model)
    assert test(splits.test) == test(splits.test) != test(splits.train)
    assert len(traces) == 1


def network(*shapes, output=keras.layers.GlobalAveragePooling2D):
    inputs = [keras.Input(shape) for shape in shapes]
    outputs = [output()(image) for image in inputs]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], sum(outputs[1:], outputs[0]))


FOREIGN = {
    "not built": (
        lambda: keras.Sequential([keras.layers.Dense(3)]),
        "Sequential from unknown shapes to unknown shapes",
    ),
    "unknown size": (lambda: network((None, None, 3)), "Functional from (None, None, None, 3) to (None, 3)"),
    "gray": (lambda: network((8, 8, 1)), "Functional from (None, 8, 8, 1) to (None, 1)"),
    "maps": (
        lambda: network((8, 8, 3), output=keras.layers.ReLU),
        "Functional from (None, 8, 8, 3) to (None, 8, 8, 3)",
    ),
    "two images": (
        lambda: network((8, 8, 3), (8, 8, 3)),
        "Functional from [(None, 8, 8, 3), (None, 8, 8, 3)] to (None, 3)",
    ),
    "no model": (lambda: abs, "builtin_function_or_method from unknown shapes to unknown shapes"),
}


@pytest.mark.parametrize(("make", "got"), FOREIGN.values(), ids=FOREIGN)
def test_models_of_another_shape_are_refused_in_one_line(make, got):
    with pytest.raises(InputError) as error:
        make_evaluate(make())
    assert str(error.value) == (
        "expected a built model from images (batch, height, width, 3) of a known size to logits (batch, classes), got "
        f"{got}; build it with such a keras.Input"
    )
