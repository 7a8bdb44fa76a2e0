"""Finds images that are in two sets: a test on training images is meaningless."""

import collections

from tinytl_tf.data.dataset import ImageDataset

__all__ = ["find_copies"]


def find_copies(train: ImageDataset, other: ImageDataset) -> list[tuple[str, str]]:
    """Finds the images of a set that are byte-for-byte copies of training images.

    Args:
        train: The training images.
        other: The test or validation images.

    Returns:
        For each such image of `other`, in order: its name in messages, and the name of the first equal training image.

    Raises:
        InputError: If a file cannot be read. Only files whose size occurs in both sets are read.

    Example:
        >>> import numpy as np
        >>> pixels = np.array([0, 1, 0], np.uint8).reshape(3, 1, 1, 1).repeat(3, -1)
        >>> images = ImageDataset("set", ("a", "b"), [0, 1, 1], lambda index, _: pixels[index])
        >>> find_copies(images.subset([0, 1]), images.subset([2]))
        [('set[2]', 'set[0]')]
    """
    sizes = [{dataset.size(index) for index in range(len(dataset))} for dataset in (train, other)]
    shared = sizes[0] & sizes[1]
    places = collections.defaultdict(list)
    for index in range(len(train)):
        if train.size(index) in shared:
            places[train.digest(index)].append(index)
    return [
        (other.source(index), train.source(places[other.digest(index)][0]))
        for index in range(len(other))
        if other.size(index) in shared and other.digest(index) in places
    ]
