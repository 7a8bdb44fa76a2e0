"""Upsamples the output gradient of a strided convolution to that of a convolution without stride."""

from collections.abc import Sequence

import tensorflow as tf

from tinytl_tf.ops.padding import Pads

__all__ = ["upsample_with_zeros"]


def upsample_with_zeros(
    dy: tf.Tensor, input_size: Sequence[int], kernel_size: Sequence[int], strides: Sequence[int], pads: Pads
) -> tuple[tf.Tensor, Pads]:
    """Inserts zeros between the rows and columns of an output gradient along axes with a stride above 1.

    The input gradient of a convolution is the convolution of the result with the flipped kernel, without stride and
    with the returned pads.

    Args:
        dy: output gradient `[batch, out_height, out_width, channels]`.
        input_size: height and width of the convolution's input.
        kernel_size: height and width of its kernel, including dilation (see `extent_of`).
        strides: strides of the convolution, `(rows, columns)`.
        pads: padding of the convolution, `((top, bottom), (left, right))`.

    Returns:
        The upsampled gradient and the pads for its convolution.
    """
    before = [length - 1 - pad[0] for length, pad in zip(kernel_size, pads, strict=True)]
    # Zeros before a row replace padding: SAME then fits inputs of even size without a padded copy of the gradient.
    first = [
        min(max(rows - length // 2, 0), stride - 1)
        for rows, length, stride in zip(before, kernel_size, strides, strict=True)
    ]
    dy = _insert_zeros(dy, strides, first)
    sizes = zip(before, first, input_size, kernel_size, dy.shape[1:3], strict=True)
    return dy, tuple(
        (rows - zeros, target + length - 1 - (rows - zeros) - height) for rows, zeros, target, length, height in sizes
    )


def _insert_zeros(dy: tf.Tensor, strides: Sequence[int], first: Sequence[int]) -> tf.Tensor:
    """Inserts `stride - 1` zeros around each row and column, `first` of them before it and the rest after it.

    Uses reshapes and PAD at rank 2, since `tf.stack` with zeros would be folded into megabytes of constants.
    """
    _, height, width, channels = dy.shape
    (down, across), (top, left) = strides, first
    row = width * across * channels
    spread = dy
    if across > 1:
        spread = tf.reshape(spread, [-1, channels])
        spread = tf.pad(spread, [[0, 0], [left * channels, (across - 1 - left) * channels]])
    if down > 1:
        spread = tf.reshape(spread, [-1, row])
        spread = tf.pad(spread, [[0, 0], [top * row, (down - 1 - top) * row]])
    return dy if spread is dy else tf.reshape(spread, [-1, height * down, width * across, channels])
