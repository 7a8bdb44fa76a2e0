"""One step of training: gradients of the chosen variables only."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import rate_factor
from tinytl_tf.training.objectives import get_objective
from tinytl_tf.training.optimizers import follow_rate_factors

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
    strategy: tf.distribute.Strategy | None = None,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a compiled function that takes one optimizer step.

    The tape watches `variables` and nothing else, so that what is frozen is neither differentiated nor kept.

    Args:
        model: maps images `[batch, height, width, 3]` of 0 to 255 to logits `[batch, classes]`.
        variables: the variables to train, each at the multiple of the learning rate that `apply_scheme` gave it.
        optimizer: is built for these variables here.
        task: a key of `tinytl_tf.tasks.TASKS`, which says what the loss and the accuracy are.
        label_smoothing: of the loss.
        weight_decay: a step shrinks each kernel by this times its own learning rate; vectors are spared.
        clip_norm: a gradient that is longer, all variables together, is scaled to this length; 0 for none.
        training: whether dropout is on.
        strategy: devices that share the work, None for one device; model and optimizer were made in its scope. A step
            then takes each device's part of the batch, all parts of one size.

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
    strategy = strategy or tf.distribute.get_strategy()
    devices = strategy.num_replicas_in_sync
    with strategy.scope():
        optimizer.build(list(variables))
    follow_rate_factors(optimizer)
    watched = [variable.value for variable in variables]
    kernels = [variable for variable in variables if len(variable.shape) > 1] if weight_decay else []

    def differentiate(images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            logits = model(tf.cast(images, tf.float32), training=training)
            loss = tf.reduce_mean(objective.loss(logits, labels, label_smoothing))
        return [*tape.gradient(loss, watched), loss, tf.reduce_mean(objective.correct(logits, labels))]

    def shrink(strategy, rate):
        for kernel in kernels:
            own = rate * rate_factor(kernel)
            strategy.extended.update(
                kernel.value, lambda value, rate: value.assign_sub(rate * value), (own,), group=False
            )

    def take(images, labels, learning_rate):
        *gradients, loss, accuracy = _mean(differentiate(images, labels), devices)
        norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
        optimizer.learning_rate.assign(learning_rate)
        tf.distribute.get_replica_context().merge_call(shrink, args=(learning_rate * weight_decay,))
        # Keras adds up the devices' gradients, which are one and the same by now.
        optimizer.apply([gradient / devices for gradient in gradients] if devices > 1 else gradients)
        return {"loss": loss, "accuracy": accuracy, "gradient_norm": norm}

    @tf.function(reduce_retracing=True)
    def step(images, labels, learning_rate):
        if devices == 1:
            return take(images, labels, learning_rate)
        metrics = strategy.run(take, args=(images, labels, learning_rate))
        return {key: strategy.experimental_local_results(value)[0] for key, value in metrics.items()}

    def step_of_all(images, labels, learning_rate):
        with strategy.scope():
            return step(images, labels, learning_rate)

    return step if devices == 1 else step_of_all


def _mean(tensors: Sequence[tf.Tensor], devices: int) -> list[tf.Tensor]:
    """The mean over the devices, in one piece: a small tensor takes as long to send as a large one."""
    if devices == 1:
        return list(tensors)
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
    flat = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, flat)
    parts = tf.split(flat, [tensor.shape.num_elements() for tensor in tensors])
    return [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
