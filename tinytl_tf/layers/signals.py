"""Treats one-dimensional signals as images with one row, since the ops take images."""

from collections.abc import Callable

import tensorflow as tf

__all__ = ["as_image", "on_images"]


def as_image(x: tf.Tensor) -> tf.Tensor:
    """Returns a signal `[batch, steps, channels]` as `[batch, 1, steps, channels]`; returns an image unchanged."""
    return x if x.shape.rank == 4 else tf.reshape(x, [-1, 1, *x.shape[1:]])


def on_images(op: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Applies an image op to images or signals. A signal is treated as an image with one row and one column per step.

    Args:
        op: function that maps a `[batch, height, width, channels]` tensor to another one of that rank.
        x: images `[batch, height, width, channels]` or signals `[batch, steps, channels]`; all dimensions except the
            batch are static.

    Returns:
        Output of `op`; for signals, without the row axis.
    """
    y = op(as_image(x))
    return y if x.shape.rank == 4 else tf.reshape(y, [-1, *y.shape[2:]])
