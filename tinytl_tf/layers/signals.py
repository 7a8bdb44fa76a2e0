"""Signals of one axis as images of one row, which the ops take."""

from collections.abc import Callable

import tensorflow as tf

__all__ = ["as_image", "on_images"]


def as_image(x: tf.Tensor) -> tf.Tensor:
    """Returns a signal `[batch, steps, channels]` as `[batch, 1, steps, channels]`, an image as it is."""
    return x if x.shape.rank == 4 else tf.reshape(x, [-1, 1, *x.shape[1:]])


def on_images(op: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Applies an op of images to images, or to signals, as images of one row with a column for each step.

    Args:
        op: from `[batch, height, width, channels]` to another such tensor.
        x: `[batch, height, width, channels]` or `[batch, steps, channels]`; all but the batch known.
    """
    y = op(as_image(x))
    return y if x.shape.rank == 4 else tf.reshape(y, [-1, *y.shape[2:]])
