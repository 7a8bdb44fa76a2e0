"""Sizes of images: one number for both sides, or a pair."""

import numbers
from collections.abc import Sequence

from tinytl_tf.errors import InputError

__all__ = ["Resolution", "image_size"]

Resolution = int | Sequence[int]  # pixels of both sides, or (height, width)


def image_size(resolution: Resolution) -> tuple[int, int]:
    """Returns height and width, in pixels.

    Raises:
        InputError: if it is neither a whole number above 0 nor a pair of these.

    Example:
        >>> image_size(96), image_size((96, 64))
        ((96, 96), (96, 64))
    """
    size = tuple(resolution) if isinstance(resolution, Sequence) and not isinstance(resolution, str) else (resolution,)
    fits = all(isinstance(side, numbers.Integral) and not isinstance(side, bool) and side > 0 for side in size)
    if not fits or len(size) not in (1, 2):
        raise InputError(
            f"resolution must be a positive number of pixels or (height, width), got {resolution!r:.80}; 224 is common"
        )
    height, width = size * 2 if len(size) == 1 else size
    return int(height), int(width)
