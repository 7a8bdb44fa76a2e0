"""Part of the layers of which only a share of the kernel's output channels may be trained."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tinytl_tf.networks.kernel_options import KERNEL_REST, KernelOptions, first_filters

__all__ = ["PartedKernel"]


class PartedKernel:
    """A layer whose kernel is one variable, or two: its first output channels, and the rest.

    The trained channels need their own variable, since states, optimizer slots and sums of gradients have the shape of
    whole variables, and since the other channels can then be stored as int8.

    Args:
        kernel_share: share of the output channels that the variable `kernel` has, 1, 1/2, 1/4 or 1/8. The variable
            `kernel_rest` has the other channels.
        kept_bits: bits for each element of the input that a trained kernel's gradient keeps, 32 or 8.
        **kwargs: arguments of the other base class.

    Raises:
        InputError: if a value is not allowed.
    """

    def __init__(self, *, kernel_share: float = 1.0, kept_bits: int = 32, **kwargs) -> None:
        super().__init__(**kwargs)
        KernelOptions(kernel_share, kept_bits)  # checks them
        self.kernel_share = kernel_share
        self.kept_bits = kept_bits
        self.kernel = self.kernel_rest = None

    def add_kernel(self, shape: tuple[int, ...], initializer: keras.initializers.Initializer) -> None:
        """Creates the variables of a kernel `[..., filters]`."""
        *window, filters = shape
        first = filters if self.kernel_share == 1 else first_filters(filters, self.kernel_share)
        self.kernel = self.add_weight(name="kernel", shape=(*window, first), initializer=initializer)
        if first < filters:
            self.kernel_rest = self.add_weight(
                name=KERNEL_REST, shape=(*window, filters - first), initializer=initializer
            )

    @property
    def trains_kernel(self) -> bool:
        """Whether the kernel or a part of it is trained."""
        return any(variable.trainable for variable in self._parts())

    def whole_kernel(self) -> tf.Tensor:
        """Returns the kernel of all output channels."""
        parts = [tf.convert_to_tensor(variable) for variable in self._parts()]
        return parts[0] if len(parts) == 1 else tf.concat(parts, -1)

    def join_parts(
        self, function: Callable[[tf.Tensor, tf.Tensor | None, bool], tf.Tensor], scale: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the layer's output: the outputs of a function for each part of the kernel, side by side.

        Args:
            function: function of a part of the kernel, its scales, and whether the part is trained.
            scale: scale of each output channel, or `None`.
        """
        if self.kernel_rest is None:
            return function(tf.convert_to_tensor(self.kernel), scale, self.kernel.trainable)
        outputs, begin = [], 0
        for variable in self._parts():
            end = begin + variable.shape[-1]
            own_scale = None if scale is None else scale[begin:end]
            outputs.append(function(tf.convert_to_tensor(variable), own_scale, variable.trainable))
            begin = end
        return tf.concat(outputs, -1)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "kernel_share": self.kernel_share, "kept_bits": self.kept_bits}

    def _parts(self) -> tuple[keras.Variable, ...]:
        return (self.kernel,) if self.kernel_rest is None else (self.kernel, self.kernel_rest)
