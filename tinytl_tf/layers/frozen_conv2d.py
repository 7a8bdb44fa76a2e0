"""Convolution with a frozen kernel and a trainable bias."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import require_known_size, require_padding, require_positive_integers
from tinytl_tf.layers.frozen_norm import FrozenNorm
from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["FrozenConv2D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenConv2D(SelectiveLayer):
    """A pre-trained convolution and its norm in one; `norm/beta` is the bias that TinyTL trains.

    While gamma is frozen, the norm is folded exactly into the kernel and a bias, and backward keeps no activation.
    Everything can be trained by name; then backward keeps what that needs.

    Args:
        filters: number of output channels; `None` in `FrozenDepthwiseConv2D`, which has those of its input.
        kernel_size: height and width of the kernel.
        strides: step of the window in both directions.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        epsilon: epsilon of the norm.
        train: variables to train, of `"kernel"`, `"norm/gamma"` and `"norm/beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, height and width known.

    Output shape:
        `(batch, new_height, new_width, filters)`

    Example:
    >>> layer = FrozenConv2D(16, 3, train=["norm/beta"], name="conv")
    >>> layer(tf.ones([1, 8, 8, 3])).shape
    TensorShape([1, 8, 8, 16])
    >>> [variable.path for variable in layer.trainable_variables]
    ['conv/norm/beta']

    Reference:
        TinyTL, section 3.1.
    """

    kernel_axes = 3  # how many of the kernel's axes one output sums over

    def __init__(
        self,
        filters: int | None,
        kernel_size: int,
        strides: int = 1,
        padding: str | Sequence[Sequence[int]] = "same",
        epsilon: float = 1e-3,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        require_positive_integers(kernel_size=kernel_size, strides=strides)
        if filters is not None:
            require_positive_integers(filters=filters)
        require_padding(padding)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.norm = FrozenNorm(epsilon=epsilon, name="norm", dtype=self.dtype_policy)

    def build_variables(self, input_shape: tuple) -> None:
        """Creates the kernel and builds the norm."""
        require_known_size(self.name, input_shape)
        shape = self.kernel_shape(input_shape[-1])
        # He's rule by the inputs of one output; Keras would count those of all channels of a depthwise kernel.
        stddev = (2 / math.prod(shape[: self.kernel_axes])) ** 0.5
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=keras.initializers.TruncatedNormal(stddev=stddev)
        )
        self.norm.build(self.compute_output_shape(input_shape))

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns the shape of the kernel for inputs of `channels` channels."""
        return (self.kernel_size, self.kernel_size, channels, self.filters)

    def folded_kernel(self, scale: tf.Tensor) -> tf.Tensor:
        """Returns the kernel times the scale of each output channel."""
        return self.kernel * scale

    def folded(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns kernel and bias of the one convolution that does the work of kernel and norm."""
        scale, shift = self.norm.scale_and_shift()
        return self.folded_kernel(scale), shift

    def convolve(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves without norm or bias."""
        return ops.conv2d(
            inputs, kernel, strides=self.strides, padding=self.padding, train_kernel=self.kernel.trainable
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves, then normalizes: in one operator and a bias while gamma is frozen."""
        if self.norm.gamma.trainable:
            return self.norm(self.convolve(inputs, tf.convert_to_tensor(self.kernel)))
        kernel, bias = self.folded()
        return ops.affine(self.convolve(inputs, kernel), bias)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the output."""
        size, kernel = input_shape[1:3], (self.kernel_size, self.kernel_size)
        pads = ops.resolve_padding(self.padding, size, kernel, self.strides)
        height, width = (
            (length + sum(pad) - self.kernel_size) // self.strides + 1 for length, pad in zip(size, pads, strict=True)
        )
        return (input_shape[0], height, width, self.filters)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "epsilon": self.norm.epsilon,
        }
