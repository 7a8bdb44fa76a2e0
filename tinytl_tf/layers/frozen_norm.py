"""Batch normalization with constant statistics."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.norm import Norm

__all__ = ["FrozenNorm"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenNorm(Norm):
    """Normalizes with fixed statistics, an affine map of each channel: `(x - mean) / sqrt(var + eps) * gamma + beta`.

    The variables are those of `keras.layers.BatchNormalization`, so pre-trained values can be copied unchanged. The
    statistics never change. Therefore images do not depend on each other, batch size 1 trains like any other, and with
    a frozen gamma nothing is kept for the backward pass.

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
        TinyTL trains only beta, the bias of equation 2. It uses group normalization; with frozen statistics instead,
        nothing is stored for the backward pass.
    """

    def build_variables(self, input_shape: tuple) -> None:
        """Creates gamma and beta, if the layer has them, and the two statistics; all have shape `(channels,)`."""
        super().build_variables(input_shape)
        shape = (input_shape[-1],)
        self.moving_mean = self.add_weight(name="moving_mean", shape=shape, initializer="zeros", trainable=False)
        self.moving_variance = self.add_weight(name="moving_variance", shape=shape, initializer="ones", trainable=False)

    def scale_and_shift(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the affine map `x * scale + shift` as two vectors, to be folded into a convolution."""
        scale = tf.math.rsqrt(self.moving_variance + self.epsilon)
        if self.scale:
            scale = self.gamma * scale
        shift = self.moving_mean * scale
        return scale, self.beta - shift if self.center else -shift

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes `inputs`; they are kept only if gamma is trained."""
        scale, shift = self.scale_and_shift()
        if self.scale and self.gamma.trainable:
            return ops.affine(inputs, shift, scale)
        return ops.affine(inputs * scale, shift)
