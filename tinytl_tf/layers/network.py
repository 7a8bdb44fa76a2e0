"""The Keras model that `build` and `from_keras` return."""

import os
from typing import Any

import keras
import numpy as np

from tinytl_tf.data import Augmentation, ImageDataset, Splits
from tinytl_tf.errors import InputError
from tinytl_tf.layers.compiling import OPTIMIZER_NAME, compile_arguments
from tinytl_tf.layers.fit_batches import FitBatches
from tinytl_tf.networks.schemes import LEARNING_RATE
from tinytl_tf.tasks import get_task

__all__ = ["Network"]

_BATCH = 8  # default batch size for data sets; the learning rates of the schemes are for this size


@keras.saving.register_keras_serializable(package="tinytl_tf")
class Network(keras.Model):
    """A functional model whose `fit`, `evaluate` and `predict` also accept the data sets of `tinytl_tf.data`.

    Images are scaled and cropped to the model's input size. For training, they are also shuffled in every epoch and
    changed by an `Augmentation`; see `data.train_batches`. With arrays, tensors and other Keras inputs, the network
    behaves like any Keras model.

    `compile` is optional. Without it, `fit` and `evaluate` compile the network with Adam at the scheme's learning rate,
    the task's loss and a metric; see `apply_scheme`.

    Attributes:
        class_names: names of the outputs, from the last data set passed to `fit`; `None` before the first one.

    Example:
        >>> import tinytl_tf as tiny
        >>> model = tiny.build("MobileNetV2", classes=10, resolution=32, width=0.35, weights=None)
        >>> splits = tiny.data.load("digits", train_images=20, test_images=10)
        >>> history = model.fit(splits.train, epochs=2, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']
    """

    class_names: tuple[str, ...] | None = None
    _defaults = ("classification", LEARNING_RATE)

    def compile_later(self, task: str, learning_rate: float) -> None:
        """Sets the defaults with which `fit` and `evaluate` compile the network if the user does not compile it.

        Raises:
            InputError: if the task does not exist.
        """
        self._defaults = (get_task(task).name, learning_rate)
        if self._has_default_compilation:  # compiled for a different scheme, with different variables
            self.compiled = False

    @property
    def _has_default_compilation(self) -> bool:
        return self.compiled and self.optimizer.name == OPTIMIZER_NAME

    def _compile_if_needed(self) -> None:
        if not self.compiled:
            self.compile(**compile_arguments(*self._defaults))

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, **options: Any) -> Any:
        """Trains the network, as `keras.Model.fit` does.

        Args:
            x: an input for Keras, a data set, or `Splits`. Of `Splits`, the training set is used, and the validation
                set too unless `validation_data` is given.
            y: labels; None with a data set.
            batch_size: number of examples per training step; 8 by default for a data set.
            **options: arguments of `keras.Model.fit`; `validation_data` may be a data set. With a data set, also
                `augmentation`, an `Augmentation` (by default, images are not changed), and `seed`, the seed for the
                order and the augmentation.

        Raises:
            InputError: if a data set does not fit the model; or if `augmentation` or `seed` is given with other data.
        """
        if isinstance(x, str | os.PathLike):
            raise InputError(f"expected arrays or a data set, got a path; give tinytl_tf.data.load({os.fspath(x)!r})")
        self._compile_if_needed()
        own = {name: options.pop(name) for name in ("augmentation", "seed") if name in options}
        if isinstance(x, Splits):
            options.setdefault("validation_data", x.validation)
            x = x.train
        is_dataset = isinstance(x, ImageDataset)
        if own and not is_dataset:
            raise InputError(f"expected {min(own)} with a data set of tinytl_tf.data, got other data; leave it out")
        names = x.class_names if is_dataset else self.class_names
        if isinstance(options.get("validation_data"), ImageDataset):
            options["validation_data"] = self._batches(options["validation_data"], None, names, batch_size)
        if not is_dataset:
            return super().fit(x, y, batch_size=batch_size, **options)
        own.setdefault("augmentation", Augmentation(crop=False, flip=False))
        batches = self._batches(x, y, names, batch_size, **own)
        self.class_names = names
        options.setdefault("shuffle", False)  # the batches already have a new order in every epoch
        return super().fit(batches, **options)

    def evaluate(self, x: Any = None, y: Any = None, batch_size: int | None = None, **options: Any) -> Any:
        """Returns the loss and metrics, as `keras.Model.evaluate` does; `x` may be a data set.

        Raises:
            InputError: if a data set does not fit the model; or if its classes differ from those of the last `fit`.
        """
        self._compile_if_needed()
        if isinstance(x, ImageDataset):
            return super().evaluate(self._batches(x, y, self.class_names, batch_size), **options)
        return super().evaluate(x, y, batch_size=batch_size, **options)

    def predict(self, x: Any, batch_size: int | None = None, **options: Any) -> np.ndarray:
        """Returns the logits, as `keras.Model.predict` does; `x` may be a data set."""
        if isinstance(x, ImageDataset):
            return super().predict(self._batches(x, None, None, batch_size), **options)
        return super().predict(x, batch_size=batch_size, **options)

    def summary(self, **options: Any) -> None:
        """Prints the layers and the trained variables; accepts the arguments of Keras' `summary`."""
        super().summary(**{"show_trainable": True, **options})
        write = options.get("print_fn") or print
        write(f"trained variables of {self.name}:")
        for variable in self.trainable_variables:
            write(f"  {variable.path} {tuple(variable.shape)}")

    def __repr__(self) -> str:
        trained = sum(int(np.prod(variable.shape)) for variable in self.trainable_variables)
        return (
            f"<Network {self.name}: {self.input_shape} -> {self.output_shape}, trains {trained:,} of "
            f"{self.count_params():,} parameters>"
        )

    def _batches(
        self, dataset: ImageDataset, labels: Any, names: tuple[str, ...] | None, batch_size: int | None, **options: Any
    ) -> FitBatches:
        """Returns the batches of a data set; refuses one whose classes differ from `names`, unless `names` is None."""
        if labels is not None:
            raise InputError("expected no labels with a data set, which has its own; leave y out")
        task, outputs = self._defaults[0], self.output_shape[-1]
        if dataset.task != task and not (self.compiled and not self._has_default_compilation):
            raise InputError(
                f"expected data for {task}, which the network is trained for, got {dataset.task} in {dataset.name}; "
                f"give apply_scheme the argument task={dataset.task!r}, or compile the network"
            )
        if len(dataset.class_names) != outputs:
            raise InputError(
                f"expected data of {outputs} classes, as many as the model has outputs, got "
                f"{len(dataset.class_names)} in {dataset.name}; build the model with "
                f"classes={len(dataset.class_names)}"
            )
        if names is not None and dataset.class_names != names:
            raise InputError(
                f"expected the classes {', '.join(names)} that the model was fit to, in this order, got "
                f"{', '.join(dataset.class_names)} in {dataset.name}; tinytl_tf.training.evaluate matches them by name"
            )
        return FitBatches(dataset, self.input_shape[1:], batch_size=batch_size or _BATCH, **options)
