"""Cropping with a gradient of builtin operators."""

from collections.abc import Sequence

import tensorflow as tf

__all__ = ["crop"]


def crop(x: tf.Tensor, begin: Sequence[int], size: Sequence[int]) -> tf.Tensor:
    """Cuts a box out of each example; keeps nothing for the backward pass.

    `StridedSliceGrad`, the gradient of `x[:, 1:]`, is not a builtin operator of LiteRT. Here, the gradient pads with
    zeros.

    Args:
        x: tensor `[batch, ...]`; all dimensions except the batch are static.
        begin: start of the box along each axis except the batch.
        size: size of the box along each axis except the batch.

    Returns:
        Tensor `[batch, *size]` with the dtype of `x`.

    Example:
        >>> crop(tf.constant([[[1.0], [2.0], [3.0]]]), [1, 0], [2, 1]).numpy().tolist()
        [[[2.0], [3.0]]]
    """
    x = tf.convert_to_tensor(x)
    ends = [whole - first - length for whole, first, length in zip(x.shape[1:], begin, size, strict=True)]
    pads = [[0, 0], *map(list, zip(begin, ends, strict=True))]

    @tf.custom_gradient
    def op(x):
        # XNNPACK does not accept a size of -1. The batch size is always static in a file.
        batch = -1 if x.shape[0] is None else x.shape[0]
        return tf.slice(x, [0, *begin], [batch, *size]), lambda dy: tf.pad(dy, pads)

    return op(x)
