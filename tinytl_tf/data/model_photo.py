"""Converts one photo to the pixels that a model takes."""

import os
from typing import Protocol

import numpy as np

from tinytl_tf.data.change import Change
from tinytl_tf.data.decode import decode, deep_maximum
from tinytl_tf.data.resizing import CENTRAL_FRACTION, check_central_fraction, short_side
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand
from tinytl_tf.networks.sizes import image_size

__all__ = ["photo"]


class _Model(Protocol):
    """Attributes of a model that `photo` needs."""

    image_size: tuple[int, int]
    central_fraction: float


def photo(
    path: str | os.PathLike, model: _Model | int | tuple[int, int], *, central_fraction: float | None = None
) -> np.ndarray:
    """Reads a photo for an exported model: upright, with its center cropped and scaled; see docs/formats.md.

    Squashing a photo to the model's size, or cropping it differently, makes the model's predictions worse.

    Args:
        path: The file.
        model: A `tinytl_tf.device.TrainableModel`; or only the size: the side in pixels, or (height, width).
        central_fraction: Part of the photo's side that is kept, in (0, 1]; by default, the model's, or 0.875 without a
            model.

    Returns:
        uint8 `[height, width, 3]`, RGB of 0 to 255.

    Raises:
        InputError: If the file cannot be read; or if the size or the fraction is out of range.

    Example:
        >>> model.infer(photo("rose.jpg", model)).probabilities  # doctest: +SKIP
        >>> from PIL import Image
        >>> Image.new("RGB", (60, 40), "red").save("red.png")
        >>> photo("red.png", (24, 32)).shape
        (24, 32, 3)
    """
    size = image_size(getattr(model, "image_size", model), "the size")
    fraction = getattr(model, "central_fraction", CENTRAL_FRACTION) if central_fraction is None else central_fraction
    check_central_fraction(fraction)
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a photo, got {type(path).__name__}")
    source = (expand(path), os.fspath(path))
    return Change().apply(decode(*source, short_side(size), deep_maximum([source])), size, fraction)
