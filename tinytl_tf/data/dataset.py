"""A labeled set of images that are decoded when asked for."""

import hashlib
import threading
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.tasks import get_task

SHOWN = 12  # classes that are listed with their counts


class ImageDataset:
    """Labels in memory, images on demand.

    Any number of threads may read at the same time. `task` is "classification" where each image has one class, and
    "multilabel" where it has each of several attributes or not: see `tinytl_tf.tasks`.

    Args:
        name: what errors call the set.
        class_names: names of the classes; the position of a name is its label.
        labels: int array [n], each in [0, number of classes); or, where an image has several attributes, numbers
            [n, classes] from 0 to 1.
        read: `read(index, short_side)` returns the image, uint8 [height, width, 3] RGB; it may return a smaller
            one whose short side has `short_side` pixels, unless that is None.
        check: `check(index)` raises `InputError` for an image that cannot be read, by its header alone.
        content: `content(index)` returns the bytes of the image's file, and what its pixels depend on besides; None
            where there is no file.
        cache_bytes: decoded images are kept until they take so much memory, so that a small set is decoded once and
            not once an epoch. A device has no memory for that.
        identity: what distinguishes this set from another with the same classes: a name and a size for each image.

    Raises:
        InputError: fewer than two classes, a class twice, no image, or a label outside the classes.

    Example:
        >>> pixels = np.zeros([2, 8, 8, 3], np.uint8)
        >>> dataset = ImageDataset("black", ("a", "b"), np.array([0, 1]), lambda index, short_side: pixels[index])
        >>> len(dataset)
        2
    """

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        read: Callable[[int, int | None], np.ndarray],
        *,
        check: Callable[[int], None] | None = None,
        content: Callable[[int], bytes] | None = None,
        cache_bytes: int = 0,
        identity: Sequence[tuple[str, int]] | None = None,
    ):
        self.name = name
        self.class_names = tuple(unicodedata.normalize("NFC", class_name) for class_name in class_names)
        labels = np.asarray(labels)
        self._read = read
        self._cache = {}
        self._cache_bytes = 0
        self._lock = threading.Lock()
        if len(self.class_names) < 2:
            raise InputError(f"{name} has {len(self.class_names)} class; at least 2 are needed to tell apart")
        twice = {name for name in self.class_names if self.class_names.count(name) > 1}
        if twice:
            raise InputError(f"{name} has the class {min(twice)!r} twice; give each class a name of its own")
        if not len(labels):
            raise InputError(f"{name} has no images; at least 1 is needed")
        self.task = "multilabel" if labels.ndim == 2 else "classification"
        if self.task == "multilabel":
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
        self._content = content
        self._digests: dict[int, str] = {}
        self._capacity = cache_bytes
        self._identity = [("", 0)] * len(labels) if identity is None else list(identity)

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
            if key not in self._cache and self._cache_bytes + image.nbytes <= self._capacity:
                self._cache[key] = image
                self._cache_bytes += image.nbytes
        return image

    def require_task(self, task: str) -> None:
        """Raises `InputError` if the labels are those of another task."""
        if self.task != task:
            wanted = {
                "classification": "one class for each image; give data with a folder for each class, or labels [n]",
                "multilabel": "each attribute for each image; give data with a labels.csv, or labels [n, attributes]",
            }
            raise InputError(f"{self.name} has labels for {self.task}, expected {task}: {wanted[task]}")

    def describe(self) -> str:
        """Returns how many images there are, and of which class or with which attribute."""
        if self.task == "multilabel":
            counts, kind = (self.labels > 0.5).sum(axis=0), "attributes"
        else:
            counts, kind = np.bincount(self.labels, minlength=len(self.class_names)), "classes"
        listed = [f"{name} {count}" for name, count in zip(self.class_names, counts, strict=True)]
        more = f", and {len(listed) - SHOWN} {kind} more" if len(listed) > SHOWN else ""
        return f"{len(self)} images of {len(listed)} {kind}: {', '.join(listed[:SHOWN])}{more}"

    def fingerprint(self) -> str:
        """Returns a hash of classes, labels, and names and sizes of the images, to know the same set again."""
        text = repr((self.class_names, self.labels.tolist(), self._identity))
        return hashlib.sha256(text.encode()).hexdigest()

    def digest(self, index: int) -> str:
        """Returns the SHA-256 of an image's file, in hexadecimal, or of its pixels where there is no file.

        It is computed once: a file that changes while the set is open keeps its digest.

        Raises:
            InputError: the file cannot be read.
        """
        if index not in self._digests:
            content = self._read(index, None).tobytes() if self._content is None else self._content(index)
            self._digests[index] = hashlib.sha256(content).hexdigest()
        return self._digests[index]

    def broken(self, *, whole: bool = False) -> dict[int, str]:
        """Finds the images that cannot be read.

        Args:
            whole: whether to decode each of them; otherwise their headers are read.

        Returns:
            What is wrong, by the index of the image.
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
        return ImageDataset(
            self.name,
            self.class_names,
            self.labels[indices],
            lambda index, short_side: self._read(int(indices[index]), short_side),
            check=None if self._check is None else lambda index: self._check(int(indices[index])),
            content=None if self._content is None else lambda index: self._content(int(indices[index])),
            cache_bytes=self._capacity,
            identity=[self._identity[index] for index in indices],
        )
