"""The product of squeeze-and-excitation, fused with the activation before it."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers.activation import require_activation

__all__ = ["Gate"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class Gate(keras.layers.Layer):
    """Returns `activation(x) * gates` for the inputs `[x, gates]`; keeps `x` and the gates (see `ops.gate`).

    The squeeze path should use `Activation(activation)(x)`. If that activation keeps its input, it keeps the same `x`.

    Args:
        activation: a key of `ops.ACTIVATIONS`, or `None` to only multiply.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        InputError: if a Keras setting is not supported.
        ValueError: if the activation is unknown; or if the gates are not one number for each channel of `x`.

    Input shape:
        `[(batch, ..., channels), (batch, 1, ..., 1, channels)]`, both of the same rank.

    Output shape:
        `(batch, ..., channels)`

    Example:
    >>> Gate("silu")([tf.ones([2, 8, 8, 16]), tf.ones([2, 1, 1, 16])]).shape
    TensorShape([2, 8, 8, 16])

    Reference:
        Squeeze-and-Excitation Networks (Hu et al., 2018), equation 4.
    """

    def __init__(self, activation: str | None = None, **kwargs) -> None:
        require_keras_settings()
        super().__init__(**kwargs)
        if activation is not None:
            require_activation(activation)
        self.activation = activation

    def build(self, input_shape: Sequence[tuple]) -> None:
        """Refuses gates that are not one number for each channel of each image."""
        x, gates = (tuple(shape) for shape in input_shape)
        expected = (*[1] * (len(x) - 2), x[-1])
        if gates[1:] != expected:
            raise ValueError(f"{self.name} needs gates of shape {(x[0], *expected)} for input {x}, got {gates}")

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the product, which has the shape of the first input."""
        x, gates = inputs
        return ops.gate(x, gates, ops.ACTIVATIONS[self.activation] if self.activation else None)

    def compute_output_shape(self, input_shape: Sequence[tuple]) -> tuple:
        """Returns the shape of the first input."""
        return tuple(input_shape[0])

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "activation": self.activation}
