"""Layer that upsamples images by integer factors."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers.arguments import checked_window, drop_fixed_arguments, require_known_size

__all__ = ["Upsampling"]

_INTERPOLATIONS = ("bilinear", "nearest")


@keras.saving.register_keras_serializable(package="tinytl_tf")
class Upsampling(keras.layers.Layer):
    """Enlarges images as `keras.layers.UpSampling2D` does; keeps nothing for the backward pass.

    Args:
        size: factors for height and width, one number or a pair.
        interpolation: `"nearest"` or `"bilinear"`.
        **kwargs: arguments of `keras.layers.Layer`; `data_format` is accepted if it is `"channels_last"`.

    Raises:
        ValueError: if the value of an argument is not allowed; the message names the argument.

    Input shape:
        `(batch, height, width, channels)` with static height and width.

    Output shape:
        `(batch, height * size[0], width * size[1], channels)`

    Example:
    >>> Upsampling((2, 3))(tf.ones([1, 4, 4, 8])).shape
    TensorShape([1, 8, 12, 8])
    """

    def __init__(self, size: int | Sequence[int] = 2, interpolation: str = "nearest", **kwargs) -> None:
        require_keras_settings()
        super().__init__(**drop_fixed_arguments(kwargs))
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {list(_INTERPOLATIONS)}, got {interpolation!r}")
        self.input_spec = keras.InputSpec(ndim=4)
        self.size = checked_window("size", size, 2)
        self.interpolation = interpolation

    def build(self, input_shape: tuple) -> None:
        """Refuses images without a static size, which the gradient needs."""
        require_known_size(self.name, input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the enlarged images."""
        if self.interpolation == "nearest":
            return ops.upsample_nearest(inputs, self.size)
        return ops.resize_bilinear(inputs, self.compute_output_shape(inputs.shape)[1:3])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape; a height or width that is `None` in the input shape stays `None`."""
        size = (None if length is None else length * n for length, n in zip(input_shape[1:3], self.size, strict=True))
        return (input_shape[0], *size, input_shape[-1])

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "size": self.size, "interpolation": self.interpolation}
