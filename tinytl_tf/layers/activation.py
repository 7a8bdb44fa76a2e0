"""Activation that keeps a mask instead of a tensor."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings

__all__ = ["Activation"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class Activation(keras.layers.Layer):
    """Applies one of `ops.ACTIVATIONS`, which keep the least that their backward needs.

    Args:
        activation: `"relu"`, `"relu6"` or `"hard_swish"`.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, activation: str, **kwargs) -> None:
        require_keras_settings()
        super().__init__(**kwargs)
        if activation not in ops.ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ops.ACTIVATIONS)}, got {activation!r}")
        self.activation = activation

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the activation of `inputs`, of the same shape."""
        return ops.ACTIVATIONS[self.activation](inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `input_shape`."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "activation": self.activation}
