"""Mean over height and width."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers.arguments import require_known_size

__all__ = ["GlobalAveragePooling"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class GlobalAveragePooling(keras.layers.Layer):
    """Mean over height and width, with a gradient made of builtin operators.

    Input shape:
        `(batch, height, width, channels)`, height and width known.

    Output shape:
        `(batch, channels)`
    """

    def __init__(self, **kwargs) -> None:
        require_keras_settings()
        super().__init__(**kwargs)

    def build(self, input_shape: tuple) -> None:
        """Refuses images of unknown size, which have no gradient here."""
        require_known_size(self.name, input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the mean of each channel."""
        return ops.global_average_pool(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(batch, channels)`."""
        return (input_shape[0], input_shape[-1])
