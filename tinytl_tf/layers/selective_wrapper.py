"""Any Keras layer, with a chosen subset of its variables trained."""

import keras
import tensorflow as tf

from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["SelectiveWrapper"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class SelectiveWrapper(SelectiveLayer):
    """Calls another layer, whose variables are trained one by one and by that name.

    The layer itself computes and keeps what Keras' own gradient needs. It is shared, not copied: what trains it here
    trains it in every model that has it.

    Args:
        layer: the layer; built, or it is built by the first call.
        train: paths, relative to `layer`, of the variables to train.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        That of `layer`.

    Output shape:
        That of `layer`.

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
        self.layer = layer
        self._is_adopted = False
        self._adopt()

    def build(self, input_shape: tuple | None) -> None:
        """Does nothing: a layer that is not built is built by its first call."""

    def call(self, *args, **kwargs) -> tf.Tensor:
        """Returns what the layer returns."""
        outputs = self.layer(*args, **kwargs)
        self._adopt()
        return outputs

    def compute_output_spec(self, *args, **kwargs) -> keras.KerasTensor:
        """Returns shape and type of the output."""
        return self.layer.compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict:
        """Returns the configuration, with that of the layer."""
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict) -> "SelectiveWrapper":
        """Returns the layer of a configuration."""
        return cls(layer=keras.saving.deserialize_keras_object(config.pop("layer")), **config)

    def _by_name(self) -> dict:
        prefixes = (f"{self.layer.path}/", f"{self.name}/") if self.variables else ()
        names = {variable.path: variable for variable in self.variables}
        for prefix in prefixes:
            names = {path.removeprefix(prefix): variable for path, variable in names.items()}
        return names

    def _adopt(self) -> None:
        """Once the layer is built, gives its variables the paths that this layer's own would have, and applies `train`.

        Theirs are those of another network, where they may not differ from others.
        """
        if self._is_adopted or not self.layer.built:
            return
        for name, variable in self._by_name().items():
            variable._path = f"{self.name}/{name}"
        self._is_adopted = True
        self.train = self._train
