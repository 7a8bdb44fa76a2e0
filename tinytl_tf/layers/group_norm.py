"""Group normalization with a chosen subset of its two vectors trained."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import require_positive_integers
from tinytl_tf.layers.norm import Norm

__all__ = ["GroupNorm"]

MAX_CHANNELS_PER_GROUP = 8


@keras.saving.register_keras_serializable(package="tinytl_tf")
class GroupNorm(Norm):
    """Normalizes each image over space and over groups of channels; batch size 1 trains like any other.

    By default the groups follow TinyTL: as many channels each as the largest divisor of the channels up to 8.
    With `groups` the layer computes the same as `keras.layers.GroupNormalization`; variables have the same names.
    Keeps the normalized input, see `ops.group_norm`.

    Args:
        epsilon: added to the variance.
        gamma_initializer: initializer of the scale; `"zeros"` lets a residual branch start as exact zero.
        groups: number of groups, which divides the channels; -1 for one group a channel, `None` for TinyTL's rule.
        center: whether there is a beta.
        scale: whether there is a gamma.
        train: variables to train, of `"gamma"` and `"beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4; all sizes but the batch known.

    Output shape:
        The same.

    Reference:
        TinyTL's released code: batch norms become group norms of 8 channels, epsilon 1e-3.
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        gamma_initializer="ones",
        groups: int | None = None,
        center: bool = True,
        scale: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(epsilon, center, scale, gamma_initializer, **kwargs)
        if groups not in (None, -1):
            require_positive_integers(groups=groups)
        self.groups = groups

    def build_variables(self, input_shape: tuple) -> None:
        """Creates gamma and beta, each of shape `(channels,)`, if the layer has them."""
        sizes = tuple(input_shape[1:])
        if None in sizes or 0 in sizes:
            raise ValueError(f"{self.name} needs known sizes of 1 or more, got {sizes}")
        channels = sizes[-1]
        self.number_of_groups = self._number_of_groups(channels)
        if channels % self.number_of_groups:
            raise ValueError(f"{self.name} needs groups that divide the channels, got {self.groups} of {channels}")
        super().build_variables(input_shape)

    def _number_of_groups(self, channels: int) -> int:
        if self.groups is None:
            divisors = range(1, MAX_CHANNELS_PER_GROUP + 1)
            return channels // max(divisor for divisor in divisors if channels % divisor == 0)
        return channels if self.groups == -1 else self.groups

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes `inputs`."""
        return ops.group_norm(inputs, self.gamma, self.beta, groups=self.number_of_groups, epsilon=self.epsilon)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "groups": self.groups}
