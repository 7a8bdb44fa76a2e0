"""A training and a test set, and how one set is cut into the two."""

import dataclasses

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Splits:
    """The sets of one problem; all have the same classes in the same order.

    Attributes:
        train: Images to train on.
        test: Images to report on; nothing is chosen by them where there is a validation set.
        validation: Images to choose the best epoch by, or None.
        by_seed: Whether another seed would give other sets.
    """

    train: ImageDataset
    test: ImageDataset
    validation: ImageDataset | None = None
    by_seed: bool = False

    @property
    def by_name(self) -> dict[str, ImageDataset]:
        """The sets that there are, by the names of their attributes."""
        sets = {"train": self.train, "test": self.test, "validation": self.validation}
        return {name: dataset for name, dataset in sets.items() if dataset is not None}

    def describe(self) -> str:
        """Returns a line for each set: how many images, and of which class; what a command prints before it works."""
        return "\n".join(f"{name}: {dataset.describe()}" for name, dataset in self.by_name.items())


def hold_out(dataset: ImageDataset, rank: np.ndarray | None = None) -> Splits:
    """Cuts a set that has no test split: the last quarter of each class (at least one image) becomes the test set.

    Of images with several attributes it is the last quarter of all.

    Args:
        dataset: the whole set.
        rank: array [n] by which the images of a class are ordered before the cut; None keeps their order.

    Returns:
        The two sets, each in the order of `dataset`.

    Raises:
        InputError: a class has fewer than two images.
    """
    rank = np.arange(len(dataset)) if rank is None else rank
    if dataset.task == "multilabel":
        if len(dataset) < 2:
            raise InputError(f"{dataset.name} has 1 of the at least 2 images that it needs, to train and to test")
        order, held = np.argsort(rank, kind="stable"), max(1, (len(dataset) + 2) // 4)
        return Splits(dataset.subset(np.sort(order[:-held])), dataset.subset(np.sort(order[-held:])))
    is_test = np.zeros(len(dataset), bool)
    for label, class_name in enumerate(dataset.class_names):
        members = np.flatnonzero(dataset.labels == label)
        if len(members) < 2:
            raise InputError(
                f"{dataset.name} has {len(members)} of the at least 2 images that class '{class_name}' needs, "
                "one to train and one to test"
            )
        members = members[np.argsort(rank[members], kind="stable")]
        is_test[members[-max(1, (len(members) + 2) // 4) :]] = True
    return Splits(dataset.subset(np.flatnonzero(~is_test)), dataset.subset(np.flatnonzero(is_test)))


def first_of_each_class(dataset: ImageDataset, count: int | None, option: str) -> ImageDataset:
    """Returns the first `count` images, spread evenly over the classes.

    Each class gives its first `count // classes` images, the first `count % classes` classes one more.
    Of images with several attributes the first of all are taken.

    Args:
        dataset: the set to take from.
        count: images in all; None takes the whole set.
        option: what an error calls `count`.

    Raises:
        InputError: `count` is below one image a class, or a class has too few images.
    """
    if count is None:
        return dataset
    if dataset.task == "multilabel":
        if not 1 <= count <= len(dataset):
            raise InputError(f"{option} is {count}; expected 1 to {len(dataset)}, the images of {dataset.name}")
        return dataset.subset(np.arange(count))
    classes = len(dataset.class_names)
    if count < classes:
        raise InputError(f"{option} is {count}; expected at least one image for each of the {classes} classes")
    chosen = []
    for label, class_name in enumerate(dataset.class_names):
        wanted = count // classes + (label < count % classes)
        members = np.flatnonzero(dataset.labels == label)
        if len(members) < wanted:
            raise InputError(
                f"{option} is {count}, which takes {wanted} images of class '{class_name}', but {dataset.name} "
                f"has {len(members)} of them; ask for fewer"
            )
        chosen.append(members[:wanted])
    return dataset.subset(np.sort(np.concatenate(chosen)))
