"""A labeled set of float arrays of one shape."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.errors import InputError

__all__ = ["ArrayDataset", "as_array"]


class ArrayDataset(ImageDataset):
    """Labels in memory, arrays on demand: windows of sensor data, spectrograms, waveforms or rows of a table.

    The digest of an array without a file is the digest of its numbers as little-endian float32.

    Args:
        name: as for `ImageDataset`.
        class_names: as for `ImageDataset`.
        labels: as for `ImageDataset`.
        read: `read(index)` returns a float32 array.
        shape: shape of each array.
        sample_rate: samples per second of waveforms; 0 if unknown, and for all other arrays.
        **options: further arguments of `ImageDataset`.

    Raises:
        InputError: as for `ImageDataset`.

    Example:
        >>> values = np.zeros([2, 40, 6], np.float32)
        >>> dataset = ArrayDataset("windows", ("a", "b"), np.array([0, 1]), lambda index: values[index], (40, 6))
        >>> dataset.describe()
        '2 arrays of 2 classes: a 1, b 1'
    """

    items = "arrays"

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        labels: np.ndarray,
        read: Callable[[int], np.ndarray],
        shape: Sequence[int],
        *,
        sample_rate: int = 0,
        **options: Any,
    ):
        super().__init__(name, class_names, labels, lambda index, _: read(index), **options)
        self.shape = tuple(shape)
        self.sample_rate = sample_rate

    def require_input(self, shape: Sequence[int]) -> None:
        """Raises `InputError` unless the arrays fit a model whose input has this shape, without the batch."""
        if self.shape != tuple(shape):
            raise InputError(f"expected arrays {list(shape)} for this model, got {list(self.shape)} in {self.name}")

    def array(self, index: int) -> np.ndarray:
        """Returns one array.

        Args:
            index: position in the set, 0 to `len(self) - 1`.

        Returns:
            float32 array of the shape `shape`, not writable.

        Raises:
            InputError: if the file of the array cannot be read or has a different shape; the message names it.
        """
        return self.image(index)


def as_array(values: np.ndarray, where: str) -> np.ndarray:
    """Returns finite numbers as little-endian float32.

    Args:
        values: numbers of any type.
        where: name of the numbers in error messages.

    Raises:
        InputError: If `values` are not real numbers; or if one of them is not finite as float32.

    Example:
        >>> as_array(np.array([1, 2]), "ones")
        array([1., 2.], dtype=float32)
    """
    if values.dtype.kind not in "fiub":
        raise InputError(f"expected numbers in {where}, got {values.dtype}; give floats")
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(values, "<f4")
    if not np.isfinite(result).all():
        place = np.argwhere(~np.isfinite(result))[0].tolist()
        raise InputError(
            f"expected finite numbers in {where}, got {values[tuple(place)]} at {place}; leave that array out"
        )
    return result
