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
from tinytl_tf.layers.parted_kernel import PartedKernel
from tinytl_tf.layers.selective_layer import SelectiveLayer
from tinytl_tf.layers.signals import on_images
from tinytl_tf.ops.padding import output_size

__all__ = ["FrozenConv2D"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenConv2D(PartedKernel, SelectiveLayer):
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
        kernel_share: share of the output channels, 1, 1/2, 1/4 or 1/8, that the variable `kernel` has. Below 1, the
            variable `kernel_rest` has the other channels; train `kernel` to train the first channels only.
        kept_bits: bits for each element of the input that a trained kernel's gradient keeps, 32 or 8.
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
        kernel_share: float = 1.0,
        kept_bits: int = 32,
        **kwargs,
    ) -> None:
        super().__init__(kernel_share=kernel_share, kept_bits=kept_bits, **drop_fixed_arguments(kwargs))
        self.input_spec = keras.InputSpec(ndim=self.axes + 2)
        if filters is not None:
            require_positive_integers(filters=filters)
        require_positive_integers(groups=groups)
        if filters is not None and filters % groups:
            raise ValueError(f"groups must divide filters, got {groups} groups and {filters} filters")
        if groups > 1 and (kernel_share, kept_bits) != (1, 32):
            raise ValueError(
                f"kernel_share must be 1 and kept_bits 32 with groups, got {kernel_share}, {kept_bits} and {groups} "
                "groups"
            )
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
        self.add_kernel(shape, keras.initializers.TruncatedNormal(stddev=stddev))
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

    def scaled_kernel(self, kernel: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Returns a kernel times the scale of each output channel."""
        return kernel * scale

    def folded(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the kernel and the bias, or `None` for no bias, of the convolution with the norm folded in."""
        scale, bias = self._scale_and_bias()
        kernel = self.whole_kernel()
        return kernel if scale is None else self.scaled_kernel(kernel, scale), bias

    def convolve(self, inputs: tf.Tensor, kernel: tf.Tensor, *, train_kernel: bool = False) -> tf.Tensor:
        """Convolves images, without norm, bias or activation; see `ops.conv2d` for `train_kernel`."""
        options = {"groups": self.groups, "train_kernel": train_kernel, "kept_bits": self.kept_bits}
        return ops.conv2d(inputs, self._kernel_of_images(kernel), **options, **self._window_of_images())

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
        trains_scale = self.norm and self.norm.gamma.trainable
        scale, bias = (None, None) if trains_scale else self._scale_and_bias()

        def convolve(kernel: tf.Tensor, scale: tf.Tensor | None, train_kernel: bool) -> tf.Tensor:
            kernel = kernel if scale is None else self.scaled_kernel(kernel, scale)
            return self.convolve(images, kernel, train_kernel=train_kernel)

        outputs = self.join_parts(convolve, scale)
        if trains_scale:
            return self.norm(outputs)
        return outputs if bias is None else ops.affine(outputs, bias)

    def _scale_and_bias(self) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        if self.norm:
            return self.norm.scale_and_shift()
        return None, tf.convert_to_tensor(self.bias) if self.use_bias else None

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
