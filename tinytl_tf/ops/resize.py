"""Resizing: bilinear, with a gradient of two products with constant matrices, and nearest-neighbor upsampling."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tinytl_tf.ops.padding import as_pair

__all__ = ["resize_bilinear", "upsample_nearest"]


def resize_bilinear(x: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Resizes with half-pixel centers and no antialiasing, as `tf.image.resize` does.

    LiteRT has `RESIZE_BILINEAR` but not its gradient. Since the map is linear and separable, the gradient is computed
    as products with the transposed interpolation matrices of the two axes. Nothing is kept for the backward pass.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        size: new height and width.

    Returns:
        Tensor `[batch, size[0], size[1], channels]` with the dtype of `x`.
    """
    _, height, width, channels = x.shape
    if (height, width) == tuple(size):
        return x

    @tf.custom_gradient
    def op(x):
        def grad(dy):
            rows = tf.constant(_interpolation(height, size[0]), dy.dtype)
            columns = tf.constant(_interpolation(width, size[1]), dy.dtype)
            # The axis is moved to the end: outside XNNPACK, FULLY_CONNECTED is six times faster than BATCH_MATMUL.
            dx = tf.reshape(tf.transpose(dy, [0, 3, 1, 2]), [-1, size[1]])
            dx = tf.reshape(tf.matmul(dx, columns), [-1, channels, size[0], width])
            dx = tf.reshape(tf.transpose(dx, [0, 1, 3, 2]), [-1, size[0]])
            dx = tf.reshape(tf.matmul(dx, rows), [-1, channels, width, height])
            return tf.transpose(dx, [0, 3, 2, 1])

        return tf.cast(tf.image.resize(x, size, method="bilinear"), x.dtype), grad

    return op(x)


def upsample_nearest(x: tf.Tensor, size: int | Sequence[int] = 2) -> tf.Tensor:
    """Repeats each row and column; keeps nothing for the backward pass.

    ResizeNearestNeighborGrad is not a builtin operator of LiteRT. Here, the gradient of an input element is the sum of
    the gradients of its copies, computed by average pooling.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        size: number of copies of each row and column, one number or `(rows, columns)`.

    Returns:
        Tensor `[batch, height * rows, width * columns, channels]` with the dtype of `x`.
    """
    rows, columns = size = as_pair(size)
    _, height, width, _ = x.shape

    @tf.custom_gradient
    def op(x):
        y = tf.image.resize(x, [height * rows, width * columns], method="nearest")
        return y, lambda dy: tf.nn.avg_pool2d(dy, size, size, "VALID") * float(rows * columns)

    return op(x)


def _interpolation(old: int, new: int) -> np.ndarray:
    """Returns the matrix `[new, old]` that resamples `old` samples to `new` samples."""
    position = (np.arange(new) + 0.5) * old / new - 0.5
    position = np.clip(position, 0, old - 1)
    left = np.floor(position).astype(int)
    right = np.minimum(left + 1, old - 1)
    matrix = np.zeros([new, old])
    np.add.at(matrix, (np.arange(new), left), 1 - (position - left))
    np.add.at(matrix, (np.arange(new), right), position - left)
    return matrix
