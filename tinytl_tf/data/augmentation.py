"""Random changes of a training image."""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageEnhance

from tinytl_tf.errors import InputError

# Half-widths of the ranges of the factors of brightness, contrast and saturation around 1, and of the turn of hue.
COLORS = {
    "none": (0.0, 0.0, 0.0, 0.0),
    "tf": (32 / 255, 0.0, 0.5, 0.0),
    "torch": (0.4, 0.4, 0.4, 0.1),
}
CROP_TRIES = 10
# Part of an image's side that is evaluated: ImageNet's habit of 224 pixels out of 256, which TinyTL keeps.
CENTRAL_FRACTION = 0.875


def check_central_fraction(fraction: float) -> None:
    """Raises `InputError` if `fraction` is no part of an image's side, in (0, 1]."""
    if not 0 < fraction <= 1:
        raise InputError(f"expected central_fraction above 0 and at most 1, got {fraction}")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random resized crop, horizontal flip and color, each of which can be switched off.

    The defaults are those of the TinyTL paper's training.

    Args:
        crop: whether to cut out a random part; otherwise the image is cut as for evaluation.
        crop_area: smallest and largest part of the image's area, each in (0, 1].
        crop_aspect: smallest and largest width divided by height of the part.
        flip: whether to mirror left and right, with probability 1/2. Not for digits, letters or signs.
        color: "none"; "tf" (brightness 32/255, saturation 0.5); or "torch" (brightness, contrast and saturation
            0.4, hue 0.1). Brightness, contrast and saturation are scaled by factors from 1 - x to 1 + x, hue is
            turned by -x to x of the circle, in random order.

    Raises:
        InputError: a range is empty or out of bounds, or `color` is unknown.

    Reference:
        Cai et al., TinyTL, NeurIPS 2020, and its released training scripts.
    """

    crop: bool = True
    crop_area: tuple[float, float] = (0.22, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    color: str = "none"

    def __post_init__(self):
        if not 0 < self.crop_area[0] <= self.crop_area[1] <= 1:
            raise InputError(f"expected crop_area to be two rising numbers in (0, 1], got {self.crop_area}")
        if not 0 < self.crop_aspect[0] <= self.crop_aspect[1] < math.inf:
            raise InputError(f"expected crop_aspect to be two rising numbers above 0, got {self.crop_aspect}")
        if self.color not in COLORS:
            raise InputError(f"expected color to be one of {', '.join(COLORS)}, got '{self.color}'")

    def __call__(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        rng: np.random.Generator,
        central_fraction: float = CENTRAL_FRACTION,
    ) -> np.ndarray:
        """Returns one random variant.

        Args:
            image: uint8 [h, w, 3], RGB 0 to 255.
            size: height and width of the result in pixels.
            rng: the only source of randomness.
            central_fraction: without `crop`, the part of the side that is kept, in (0, 1].

        Returns:
            uint8 [height, width, 3].
        """
        box = (
            self.random_box(*image.shape[:2], rng)
            if self.crop
            else central_box(*image.shape[:2], size, central_fraction)
        )
        result = resize(image, size, box)
        if self.flip and rng.random() < 0.5:
            result = result.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.color != "none":
            result = _jitter(result, *COLORS[self.color], rng)
        return np.asarray(result)

    def random_box(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Returns left, upper, right and lower edge of a random part, in pixels.

        Area and the logarithm of the aspect are uniform. When ten tries do not fit into the image, the largest
        central part of an allowed aspect is taken.
        """
        log_aspect = np.log(self.crop_aspect)
        for _ in range(CROP_TRIES):
            area = height * width * rng.uniform(*self.crop_area)
            aspect = math.exp(rng.uniform(*log_aspect))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
                return left, top, left + w, top + h
        aspect = min(max(width / height, self.crop_aspect[0]), self.crop_aspect[1])
        w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h


def central_box(
    height: int, width: int, size: tuple[int, int], fraction: float = CENTRAL_FRACTION
) -> tuple[float, float, float, float]:
    """Returns the part of an image that is evaluated, in pixels: left, upper, right, lower edge.

    It is what the central crop leaves after the image was scaled to cover ceil(size / fraction); for a square size
    that brings the short side to ceil(size / fraction).
    """
    scale = max(math.ceil(size[0] / fraction) / height, math.ceil(size[1] / fraction) / width)
    h, w = size[0] / scale, size[1] / scale
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h


def resize(image: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    """Scales the part `box` of a uint8 [h, w, 3] image to `size` (height, width), bilinear, antialiased."""
    return Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)


def _jitter(
    image: Image.Image, brightness: float, contrast: float, saturation: float, hue: float, rng: np.random.Generator
) -> Image.Image:
    steps = (
        (brightness, lambda image, x: ImageEnhance.Brightness(image).enhance(1 + x)),
        (contrast, lambda image, x: ImageEnhance.Contrast(image).enhance(1 + x)),
        (saturation, lambda image, x: ImageEnhance.Color(image).enhance(1 + x)),
        (hue, _turn_hue),
    )
    for step in rng.permutation(len(steps)):
        strength, change = steps[step]
        if strength:
            image = change(image, rng.uniform(-strength, strength))
    return image


def _turn_hue(image: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + round(turn * 255)) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
