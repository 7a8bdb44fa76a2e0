"""Packed sets: all JPEG files of a set, or all float arrays, in one `.npz`."""

import hashlib
import os

import numpy as np

from tinytl_tf.data.arrays import read_arrays
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import check_header, decode, deep_maximum
from tinytl_tf.data.packed_arrays import ALIASES, make_array_dataset
from tinytl_tf.data.splits import Splits, last_quarter
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand

_ARRAY_KEYS = ("array", *(alias for alias, key in ALIASES.items() if key == "array"))
# Numpy type of each required array, and its description in errors.
ARRAYS = {
    "jpeg": (np.uint8, "uint8 [bytes]"),
    "offsets": (np.integer, "int [n+1]"),
    "label": (np.integer, "int [n] or numbers [n, classes]"),
    "classes": (np.str_, "str [classes]"),
}


def load_packed(path: str | os.PathLike, *, cache_bytes: int = 0) -> Splits:
    """Reads a data set that is packed into one `.npz` file.

    With the key `array` or `x`, it is a set of float arrays; see `make_array_dataset`. Otherwise, it is a set of
    photos.

    Keys for photos: `jpeg`, the bytes of all files in one uint8 array; `offsets`, int [n+1], so that image i is
    `jpeg[offsets[i]:offsets[i+1]]`; `label`, int [n], or numbers [n, classes] of 0 and 1 for several attributes;
    `classes`, str [classes]; optionally `split`, str [n] of "train" and "test"; optionally `source`, str or bytes [n],
    the names of the images in error messages.

    Without `split`, or if it is "" for all images, the last quarter of each class is the test set, because the file has
    a fixed order. If you add images to a set that was trained on, include `split`.

    Args:
        path: the `.npz` file.
        cache_bytes: see `ImageDataset`.

    Returns:
        The two sets in the order of the file.

    Raises:
        InputError: if the file is missing or is not such an archive; if it would unpack to far more than its size; or
            if its arrays do not fit together.
    """
    path = os.fspath(expand(path))
    arrays = _read(path)
    if _has_arrays(arrays):
        count = next(len(arrays[key]) for key in _ARRAY_KEYS if key in arrays)
        sources = [f"{path}[{name}]" for name in _texts(arrays.get("source", np.arange(count)))]
        return array_splits(f"packed set {path}", arrays, sources)
    _check_types(path, arrays)
    jpeg, offsets, labels = arrays["jpeg"], arrays["offsets"].astype(np.int64), arrays["label"]
    sources = _texts(arrays.get("source", np.arange(len(labels))))
    if len(offsets) != len(labels) + 1 or len(sources) != len(labels):
        raise InputError(
            f"packed set {path}: expected n labels, n+1 offsets and n sources, "
            f"got {len(labels)}, {len(offsets)} and {len(sources)}"
        )
    if offsets[0] < 0 or (np.diff(offsets) < 0).any() or offsets[-1] > len(jpeg):
        raise InputError(
            f"packed set {path}: expected 'offsets' to rise from 0 to at most {len(jpeg)}, the bytes of 'jpeg'"
        )

    def source(index: int) -> tuple[bytes, str]:
        return jpeg[offsets[index] : offsets[index + 1]].tobytes(), f"{path}[{sources[index]}]"

    maximum = deep_maximum(map(source, range(len(labels))))
    dataset = ImageDataset(
        f"packed set {path}",
        arrays["classes"].tolist(),
        labels,
        lambda index, short_side: decode(*source(index), short_side, maximum),
        check=lambda index: check_header(*source(index)),
        digest=lambda index: hashlib.sha256(source(index)[0]).hexdigest(),
        decoding=str(maximum),
        cache_bytes=cache_bytes,
        sources=[f"{path}[{name}]" for name in sources],
        sizes=np.diff(offsets).tolist(),
    )
    return _split(arrays, dataset)


def array_splits(name: str, arrays: dict[str, np.ndarray], sources: list[str]) -> Splits:
    """Returns the two sets of float arrays; takes the arguments of `make_array_dataset`."""
    return _split(arrays, make_array_dataset(name, arrays, sources))


def _split(arrays: dict[str, np.ndarray], dataset: ImageDataset) -> Splits:
    """Splits a set into training and test images as the file specifies."""
    split = _texts(arrays.get("split", np.full(len(dataset), "")))
    if len(split) == len(dataset) and set(split) == {""}:
        return last_quarter(dataset)
    if len(split) != len(dataset) or set(split) != {"train", "test"}:
        raise InputError(
            f"{dataset.name}: expected 'split' to name each {dataset.items[:-1]} 'train' or 'test', or all of them ''"
        )
    is_test = np.array(split) == "test"
    return Splits(dataset.subset(np.flatnonzero(~is_test)), dataset.subset(np.flatnonzero(is_test)))


def _has_arrays(arrays: dict[str, np.ndarray]) -> bool:
    return any(key in arrays and arrays[key].ndim for key in _ARRAY_KEYS)


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    arrays = read_arrays(path, f"packed set {path}", "pack it again with numpy.savez")
    if _has_arrays(arrays):
        return arrays
    missing = [key for key in ARRAYS if key not in arrays]
    if missing:
        raise InputError(
            f"packed set {path} lacks {', '.join(missing)}; expected the arrays {', '.join(ARRAYS)}, "
            f"got {', '.join(map(str, arrays)) or 'none'}"
        )
    return arrays


def _check_types(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    for key, (dtype, description) in ARRAYS.items():
        array = arrays[key]
        if key == "label" and array.ndim == 2 and array.dtype.kind in "iufb":
            continue  # attributes, which the data set checks
        if not np.issubdtype(array.dtype, dtype) or array.ndim != 1:
            raise InputError(
                f"packed set {path}: expected '{key}' to be {description}, got {array.dtype} {list(array.shape)}"
            )


def _texts(array: np.ndarray) -> list[str]:
    texts = [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in array.ravel().tolist()]
    return [text if text.isprintable() else repr(text)[1:-1] for text in texts]  # errors are one line
