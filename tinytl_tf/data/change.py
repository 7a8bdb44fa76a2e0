"""One change of a training image: crop, flip and color."""

import dataclasses

import numpy as np
from PIL import Image, ImageEnhance

from tinytl_tf.data.resizing import Box, central_box, resize

__all__ = ["COLOR_CHANGES", "Change"]


@dataclasses.dataclass(frozen=True)
class Change:
    """How one training image is cropped, flipped and recolored.

    Attributes:
        box: Left, upper, right and lower edge of the crop in pixels; None for the crop used in an evaluation.
        flip: Whether left and right are swapped.
        colors: Pairs of a key of `COLOR_CHANGES` and its amount, in the order in which they are applied. Brightness,
            contrast and saturation change by the factor 1 + amount; the hue is rotated by the amount, as a fraction of
            the color circle.
    """

    box: Box | None = None
    flip: bool = False
    colors: tuple[tuple[str, float], ...] = ()

    def apply(self, image: np.ndarray, size: tuple[int, int], central_fraction: float) -> np.ndarray:
        """Returns the changed image.

        Args:
            image: uint8 `[h, w, 3]`, RGB 0 to 255.
            size: Height and width of the result in pixels.
            central_fraction: Without a box, the part of the side that is kept, in (0, 1].

        Returns:
            uint8 `[height, width, 3]`.
        """
        box = central_box(*image.shape[:2], size, central_fraction) if self.box is None else self.box
        result = resize(image, size, box)
        if self.flip:
            result = result.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for name, amount in self.colors:
            result = COLOR_CHANGES[name](result, amount)
        return np.asarray(result)


def _turn_hue(image: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + round(turn * 255)) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


COLOR_CHANGES = {
    "brightness": lambda image, amount: ImageEnhance.Brightness(image).enhance(1 + amount),
    "contrast": lambda image, amount: ImageEnhance.Contrast(image).enhance(1 + amount),
    "saturation": lambda image, amount: ImageEnhance.Color(image).enhance(1 + amount),
    "hue": _turn_hue,
}
