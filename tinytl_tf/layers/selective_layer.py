"""Base class of the layers that can train or freeze single variables."""

from collections.abc import Iterable

import keras

from tinytl_tf.keras_backend import require_keras_settings

__all__ = ["SelectiveLayer"]


class SelectiveLayer(keras.layers.Layer):
    """A layer that trains a named subset of its variables and stores that choice in its configuration.

    Keras freezes whole layers and loses the `trainable` of single variables when a model is saved or cloned. Here,
    `train` is part of the configuration. Setting `layer.trainable` turns training of the layer off or on and keeps the
    choice of variables. While training is off, all variables are frozen, for any model that contains the layer too.

    Subclasses create their variables in `build_variables`. Subclasses whose inputs are not images set their own
    `input_spec`.

    Args:
        train: paths of the variables to train, relative to the layer, for example `["kernel", "norm/beta"]`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        InputError: if a Keras setting is not supported.
        ValueError: if `train` is a string; or, once the layer is built, if it names a variable that does not exist.

    Input shape:
        `(batch, height, width, channels)`
    """

    def __init__(self, *, train: Iterable[str] = (), **kwargs) -> None:
        require_keras_settings()
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(ndim=4)
        self._train = ()
        self.train = train

    def build_variables(self, input_shape: tuple) -> None:
        """Creates the variables of the layer and builds its sub-layers."""
        raise NotImplementedError(f"{type(self).__name__} must define build_variables")

    def build(self, input_shape: tuple) -> None:
        """Creates the variables and applies `train` to them."""
        self.build_variables(input_shape)
        self.train = self._train

    @property
    def train(self) -> tuple[str, ...]:
        """Relative paths of the variables that are trained while the layer is trainable."""
        if not self.variables or not self.trainable:
            return self._train
        return tuple(name for name, variable in self._by_name().items() if variable.trainable)

    @train.setter
    def train(self, names: Iterable[str]) -> None:
        if isinstance(names, str):
            raise ValueError(f"train must be a list of names, got the string {names!r}; write [{names!r}]")
        names = tuple(names)
        variables = self._by_name()
        unknown = [name for name in names if name not in variables]
        if variables and unknown:
            raise ValueError(f"{self.name} has no variable {unknown[0]!r} to train; it has {sorted(variables)}")
        self._train = names
        self._apply_train()

    @property
    def trainable(self) -> bool:
        """Whether the variables chosen by `train` are trained."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        # Keras would set every variable of the layer here and thus undo the choice.
        self._train = self.train
        self._trainable = bool(value)
        self._apply_train()

    def get_config(self) -> dict:
        """Returns the configuration, including the variables that are trained while the layer is trainable."""
        return {**super().get_config(), "train": list(self.train)}

    def _apply_train(self) -> None:
        for name, variable in self._by_name().items():
            variable.trainable = self.trainable and name in self._train

    def _by_name(self) -> dict:
        return {variable.path.removeprefix(f"{self.path}/"): variable for variable in self.variables}
