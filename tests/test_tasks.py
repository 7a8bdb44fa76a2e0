import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tinytl_tf.data import ImageDataset
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult
from tinytl_tf.tasks import TASKS, Tally, get_task
from tinytl_tf.training.objectives import get_objective

RNG = np.random.default_rng(0)
LOGITS = np.concatenate([RNG.normal(size=(6, 5)) * 3, RNG.normal(size=(2, 5)) * 80]).astype(np.float32)
LABELS = {
    "classification": RNG.integers(0, 5, 8).astype(np.int32),
    "multilabel": RNG.integers(0, 2, (8, 5)).astype(np.float32),
    "regression": RNG.normal(size=(8, 5)).astype(np.float32),
}


@pytest.mark.parametrize("name", TASKS)
def test_numpy_and_tensorflow_agree(name):
    task, objective, labels = get_task(name), get_objective(name), LABELS[name]
    np.testing.assert_allclose(objective.loss(LOGITS, labels, 0.0), task.loss(LOGITS, labels), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(objective.correct(LOGITS, labels), task.correct(LOGITS, labels), rtol=1e-6)
    np.testing.assert_allclose(objective.probabilities(LOGITS), task.probabilities(LOGITS), rtol=1e-5, atol=1e-6)
    assert bool(objective.valid(labels, 5))


def test_losses_equal_those_of_tensorflow():
    labels = LABELS["classification"]
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, LOGITS)
    np.testing.assert_allclose(get_task("classification").loss(LOGITS, labels), expected, rtol=1e-5, atol=1e-6)
    labels = LABELS["multilabel"]
    expected = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, LOGITS), axis=1)
    np.testing.assert_allclose(get_task("multilabel").loss(LOGITS, labels), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradient_of_attributes_equals_autodiff(smoothing):
    logits, labels = tf.constant(LOGITS), LABELS["multilabel"]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        ours = get_objective("multilabel").loss(logits, labels, smoothing)
        target = labels * (1 - smoothing) + smoothing / 2
        theirs = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, logits), axis=1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(ours, logits), tape.gradient(theirs, logits), rtol=1e-5, atol=1e-7)


def test_an_attribute_counts_above_half_and_exactly_half_does_not():
    """In numpy, in the graph, and where a set is described; a logit of 0 is a probability of a half."""
    above = np.float32([1e-30, np.nextafter(np.float32(0.5), np.float32(1))])
    logits = np.float32([[0, 0, 0, -above[0], above[0], above[0], above[0], 0]])
    labels = np.float32([[0, 0.5, 1, 0.5, 0.5, above[1], 1, above[1]]])
    right = [1, 1, 0, 1, 0, 1, 1, 0]
    for kind in (get_task("multilabel"), get_objective("multilabel")):
        assert float(kind.correct(logits, labels)[0]) == np.mean(right)
        each = [float(kind.correct(logits[:, [place]], labels[:, [place]])[0]) for place in range(8)]
        assert each == right
    positives, hits, false_alarms = get_task("multilabel").count(logits, labels).T.tolist()
    assert positives == [0, 0, 1, 0, 0, 1, 1, 1]
    assert (hits, false_alarms) == ([0, 0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 0, 0, 0])
    dataset = ImageDataset("halves", "abcdefgh", labels, lambda index, short_side: np.zeros([1, 1, 3], np.uint8))
    assert dataset.describe() == "1 images of 8 attributes: a 0, b 0, c 1, d 0, e 0, f 1, g 1, h 1"


def test_of_equal_logits_the_first_is_the_answer():
    logits, labels = np.float32([[1, 3, 3, 0]] * 3), np.int32([1, 2, 0])
    for kind in (get_task("classification"), get_objective("classification")):
        assert np.asarray(kind.correct(logits, labels)).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("classification", [0, 1], "expected labels: integers [2], got list"),
        ("classification", np.array([0.0, 1.0]), "expected labels: integers [2], got float64 [2]"),
        ("classification", np.array([0, 5]), "expected labels from 0 to 4, got 5"),
        ("classification", np.array([0, -1]), "expected labels from 0 to 4, got -1"),
        ("multilabel", np.array([0, 1]), "expected labels: numbers [2, 5], got int64 [2]"),
        ("multilabel", np.full((2, 5), np.nan), "expected labels from 0 to 1 for each attribute, got nan"),
        ("multilabel", np.full((2, 5), 1.5), "expected labels from 0 to 1 for each attribute, got 1.5"),
        ("regression", np.array([0.5, 1]), "expected labels: numbers [2, 5], got float64 [2]"),
        ("regression", np.full((2, 5), -np.inf), "expected labels that are finite numbers, got -inf"),
    ],
)
def test_labels_out_of_place_are_refused(name, labels, message):
    with pytest.raises(InputError) as error:
        get_task(name).check_labels(labels, 2, 5)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("classification", [5]),
        ("classification", [-1]),
        ("multilabel", [[0, 0, 0, 0, 2.0]]),
        ("multilabel", [[np.nan] * 5]),
        ("regression", [[0, 0, 0, 0, np.inf]]),
        ("regression", [[0, np.nan, 0, 0, 0]]),
    ],
)
def test_the_graph_finds_labels_out_of_range(name, labels):
    assert not bool(get_objective(name).valid(tf.constant(labels, get_task(name).label_dtype), 5))


def test_an_unknown_task_is_refused():
    with pytest.raises(InputError) as error:
        get_task("sorting")
    assert str(error.value) == "unknown task 'sorting'; choose one of classification, multilabel, regression"


def test_the_loss_and_the_figures_of_a_regression_equal_those_of_keras():
    labels, logits = LABELS["regression"], LOGITS / 10
    with tf.GradientTape(persistent=True) as tape:
        watched = tf.constant(logits)
        tape.watch(watched)
        ours = get_objective("regression").loss(watched, labels, 0.0)
        theirs = keras.losses.mean_squared_error(labels, watched)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(ours, watched), tape.gradient(theirs, watched), rtol=1e-6)
    tally = Tally(get_task("regression"))
    for part in (slice(0, 3), slice(3, 8)):
        tally.add(logits[part], labels[part])
    result, r2 = tally.result(), keras.metrics.R2Score(class_aggregation=None)
    r2.update_state(labels, logits)
    np.testing.assert_allclose([figures.r2 for figures in result.classes], r2.result(), rtol=1e-4)
    errors = [figures.absolute_error for figures in result.classes]
    np.testing.assert_allclose(errors, np.abs(logits - labels).mean(0), rtol=1e-5)
    assert result.loss == pytest.approx(np.square(logits - labels).mean(), rel=1e-5)
    assert EvaluateResult.from_json(result.to_json()) == result
    assert result.summary() == f"{result.accuracy:.2%} (mean absolute error {np.mean(errors):.4g})"
    worst = int(np.argmax(errors))
    first = EvaluateResult(0.0, 0.0, 8, (result.classes[worst], dataclasses.replace(result.classes[0], variance=0.0)))
    assert first.describe(["worst", "same"]).splitlines()[1].endswith("R2 unknown")


def test_a_number_is_right_within_half_of_its_label():
    predicted, labels = np.float32([[0, 0.5, -0.5, 0.51, 3]]), np.float32([[0, 0, 0, 0, 2.5]])
    for kind in (get_task("regression"), get_objective("regression")):
        assert float(kind.correct(predicted, labels)[0]) == pytest.approx(0.8)
        np.testing.assert_array_equal(kind.probabilities(predicted), predicted)


def test_a_regression_has_no_label_smoothing():
    with pytest.raises(InputError, match="no label_smoothing for a regression, got 0.1"):
        get_objective("regression").loss(tf.zeros([1, 2]), tf.zeros([1, 2]), 0.1)
