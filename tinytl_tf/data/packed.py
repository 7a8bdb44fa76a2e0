"""Packed arrays: all JPEG files of a set in one `.npz`."""

import os

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import decode
from tinytl_tf.data.splits import Splits, hold_out
from tinytl_tf.errors import InputError

# Of each array that must be there: the numpy type it must be of, and what an error calls that.
ARRAYS = {
    "jpeg": (np.uint8, "uint8 [bytes]"),
    "offsets": (np.integer, "int [n+1]"),
    "label": (np.integer, "int [n]"),
    "classes": (np.str_, "str [classes]"),
}


def load_packed(path: str | os.PathLike) -> Splits:
    """Reads a set packed as arrays.

    Keys of the file: `jpeg`, the bytes of all files in one uint8 array; `offsets`, int [n+1], image i is
    `jpeg[offsets[i]:offsets[i+1]]`; `label`, int [n]; `classes`, str [classes]; optional `split`, str [n] of "train"
    and "test"; optional `source`, str or bytes [n], the names that errors use.

    Without `split`, or when all of it is "", the last quarter of each class is the test set.

    Args:
        path: the `.npz` file.

    Returns:
        The two sets in the order of the file.

    Raises:
        InputError: the file is missing, is no such archive, or its arrays do not fit together.
    """
    arrays = _read(path)
    jpeg, offsets, labels = arrays["jpeg"], arrays["offsets"], arrays["label"]
    sources = arrays.get("source", np.arange(len(labels)).astype(str))
    _check(path, arrays, len(sources))

    def read(index: int, short_side: int | None) -> np.ndarray:
        source = sources[index].decode() if isinstance(sources[index], bytes) else sources[index]
        return decode(jpeg[offsets[index] : offsets[index + 1]].tobytes(), f"{path}[{source}]", short_side)

    dataset = ImageDataset(f"packed set {path}", arrays["classes"].tolist(), labels, read)
    split = arrays.get("split", np.full(len(labels), ""))
    if split.shape == labels.shape and (split == "").all():
        return hold_out(dataset)
    if split.shape != labels.shape or set(split.tolist()) != {"train", "test"}:
        raise InputError(f"packed set {path}: expected 'split' to name each image 'train' or 'test', or all of them ''")
    return Splits(dataset.subset(np.flatnonzero(split == "train")), dataset.subset(np.flatnonzero(split == "test")))


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            arrays = dict(np.load(file, allow_pickle=False))
    except FileNotFoundError as error:
        raise InputError(f"packed set {path} does not exist; give the path of an .npz file") from error
    except (
        Exception
    ) as error:  # broken archives raise OSError, BadZipFile, zlib.error, ValueError, TypeError and others
        raise InputError(
            f"packed set {path} cannot be read as .npz ({error}); pack it again with numpy.savez"
        ) from error
    missing = [key for key in ARRAYS if key not in arrays]
    if missing:
        raise InputError(
            f"packed set {path} lacks {', '.join(missing)}; expected the arrays {', '.join(ARRAYS)}, "
            f"got {', '.join(map(str, arrays)) or 'none'}"
        )
    return arrays


def _check(path, arrays: dict[str, np.ndarray], sources: int) -> None:
    for key, (dtype, description) in ARRAYS.items():
        array = arrays[key]
        if not np.issubdtype(array.dtype, dtype) or array.ndim != 1:
            raise InputError(
                f"packed set {path}: expected '{key}' to be {description}, got {array.dtype} {list(array.shape)}"
            )
    offsets, size = arrays["offsets"].astype(np.int64), len(arrays["jpeg"])
    if len(offsets) != len(arrays["label"]) + 1 or sources != len(arrays["label"]):
        raise InputError(
            f"packed set {path}: expected n labels, n+1 offsets and n sources, "
            f"got {len(arrays['label'])}, {len(offsets)} and {sources}"
        )
    if offsets[0] < 0 or (np.diff(offsets) < 0).any() or offsets[-1] > size:
        raise InputError(f"packed set {path}: expected 'offsets' to rise from 0 to at most {size}, the bytes of 'jpeg'")
