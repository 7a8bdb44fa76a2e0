"""Convolution layer with a frozen kernel and a trainable bias."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import (
    checked_activation,
    checked_padding,
    checked_window,
    drop_fixed_arguments,
    require_known_size,
    require_positive_integers,
)
from tinytl_tf.layers.frozen_norm import FrozenNorm
from tinytl_tf.layers.selective_layer import SelectiveLayer
from tinytl_tf.layers.signals import on_images
from tinytl_tf.ops.padding import output_size

__all__ = ["FrozenConv2D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenConv2D(SelectiveLayer):
    """A pre-trained convolution combined with its norm; `norm/beta` is the bias that TinyTL trains.

    While gamma is frozen, the norm is folded exactly into the kernel and a bias, and no activation is kept for the
    backward pass. Any variable can be trained by name; the activations that its gradient needs are then kept. Without
    a norm, `bias` replaces `norm/beta`.

    Args:
        filters: number of output channels; `None` only in `FrozenDepthwiseConv2D`, which keeps the number of channels.
        kernel_size: height and width of the kernel, one number or a pair.
        strides: strides of the window, one number or a pair.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        epsilon: epsilon of the norm.
        dilation_rate: dilation rate of the kernel, one number or a pair; above 1 only if all strides are 1.
        groups: number of channel groups; must divide `filters` and the number of input channels.
        norm: whether a norm follows the convolution.
        use_bias: whether a bias follows the convolution; not allowed with a norm, whose beta is a bias.
        activation: one of `ops.ACTIVATIONS`, applied last, or `None`.
        train: variables to train: any of `"kernel"`, `"norm/gamma"` and `"norm/beta"`, or, without a norm, of
            `"kernel"` and `"bias"`.
        **kwargs: arguments of `keras.layers.Layer`. Other arguments of `keras.layers.Conv2D`, such as
            `data_format`, are accepted only with values that change nothing.

    Raises:
        ValueError: if the value of an argument is not allowed; the message names the argument.

    Input shape:
        `(batch, height, width, channels)` with static height and width.

    Output shape:
        `(batch, new_height, new_width, filters)`

    Example:
        >>> layer = FrozenConv2D(16, 3, train=["norm/beta"], name="conv")
        >>> layer(tf.ones([1, 8, 8, 3])).shape
        TensorShape([1, 8, 8, 16])
        >>> [variable.path for variable in layer.trainable_variables]
        ['conv/norm/beta']
        >>> layer = FrozenConv2D(16, (1, 7), norm=False, use_bias=True, activation="relu", train=["bias"], name="wide")
        >>> layer(tf.ones([1, 8, 8, 3])).shape
        TensorShape([1, 8, 8, 16])
        >>> [variable.path for variable in layer.variables]
        ['wide/kernel', 'wide/bias']

    Reference:
        TinyTL, section 3.1.
    """

    axes = 2  # number of axes that the window moves along

    def __init__(
        self,
        filters: int | None,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str | Sequence[Sequence[int]] = "same",
        epsilon: float = 1e-3,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        norm: bool = True,
        use_bias: bool = False,
        activation: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**drop_fixed_arguments(kwargs))
        self.input_spec = keras.InputSpec(ndim=self.axes + 2)
        if filters is not None:
            require_positive_integers(filters=filters)
        require_positive_integers(groups=groups)
        if filters is not None and filters % groups:
            raise ValueError(f"groups must divide filters, got {groups} groups and {filters} filters")
        if norm and use_bias:
            raise ValueError("use_bias must be False with a norm, whose beta is a bias; or give norm=False")
        self.filters = filters
        self.kernel_size = checked_window("kernel_size", kernel_size, self.axes)
        self.strides = checked_window("strides", strides, self.axes)
        self.padding = checked_padding(padding, self.axes)
        self.epsilon = epsilon
        self.dilation_rate = checked_window("dilation_rate", dilation_rate, self.axes)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"dilation_rate must be 1 where strides are {self.strides}, got {self.dilation_rate}")
        self.groups = groups
        self.norm = FrozenNorm(epsilon=epsilon, name="norm", dtype=self.dtype_policy) if norm else None
        self.use_bias = use_bias
        self.activation = checked_activation(activation)
        self.bias = None

    def build_variables(self, input_shape: tuple) -> None:
        """Creates the kernel and the bias, or builds the norm."""
        require_known_size(self.name, input_shape)
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"groups must divide the input's channels in {self.name}, got {self.groups} groups of {input_shape[-1]}"
            )
        shape = self.kernel_shape(input_shape[-1])
        output_shape = self.compute_output_shape(input_shape)
        # He initialization by the number of inputs of one output. For a depthwise kernel, Keras would count the inputs
        # of all channels.
        stddev = (2 / self.inputs_of_one_output(shape)) ** 0.5
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=keras.initializers.TruncatedNormal(stddev=stddev)
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=output_shape[-1:], initializer="zeros")
        if self.norm:
            self.norm.build(output_shape)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns the shape of the kernel for inputs of `channels` channels."""
        return (*self.kernel_size, channels // self.groups, self.filters)

    def inputs_of_one_output(self, kernel_shape: tuple[int, ...]) -> int:
        """Returns the number of products that are summed for one output."""
        return math.prod(kernel_shape[:-1])

    def folded_kernel(self, scale: tf.Tensor) -> tf.Tensor:
        """Returns the kernel times the scale of each output channel."""
        return self.kernel * scale

    def folded(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the kernel and the bias, or `None` for no bias, of the convolution with the norm folded in."""
        if self.norm:
            scale, shift = self.norm.scale_and_shift()
            return self.folded_kernel(scale), shift
        return tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias) if self.use_bias else None

    def convolve(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves images, without norm, bias or activation."""
        options = {"groups": self.groups, "train_kernel": self.kernel.trainable, **self._window_of_images()}
        return ops.conv2d(inputs, self._kernel_of_images(kernel), **options)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves and normalizes, then applies the activation; while gamma is frozen, the norm is folded in."""
        outputs = on_images(self._call_on_images, inputs)
        return ops.ACTIVATIONS[self.activation](outputs) if self.activation else outputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape; a dimension that is `None` in the input shape stays `None`."""
        window = self._window_of_images()
        size = output_size(
            window["padding"],
            self._of_images(tuple(input_shape[1:-1])),
            self._of_images(self.kernel_size),
            window["strides"],
            window["dilation"],
        )
        return (input_shape[0], *size[-self.axes :], self.filters)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "epsilon": self.epsilon,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "norm": self.norm is not None,
            "use_bias": self.use_bias,
            "activation": self.activation,
        }

    def _call_on_images(self, images: tf.Tensor) -> tf.Tensor:
        if self.norm and self.norm.gamma.trainable:
            return self.norm(self.convolve(images, tf.convert_to_tensor(self.kernel)))
        kernel, bias = self.folded()
        outputs = self.convolve(images, kernel)
        return outputs if bias is None else ops.affine(outputs, bias)

    def _window_of_images(self) -> dict:
        padding = self.padding
        if padding == "causal":
            padding = ((self.kernel_size[0] - 1) * self.dilation_rate[0], 0)
        if self.axes == 1 and not isinstance(padding, str):
            padding = ((0, 0), padding)
        return {
            "strides": self._of_images(self.strides),
            "padding": padding,
            "dilation": self._of_images(self.dilation_rate),
        }

    def _kernel_of_images(self, kernel: tf.Tensor) -> tf.Tensor:
        return kernel if self.axes == 2 else tf.expand_dims(kernel, 0)

    def _of_images(self, sizes: tuple) -> tuple:
        """Converts sizes to those of images; a signal is treated as an image with one row."""
        return (1,) * (2 - self.axes) + sizes
