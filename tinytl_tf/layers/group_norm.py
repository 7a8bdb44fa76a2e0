"""Group normalization layer whose gamma and beta can be trained separately."""

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

    By default, groups follow TinyTL's rule: the number of channels in a group is the largest divisor of the number of
    channels that is at most 8. With `groups`, the layer computes the same as `keras.layers.GroupNormalization`, and its
    variables have the same names. The normalized input is kept; see `ops.group_norm`.

    Args:
        epsilon: small number added to the variance.
        gamma_initializer: initializer of gamma; with `"zeros"`, a residual branch has an initial output of exactly
            zero.
        groups: number of groups; must divide the channels. -1 for one group per channel, `None` for TinyTL's rule.
        center: whether the layer has a beta.
        scale: whether the layer has a gamma.
        train: variables to train: any of `"gamma"` and `"beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4; all dimensions except the batch are static.

    Output shape:
        Same as the input shape.

    Reference:
        TinyTL's released code replaces batch norms with group norms of 8 channels and epsilon 1e-3.
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
        """Creates gamma and beta, if the layer has them, each with shape `(channels,)`."""
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
