"""A labeled set of images that are decoded when asked for."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from tinytl_tf.data.augmentation import CENTRAL_FRACTION
from tinytl_tf.errors import InputError

CACHE_BYTES = 256 * 2**20


class ImageDataset:
    """Labels in memory, images on demand.

    Decoded images are kept until 256 MiB are in use, so that small sets are decoded once and not once an epoch.
    Any number of threads may read at the same time.

    Args:
        name: what errors call the set.
        class_names: names of the classes; the position of a name is its label.
        labels: int array [n], each in [0, number of classes).
        read: `read(index, short_side)` returns the image, uint8 [height, width, 3] RGB; it may return a smaller
            one whose short side has `short_side` pixels, unless that is None.
        central_fraction: part of an image's side that is evaluated, in (0, 1].

    Raises:
        InputError: fewer than two classes, no image, a label outside the classes, or a fraction out of range.

    Example:
        >>> pixels = np.zeros([2, 8, 8, 3], np.uint8)
        >>> ImageDataset("black", ("a", "b"), np.array([0, 1]), lambda index, short_side: pixels[index])
    """

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        read: Callable[[int, int | None], np.ndarray],
        central_fraction: float = CENTRAL_FRACTION,
    ):
        if not 0 < central_fraction <= 1:
            raise InputError(f"expected central_fraction above 0 and at most 1, got {central_fraction}")
        self.name = name
        self.class_names = tuple(class_names)
        self.labels = np.asarray(labels, np.int32)
        self.central_fraction = central_fraction
        self._read = read
        self._cache = {}
        self._cache_bytes = 0
        self._lock = threading.Lock()
        if len(self.class_names) < 2:
            raise InputError(f"{name} has {len(self.class_names)} class; at least 2 are needed to tell apart")
        if not len(self.labels):
            raise InputError(f"{name} has no images; at least 1 is needed")
        if self.labels.min() < 0 or self.labels.max() >= len(self.class_names):
            raise InputError(
                f"{name} has labels from {self.labels.min()} to {self.labels.max()}; "
                f"its {len(self.class_names)} classes need labels from 0 to {len(self.class_names) - 1}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int, short_side: int | None = None) -> np.ndarray:
        """Returns one image.

        Args:
            index: position in the set, 0 to `len(self) - 1`.
            short_side: when given, a larger file may be shrunk until its short side has this many pixels.

        Returns:
            uint8 array [height, width, 3], RGB 0 to 255, not writable.

        Raises:
            InputError: the image cannot be decoded; the message names it.
        """
        key = (index, short_side)
        if key in self._cache:
            return self._cache[key]
        image = self._read(index, short_side)
        image.setflags(write=False)
        with self._lock:
            if key not in self._cache and self._cache_bytes + image.nbytes <= CACHE_BYTES:
                self._cache[key] = image
                self._cache_bytes += image.nbytes
        return image

    def subset(self, indices: np.ndarray) -> "ImageDataset":
        """Returns the set of the images at `indices` (int [m]), in that order, with the same classes."""
        indices = np.asarray(indices)
        return ImageDataset(
            self.name,
            self.class_names,
            self.labels[indices],
            lambda index, short_side: self._read(int(indices[index]), short_side),
            self.central_fraction,
        )

    def with_central_fraction(self, central_fraction: float) -> "ImageDataset":
        """Returns the same images, of which another part is evaluated."""
        return ImageDataset(self.name, self.class_names, self.labels, self._read, central_fraction)
