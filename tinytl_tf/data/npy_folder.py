"""Float arrays in separate files of numpy: `x_train.npy`, `y_train.npy`, `x_test.npy`, `y_test.npy`."""

import os
import pathlib

import numpy as np

from tinytl_tf.data.arrays import read_array
from tinytl_tf.data.packed import array_splits
from tinytl_tf.data.reason import reason
from tinytl_tf.data.splits import Splits
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand
from tinytl_tf.regular_file import open_regular

__all__ = ["has_npy_files", "load_npy_folder"]

_NAMES = ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy")
_CLASSES = "classes.txt"
_LARGEST_TEXT = 2**20  # maximum bytes of the class names


def has_npy_files(path: str | os.PathLike) -> bool:
    """Returns whether a folder holds `x_train.npy`, in lower or upper case."""
    return "x_train.npy" in _files(expand(path))


def load_npy_folder(path: str | os.PathLike) -> Splits:
    """Reads arrays and labels from the `.npy` files of a folder.

    `x_train.npy` has numbers [n, ...] with 1 to 3 sizes after the first. `y_train.npy` has their labels: class indices,
    int [n]; class names, str [n]; attributes, numbers [n, classes] from 0 to 1; or numbers to predict, floats [n].
    `x_test.npy` and `y_test.npy` are the test set; without them, the last quarter of each class is the test set.
    `classes.txt` has the name of one class or predicted number on each line, in the order of the labels; it is not
    needed if the labels are names. File names may be in upper or lower case.

    Args:
        path: the folder.

    Raises:
        InputError: if a file is missing, cannot be read, or does not fit the other files.
    """
    root = expand(path)
    files = _files(root)
    splits = ("train", "test") if "x_test.npy" in files or "y_test.npy" in files else ("train",)
    missing = [name for name in _NAMES if name[2:-4] in splits and name not in files]
    if missing:
        raise InputError(f"{root} lacks {', '.join(missing)}; save the array there with numpy.save")
    values = {name: _read(files[name]) for name in _NAMES if name in files}
    (arrays, labels), counts = (_joined(root, letter, values, splits) for letter in "xy"), {}
    for split in splits:
        counts[split] = len(values[f"x_{split}.npy"])
        if len(values[f"y_{split}.npy"]) != counts[split]:
            raise InputError(
                f"{root}: expected as many labels in y_{split}.npy as arrays in x_{split}.npy, got "
                f"{len(values[f'y_{split}.npy'])} and {counts[split]}"
            )
    labels, classes = _numbered(root, labels, files.get(_CLASSES))
    split = np.repeat(splits, list(counts.values())) if len(splits) > 1 else np.full(len(labels), "")
    sources = [f"{files[f'x_{split}.npy']}[{index}]" for split in splits for index in range(counts[split])]
    content = {"array": arrays, "label": labels, "classes": classes, "split": split}
    return array_splits(f"folder of arrays {root}", content, sources)


def _files(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Paths of the files that may be read, by their names in lower case."""
    try:
        return {path.name.lower(): path for path in root.iterdir() if path.name.lower() in (*_NAMES, _CLASSES)}
    except OSError:
        return {}


def _read(path: pathlib.Path) -> np.ndarray:
    values = read_array(path)
    if values.ndim == 0:
        raise InputError(f"expected one array with a row for each example in {path}; save it with numpy.save")
    return values


def _joined(root: pathlib.Path, letter: str, values: dict[str, np.ndarray], splits: tuple[str, ...]) -> np.ndarray:
    parts = [values[f"{letter}_{split}.npy"] for split in splits]
    if len({(part.shape[1:], part.dtype.kind) for part in parts}) > 1:
        got = " and ".join(f"{part.dtype} {list(part.shape)}" for part in parts)
        raise InputError(f"{root}: expected {letter}_train.npy and {letter}_test.npy of one type and shape, got {got}")
    return np.concatenate(parts)


def _numbered(root: pathlib.Path, labels: np.ndarray, names: pathlib.Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels as numbers, and the names of the classes or outputs."""
    is_named = labels.dtype.kind == "U" and labels.ndim == 1
    if names is None:
        if not is_named:
            raise InputError(f"{root} lacks {_CLASSES}; write the name of a class, or of an output, on each line of it")
        classes, labels = np.unique(labels, return_inverse=True)
        return labels, classes
    try:
        with open_regular(names) as file:
            classes = file.read(_LARGEST_TEXT).decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{names} cannot be read as UTF-8 ({reason(error)}); write it again") from error
    classes = [name.strip() for name in classes if name.strip()]
    if is_named:
        unknown = sorted(set(labels.tolist()) - set(classes))
        if unknown:
            raise InputError(f"expected labels that {names} has, got {unknown[0]!r:.80}; add it there")
        labels = np.array([classes.index(name) for name in labels.tolist()])
    return labels, np.array(classes, np.str_)
