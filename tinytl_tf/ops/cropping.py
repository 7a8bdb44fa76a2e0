"""A part of a tensor."""

from collections.abc import Sequence

import tensorflow as tf

__all__ = ["crop"]


def crop(x: tf.Tensor, begin: Sequence[int], size: Sequence[int]) -> tf.Tensor:
    """Cuts a box out of each example; keeps nothing for backward.

    StridedSliceGrad, the gradient of `x[:, 1:]`, is not a builtin. The gradient of a box is a pad with zeros.

    Args:
        x: tensor `[batch, ...]`; all sizes but the batch known.
        begin: where the box begins along each axis but the batch.
        size: its size along each axis but the batch.

    Returns:
        Tensor `[batch, *size]` of the dtype of `x`.

    Example:
        >>> crop(tf.constant([[[1.0], [2.0], [3.0]]]), [1, 0], [2, 1]).numpy().tolist()
        [[[2.0], [3.0]]]
    """
    x = tf.convert_to_tensor(x)
    ends = [whole - first - length for whole, first, length in zip(x.shape[1:], begin, size, strict=True)]
    pads = [[0, 0], *map(list, zip(begin, ends, strict=True))]

    @tf.custom_gradient
    def op(x):
        # XNNPACK does not accept a size of -1; a file has no unknown batch size.
        batch = -1 if x.shape[0] is None else x.shape[0]
        return tf.slice(x, [0, *begin], [batch, *size]), lambda dy: tf.pad(dy, pads)

    return op(x)
