"""Layer that crops each example."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings

__all__ = ["Crop"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class Crop(keras.layers.Layer):
    """Cuts a box out of each example, as `x[:, 1:5, :, 2:]` does; keeps nothing for the backward pass.

    Args:
        begin: start of the box along each axis except the batch; integers of 0 or more.
        size: size of the box along each axis except the batch; integers of 1 or more.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `begin` or `size` has other values, or their lengths differ; or, when the layer is built, if the
            box is not inside the input.

    Input shape:
        `(batch, ...)` with one static dimension for each dimension of the box.

    Output shape:
        `(batch, *size)`

    Example:
    >>> Crop((1, 0), (2, 8))(tf.ones([1, 4, 8])).shape
    TensorShape([1, 2, 8])
    """

    def __init__(self, begin: Sequence[int], size: Sequence[int], **kwargs) -> None:
        require_keras_settings()
        super().__init__(**kwargs)
        for name, numbers, least in (("begin", begin, 0), ("size", size, 1)):
            if not all(type(number) is int and number >= least for number in numbers):
                raise ValueError(f"{name} must be whole numbers from {least}, got {numbers!r}")
        if len(begin) != len(size):
            raise ValueError(f"begin and size must be as many numbers, got {begin!r} and {size!r}")
        self.begin, self.size = tuple(begin), tuple(size)
        self.input_spec = keras.InputSpec(ndim=1 + len(self.size))

    def build(self, input_shape: tuple) -> None:
        """Refuses a box that is not inside the input."""
        ends = [first + length for first, length in zip(self.begin, self.size, strict=True)]
        if any(whole is None or whole < end for whole, end in zip(input_shape[1:], ends, strict=True)):
            raise ValueError(f"{self.name} needs an input of known sizes of {tuple(ends)} or more, got {input_shape}")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the part of each example inside the box."""
        return ops.crop(inputs, self.begin, self.size)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the box."""
        return (input_shape[0], *self.size)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "begin": self.begin, "size": self.size}
