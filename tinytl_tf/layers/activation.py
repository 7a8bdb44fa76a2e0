"""Activation layer that keeps as little as possible for the backward pass."""

import functools

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings

__all__ = ["Activation"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class Activation(keras.layers.Layer):
    """Applies one of `ops.ACTIVATIONS`, which keep a mask or one tensor for the backward pass.

    Args:
        activation: a key of `ops.ACTIVATIONS`, for example `"relu6"` or `"silu"`.
        negative_slope: slope of `"leaky_relu"` below zero. The default is 0.2, as in `keras.activations.leaky_relu`;
            `keras.layers.LeakyReLU` uses 0.3. Must be `None` for all other activations.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        InputError: if a Keras setting is not supported.
        ValueError: if the activation is unknown; or if it has no slope to set.

    Input shape:
        Any.

    Output shape:
        Same as the input shape.
    """

    def __init__(self, activation: str, negative_slope: float | None = None, **kwargs) -> None:
        require_keras_settings()
        super().__init__(**kwargs)
        require_activation(activation)
        if negative_slope is not None and activation != "leaky_relu":
            raise ValueError(f"negative_slope belongs to 'leaky_relu', got {negative_slope!r} for {activation!r}")
        self.supports_masking = True
        self.activation = activation
        self.negative_slope = negative_slope

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the activation of `inputs`, with the same shape."""
        op = ops.ACTIVATIONS[self.activation]
        if self.negative_slope is not None:
            op = functools.partial(op, negative_slope=self.negative_slope)
        return op(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `input_shape`."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "activation": self.activation, "negative_slope": self.negative_slope}


def require_activation(activation: str) -> None:
    """Raises `ValueError` unless `activation` is a key of `ops.ACTIVATIONS`."""
    if activation not in ops.ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ops.ACTIVATIONS)}, got {activation!r}")
