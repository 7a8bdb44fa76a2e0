"""Training and test sets, and rules that split one set into the two."""

import dataclasses
import hashlib
import logging

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.errors import InputError

_HELD_OUT = 2**30  # a quarter of the 2^32 values of four bytes
_logger = logging.getLogger(__name__)

_LISTED = 20  # maximum number of classes that a message names
_REMEDY = "add images, sort them into folders train/ and test/, or choose another split seed"


@dataclasses.dataclass(frozen=True)
class Splits:
    """The sets of one learning problem; all have the same classes in the same order.

    Attributes:
        train: Images to train on.
        test: Images to report results on, or None. With a validation set, they influence no choice.
        validation: Images that determine the best epoch, or None.
        by_seed: Whether the sets depend on the seed.
        held_out: Whether the test images were chosen by `hold_out`.
    """

    train: ImageDataset
    test: ImageDataset | None
    validation: ImageDataset | None = None
    by_seed: bool = False
    held_out: bool = False

    @property
    def by_name(self) -> dict[str, ImageDataset]:
        """The existing sets, by the names of their attributes."""
        sets = {"train": self.train, "test": self.test, "validation": self.validation}
        return {name: dataset for name, dataset in sets.items() if dataset is not None}

    def require_test(self) -> ImageDataset:
        """Returns the test set.

        Raises:
            InputError: if there are no test images.
        """
        if self.test is None:
            raise InputError(f"{self.train.name} has no test {self.train.items} to report on; {_REMEDY}")
        return self.test

    def warn_of_other_split(self, split: str) -> None:
        """Logs a warning if the held-out images may contain images that a network was trained on.

        Args:
            split: how the training of the network chose its test images: `"content"` for `is_held_out`.
        """
        if self.held_out and split != "content":
            _logger.warning(
                "%s: the network was trained by a version that held out other images; some of the test images "
                "may have been trained on: sort them into folders train/ and test/ to be sure",
                self.train.name,
            )

    def describe(self) -> str:
        """Returns a line for each set, with its images by class; commands print it first."""
        lines = [f"{name}: {dataset.describe()}" for name, dataset in self.by_name.items()]
        if self.test is None:
            lines.append(f"test: no {self.train.items}, so that no accuracy is measured")
        elif self.held_out and self.train.task == "classification":
            counts = np.bincount(self.test.labels, minlength=len(self.test.class_names))
            without = [name for name, count in zip(self.test.class_names, counts, strict=True) if not count]
            if without:
                more = f" and {len(without) - _LISTED} more" if len(without) > _LISTED else ""
                lines.append(f"no photos held out to test {', '.join(without[:_LISTED])}{more}")
        return "\n".join(lines)


def is_held_out(digest: str, seed: int) -> bool:
    """Whether an image is held out from training as a test image.

    For each seed, this depends only on the image's content, not on the number of images or on their paths and names. So
    an image that was used for training is never a test image later, even if images are added or removed, and copies
    stay together. All clients follow this rule; see "Photos that are held out" in docs/formats.md.

    Args:
        digest: SHA-256 of the image's file, in lowercase hexadecimal.
        seed: Each seed holds out a different quarter of the images.

    Example:
        >>> [is_held_out(hashlib.sha256(name).hexdigest(), seed=0) for name in (b"a", b"b", b"c", b"d", b"e", b"f")]
        [False, False, False, True, False, False]
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{digest}".encode()).digest()[:4], "big") < _HELD_OUT


def hold_out(dataset: ImageDataset, seed: int) -> Splits:
    """Splits a set that has no test images with `is_held_out`.

    Args:
        dataset: the complete set.
        seed: chooses the held-out images.

    Returns:
        The two sets, each in the order of `dataset`; no test set if no image is held out.

    Raises:
        InputError: if a file cannot be read; or if all images, or all images of a class, are held out.
    """
    held = np.array([is_held_out(digest, seed) for digest in dataset.digests()])
    if dataset.task == "classification":
        counts = np.bincount(dataset.labels[~held], minlength=len(dataset.class_names))
        present = np.bincount(dataset.labels, minlength=len(dataset.class_names))
        for name, count, there in zip(dataset.class_names, counts, present, strict=True):
            if there and not count:
                raise InputError(
                    f"{dataset.name} has {there} {dataset.items} of class {name!r}, and all are held out to test; "
                    f"{_REMEDY}"
                )
    if held.all():
        raise InputError(f"{dataset.name} has {len(dataset)} {dataset.items}, and all are held out to test; {_REMEDY}")
    train = dataset.subset(np.flatnonzero(~held))
    test = dataset.subset(np.flatnonzero(held)) if held.any() else None
    return Splits(train, test, by_seed=True, held_out=True)


def last_quarter(dataset: ImageDataset) -> Splits:
    """Splits a fixed set that has no test images: the last quarter of each class becomes the test set.

    For attributes and regression, it is the last quarter of all images.

    Args:
        dataset: the complete set.

    Returns:
        The two sets, each in the order of `dataset`.

    Raises:
        InputError: if a class has fewer than two images.
    """
    if dataset.task != "classification":
        groups = {f"{len(dataset)} {dataset.items}": np.arange(len(dataset))}
    else:
        groups = {f"class {name!r}": own for name, own in zip(dataset.class_names, _by_class(dataset), strict=True)}
    is_test = np.zeros(len(dataset), bool)
    for what, members in groups.items():
        if len(members) < 2:
            raise InputError(
                f"{dataset.name} has too few {dataset.items} of {what}; at least 2 are needed, to train and to test"
            )
        is_test[members[-max(1, (len(members) + 2) // 4) :]] = True
    return Splits(dataset.subset(np.flatnonzero(~is_test)), dataset.subset(np.flatnonzero(is_test)))


def first_of_each_class(dataset: ImageDataset, count: int | None, option: str) -> ImageDataset:
    """Returns the first `count` images, spread evenly over the classes.

    Each class contributes its first `count // classes` images; the first `count % classes` classes contribute one more.
    For attributes and regression, the first `count` of all images are returned.

    Args:
        dataset: the complete set.
        count: total number of images; None returns the complete set.
        option: name of `count` in error messages.

    Raises:
        InputError: if `count` is below one image per class; or if a class has too few images.
    """
    if count is None:
        return dataset
    if dataset.task != "classification":
        if not 1 <= count <= len(dataset):
            raise InputError(
                f"{option} is {count}; expected 1 to {len(dataset)}, the {dataset.items} of {dataset.name}"
            )
        return dataset.subset(np.arange(count))
    classes = len(dataset.class_names)
    if count < classes:
        raise InputError(f"{option} is {count}; expected at least one image for each of the {classes} classes")
    chosen = []
    for label, (class_name, members) in enumerate(zip(dataset.class_names, _by_class(dataset), strict=True)):
        wanted = count // classes + (label < count % classes)
        if len(members) < wanted:
            raise InputError(
                f"{option} is {count}, which takes {wanted} images of class '{class_name}', but {dataset.name} "
                f"has {len(members)} of them; ask for fewer"
            )
        chosen.append(members[:wanted])
    return dataset.subset(np.sort(np.concatenate(chosen)))


def _by_class(dataset: ImageDataset) -> list[np.ndarray]:
    """Positions of each class's images, in order, for all classes at once, because there may be 10,000."""
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    return np.split(np.argsort(dataset.labels, kind="stable"), np.cumsum(counts)[:-1])
