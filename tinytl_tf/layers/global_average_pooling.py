"""Global average pooling layer."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers.arguments import drop_fixed_arguments, require_known_size
from tinytl_tf.layers.signals import as_image, on_images

__all__ = ["GlobalAveragePooling"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class GlobalAveragePooling(keras.layers.Layer):
    """Computes the mean over height and width of images, or over the steps of signals.

    The gradient uses only builtin operators of LiteRT.

    Args:
        keepdims: whether the reduced axes are kept with length 1.
        **kwargs: arguments of `keras.layers.Layer`; `data_format` is accepted if it is `"channels_last"`.

    Input shape:
        `(batch, height, width, channels)` or `(batch, steps, channels)`; all dimensions except the batch are static.

    Output shape:
        `(batch, channels)`; with `keepdims`, `(batch, 1, 1, channels)` or `(batch, 1, channels)`.
    """

    def __init__(self, keepdims: bool = False, **kwargs) -> None:
        require_keras_settings()
        super().__init__(**drop_fixed_arguments(kwargs))
        self.input_spec = keras.InputSpec(min_ndim=3, max_ndim=4)
        self.keepdims = keepdims

    def build(self, input_shape: tuple) -> None:
        """Refuses inputs without a static size, which the gradient needs."""
        require_known_size(self.name, input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the mean of each channel."""
        if self.keepdims:
            return on_images(lambda images: ops.global_average_pool(images, keepdims=True), inputs)
        return ops.global_average_pool(as_image(inputs))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape."""
        ones = (1,) * (len(input_shape) - 2) if self.keepdims else ()
        return (input_shape[0], *ones, input_shape[-1])

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "keepdims": self.keepdims}
