"""Activations that keep one byte, or nothing, of each element they can."""

import tensorflow as tf

__all__ = ["ACTIVATIONS", "hard_swish", "relu", "relu6"]


def _masked(dy: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Zero where the mask is false. A product: selects are slow in TensorFlow and run outside XNNPACK in LiteRT."""
    return dy * tf.cast(mask, dy.dtype)


@tf.custom_gradient
def relu(x: tf.Tensor) -> tf.Tensor:
    """`max(x, 0)` of any shape; keeps a boolean mask, where TensorFlow keeps the whole output.

    Reference:
        TinyTL, table 1.
    """
    y = tf.nn.relu(x)
    mask = y > 0
    return y, lambda dy: _masked(dy, mask)


@tf.custom_gradient
def relu6(x: tf.Tensor) -> tf.Tensor:
    """`min(max(x, 0), 6)` of any shape; keeps a boolean mask.

    The mask is one comparison of the output, `|y - 3| < 3`: comparisons run outside XNNPACK and two of them cost as
    much as the convolutions of the backward pass. Rounding puts inputs between 0 and 1e-7 on the side of zero.

    Reference:
        TinyTL, table 1.
    """
    y = tf.nn.relu6(x)
    mask = tf.abs(y - 3.0) < 3.0
    return y, lambda dy: _masked(dy, mask)


@tf.custom_gradient
def hard_swish(x: tf.Tensor) -> tf.Tensor:
    """`x * relu6(x + 3) / 6` of any shape; keeps its input, which the derivative is a function of.

    The derivative is `relu6(x + 3) / 6 + x / 6` between -3 and 3, 0 below and 1 above.

    Reference:
        TinyTL, table 1.
    """

    def grad(dy):
        inside = tf.where(tf.abs(x) < 3.0, x, tf.zeros([], x.dtype))
        return dy * (tf.nn.relu6(x + 3.0) + inside) / 6.0

    return x * tf.nn.relu6(x + 3.0) / 6.0, grad


ACTIVATIONS = {"relu": relu, "relu6": relu6, "hard_swish": hard_swish}
