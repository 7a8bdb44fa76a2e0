"""Batches of a data set for Keras' `fit`."""

from collections.abc import Sequence

import keras
import numpy as np

from tinytl_tf import data

__all__ = ["FitBatches"]


class FitBatches(keras.utils.PyDataset):
    """The batches of a data set: for training, in a new order in every epoch; for evaluation, once and in order.

    Args:
        dataset: data set of images or arrays.
        shape: shape of one model input: `(height, width, 3)`, or that of the arrays.
        batch_size: number of examples in a batch.
        augmentation: augmentation of training images; `None` for evaluation batches.
        seed: seed for the order and the augmentation.

    Raises:
        InputError: if the data set does not fit the shape; or if an argument is out of range.
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
        """Returns the images or arrays of a batch as float32, and their labels."""
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
        """Switches to the order of the next epoch. Not `on_epoch_end`: Keras calls it before the first epoch too."""
        self._epoch += 1
