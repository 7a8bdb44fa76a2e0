"""Default optimizer, loss and metrics for a network that the user does not compile."""

from typing import Any

import keras

from tinytl_tf.tasks import get_task

__all__ = ["OPTIMIZER_NAME", "compile_arguments"]

OPTIMIZER_NAME = "adam_of_the_scheme"  # identifies the default optimizer, so that a user's own optimizer is kept

_LOSSES = {
    "classification": lambda: (
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        [keras.metrics.SparseCategoricalAccuracy("accuracy")],
    ),
    "multilabel": lambda: (
        keras.losses.BinaryCrossentropy(from_logits=True),
        [keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)],
    ),
    "regression": lambda: (keras.losses.MeanSquaredError(), [keras.metrics.MeanAbsoluteError("mae")]),
}


def compile_arguments(task: str, learning_rate: float) -> dict[str, Any]:
    """Returns arguments for `keras.Model.compile`: Adam, the task's loss on logits, and a metric.

    Args:
        task: a key of `tinytl_tf.tasks.TASKS`.
        learning_rate: learning rate of Adam.

    Raises:
        InputError: if the task does not exist.

    Example:
        >>> compile_arguments("regression", 1e-3)["metrics"][0].name
        'mae'
    """
    loss, metrics = _LOSSES[get_task(task).name]()
    optimizer = keras.optimizers.Adam(learning_rate, name=OPTIMIZER_NAME)
    return {"optimizer": optimizer, "loss": loss, "metrics": metrics}
