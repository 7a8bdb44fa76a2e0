"""Packed arrays: all JPEG files of a set in one `.npz`."""

import os
import zipfile

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import decode
from tinytl_tf.data.splits import Splits, hold_out
from tinytl_tf.errors import InputError

REQUIRED_KEYS = ("jpeg", "offsets", "label", "classes")


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
    _check(path, jpeg, offsets, labels, sources)

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
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except FileNotFoundError as error:
        raise InputError(f"packed set {path} does not exist; give the path of an .npz file") from error
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"packed set {path} cannot be read as .npz ({error}); pack it again with numpy.savez"
        ) from error
    missing = [key for key in REQUIRED_KEYS if key not in arrays]
    if missing:
        raise InputError(
            f"packed set {path} lacks {', '.join(missing)}; expected the arrays {', '.join(REQUIRED_KEYS)}, "
            f"got {', '.join(arrays) or 'none'}"
        )
    return arrays


def _check(path, jpeg: np.ndarray, offsets: np.ndarray, labels: np.ndarray, sources: np.ndarray) -> None:
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1:
        raise InputError(f"packed set {path}: expected 'jpeg' to be uint8 [bytes], got {jpeg.dtype} {list(jpeg.shape)}")
    for key, array in (("offsets", offsets), ("label", labels)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise InputError(
                f"packed set {path}: expected '{key}' to be int [n], got {array.dtype} {list(array.shape)}"
            )
    if len(offsets) != len(labels) + 1 or len(sources) != len(labels):
        raise InputError(
            f"packed set {path}: expected n labels, n+1 offsets and n sources, "
            f"got {len(labels)}, {len(offsets)} and {len(sources)}"
        )
    if (np.diff(offsets.astype(np.int64)) < 0).any() or offsets[0] < 0 or offsets[-1] > len(jpeg):
        raise InputError(
            f"packed set {path}: expected 'offsets' to rise from 0 to at most {len(jpeg)}, the bytes of 'jpeg'"
        )
