"""Batches of a data set for `fit` of Keras."""

import keras
import numpy as np

from tinytl_tf import data
from tinytl_tf.errors import InputError

__all__ = ["FitBatches"]


class FitBatches(keras.utils.PyDataset):
    """The batches of a data set, in another order in each epoch, or once in order to evaluate.

    Args:
        model: maps images or arrays to an output for each class.
        dataset: the images, or arrays.
        batch_size: examples in a batch.
        augmentation: how training images are changed; `None` for the batches of an evaluation.
        seed: of order and changes.

    Raises:
        InputError: if the data set does not fit the model, or an argument is out of range.
    """

    def __init__(
        self,
        model: keras.Model,
        dataset: data.ImageDataset,
        *,
        batch_size: int,
        augmentation: data.Augmentation | None,
        seed: int,
    ) -> None:
        super().__init__()
        self._shape = tuple(model.input_shape[1:])
        _check(dataset, self._shape, model.output_shape[-1])
        self._dataset = dataset
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed
        self._epoch = -1
        self._steps = data.steps_per_epoch(dataset, batch_size) if augmentation else -(-len(dataset) // batch_size)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images or arrays of a batch, float32, and their labels."""
        options = {"batch_size": self._batch_size, "workers": 1, "ahead": 0}
        is_array = isinstance(self._dataset, data.ArrayDataset)
        if not is_array:
            options["image_size"] = self._shape[:2]
        if self._augmentation is None:
            start = index * self._batch_size
            dataset = self._dataset.subset(np.arange(start, min(start + self._batch_size, len(self._dataset))))
            batches = (data.array_eval_batches if is_array else data.eval_batches)(dataset, **options)
        else:
            options |= {"seed": self._seed, "epoch": max(self._epoch, 0), "start_step": index}
            if is_array:
                batches = data.array_train_batches(self._dataset, **options)
            else:
                batches = data.train_batches(self._dataset, augmentation=self._augmentation, **options)
        examples, labels = next(batches)
        batches.close()
        return examples.astype(np.float32), labels

    def on_epoch_begin(self) -> None:
        """Takes the order of the next epoch. Keras calls `on_epoch_end` before the first one too."""
        self._epoch += 1


def _check(dataset: data.ImageDataset, shape: tuple[int, ...], outputs: int) -> None:
    is_array = isinstance(dataset, data.ArrayDataset)
    if is_array and dataset.shape != shape:
        raise InputError(f"expected arrays {list(shape)} for this model, got {list(dataset.shape)} in {dataset.name}")
    if not is_array and (len(shape) != 3 or shape[-1] != 3):
        raise InputError(f"expected data of arrays {list(shape)} for this model, got images in {dataset.name}")
    if len(dataset.class_names) != outputs:
        raise InputError(
            f"expected data of {outputs} classes, as many as the model has outputs, got {len(dataset.class_names)} in "
            f"{dataset.name}; build the model with classes={len(dataset.class_names)}"
        )
