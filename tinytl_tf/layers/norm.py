"""Base class of the layers that normalize, and then scale and shift each channel."""

import keras

from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["Norm"]


class Norm(SelectiveLayer):
    """A layer with a scale `gamma` and a shift `beta` for each channel; subclasses implement the normalization.

    Args:
        epsilon: small number added to the variance.
        center: whether the layer has a beta.
        scale: whether the layer has a gamma.
        gamma_initializer: initializer of gamma.
        **kwargs: arguments of `SelectiveLayer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4.

    Output shape:
        Same as the input shape.
    """

    def __init__(
        self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, gamma_initializer="ones", **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(min_ndim=2, max_ndim=4)
        self.supports_masking = True
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build_variables(self, input_shape: tuple) -> None:
        """Creates gamma and beta, if the layer has them, each with shape `(channels,)`."""
        shape = (input_shape[-1],)
        gamma = {"name": "gamma", "shape": shape, "initializer": self.gamma_initializer}
        self.gamma = self.add_weight(**gamma) if self.scale else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.center else None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `input_shape`."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }
