"""Depthwise convolution with a frozen kernel and a trainable bias."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.frozen_conv2d import FrozenConv2D

__all__ = ["FrozenDepthwiseConv2D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenDepthwiseConv2D(FrozenConv2D):
    """`FrozenConv2D` with one kernel for each channel.

    Args:
        kernel_size: height and width of the kernel.
        **kwargs: the other arguments of `FrozenConv2D`; there are as many filters as input channels.

    Input shape:
        `(batch, height, width, channels)`, height and width known.

    Output shape:
        `(batch, new_height, new_width, channels)`
    """

    kernel_axes = 2

    def __init__(self, kernel_size: int, **kwargs) -> None:
        super().__init__(filters=None, kernel_size=kernel_size, **kwargs)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns the shape of the kernel for inputs of `channels` channels."""
        return (self.kernel_size, self.kernel_size, channels, 1)

    def folded_kernel(self, scale: tf.Tensor) -> tf.Tensor:
        """Returns the kernel times the scale of each channel."""
        return self.kernel * scale[:, None]

    def convolve(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves without norm or bias."""
        return ops.depthwise_conv2d(
            inputs, kernel, strides=self.strides, padding=self.padding, train_kernel=self.kernel.trainable
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the output."""
        return (*super().compute_output_shape(input_shape)[:3], input_shape[-1])

    def get_config(self) -> dict:
        """Returns the configuration."""
        config = super().get_config()
        del config["filters"]
        return config
