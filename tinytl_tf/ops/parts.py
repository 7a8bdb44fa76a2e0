"""Equal parts of a weight."""

import tensorflow as tf

__all__ = ["split_last"]


def split_last(x: tf.Tensor, parts: int) -> list[tf.Tensor]:
    """Cuts a tensor into equal parts along its last axis; the gradient is their concatenation.

    As slices: XNNPACK has no SPLIT into many parts, and a SPLIT keeps all of its parts in memory until the last is
    used. With sizes written out, since XNNPACK takes no -1. The gradient of TensorFlow's slice would be a sum of padded
    parts.

    Args:
        x: tensor with a multiple of `parts` elements along the last axis.
        parts: number of parts.
    """
    x = tf.convert_to_tensor(x)
    rank, size = x.shape.rank, x.shape[-1] // parts

    @tf.custom_gradient
    def op(x):
        slices = [tf.slice(x, [0] * (rank - 1) + [i * size], [*x.shape[:-1], size]) for i in range(parts)]
        return slices, lambda *gradients: tf.concat(gradients, -1)

    return op(x)
