"""Weight standardization with its exact gradient."""

import math
from collections.abc import Sequence

import tensorflow as tf

__all__ = ["standardize"]

_TINY = 1e-30  # a deviation of zero has a gradient of zero, not of 0 / 0


def standardize(kernel: tf.Tensor, epsilon: float = 1e-5, *, axes: Sequence[int] = (0, 1, 2)) -> tf.Tensor:
    """Returns `(kernel - mean) / (deviation + epsilon)`, with mean and deviation of each output channel.

    The deviation divides by the number of weights less one, and epsilon is added to it and not to the variance, as in
    the released code of TinyTL. Keeps the standardized kernel and two floats an output channel.

    Args:
        kernel: float tensor `[height, width, channels, filters]`.
        epsilon: added to the deviation.
        axes: axes that one output sums over: `(0, 1, 2)`, or `(0, 1)` for a depthwise kernel
            `[height, width, channels, 1]`.

    Returns:
        Tensor of the shape and dtype of `kernel`.

    Raises:
        ValueError: if an output sums over a single weight, which has no deviation.

    Reference:
        Micro-Batch Training with Batch-Channel Normalization and Weight Standardization (Qiao et al., 2019), equations
        4 to 6; TinyTL's released code.
    """
    axes = list(axes)
    kernel = tf.convert_to_tensor(kernel)
    freedom = math.prod(kernel.shape[axis] for axis in axes) - 1
    if freedom < 1:
        raise ValueError(f"standardize needs two weights or more for each output, got a kernel {tuple(kernel.shape)}")

    def mean(tensor):
        return tf.reduce_mean(tensor, axes, keepdims=True)

    @tf.custom_gradient
    def op(kernel):
        centered = kernel - mean(kernel)
        deviation = tf.sqrt(tf.reduce_sum(centered * centered, axes, keepdims=True) * (1.0 / freedom))
        standardized = centered / (deviation + epsilon)

        def grad(dy):
            along = tf.reduce_sum(dy * standardized, axes, keepdims=True)
            # Of the deviation: (deviation + epsilon) / deviation is next to one for all but a constant kernel.
            along *= (deviation + epsilon) / tf.maximum(deviation, _TINY) * (1.0 / freedom)
            return (dy - mean(dy) - standardized * along) / (deviation + epsilon)

        return standardized, grad

    return op(kernel)
