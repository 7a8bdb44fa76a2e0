"""Keras' multi-head attention with branches added to its projections."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tinytl_tf.layers.selective_wrapper import SelectiveWrapper

__all__ = ["BranchedAttention"]

_PORTS = ("query", "key", "value")


@keras.saving.register_keras_serializable(package="tinytl_tf")
class BranchedAttention(SelectiveWrapper):
    """A `keras.layers.MultiHeadAttention` that adds the outputs of branches to its projections.

    Everything else is as in `SelectiveWrapper`; the attention layer and its variables stay unchanged. (Keras'
    `enable_lora` would add variables to the layer and merge them permanently when a model is saved.)

    Args:
        layer: attention layer.
        ports: projections that branches are added to (`"query"`, `"key"` or `"value"`), in the order of `branches`.
        **kwargs: arguments of `SelectiveWrapper`.

    Raises:
        ValueError: if `layer` is not a `MultiHeadAttention`; if a port is unknown; or if a call has a different number
            of branches than ports.

    Input shape:
        Same as for the attention layer; for each branch `(batch, tokens, heads, width)`.

    Output shape:
        Same as for the attention layer.

    Example:
        >>> attention = BranchedAttention(keras.layers.MultiHeadAttention(2, 4), ["value"], name="attention")
        >>> tokens = tf.ones([1, 6, 8])
        >>> attention(tokens, tokens, branches=[tf.zeros([1, 6, 2, 4])]).shape
        TensorShape([1, 6, 8])
    """

    def __init__(self, layer: keras.layers.MultiHeadAttention, ports: Sequence[str], **kwargs) -> None:
        super().__init__(layer, **kwargs)
        if not isinstance(layer, keras.layers.MultiHeadAttention):
            raise ValueError(f"expected a MultiHeadAttention, got {type(layer).__name__}; use SelectiveWrapper")
        unknown = [port for port in ports if port not in _PORTS]
        if unknown:
            raise ValueError(f"expected ports from {', '.join(_PORTS)}, got {unknown[0]!r}")
        self.ports = tuple(ports)

    def call(self, *args, branches: Sequence[tf.Tensor], **kwargs) -> tf.Tensor:
        """Returns the output of the attention, with each branch added to its projection."""
        if len(branches) != len(self.ports):
            raise ValueError(f"expected a branch for each of {', '.join(self.ports)}, got {len(branches)}")
        if not self.layer.built:
            super().call(*args, **kwargs)
        view = object.__new__(type(self.layer))  # the same layer, with different projections
        vars(view).update(vars(self.layer))
        for port, branch in zip(self.ports, branches, strict=True):
            vars(view)[f"_{port}_dense"] = _sum_of(vars(view)[f"_{port}_dense"], branch)
        return view.call(*args, **{**kwargs, "training": False})

    def compute_output_spec(self, *args, branches: Sequence[keras.KerasTensor] = (), **kwargs) -> keras.KerasTensor:
        """Returns the shape and dtype of the output."""
        return super().compute_output_spec(*args, branches=branches, **kwargs)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "ports": list(self.ports)}


def _sum_of(projection: keras.layers.Layer, branch: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda inputs: projection(inputs) + branch
