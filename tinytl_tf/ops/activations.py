"""Activations that keep a mask, or nothing, of each element they can."""

import tensorflow as tf

from tinytl_tf.ops.masks import keep_mask

__all__ = ["ACTIVATIONS", "hard_swish", "relu", "relu6"]


@tf.custom_gradient
def relu(x: tf.Tensor) -> tf.Tensor:
    """`max(x, 0)` of any shape; keeps a mask, see `mask_storage`, where TensorFlow keeps the whole output.

    Reference:
        TinyTL, table 1.
    """
    y = tf.nn.relu(x)
    return y, keep_mask(y, None)


@tf.custom_gradient
def relu6(x: tf.Tensor) -> tf.Tensor:
    """`min(max(x, 0), 6)` of any shape; keeps a mask, see `mask_storage`.

    Reference:
        TinyTL, table 1.
    """
    y = tf.nn.relu6(x)
    return y, keep_mask(y, 6.0)


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
