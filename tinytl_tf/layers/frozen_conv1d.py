"""Convolution layer for signals with a frozen kernel and a trainable bias."""

import keras

from tinytl_tf.layers.frozen_conv2d import FrozenConv2D

__all__ = ["FrozenConv1D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenConv1D(FrozenConv2D):
    """`FrozenConv2D` for signals, for example of an accelerometer; the kernel has the shape of Keras' `Conv1D`.

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        **kwargs: the other arguments of `FrozenConv2D`, with one number instead of a pair. `padding` is `"same"`,
            `"valid"`, `"causal"`, which pads only before the signal, or `(before, after)`.

    Input shape:
        `(batch, steps, channels)` with static `steps`.

    Output shape:
        `(batch, new_steps, filters)`

    Example:
    >>> layer = FrozenConv1D(16, 5, strides=2, train=["norm/beta"])
    >>> layer(keras.Input((128, 3))).shape
    (None, 64, 16)
    """

    axes = 1
