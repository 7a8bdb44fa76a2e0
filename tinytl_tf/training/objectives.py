"""The tasks of `tinytl_tf.tasks` in TensorFlow, for the training loop and exported files."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.errors import InputError
from tinytl_tf.tasks import RIGHT_WITHIN, get_task

__all__ = ["Objective", "get_objective"]


@dataclasses.dataclass(frozen=True)
class Objective:
    """The functions of a task; each lowers, with its gradient, to builtin operators of LiteRT.

    Attributes:
        loss: `(logits, labels, label_smoothing) -> float32 [batch]`.
        correct: `(logits, labels) -> float32 [batch]`, accuracy of each example, 0 to 1.
        probabilities: `logits -> float32 [batch, classes]`; for a regression the logits, which are the predictions.
        valid: `(labels, classes) -> bool []`, whether every label is in range.
    """

    loss: Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]
    correct: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    probabilities: Callable[[tf.Tensor], tf.Tensor]
    valid: Callable[[tf.Tensor, int], tf.Tensor]


def get_objective(task: str) -> Objective:
    """Returns the functions of the task called `task`.

    Raises:
        InputError: If there is no such task.
    """
    return _OBJECTIVES[get_task(task).name]


def _one_class(logits, labels):
    return tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == labels, tf.float32)


def _attributes(logits, labels):
    return tf.reduce_mean(tf.cast((logits > 0) == (labels > 0.5), tf.float32), axis=1)


def _squared_error(predictions, labels, label_smoothing):
    if label_smoothing:
        raise InputError(f"expected no label_smoothing for a regression, got {label_smoothing}; give 0")
    difference = predictions - labels
    return tf.reduce_mean(difference * difference, axis=1)


def _predictions(logits):
    # A separate tensor: LiteRT's CompiledModel loses one of two outputs that are the same tensor.
    return tf.maximum(logits, tf.float32.min)


def _within(predictions, labels):
    return tf.reduce_mean(tf.cast(tf.abs(predictions - labels) <= RIGHT_WITHIN, tf.float32), axis=1)


_OBJECTIVES = {
    "classification": Objective(
        loss=lambda logits, labels, label_smoothing: ops.softmax_cross_entropy(
            logits, labels, label_smoothing=label_smoothing
        ),
        correct=_one_class,
        probabilities=tf.nn.softmax,
        valid=lambda labels, classes: tf.reduce_all((labels >= 0) & (labels < classes)),
    ),
    "multilabel": Objective(
        loss=lambda logits, labels, label_smoothing: ops.sigmoid_cross_entropy(
            logits, labels, label_smoothing=label_smoothing
        ),
        correct=_attributes,
        probabilities=tf.sigmoid,
        valid=lambda labels, classes: tf.reduce_all((labels >= 0.0) & (labels <= 1.0)),
    ),
    "regression": Objective(
        loss=_squared_error,
        correct=_within,
        probabilities=_predictions,
        valid=lambda labels, classes: tf.reduce_all(tf.abs(labels) <= tf.float32.max),
    ),
}
