"""Group normalization with a chosen subset of its two vectors trained."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import require_known_size
from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["GroupNorm"]

MAX_CHANNELS_PER_GROUP = 8


@keras.saving.register_keras_serializable(package="tinytl_tf")
class GroupNorm(SelectiveLayer):
    """Normalises each image over space and over groups of channels; batch size 1 trains like any other.

    The groups are those of TinyTL: as many channels each as the largest divisor of the channels up to 8.

    Args:
        epsilon: added to the variance.
        gamma_initializer: initializer of the scale; `"zeros"` lets a residual branch start as exact zero.
        train: variables to train, of `"gamma"` and `"beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, height and width known.

    Output shape:
        The same.

    Reference:
        TinyTL's released code: batch norms become group norms of 8 channels, epsilon 1e-3.
    """

    def __init__(self, epsilon: float = 1e-3, gamma_initializer="ones", **kwargs) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build_variables(self, input_shape: tuple) -> None:
        """Creates gamma and beta, each of shape `(channels,)`."""
        require_known_size(self.name, input_shape)
        channels = input_shape[-1]
        size = max(divisor for divisor in range(1, MAX_CHANNELS_PER_GROUP + 1) if channels % divisor == 0)
        self.groups = channels // size
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer=self.gamma_initializer)
        self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises `inputs`."""
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return ops.group_norm(inputs, gamma, beta, groups=self.groups, epsilon=self.epsilon)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `input_shape`."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }
