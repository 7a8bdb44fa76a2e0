"""Files whose images have several attributes each: trained as TensorFlow does, and what they refuse."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests import tiny_network
from tests.export.conftest import LABEL_SMOOTHING, SMALL_PROFILES
from tinytl_tf.export.build import build_file
from tinytl_tf.export.operator_audit import minimum_runtime
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model

STEPS, CLASSES, RATE = 6, len(tiny_network.LABELS), 0.05


def photos(batch_size):
    images, labels = tiny_network.photos(STEPS, batch_size)
    # Every image has the attribute of its tint, and the next one too where it is odd; one label is half true.
    attributes = np.eye(CLASSES, dtype=np.float32)[labels]
    attributes += np.roll(attributes, 1, axis=-1) * (labels % 2)[..., None]
    attributes[0, 0, 0] = 0.5
    return images, attributes


@pytest.fixture(scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 4])
def case(request):
    """Batch size and the content of a file."""
    model = tiny_network.build("tinytl-lb")
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer("sgd"),
        batch_size=request.param,
        task="multilabel",
        label_smoothing=LABEL_SMOOTHING,
        profile=SMALL_PROFILES["balanced"],
    )
    return request.param, build_file(module)[0]


@pytest.fixture(params=[True, pytest.param(False, marks=pytest.mark.thorough)], ids=["xnnpack", "without_xnnpack"])
def runners(request, case):
    kind = OpResolverType.BUILTIN if request.param else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=case[1], experimental_op_resolver_type=kind, num_threads=1)
    return {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}


def eager(batch_size):
    """Losses, accuracies and the state at the end, by TensorFlow's own loss and gradients."""
    model = tiny_network.build("tinytl-lb")
    variables = state_order(model.trainable_variables)
    losses, accuracies = [], []
    for images, labels in zip(*photos(batch_size), strict=True):
        target = labels * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 2
        with tf.GradientTape() as tape:
            logits = model(tf.cast(images, tf.float32), training=False)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, logits))
        for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
            variable.assign(variable - RATE * gradient)
        losses.append(float(loss))
        accuracies.append(np.mean((logits.numpy() > 0) == (labels > 0.5)))
    return losses, accuracies, np.concatenate([variable.numpy().ravel() for variable in variables]), model


def test_trains_as_tensorflow_does(case, runners):
    batch_size, content = case
    losses, accuracies, state, model = eager(batch_size)
    start = runners["save"]()["state"]
    for images, labels, loss, accuracy in zip(*photos(batch_size), losses, accuracies, strict=True):
        outputs = runners["train"](image=images, label=labels, learning_rate=np.float32([RATE]))
        assert outputs["applied"].tolist() == [1]
        np.testing.assert_allclose(outputs["loss"], [loss], rtol=1e-4)
        np.testing.assert_allclose(outputs["accuracy"], [accuracy], atol=1e-6)
    assert np.linalg.norm(state - start) > 0.05
    update = runners["save"]()["state"] - start
    assert np.linalg.norm(update - (state - start)) <= 1e-2 * np.linalg.norm(state - start)
    image = photos(batch_size)[0][0, :1]
    logits = model(image.astype(np.float32), training=False).numpy()
    answer = runners["infer"](image=image)
    np.testing.assert_allclose(answer["logits"], logits, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(answer["probabilities"], 1 / (1 + np.exp(-answer["logits"])), rtol=1e-5)
    assert minimum_runtime(Model.from_bytes(content)) == "2.6.0"


@pytest.mark.parametrize("label", [-0.1, 1.1, np.nan, np.inf])
def test_labels_out_of_range_change_nothing(case, runners, label):
    images, labels = (array[0] for array in photos(case[0]))
    state = runners["save"]()["state"]
    labels[-1, -1] = label
    assert runners["train"](image=images, label=labels, learning_rate=np.float32([RATE]))["applied"].tolist() == [0]
    np.testing.assert_array_equal(runners["save"]()["state"], state)
