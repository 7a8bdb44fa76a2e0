"""The optimizers of the exported file, as functions that compute new values from gradients."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from tinytl_tf.optimizers import Optimizer

__all__ = ["update"]


def update(
    optimizer: Optimizer,
    value: tf.Tensor,
    gradient: tf.Tensor,
    slots: Sequence[tf.Tensor],
    step: tf.Tensor,
    learning_rate: tf.Tensor,
) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    """Computes one optimizer step for one variable.

    Args:
        optimizer: a row of `tinytl_tf.optimizers.OPTIMIZERS`.
        value: the variable, float32.
        gradient: gradient of the loss, with the same shape.
        slots: one tensor for each name in `optimizer.slots`, with the same shape; zeros for the first step.
        step: number of the step, float32, counted from 1.
        learning_rate: learning rate, float32.

    Returns:
        The new value and the new slots.
    """
    return _RULES[optimizer.name](optimizer, value, gradient, slots, step, learning_rate)


def _sgd(optimizer, value, gradient, slots, step, learning_rate):
    return value - learning_rate * gradient, ()


def _momentum(optimizer, value, gradient, slots, step, learning_rate):
    velocity = optimizer.momentum * slots[0] - learning_rate * gradient
    return value + velocity, (velocity,)


def _adam(optimizer, value, gradient, slots, step, learning_rate):
    first = slots[0] + (gradient - slots[0]) * (1 - optimizer.beta_1)
    second = slots[1] + (gradient * gradient - slots[1]) * (1 - optimizer.beta_2)
    rate = learning_rate * tf.sqrt(1 - _power(optimizer.beta_2, step)) / (1 - _power(optimizer.beta_1, step))
    return value - rate * first / (tf.sqrt(second) + optimizer.epsilon), (first, second)


def _power(base, exponent):
    """Returns `base**exponent` without `tf.pow`, which TensorFlow Lite Micro does not support."""
    return tf.exp(exponent * math.log(base))


_RULES: dict[str, Callable] = {"sgd": _sgd, "momentum": _momentum, "adam": _adam}
