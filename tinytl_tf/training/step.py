"""One step of training: gradients of the chosen variables only."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.training.objectives import get_objective

__all__ = ["make_train_step"]


def make_train_step(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
    *,
    task: str = "classification",
    label_smoothing: float = 0.0,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    training: bool = True,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a compiled function that takes one optimizer step.

    The tape watches `variables` and nothing else, so that what is frozen is neither differentiated nor kept.

    Args:
        model: maps images `[batch, height, width, 3]` of 0 to 255 to logits `[batch, classes]`.
        variables: the variables to train.
        optimizer: is built for these variables here.
        task: a key of `tinytl_tf.tasks.TASKS`, which says what the loss and the accuracy are.
        label_smoothing: of the loss.
        weight_decay: a step shrinks each kernel by this times its learning rate; vectors are spared.
        clip_norm: a gradient that is longer, all variables together, is scaled to this length; 0 for none.
        training: whether dropout is on.

    Returns:
        `step(images, labels, learning_rate)` with uint8 `[batch, height, width, 3]`, the labels of the task and a
        float32 number, which returns scalars: the mean `loss`, `accuracy` and `gradient_norm`, before it is clipped.

    Raises:
        InputError: if there are no variables, so that nothing would be trained, or no such task.
    """
    if not variables:
        raise InputError(
            "expected variables to train, got none; build the model for its images and apply a scheme to it first"
        )
    objective = get_objective(task)
    optimizer.build(list(variables))
    watched = [variable.value for variable in variables]
    kernels = [variable for variable in watched if variable.shape.rank > 1] if weight_decay else []

    @tf.function(reduce_retracing=True)
    def step(images, labels, learning_rate):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            logits = model(tf.cast(images, tf.float32), training=training)
            loss = tf.reduce_mean(objective.loss(logits, labels, label_smoothing))
        gradients = tape.gradient(loss, watched)
        norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
        optimizer.learning_rate.assign(learning_rate)
        for kernel in kernels:
            kernel.assign_sub(learning_rate * weight_decay * kernel)
        optimizer.apply(gradients)
        return {
            "loss": loss,
            "accuracy": tf.reduce_mean(objective.correct(logits, labels)),
            "gradient_norm": norm,
        }

    return step
