"""Selects the part of a photo that is evaluated, and resizes it to the model's input."""

import math

import numpy as np
from PIL import Image

from tinytl_tf.errors import InputError

__all__ = [
    "CENTRAL_FRACTION",
    "Box",
    "central_box",
    "check_central_fraction",
    "resize",
    "short_side",
]

Box = tuple[float, float, float, float]  # left, upper, right and lower edge in pixels

# Part of an image's side that is evaluated: 224 of 256 pixels, the ImageNet convention, which TinyTL follows.
CENTRAL_FRACTION = 0.875
# The short side of a crop with 0.22 of the area is at least 0.4 of the image's: 2.5 times the size loses nothing.
_SHORT_SIDE = 2.5


def short_side(size: tuple[int, int]) -> int:
    """Returns the size in pixels to which the short side of a larger photo is shrunk first, for a model's input.

    Args:
        size: Height and width of the model's input in pixels.
    """
    return round(_SHORT_SIDE * max(size))


def check_central_fraction(fraction: float) -> None:
    """Raises `InputError` unless `fraction`, a part of an image's side, is in (0, 1]."""
    if not 0 < fraction <= 1:
        raise InputError(f"expected central_fraction above 0 and at most 1, got {fraction}")


def central_box(height: int, width: int, size: tuple[int, int], fraction: float = CENTRAL_FRACTION) -> Box:
    """Returns the part of an image that is evaluated.

    It is the center crop of the image after scaling it to cover ceil(size / fraction) pixels; for a square size, the
    short side is scaled to ceil(size / fraction).

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        size: Height and width of the model's input in pixels.
        fraction: Part of the side that is kept, in (0, 1].

    Example:
        >>> central_box(256, 300, (224, 224))
        (38.0, 16.0, 262.0, 240.0)
    """
    scale = max(math.ceil(size[0] / fraction) / height, math.ceil(size[1] / fraction) / width)
    h, w = size[0] / scale, size[1] / scale
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h


def resize(image: np.ndarray, size: tuple[int, int], box: Box) -> Image.Image:
    """Scales the part `box` of a uint8 `[h, w, 3]` image to `size` (height, width), bilinear and antialiased."""
    return Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)
