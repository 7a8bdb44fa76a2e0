"""Sizes of images, as one number for both sides or a pair."""

import numbers
from collections.abc import Iterable

from tinytl_tf.errors import InputError

__all__ = ["Resolution", "image_size"]

Resolution = int | Iterable[int]  # pixels: one number for both sides, or (height, width)


def image_size(resolution: Resolution, what: str = "resolution") -> tuple[int, int]:
    """Returns height and width, in pixels.

    Args:
        resolution: one number for both sides, or a pair.
        what: name of the value, for the error message.

    Raises:
        InputError: if `resolution` is neither a whole number above 0 nor a pair of such numbers.

    Example:
        >>> image_size(96), image_size((96, 64))
        ((96, 96), (96, 64))
    """
    is_pair = isinstance(resolution, Iterable) and not isinstance(resolution, str)
    size = tuple(resolution) if is_pair else (resolution, resolution)
    fits = all(isinstance(side, numbers.Integral) and not isinstance(side, bool) and side > 0 for side in size)
    if not fits or len(size) != 2:
        raise InputError(f"expected {what} as a number of pixels above 0 or (height, width), got {resolution!r:.80}")
    return int(size[0]), int(size[1])
