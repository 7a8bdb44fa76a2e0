"""Batches of a data set for `fit` of Keras."""

from collections.abc import Sequence

import keras
import numpy as np

from tinytl_tf import data

__all__ = ["FitBatches"]


class FitBatches(keras.utils.PyDataset):
    """The batches of a data set, in another order in each epoch, or once in order to evaluate.

    Args:
        dataset: the images, or arrays.
        shape: of an input of the model, `(height, width, 3)` or that of the arrays.
        batch_size: examples in a batch.
        augmentation: how training images are changed; `None` for the batches of an evaluation.
        seed: of order and changes.

    Raises:
        InputError: if the data set does not fit the shape, or an argument is out of range.
    """

    def __init__(
        self,
        dataset: data.ImageDataset,
        shape: Sequence[int],
        *,
        batch_size: int,
        augmentation: data.Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        dataset.require_input(shape)
        self._shape = tuple(shape)
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
