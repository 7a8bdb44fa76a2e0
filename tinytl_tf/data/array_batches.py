"""Batches of arrays without augmentation, in the same order as for images."""

from collections.abc import Callable, Iterator

import numpy as np

from tinytl_tf.data.array_dataset import ArrayDataset
from tinytl_tf.data.batches import AHEAD, WORKERS, Batch, prefetch, steps_per_epoch, training_order
from tinytl_tf.errors import InputError

__all__ = ["array_eval_batches", "array_train_batches"]


def array_train_batches(
    dataset: ArrayDataset,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    start_step: int = 0,
    workers: int = WORKERS,
    ahead: int = AHEAD,
) -> Iterator[Batch]:
    """Returns the batches of one epoch; arrays are not augmented.

    As for images, the order depends only on `seed` and `epoch`; see `training_order`. Only full batches are returned;
    see `steps_per_epoch`.

    Args:
        dataset: the training arrays.
        batch_size: arrays per batch.
        seed: non-negative integer.
        epoch: non-negative integer.
        start_step: number of batches to skip at the start of the epoch.
        workers: number of reader threads. They stop when the iterator is exhausted or closed early.
        ahead: number of batches to prefetch in addition to one per worker. With 0 and a single worker, the worker waits
            until the caller asks for the next batch.

    Returns:
        Iterator over pairs of arrays, float32 [batch_size, *shape], and labels, int32 [batch_size] or float32
        [batch_size, classes].

    Raises:
        InputError: immediately if an argument is out of range; during iteration if an array cannot be read.
    """
    for option, value in (("seed", seed), ("epoch", epoch), ("start_step", start_step)):
        if value < 0:
            raise InputError(f"expected {option} to be 0 or more, got {value}")
    steps = steps_per_epoch(dataset, batch_size)
    order = training_order(len(dataset), batch_size, seed, epoch)
    batches = [order[step * batch_size : (step + 1) * batch_size] for step in range(start_step, steps)]
    return prefetch(dataset.labels, batches, _reader(dataset, batches), workers, ahead)


def array_eval_batches(
    dataset: ArrayDataset, *, batch_size: int, workers: int = WORKERS, ahead: int = AHEAD
) -> Iterator[Batch]:
    """Returns batches of all arrays once, in order.

    Args:
        dataset: the arrays.
        batch_size: arrays per batch; the last batch may be smaller.
        workers: number of reader threads. They stop when the iterator is exhausted or closed early.
        ahead: number of batches to prefetch in addition to one per worker. With 0 and a single worker, the worker waits
            until the caller asks for the next batch.

    Returns:
        Iterator over pairs of arrays, float32 [batch, *shape], and labels, int32 [batch] or float32 [batch, classes].

    Raises:
        InputError: immediately if an argument is out of range; during iteration if an array cannot be read.
    """
    if batch_size < 1:
        raise InputError(f"expected batch_size to be 1 or more, got {batch_size}")
    indices = np.arange(len(dataset))
    batches = [indices[start : start + batch_size] for start in range(0, len(dataset), batch_size)]
    return prefetch(dataset.labels, batches, _reader(dataset, batches), workers, ahead)


def _reader(dataset: ArrayDataset, batches: list[np.ndarray]) -> Callable[[int], np.ndarray]:
    return lambda number: np.stack([dataset.array(int(index)) for index in batches[number]])
