"""Splitting a weight into equal parts."""

import tensorflow as tf

__all__ = ["split_last"]


def split_last(x: tf.Tensor, parts: int) -> list[tf.Tensor]:
    """Splits a tensor into equal parts along its last axis; the gradient is the concatenation of the parts' gradients.

    The parts are slices: XNNPACK has no SPLIT into many parts, and a SPLIT keeps all parts in memory until the last one
    is used. Slice sizes are explicit, since XNNPACK does not accept -1. The gradient of TensorFlow's slice would be a
    sum of padded parts.

    Args:
        x: tensor whose last dimension is a multiple of `parts`.
        parts: number of parts.
    """
    x = tf.convert_to_tensor(x)
    rank, size = x.shape.rank, x.shape[-1] // parts

    @tf.custom_gradient
    def op(x):
        slices = [tf.slice(x, [0] * (rank - 1) + [i * size], [*x.shape[:-1], size]) for i in range(parts)]
        return slices, lambda *gradients: tf.concat(gradients, -1)

    return op(x)
