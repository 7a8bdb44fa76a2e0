"""Batches of arrays, as they are, in the order that images have."""

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

    The order is drawn from (seed, epoch) as for images, see `training_order`. Only full batches are given, see
    `steps_per_epoch`.

    Args:
        dataset: the training arrays.
        batch_size: arrays in a batch.
        seed: integer from 0.
        epoch: integer from 0.
        start_step: number of batches to leave out.
        workers: threads that read. They end with the iterator, also when it is dropped early.
        ahead: batches that wait beyond one for each worker; with 0, a single worker waits for the caller.

    Returns:
        Iterator over arrays, float32 [batch_size, *shape], and labels, int32 [batch_size], or float32
        [batch_size, classes].

    Raises:
        InputError: at once for an argument out of range; while iterating for an array that cannot be read.
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
    """Returns all arrays once, in order.

    Args:
        dataset: the arrays.
        batch_size: arrays in a batch; the last batch may be smaller.
        workers: threads that read. They end with the iterator, also when it is dropped early.
        ahead: batches that wait beyond one for each worker; with 0, a single worker waits for the caller.

    Returns:
        Iterator over arrays, float32 [batch, *shape], and labels, int32 [batch], or float32 [batch, classes].

    Raises:
        InputError: at once for an argument out of range; while iterating for an array that cannot be read.
    """
    if batch_size < 1:
        raise InputError(f"expected batch_size to be 1 or more, got {batch_size}")
    indices = np.arange(len(dataset))
    batches = [indices[start : start + batch_size] for start in range(0, len(dataset), batch_size)]
    return prefetch(dataset.labels, batches, _reader(dataset, batches), workers, ahead)


def _reader(dataset: ArrayDataset, batches: list[np.ndarray]) -> Callable[[int], np.ndarray]:
    return lambda number: np.stack([dataset.array(int(index)) for index in batches[number]])
