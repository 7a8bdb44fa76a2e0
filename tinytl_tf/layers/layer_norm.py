"""Layer normalization with a chosen subset of its two vectors trained."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.norm import Norm

__all__ = ["LayerNorm"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class LayerNorm(Norm):
    """Normalizes each row over the last axis; keeps the normalized input, see `ops.layer_norm`.

    The variables are the same as in `keras.layers.LayerNormalization` over the last axis, so pre-trained ones are
    copied unchanged.

    Args:
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        gamma_initializer: of gamma.
        train: variables to train, of `"gamma"` and `"beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4.

    Output shape:
        The same.

    Reference:
        Layer Normalization (Ba et al., 2016).
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes `inputs`."""
        return ops.layer_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)
