"""Wrapper that trains a chosen subset of any Keras layer's variables."""

import re
from collections.abc import Iterable

import keras
import tensorflow as tf

from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["SelectiveWrapper", "own_names"]


def own_names(layer: keras.layers.Layer, *prefixes: str) -> dict[str, keras.Variable]:
    """Returns the variables of a layer by relative paths that stay the same in every copy of the layer and every run.

    Automatic Keras names, such as `conv2d_7`, count the layers in a process. Here, such numbers count only within the
    layer, and inner layers with the same name get different numbers.

    Args:
        layer: the layer.
        prefixes: prefixes to remove from paths, in addition to the layer's own path.

    Example:
        >>> layer = keras.layers.MultiHeadAttention(2, 4)
        >>> layer.build([1, 3, 8], [1, 3, 8])
        >>> sorted(own_names(layer))[:2]
        ['attention_output/bias', 'attention_output/kernel']
    """
    parents: dict[str, str] = {}
    names: dict[str, keras.Variable] = {}
    for variable in layer.variables:
        path = variable.path
        for prefix in (layer.path, *prefixes):
            path = path.removeprefix(f"{prefix}/")
        parent, _, own = path.rpartition("/")
        if parent not in parents or f"{parents[parent]}/{own}".removeprefix("/") in names:
            parents[parent] = _unused(re.sub(r"_\d+(?=/|$)", "", parent), parents.values())
        names[f"{parents[parent]}/{own}".removeprefix("/")] = variable
    return names


def _unused(name: str, names: Iterable[str]) -> str:
    numbered, number = name, 2
    while numbered in names:
        numbered, number = f"{name}_{number}", number + 1
    return numbered


@keras.saving.register_keras_serializable(package="tinytl_tf")
class SelectiveWrapper(SelectiveLayer):
    """Wraps another layer and trains single variables of it, selected by name.

    The layer computes and keeps activations as in Keras. It always runs in inference mode, so its statistics do not
    change and its dropout does nothing. The layer is shared, not copied: training it here trains it in every model that
    contains it.

    Args:
        layer: layer to wrap; if it is not built yet, the first call builds it.
        train: paths of the variables to train, relative to `layer`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        Same as for `layer`.

    Output shape:
        Same as for `layer`.

    Example:
        >>> layer = SelectiveWrapper(keras.layers.Dense(4), train=["bias"], name="hidden")
        >>> layer(tf.ones([1, 8])).shape
        TensorShape([1, 4])
        >>> [variable.path for variable in layer.trainable_variables]
        ['hidden/bias']
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs) -> None:
        super().__init__(**kwargs)
        self.input_spec = None
        self.supports_masking = True
        self.layer = layer
        self._is_adopted = False
        self._adopt()

    def build(self, input_shape: tuple | None) -> None:
        """Does nothing, since the first call builds the wrapped layer."""

    def call(self, *args, **kwargs) -> tf.Tensor:
        """Returns the output of the wrapped layer in inference mode."""
        outputs = self.layer(*args, **{**kwargs, "training": False})
        self._adopt()
        return outputs

    def compute_mask(self, inputs: tuple, previous_mask: tuple | tf.Tensor | None) -> tf.Tensor | None:
        """Returns the mask of the wrapped layer; Keras passes these arguments for a `call` with `*args`."""
        mask = previous_mask[0] if isinstance(previous_mask, tuple) else previous_mask
        return self.layer.compute_mask(inputs[0], mask) if self.layer.supports_masking else None

    def compute_output_spec(self, *args, **kwargs) -> keras.KerasTensor:
        """Returns the shape and dtype of the output; builds the wrapped layer."""
        outputs = self.call(*args, **kwargs)
        return keras.tree.map_structure(lambda output: keras.KerasTensor(output.shape, output.dtype), outputs)

    def get_config(self) -> dict:
        """Returns the configuration, including that of the wrapped layer."""
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict) -> "SelectiveWrapper":
        """Returns the layer that a configuration describes."""
        return cls(layer=keras.saving.deserialize_keras_object(config.pop("layer")), **config)

    def _by_name(self) -> dict:
        return own_names(self.layer, self.name) if self.variables else {}

    def _adopt(self) -> None:
        """Once the wrapped layer is built, prefixes its variables' paths with this layer's name, and applies `train`.

        The original paths come from another network and may not be unique in this one.
        """
        if self._is_adopted or not self.layer.built:
            return
        for name, variable in self._by_name().items():
            variable._path = f"{self.name}/{name}"
        self._is_adopted = True
        self.train = self._train
