"""Layer normalization layer whose gamma and beta can be trained separately."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.norm import Norm

__all__ = ["LayerNorm"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class LayerNorm(Norm):
    """Normalizes over the last axis; keeps the normalized input (see `ops.layer_norm`).

    The variables are those of `keras.layers.LayerNormalization` over the last axis, so pre-trained values can be copied
    unchanged.

    Args:
        epsilon: small number added to the variance.
        center: whether the layer has a beta.
        scale: whether the layer has a gamma.
        gamma_initializer: initializer of gamma.
        train: variables to train: any of `"gamma"` and `"beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4.

    Output shape:
        Same as the input shape.

    Reference:
        Layer Normalization (Ba et al., 2016).
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes `inputs`."""
        return ops.layer_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)
