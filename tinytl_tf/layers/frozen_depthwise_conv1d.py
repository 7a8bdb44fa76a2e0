"""Depthwise convolution layer for signals with a frozen kernel and a trainable bias."""

import keras

from tinytl_tf.layers.frozen_depthwise_conv2d import FrozenDepthwiseConv2D

__all__ = ["FrozenDepthwiseConv1D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenDepthwiseConv1D(FrozenDepthwiseConv2D):
    """`FrozenDepthwiseConv2D` for signals; the kernel has the shape of Keras' `DepthwiseConv1D`.

    Args:
        kernel_size: length of the kernel.
        **kwargs: the other arguments of `FrozenDepthwiseConv2D`, with one number instead of a pair. `padding` is
            `"same"`, `"valid"`, `"causal"`, which pads only before the signal, or `(before, after)`.

    Input shape:
        `(batch, steps, channels)` with static `steps`.

    Output shape:
        `(batch, new_steps, channels)`

    Example:
    >>> layer = FrozenDepthwiseConv1D(5, strides=2, train=["norm/beta"])
    >>> layer(keras.Input((128, 3))).shape
    (None, 64, 3)
    """

    axes = 1
