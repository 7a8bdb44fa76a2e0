"""Average pooling layer."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.window_pooling import WindowPooling

__all__ = ["AveragePooling"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class AveragePooling(WindowPooling):
    """Computes the mean of each window with `ops.average_pool`, which keeps nothing for the backward pass.

    Takes the arguments of Keras' `AveragePooling2D` for images, and those of `AveragePooling1D` for signals.

    Args:
        pool_size: size of the window, one number or one for each axis.
        strides: strides of the window, one number or one for each axis; `None` for the size of the window.
        padding: `"same"` or `"valid"`.
        **kwargs: arguments of `keras.layers.Layer`; `data_format` is accepted if it is `"channels_last"`.

    Input shape:
        `(batch, height, width, channels)` or `(batch, steps, channels)`; all dimensions except the batch are static.

    Output shape:
        `(batch, new_height, new_width, channels)` or `(batch, new_steps, channels)`

    Example:
    >>> AveragePooling(3, strides=2, padding="same")(tf.ones([1, 9, 8, 4])).shape
    TensorShape([1, 5, 4, 4])
    >>> AveragePooling(2)(tf.ones([1, 128, 3])).shape
    TensorShape([1, 64, 3])
    """

    def pool(self, images: tf.Tensor, size: tuple, strides: tuple, padding: str) -> tf.Tensor:
        """Pools images `[batch, height, width, channels]`."""
        return ops.average_pool(images, size, strides, padding)
