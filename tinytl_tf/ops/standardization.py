"""Weight standardization with its exact gradient."""

import math
from collections.abc import Sequence

import tensorflow as tf

__all__ = ["standardize"]

_TINY = 1e-30  # a deviation of zero has a gradient of zero instead of 0 / 0


def standardize(kernel: tf.Tensor, epsilon: float = 1e-5, *, axes: Sequence[int] = (0, 1, 2)) -> tf.Tensor:
    """Returns `(kernel - mean) / (deviation + epsilon)`, with a mean and deviation for each output channel.

    As in TinyTL's released code, the variance is divided by the number of weights minus one, and epsilon is added to
    the standard deviation, not to the variance. Keeps the standardized kernel and two floats per output channel.

    Args:
        kernel: float tensor `[height, width, channels, filters]`.
        epsilon: small number added to the deviation.
        axes: axes that are summed for one output: `(0, 1, 2)`, or `(0, 1)` for a depthwise kernel
            `[height, width, channels, 1]`.

    Returns:
        Tensor with the shape and dtype of `kernel`.

    Raises:
        ValueError: if an output has only one weight, for which there is no deviation.

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
            # Gradient of the deviation; (deviation + epsilon) / deviation is close to 1 unless the kernel is constant.
            along *= (deviation + epsilon) / tf.maximum(deviation, _TINY) * (1.0 / freedom)
            return (dy - mean(dy) - standardized * along) / (deviation + epsilon)

        return standardized, grad

    return op(kernel)
