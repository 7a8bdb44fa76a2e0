"""From the name of a data set to its training and test images."""

import os

from tinytl_tf.data.augmentation import CENTRAL_FRACTION
from tinytl_tf.data.digits import load_digits
from tinytl_tf.data.folder import load_folder
from tinytl_tf.data.packed import load_packed
from tinytl_tf.data.splits import Splits, first_of_each_class
from tinytl_tf.data.tfds import load_tfds

TFDS_PREFIX = "tfds:"


def load(
    name: str | os.PathLike,
    *,
    seed: int = 0,
    train_images: int | None = None,
    test_images: int | None = None,
    central_fraction: float | None = None,
    data_dir: str | None = None,
    download: bool = True,
) -> Splits:
    """Opens a data set by name.

    | name | set |
    |---|---|
    | `digits` | scikit-learn's handwritten digits as dark ink on light paper, the embedded default |
    | `digits-shifted` | the same digits in other inks, papers, light and positions |
    | `tfds:NAME` | a TensorFlow Datasets builder, `NAME`, `NAME:VERSION` or `NAME/CONFIG` |
    | a path ending in `.npz` | packed JPEG files, see `load_packed` |
    | any other path | an image folder, see `load_folder` |

    Args:
        name: see the table. A folder that is called like a set is named `./digits`.
        seed: chooses the test images of a flat folder and the look of `digits-shifted`; the others ignore it.
        train_images: keep only this many training images: the first of each class, evenly spread. None keeps all.
        test_images: the same for the test set.
        central_fraction: part of an image's side that is evaluated, in (0, 1]. None is 0.875.
        data_dir: where TensorFlow Datasets keeps its files; None is its own default. The others ignore it.
        download: whether TensorFlow Datasets may download a set that is not there. The others ignore it.

    Returns:
        The training and the test set.

    Raises:
        InputError: there is no such set, or it cannot be used; the message says why and what to do.

    Example:
        >>> splits = load("digits", train_images=100)
        >>> len(splits.train), splits.train.class_names[:3]
        (100, ('0', '1', '2'))
    """
    fraction = CENTRAL_FRACTION if central_fraction is None else central_fraction
    splits = _open(os.fspath(name), seed, data_dir, download)
    return Splits(
        first_of_each_class(splits.train, train_images, "train_images").with_central_fraction(fraction),
        first_of_each_class(splits.test, test_images, "test_images").with_central_fraction(fraction),
    )


def _open(name: str, seed: int, data_dir: str | None, download: bool) -> Splits:
    if name in ("digits", "digits-shifted"):
        return load_digits(shifted=name == "digits-shifted", seed=seed)
    if name.startswith(TFDS_PREFIX):
        return load_tfds(name.removeprefix(TFDS_PREFIX), data_dir=data_dir, download=download)
    path = os.path.expanduser(name)
    return load_packed(path) if path.lower().endswith(".npz") else load_folder(path, seed=seed)
