"""Image folders: one sub-folder for each class, with or without train/ and test/ above them."""

import collections
import hashlib
import logging
import os
import pathlib

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import decode
from tinytl_tf.data.reason import reason
from tinytl_tf.data.splits import Splits, hold_out
from tinytl_tf.errors import InputError

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
TEST_FOLDERS = ("test", "val")  # the first that exists is used
LAYOUT = "expected FOLDER/train/CLASS/ with FOLDER/test/CLASS/ or FOLDER/val/CLASS/, or FOLDER/CLASS/"


def load_folder(path: str | os.PathLike, *, seed: int = 0) -> Splits:
    """Lists an image folder.

    The classes are the sorted names of the folders in `train/`. A folder without `train/` is flat: its own
    sub-folders are the classes, and a quarter of each class becomes the test set. Which quarter depends on a
    hash of `seed` and each file's path inside the folder, on nothing else: it is the same on every machine, and
    adding or removing one file moves at most one other.

    A class folder is searched in its whole depth. Hidden files and folders are ignored; files with another
    suffix than an image's are ignored with a warning.

    Args:
        path: the folder.
        seed: chooses the quarter that a flat folder is tested on.

    Returns:
        The two sets, images sorted by class and path.

    Raises:
        InputError: the folder is missing, unreadable or has another layout, a class is empty, or the test set has
            a class that the training set has not.
    """
    root = pathlib.Path(path)
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"image folder {root} {problem}; {LAYOUT}")
    try:
        folders = _subfolders(root)
        if "train" in folders or set(TEST_FOLDERS) & set(folders):
            return _load_splits(root, folders)
        return _load_flat(root, folders, seed)
    except OSError as error:
        raise InputError(f"image folder {root} cannot be read ({reason(error)}); check its permissions") from error


def _load_splits(root: pathlib.Path, folders: list[str]) -> Splits:
    test_folder = next((name for name in TEST_FOLDERS if name in folders), None)
    if "train" not in folders or test_folder is None:
        present, missing = ("train/", "test/ or val/") if test_folder is None else (f"{test_folder}/", "train/")
        raise InputError(f"image folder {root} has {present} but no {missing}; {LAYOUT}")
    train, test = root / "train", root / test_folder
    classes, test_classes = _subfolders(train), _subfolders(test)
    for name in test_classes:
        if name not in classes:
            raise InputError(
                f"class folder {test / name} has no counterpart in {train}; add training images or remove it"
            )
    return Splits(_dataset(train, classes, _list(train, classes)), _dataset(test, classes, _list(test, test_classes)))


def _load_flat(root: pathlib.Path, classes: list[str], seed: int) -> Splits:
    files = _list(root, classes)
    keys = [os.fsencode(f"{seed}/{path.relative_to(root).as_posix()}") for _, path in files]
    rank = np.array([hashlib.sha256(key).hexdigest() for key in keys])
    return hold_out(_dataset(root, classes, files), rank)


def _dataset(root: pathlib.Path, classes: list[str], files: list[tuple[str, pathlib.Path]]) -> ImageDataset:
    paths = [path for _, path in files]
    return ImageDataset(
        f"image folder {root}",
        classes,
        np.array([classes.index(name) for name, _ in files], np.int32),
        lambda index, short_side: decode(paths[index], str(paths[index]), short_side),
    )


def _list(root: pathlib.Path, classes: list[str]) -> list[tuple[str, pathlib.Path]]:
    """Returns (class, path) of every image, sorted; warns once of the files left out."""
    if not classes:
        raise InputError(f"image folder {root} has no class folders; {LAYOUT}")
    files, ignored = [], collections.Counter()
    for name in classes:
        visible = [(path, path.suffix.lower()) for path in _visible_files(root / name)]
        images = [(name, path) for path, suffix in visible if suffix in IMAGE_SUFFIXES]
        if not images:
            raise InputError(
                f"class folder {root / name} has no images ({', '.join(IMAGE_SUFFIXES)}); add some or remove it"
            )
        files += images
        ignored.update(suffix or "no suffix" for _, suffix in visible if suffix not in IMAGE_SUFFIXES)
    if ignored:
        logging.getLogger(__name__).warning(
            "%s: ignored %d files that are no images: %s",
            root,
            ignored.total(),
            ", ".join(f"{count} {suffix}" for suffix, count in sorted(ignored.items())),
        )
    return files


def _subfolders(root: pathlib.Path) -> list[str]:
    return sorted(child.name for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))


def _visible_files(root: pathlib.Path) -> list[pathlib.Path]:
    files = []
    for child in sorted(root.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            files += _visible_files(child)
        else:
            files.append(child)
    return files
