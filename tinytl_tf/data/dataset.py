"""A labeled set of images that are decoded on demand."""

import copy
import hashlib
import threading
from collections.abc import Callable, Sequence

import numpy as np

from tinytl_tf.data.classes import check_names
from tinytl_tf.errors import InputError
from tinytl_tf.progress import Progress
from tinytl_tf.tasks import get_task

SHOWN = 12  # classes that are listed with their counts


class ImageDataset:
    """Labels in memory, images on demand.

    Any number of threads may read at the same time. `task` is "classification" if each image has one class,
    "multilabel" if it has or lacks each of several attributes, and "regression" if it has numbers; see
    `tinytl_tf.tasks`.

    Args:
        name: name of the set in error messages.
        class_names: names of the classes; the position of a name is its label.
        labels: int array [n], each in [0, number of classes); for several attributes, numbers [n, classes] from 0 to 1;
            for a regression, finite numbers [n, classes].
        read: `read(index, short_side)` returns the image, uint8 [height, width, 3] RGB; it may return a smaller
            one with a short side of `short_side` pixels, unless that is None.
        check: `check(index)` reads only the header of an image, and raises `InputError` if it cannot be read.
        digest: `digest(index)` returns the SHA-256 of the image's file, in hexadecimal; None if there is no file.
        decoding: settings of the decoder that the pixels depend on, in addition to the file.
        cache_bytes: maximum memory for keeping decoded images, so that a small set is decoded once and not in each
            epoch. A device has no memory for that.
        sources: name of each image in messages; its position by default.
        sizes: size of each image's file in bytes, if known without reading the file.
        task: a key of `tinytl_tf.tasks.TASKS`; by default, labels [n] are for classification and labels [n, classes]
            for attributes.

    Raises:
        InputError: if there is no class or no image; if a class name is refused or occurs twice; or if a label is out
            of range.

    Example:
        >>> pixels = np.zeros([2, 8, 8, 3], np.uint8)
        >>> dataset = ImageDataset("black", ("a", "b"), np.array([0, 1]), lambda index, short_side: pixels[index])
        >>> len(dataset)
        2
    """

    items = "images"  # name of the members in messages

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        read: Callable[[int, int | None], np.ndarray],
        *,
        check: Callable[[int], None] | None = None,
        digest: Callable[[int], str] | None = None,
        decoding: str = "",
        cache_bytes: int = 0,
        sources: Sequence[str] | None = None,
        sizes: Sequence[int] | None = None,
        task: str = "",
    ):
        self.name = name
        try:
            self.class_names = check_names(class_names)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        labels = np.asarray(labels)
        self._read = read
        self._cache = {}
        self._cache_bytes = 0
        self._lock = threading.Lock()
        if not self.class_names:
            raise InputError(f"{name} has no classes; at least 1 is needed")
        if not len(labels):
            raise InputError(f"{name} has no {self.items}; at least 1 is needed")
        self.task = task or ("multilabel" if labels.ndim == 2 else "classification")
        if self.task != "classification":
            try:
                get_task(self.task).check_labels(labels, len(labels), len(self.class_names))
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
        elif labels.min() < 0 or labels.max() >= len(self.class_names):
            raise InputError(
                f"{name} has labels from {labels.min()} to {labels.max()}; "
                f"its {len(self.class_names)} classes need labels from 0 to {len(self.class_names) - 1}"
            )
        self.labels = labels.astype(get_task(self.task).label_dtype)  # only now: a larger type would wrap
        self._check = check
        self._digest = digest
        self.decoding = decoding
        self._digests: dict[int, str] = {}
        self._capacity = cache_bytes
        self._sources = sources
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int, short_side: int | None = None) -> np.ndarray:
        """Returns one image.

        Args:
            index: position in the set, 0 to `len(self) - 1`.
            short_side: if given, a larger image may be shrunk until its short side has this many pixels.

        Returns:
            uint8 array [height, width, 3], RGB 0 to 255, not writable.

        Raises:
            InputError: if the image cannot be decoded; the message names it.
        """
        key = (index, short_side)
        if key in self._cache:
            return self._cache[key]
        image = self._read(index, short_side)
        image.setflags(write=False)
        with self._lock:
            if key not in self._cache and self._cache_bytes + image.nbytes <= self._capacity:
                self._cache[key] = image
                self._cache_bytes += image.nbytes
        return image

    def require_input(self, shape: Sequence[int]) -> None:
        """Raises `InputError` unless the images fit a model whose input has this shape, without the batch."""
        if len(shape) != 3 or shape[-1] != 3:
            raise InputError(f"expected data of arrays {list(shape)} for this model, got {self.items} in {self.name}")

    def require_task(self, task: str) -> None:
        """Raises `InputError` if the labels belong to a different task."""
        if self.task != task:
            wanted = {
                "classification": "one class for each image; give data with a folder for each class, or labels [n]",
                "multilabel": "each attribute for each image; give data with a labels.csv, or labels [n, attributes]",
                "regression": "each number for each of them; give data for the task regression",
            }
            raise InputError(f"{self.name} has labels for {self.task}, expected {task}: {wanted[task]}")

    def describe(self) -> str:
        """Returns a description: the number of images, and counts by class or attribute, or the mean of each number."""
        if self.task == "regression":
            means, spreads = self.labels.mean(axis=0, dtype=np.float64), self.labels.std(axis=0, dtype=np.float64)
            rows = list(zip(self.class_names, means, spreads, strict=True))[:SHOWN]
            more = f", and {len(means) - SHOWN} numbers more" if len(means) > SHOWN else ""
            listed = ", ".join(f"{name} {mean:.4g} +- {spread:.4g}" for name, mean, spread in rows)
            return f"{len(self)} {self.items} of {len(means)} numbers, mean and spread: {listed}{more}"
        if self.task == "multilabel":
            counts, kind = (self.labels > 0.5).sum(axis=0), "attributes"
        else:
            counts, kind = np.bincount(self.labels, minlength=len(self.class_names)), "classes"
        listed = [f"{name} {count}" for name, count in zip(self.class_names, counts, strict=True)]
        more = f", and {len(listed) - SHOWN} {kind} more" if len(listed) > SHOWN else ""
        return f"{len(self)} {self.items} of {len(listed)} {kind}: {', '.join(listed[:SHOWN])}{more}"

    def source(self, index: int) -> str:
        """Returns the name of an image in messages."""
        return f"{self.name}[{index}]" if self._sources is None else self._sources[index]

    def size(self, index: int) -> int | None:
        """Returns the size of an image's file in bytes, or None if unknown without reading it."""
        return None if self._sizes is None else self._sizes[index]

    def require_classes(self, least: int) -> None:
        """Raises `InputError` for a classification with fewer than `least` classes."""
        if self.task == "classification" and len(self.class_names) < least:
            raise InputError(
                f"{self.name} has {len(self.class_names)} class; at least {least} are needed to tell apart"
            )

    def fingerprint(self) -> str:
        """Returns a hash of the classes, the labels and the content of all images in order, which identifies the set.

        Raises:
            InputError: if a file cannot be read.
        """
        return hashlib.sha256(
            repr((self.class_names, self.labels.tolist(), self.decoding, self.digests())).encode()
        ).hexdigest()

    def digests(self) -> list[str]:
        """Returns the `digest` of each image; shows progress, because all files are read.

        Raises:
            InputError: if a file cannot be read.
        """
        with Progress(len(self), f"reading {self.name}") as progress:
            result = []
            for index in range(len(self)):
                result.append(self.digest(index))
                progress.advance()
        return result

    def digest(self, index: int) -> str:
        """Returns the SHA-256 of an image's file, in hexadecimal, or of its pixels if there is no file.

        It is computed once: a file that changes while the set is open keeps its digest.

        Raises:
            InputError: if the file cannot be read.
        """
        if index not in self._digests:
            self._digests[index] = (
                hashlib.sha256(self._read(index, None).tobytes()).hexdigest()
                if self._digest is None
                else self._digest(index)
            )
        return self._digests[index]

    def broken(self, *, whole: bool = False) -> dict[int, str]:
        """Finds the images that cannot be read.

        Args:
            whole: whether to decode each image; otherwise, only the headers are read.

        Returns:
            The errors, by the index of the image.
        """
        found = {}
        for index in range(len(self)):
            try:
                if whole:
                    self._read(index, None)
                elif self._check:
                    self._check(index)
            except InputError as error:
                found[index] = str(error)
        return found

    def subset(self, indices: np.ndarray) -> "ImageDataset":
        """Returns the set of the images at `indices` (int [m]), in that order, with the same classes."""
        indices = np.asarray(indices)
        if not len(indices):
            raise InputError(f"{self.name} has no {self.items}; at least 1 is needed")
        result = copy.copy(self)
        result.labels = self.labels[indices]
        result._read = lambda index, short_side: self._read(int(indices[index]), short_side)
        result._check = None if self._check is None else lambda index: self._check(int(indices[index]))
        result._digest = lambda index: self.digest(int(indices[index]))  # known digests are not read again
        result._sources = [self.source(int(index)) for index in indices]
        result._sizes = None if self._sizes is None else [self._sizes[index] for index in indices]
        result._cache, result._cache_bytes, result._digests, result._lock = {}, 0, {}, threading.Lock()
        return result
