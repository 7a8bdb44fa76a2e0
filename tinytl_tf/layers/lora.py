"""LoRA: two thin trainable matrices next to a frozen one."""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import require_positive_integers
from tinytl_tf.layers.selective_layer import SelectiveLayer
from tinytl_tf.networks.branches import LORA_RANK

__all__ = ["LoRA"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class LoRA(SelectiveLayer):
    """Returns `alpha / rank * x A B`, to be added to the output of a layer that mixes only the channels of `x`.

    `B` starts at zero, so the branch's initial output is exactly zero. Kept for the backward pass are `x` and the
    `rank` channels of `x A`; with a frozen `a`, only the latter. The products are 1x1 convolutions; see `ops.conv2d`.

    Args:
        filters: number of output channels; several numbers for several axes, such as the heads and their width.
        rank: number of channels of `x A`.
        alpha: the output is scaled by `alpha / rank`; `None` for a scale of 1, as in Keras' `enable_lora`.
        train: variables to train: any of `"a"` and `"b"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4; all dimensions except the batch are static.

    Output shape:
        `(batch, ..., *filters)`

    Example:
        >>> layer = LoRA(16, rank=2, train=["a", "b"], name="hidden_lora")
        >>> layer(tf.ones([1, 8, 8, 4])).shape
        TensorShape([1, 8, 8, 16])
        >>> [(variable.path, tuple(variable.shape)) for variable in layer.trainable_variables]
        [('hidden_lora/a', (4, 2)), ('hidden_lora/b', (2, 16))]

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021), section 4.1. `A` is initialized as in the
        released code: uniformly, with absolute values up to the square root of `1 / channels`.
    """

    def __init__(self, filters: int | Sequence[int], rank: int = LORA_RANK, alpha: float | None = None, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(min_ndim=2, max_ndim=4)
        self.filters = tuple(filters) if isinstance(filters, Iterable) else (filters,)
        for size in self.filters:
            require_positive_integers(filters=size)
        require_positive_integers(rank=rank)
        self.rank = rank
        self.alpha = alpha

    def build_variables(self, input_shape: tuple) -> None:
        """Creates the two matrices."""
        channels = input_shape[-1]
        initializer = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        self.a = self.add_weight(name="a", shape=(channels, self.rank), initializer=initializer)
        self.b = self.add_weight(name="b", shape=(self.rank, *self.filters), initializer="zeros")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the output of the branch, to be added to the layer's output."""
        inside = inputs.shape[1:-1]
        positions = inside if inputs.shape.rank == 4 else (1, inside.num_elements())
        branch = _multiply(tf.reshape(inputs, [-1, *positions, inputs.shape[-1]]), self.a)
        if self.alpha is not None:
            branch *= self.alpha / self.rank
        branch = _multiply(branch, self.b)
        return tf.reshape(branch, [-1, *inside, *self.filters])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape."""
        return (*input_shape[:-1], *self.filters)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "filters": list(self.filters), "rank": self.rank, "alpha": self.alpha}


def _multiply(x: tf.Tensor, matrix: keras.Variable) -> tf.Tensor:
    kernel = tf.reshape(tf.convert_to_tensor(matrix), [1, 1, x.shape[-1], -1])
    return ops.conv2d(x, kernel, train_kernel=matrix.trainable)
