"""Batch normalization whose statistics are constants."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["FrozenNorm"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenNorm(SelectiveLayer):
    """Normalizes with fixed statistics, an affine map of each channel: `(x - mean) / sqrt(var + eps) * gamma + beta`.

    The variables are those of `keras.layers.BatchNormalization`, so pre-trained ones are copied as they are. The
    statistics never change: images do not depend on each other, batch 1 trains like any other batch, and with a frozen
    gamma backward keeps nothing.

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
        TinyTL trains beta alone, as the bias of equation 2. It normalizes by groups; statistics that are frozen
        instead make the claim that nothing is stored exact.
    """

    def __init__(self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(min_ndim=2, max_ndim=4)
        self.supports_masking = True
        self.epsilon = epsilon
        self.center = center
        self.scale = scale

    def build_variables(self, input_shape: tuple) -> None:
        """Creates gamma and beta, as far as the layer has them, and the two statistics, each of shape `(channels,)`."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones") if self.scale else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.center else None
        self.moving_mean = self.add_weight(name="moving_mean", shape=shape, initializer="zeros", trainable=False)
        self.moving_variance = self.add_weight(name="moving_variance", shape=shape, initializer="ones", trainable=False)

    def scale_and_shift(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the map as two vectors, `x * scale + shift`, for a convolution to take in."""
        scale = tf.math.rsqrt(self.moving_variance + self.epsilon)
        if self.scale:
            scale = self.gamma * scale
        shift = self.moving_mean * scale
        return scale, self.beta - shift if self.center else -shift

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes `inputs`; keeps them only if gamma is trained."""
        scale, shift = self.scale_and_shift()
        if self.scale and self.gamma.trainable:
            return ops.affine(inputs, shift, scale)
        return ops.affine(inputs * scale, shift)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `input_shape`."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "epsilon": self.epsilon, "center": self.center, "scale": self.scale}
