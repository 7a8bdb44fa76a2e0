"""One step of training: gradients of the chosen variables only."""

import functools
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import rate_factor
from tinytl_tf.training.objectives import get_objective
from tinytl_tf.training.optimizers import follow_rate_factors
from tinytl_tf.training.precision import LOSS_SCALE, computing_in
from tinytl_tf.training.teacher import Teacher, feature_distance, with_features

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
    precision: str = "float32",
    teacher: Teacher | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a compiled function that takes one optimizer step.

    The tape watches only `variables`: frozen variables get no gradients, and nothing is kept for them for the backward
    pass.

    Args:
        model: model from images `[batch, height, width, 3]` with values from 0 to 255 to logits `[batch, classes]`.
        variables: the variables to train, each at the multiple of the learning rate that `apply_scheme` assigned to it.
        optimizer: the optimizer, which is built for these variables.
        task: a key of `tinytl_tf.tasks.TASKS`, which determines the loss and the accuracy.
        label_smoothing: label smoothing of the loss.
        weight_decay: each step shrinks each kernel by this factor times the kernel's own learning rate; vectors are not
            affected.
        clip_norm: maximum norm of the gradient over all variables, to which a longer gradient is scaled; 0 for no
            clipping.
        training: whether dropout is on.
        precision: dtype of the layers: `"float32"`, or `"mixed_bfloat16"` or `"mixed_float16"` for all but the logits;
            the variables and their gradients are float32. With float16, the loss is scaled before the backward pass,
            and a step whose gradients still leave its range is repeated in float32, with the same dropout.
        teacher: teacher whose features the model learns to match; None to learn from labels only. With a teacher, a
            step takes images at the teacher's resolution and reduces them for the model, and the metrics include
            `feature_distance`.
        strategy: devices that share the work; None for one device. Create the model and the optimizer in its scope. A
            step then takes each device's part of the batch; all parts have the same size.

    Returns:
        A function `step(images, labels, learning_rate)`, which takes images, uint8 `[batch, height, width, 3]`, the
        labels of the task and a float32 number. It returns scalars: the mean `loss` and `accuracy`, and the
        `gradient_norm` before clipping.

    Raises:
        InputError: if there are no variables, so that nothing would be trained; or if there is no such task.
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
    draws = training and precision == "mixed_float16"
    seeds = [layer.seed_generator.state for layer in model.layers if _drops(layer)] if draws else []
    kernels = [variable for variable in variables if len(variable.shape) > 1] if weight_decay else []

    learner = with_features(model) if teacher else model
    names = ("loss", "accuracy", "feature_distance") if teacher else ("loss", "accuracy")

    def metrics_of(images, labels, precision):
        images, target = tf.cast(images, tf.float32), None
        if teacher:
            images, target = teacher.reduced(images), teacher.features(images, precision)
        with computing_in(model, precision):
            outputs = learner(images, training=training)
        logits = outputs[-1] if teacher else outputs
        loss = tf.reduce_mean(objective.loss(logits, labels, label_smoothing))
        accuracy = tf.reduce_mean(objective.correct(logits, labels))
        if not teacher:
            return loss, accuracy
        distance = tf.reduce_mean(feature_distance(outputs[0], target))
        return (1 - teacher.share) * loss + teacher.share * distance, accuracy, distance

    def differentiate_in(precision, scale, images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            loss, *others = metrics_of(images, labels, precision)
            scaled = loss * scale if scale > 1 else loss
        gradients = tape.gradient(scaled, watched)
        if scale > 1:
            gradients = [gradient / scale for gradient in gradients]
        return [*gradients, loss, *others]

    def differentiate(images, labels):
        if precision != "mixed_float16":
            return differentiate_in(precision, 1, images, labels)
        drawn = [tf.identity(seed.value) for seed in seeds]
        results = differentiate_in(precision, LOSS_SCALE, images, labels)

        def again():
            for seed, value in zip(seeds, drawn, strict=True):
                seed.assign(value)
            return differentiate_in("float32", 1, images, labels)

        is_finite = tf.math.is_finite(tf.linalg.global_norm(results))
        return tf.cond(is_finite, lambda: results, again)

    def shrink(strategy, rate):
        for kernel in kernels:
            own = functools.partial(_shrink, factor=rate_factor(kernel))
            strategy.extended.update(kernel.value, own, (rate,), group=False)

    def take(images, labels, learning_rate):
        results = _mean(differentiate(images, labels), devices)
        gradients, metrics = results[: len(watched)], dict(zip(names, results[len(watched) :], strict=True))
        norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
        optimizer.learning_rate.assign(learning_rate)
        tf.distribute.get_replica_context().merge_call(shrink, args=(learning_rate * weight_decay,))
        # Keras adds up the devices' gradients, which are identical by now.
        optimizer.apply([gradient / devices for gradient in gradients] if devices > 1 else gradients)
        return metrics | {"gradient_norm": norm}

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


def _shrink(value: tf.Variable, rate: tf.Tensor, factor: float) -> None:
    value.assign_sub((rate if factor == 1 else rate * factor) * value)


def _drops(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Dropout) and layer.rate > 0


def _mean(tensors: Sequence[tf.Tensor], devices: int) -> list[tf.Tensor]:
    """Returns the means over the devices, sent as one tensor: a small tensor takes as long to send as a large one."""
    if devices == 1:
        return list(tensors)
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
    flat = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, flat)
    parts = tf.split(flat, [tensor.shape.num_elements() for tensor in tensors])
    return [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
