"""Layer normalization with a chosen subset of its two vectors trained."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["LayerNorm"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class LayerNorm(SelectiveLayer):
    """Normalizes each row over the last axis; keeps the normalized input, see `ops.layer_norm`.

    The variables are those of `keras.layers.LayerNormalization` over the last axis, so pre-trained ones are copied as
    they are.

    Args:
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        train: variables to train, of `"gamma"` and `"beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4.

    Output shape:
        The same.

    Reference:
        Layer Normalization (Ba et al., 2016).
    """

    def __init__(self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(min_ndim=2, max_ndim=4)
        self.supports_masking = True
        self.epsilon = epsilon
        self.center = center
        self.scale = scale

    def build_variables(self, input_shape: tuple) -> None:
        """Creates gamma and beta, each of shape `(channels,)`, as far as the layer has them."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones") if self.scale else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.center else None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes `inputs`."""
        return ops.layer_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `input_shape`."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "epsilon": self.epsilon, "center": self.center, "scale": self.scale}
