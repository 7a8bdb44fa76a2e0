"""Depthwise convolution layer with a frozen kernel and a trainable bias."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.frozen_conv2d import FrozenConv2D

__all__ = ["FrozenDepthwiseConv2D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenDepthwiseConv2D(FrozenConv2D):
    """`FrozenConv2D` with one kernel for each channel.

    Args:
        kernel_size: height and width of the kernel, one number or a pair.
        strides: strides of the window, one number or a pair.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        **kwargs: the other arguments of `FrozenConv2D`, except `filters`, `groups`, `kernel_share` and `kept_bits`. The
            number of filters is the number of input channels.

    Input shape:
        `(batch, height, width, channels)` with static height and width.

    Output shape:
        `(batch, new_height, new_width, channels)`
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str | Sequence[Sequence[int]] = "same",
        **kwargs,
    ) -> None:
        if "groups" in kwargs:
            raise ValueError("groups must not be given: a depthwise convolution has one for each channel")
        for name in ("kernel_share", "kept_bits"):
            if name in kwargs:
                raise ValueError(f"{name} must not be given: a depthwise kernel is trained as a whole")
        super().__init__(filters=None, kernel_size=kernel_size, strides=strides, padding=padding, **kwargs)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns the shape of the kernel for inputs of `channels` channels."""
        return (*self.kernel_size, channels, 1)

    def inputs_of_one_output(self, kernel_shape: tuple[int, ...]) -> int:
        """Returns the number of products that are summed for one output."""
        return math.prod(kernel_shape[:-2])

    def scaled_kernel(self, kernel: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Returns a kernel times the scale of each channel."""
        return kernel * scale[:, None]

    def convolve(self, inputs: tf.Tensor, kernel: tf.Tensor, *, train_kernel: bool = False) -> tf.Tensor:
        """Convolves images, without norm, bias or activation; see `ops.depthwise_conv2d` for `train_kernel`."""
        options = {"train_kernel": train_kernel, **self._window_of_images()}
        return ops.depthwise_conv2d(inputs, self._kernel_of_images(kernel), **options)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape; a height or width that is `None` in the input shape stays `None`."""
        return (*super().compute_output_shape(input_shape)[:-1], input_shape[-1])

    def get_config(self) -> dict:
        """Returns the configuration."""
        config = super().get_config()
        for name in ("filters", "groups", "kernel_share", "kept_bits"):
            del config[name]
        return config
