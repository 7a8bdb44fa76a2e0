"""Batches of images, decoded in advance by a few threads, in an order that depends only on seed and epoch."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterator

import numpy as np

from tinytl_tf.data.augmentation import Augmentation
from tinytl_tf.data.change import Change
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.features import CachedFeatures, FeatureRequest, check_cacheable
from tinytl_tf.data.random_stream import RandomStream
from tinytl_tf.data.resizing import CENTRAL_FRACTION, check_central_fraction, short_side
from tinytl_tf.errors import InputError
from tinytl_tf.networks.sizes import image_size as checked_size

Batch = tuple[np.ndarray, np.ndarray]

_PREPARATION = 1  # increased when the preparation of images changes, which invalidates cached features
WORKERS = 2
AHEAD = 2  # batches to prefetch in addition to one per worker


def steps_per_epoch(dataset: ImageDataset, batch_size: int) -> int:
    """Returns the number of batches in an epoch.

    Only full batches count, because an exported file has a fixed batch size. The remaining images are dropped,
    different ones in each epoch. If there are fewer images than a batch, they are repeated to fill one batch.

    Raises:
        InputError: if `batch_size` is below 1.
    """
    _check_positive("batch_size", batch_size)
    return max(1, len(dataset) // batch_size)


def train_batches(
    dataset: ImageDataset,
    *,
    batch_size: int,
    image_size: int | tuple[int, int],
    seed: int,
    epoch: int,
    augmentation: Augmentation,
    central_fraction: float = CENTRAL_FRACTION,
    start_step: int = 0,
    part: tuple[int, int] = (0, 1),
    workers: int = WORKERS,
    ahead: int = AHEAD,
    features: CachedFeatures | None = None,
) -> Iterator[Batch]:
    """Returns the augmented batches of one epoch.

    The order depends only on `seed` and `epoch`, and the changes of an image only on `seed`, `epoch` and its index, as
    docs/formats.md specifies for all clients; see `training_order` and `training_stream`. A run that is resumed at
    `start_step` therefore gets the same batches as an uninterrupted run. Only full batches are returned, because an
    exported file has a fixed batch size; see `steps_per_epoch`.

    Args:
        dataset: the training images.
        batch_size: images per batch.
        image_size: side of the square images in pixels, or (height, width).
        seed: non-negative integer.
        epoch: non-negative integer.
        augmentation: how to change the images.
        central_fraction: part of an image's side that is kept without the augmentation's crop, in (0, 1].
        start_step: number of batches to skip at the start of the epoch.
        part: index of the part of each batch to read, and number of parts: `(1, 2)` is the second half. All parts
            together are the batch.
        workers: number of reader threads. They stop when the iterator is exhausted or closed early.
        ahead: number of batches to prefetch in addition to one per worker. With 0 and a single worker, the worker waits
            until the caller asks for the next batch.
        features: features to return in place of the images, for the same images in the same order; the augmentation may
            then only flip; see `check_cacheable`.

    Returns:
        Iterator over pairs of images and labels. The images are uint8 [batch_size, height, width, 3], RGB from 0 to
        255, or their features, [batch_size, *features.shape]. The labels are int32 [batch_size], or float32
        [batch_size, attributes] for several attributes. With `part`, each pair holds only that part of the batch.

    Raises:
        InputError: immediately if an argument is out of range; during iteration if an image cannot be decoded.
    """
    size = checked_size(image_size, "image_size")
    steps = steps_per_epoch(dataset, batch_size)
    check_central_fraction(central_fraction)
    for option, value in (("seed", seed), ("epoch", epoch), ("start_step", start_step)):
        if value < 0:
            raise InputError(f"expected {option} to be 0 or more, got {value}")
    if not isinstance(augmentation, Augmentation):
        raise InputError(
            f"expected an Augmentation, got {type(augmentation).__name__}; Augmentation(crop=False, flip=False) "
            "changes nothing"
        )
    if features is not None:
        check_cacheable(augmentation)
    index, parts = part
    if not 0 <= index < parts or batch_size % parts:
        raise InputError(f"expected a part of a batch of {batch_size} in equal ones, got number {index} of {parts}")
    order = training_order(len(dataset), batch_size, seed, epoch)

    def stream(place: int) -> tuple[int, RandomStream]:
        index = int(order[place])
        return index, training_stream(seed, epoch, index, place // len(dataset))

    def read(place: int) -> np.ndarray:
        index, random = stream(place)
        return augmentation(dataset.image(index, short_side(size)), size, random, central_fraction)

    def request(place: int) -> FeatureRequest:
        index, random = stream(place)
        change = augmentation.draw(*size, random)  # at most a flip, which does not depend on the size
        return _request(dataset, index, size, central_fraction, change.flip)

    places = np.arange(len(order))
    own = batch_size // parts
    starts = [step * batch_size + index * own for step in range(start_step, steps)]
    batches = [places[start : start + own] for start in starts]
    make = _reader(batches, size, read) if features is None else _finder(batches, features, request)
    return prefetch(dataset.labels[order], batches, make, workers, ahead)


def training_order(images: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Returns the index of the image at each position of an epoch.

    Args:
        images: number of training images.
        batch_size: images per batch. Fewer images than that are repeated to fill one batch.
        seed: non-negative integer.
        epoch: non-negative integer.

    Returns:
        int64 `[max(images, batch_size)]`, indices of images.

    Example:
        >>> training_order(3, 8, seed=0, epoch=0).tolist()
        [1, 2, 0, 1, 2, 0, 1, 2]
    """
    return np.resize(RandomStream(seed, epoch, 0).permutation(images), max(images, batch_size))


def training_stream(seed: int, epoch: int, index: int, copy: int = 0) -> RandomStream:
    """Returns the stream from which the changes of an image are drawn.

    Args:
        seed: non-negative integer.
        epoch: non-negative integer.
        index: position of the image among the training images.
        copy: number of earlier occurrences of the image in this epoch, in a batch that repeats images.
    """
    return RandomStream(seed, epoch, index + 1, *([copy] if copy else []))  # 0 in place of an index + 1 is the order


def eval_batches(
    dataset: ImageDataset,
    *,
    batch_size: int,
    image_size: int | tuple[int, int],
    central_fraction: float = CENTRAL_FRACTION,
    workers: int = WORKERS,
    ahead: int = AHEAD,
    features: CachedFeatures | None = None,
) -> Iterator[Batch]:
    """Returns batches of all images once, in order; only their size is changed.

    The short side is scaled to ceil(image_size / central_fraction) pixels, then the center is cropped.

    Args:
        dataset: the images.
        batch_size: images per batch; the last batch may be smaller.
        image_size: side of the square images in pixels, or (height, width).
        central_fraction: part of an image's side that is kept, in (0, 1].
        workers: number of reader threads. They stop when the iterator is exhausted or closed early.
        ahead: number of batches to prefetch in addition to one per worker. With 0 and a single worker, the worker waits
            until the caller asks for the next batch.
        features: features to return in place of the images.

    Returns:
        Iterator over pairs of images, uint8 [batch, height, width, 3], RGB from 0 to 255, or their features, and
        labels, int32 [batch] or float32 [batch, attributes].

    Raises:
        InputError: immediately if an argument is out of range; during iteration if an image cannot be decoded.
    """
    size = checked_size(image_size, "image_size")
    _check_positive("batch_size", batch_size)
    check_central_fraction(central_fraction)

    def read(index: int) -> np.ndarray:
        return _prepare(dataset, index, size, central_fraction)

    def request(index: int) -> FeatureRequest:
        return _request(dataset, index, size, central_fraction, flipped=False)

    indices = np.arange(len(dataset))
    batches = [indices[start : start + batch_size] for start in range(0, len(dataset), batch_size)]
    make = _reader(batches, size, read) if features is None else _finder(batches, features, request)
    return prefetch(dataset.labels, batches, make, workers, ahead)


def _prepare(dataset: ImageDataset, index: int, size: tuple[int, int], central_fraction: float) -> np.ndarray:
    image = dataset.image(index, short_side(size))
    return Change().apply(image, size, central_fraction)


def _request(
    dataset: ImageDataset, index: int, size: tuple[int, int], central_fraction: float, flipped: bool
) -> FeatureRequest:
    def pixels() -> np.ndarray:
        image = _prepare(dataset, index, size, central_fraction)
        return np.ascontiguousarray(image[:, ::-1]) if flipped else image

    return FeatureRequest(dataset, index, f"{_PREPARATION} {size} {central_fraction!r} {flipped}", pixels)


def _reader(
    batches: list[np.ndarray], size: tuple[int, int], read: Callable[[int], np.ndarray]
) -> Callable[[int], np.ndarray]:
    """Returns a function from the index of a batch to its images."""

    def make(number: int) -> np.ndarray:
        images = np.empty((len(batches[number]), *size, 3), np.uint8)
        for position, place in enumerate(batches[number]):
            images[position] = read(int(place))
        return images

    return make


def _finder(
    batches: list[np.ndarray], features: CachedFeatures, request: Callable[[int], FeatureRequest]
) -> Callable[[int], np.ndarray]:
    """Returns a function from the index of a batch to its features, which also computes features for later batches."""

    def make(number: int) -> np.ndarray:
        wanted = [request(int(place)) for place in batches[number]]
        return features.of(wanted, (request(int(place)) for batch in batches[number + 1 :] for place in batch))

    return make


def prefetch(
    labels: np.ndarray,
    batches: list[np.ndarray],
    images_of: Callable[[int], np.ndarray],
    workers: int,
    ahead: int,
) -> Iterator[Batch]:
    """Makes batches in threads, a few in advance, and returns them in order.

    Args:
        labels: labels of all positions.
        batches: positions in `labels` of each batch.
        images_of: returns the inputs of a batch for its index.
        workers: number of reader threads. They stop when the iterator is exhausted or closed early.
        ahead: number of batches to prefetch in addition to one per worker. With 0 and a single worker, the worker waits
            until the caller asks for the next batch.

    Raises:
        InputError: Immediately if an argument is out of range; during iteration if `images_of` raises it.
    """
    _check_positive("workers", workers)
    if ahead < 0:
        raise InputError(f"expected ahead to be 0 or more, got {ahead}")

    def make(number: int) -> Batch:
        return images_of(number), labels[batches[number]]

    def iterate() -> Iterator[Batch]:
        pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="tinytl-data")
        try:
            pending = collections.deque()
            for number in range(len(batches)):
                pending.append(pool.submit(make, number))
                if len(pending) == workers + ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return iterate()


def _check_positive(option: str, value: int) -> None:
    if value < 1:
        raise InputError(f"expected {option} to be 1 or more, got {value}")
