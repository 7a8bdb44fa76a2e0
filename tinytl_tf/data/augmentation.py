"""Random changes of a training image."""

import dataclasses
import math

import numpy as np

from tinytl_tf.data.change import COLOR_CHANGES, Change
from tinytl_tf.data.random_stream import RandomStream
from tinytl_tf.data.resizing import CENTRAL_FRACTION
from tinytl_tf.errors import InputError

__all__ = ["COLORS", "Augmentation"]

# Half-widths of the ranges of the random amounts, in the order of `COLOR_CHANGES`.
COLORS = {
    "none": (0.0, 0.0, 0.0, 0.0),
    "tf": (32 / 255, 0.0, 0.5, 0.0),
    "torch": (0.4, 0.4, 0.4, 0.1),
}
CROP_TRIES = 10


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random resized crop, horizontal flip and color changes; each can be switched off.

    The defaults are the same as in the TinyTL paper's training.

    Args:
        crop: whether to crop a random part; otherwise the image is cropped as for evaluation.
        crop_area: smallest and largest part of the image's area, each in (0, 1].
        crop_aspect: smallest and largest aspect ratio of the part, width divided by height.
        flip: whether to flip left and right, with probability 1/2. Do not use it for digits, letters or signs.
        color: "none"; "tf" (brightness 32/255, saturation 0.5); or "torch" (brightness, contrast and saturation 0.4,
            hue 0.1). Brightness, contrast and saturation are scaled by factors from 1 - x to 1 + x, and hue is rotated
            by -x to x of the color circle, in random order.

    Raises:
        InputError: if a range is empty or out of bounds; or if `color` is unknown.

    Example:
        >>> Augmentation(color="tf").draw(100, 150, RandomStream(0, 0, 1)).box
        (20, 6, 127, 86)

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
            raise InputError(f"expected color to be one of {', '.join(COLORS)}, got {self.color!r:.80}")

    def __call__(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        stream: RandomStream,
        central_fraction: float = CENTRAL_FRACTION,
    ) -> np.ndarray:
        """Returns one random variant of an image.

        Args:
            image: uint8 [h, w, 3], RGB 0 to 255.
            size: height and width of the result in pixels.
            stream: the only source of randomness.
            central_fraction: without `crop`, the part of the side that is kept, in (0, 1].

        Returns:
            uint8 [height, width, 3].
        """
        return self.draw(*image.shape[:2], stream).apply(image, size, central_fraction)

    def draw(self, height: int, width: int, stream: RandomStream) -> Change:
        """Draws a random `Change` (crop, flip, color) for an image.

        All clients make the draws in the same order, which docs/formats.md specifies.

        Args:
            height: height of the image in pixels.
            width: width of the image in pixels.
            stream: the only source of randomness.
        """
        box = self._draw_box(height, width, stream) if self.crop else None
        flip = self.flip and stream.unit() < 0.5
        colors = []
        if self.color != "none":
            strengths = list(zip(COLOR_CHANGES, COLORS[self.color], strict=True))
            for index in stream.permutation(len(strengths)):
                name, strength = strengths[index]
                if strength:
                    colors.append((name, stream.uniform(-strength, strength)))
        return Change(box, flip, tuple(colors))

    def _draw_box(self, height: int, width: int, stream: RandomStream) -> tuple[int, int, int, int]:
        """Draws the box of a random crop.

        The area and the logarithm of the aspect ratio are uniformly distributed. If none of ten boxes fits into the
        image, the largest central box with an allowed aspect ratio is used.
        """
        low, high = map(math.log, self.crop_aspect)
        for _ in range(CROP_TRIES):
            area = height * width * stream.uniform(*self.crop_area)
            aspect = math.exp(stream.uniform(low, high))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left, top = stream.integer(width - w + 1), stream.integer(height - h + 1)
                return left, top, left + w, top + h
        aspect = min(max(width / height, self.crop_aspect[0]), self.crop_aspect[1])
        w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h
