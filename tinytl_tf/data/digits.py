"""The embedded default data set: scikit-learn's handwritten digits, as scans or as photos that a phone might take."""

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.splits import Splits, last_quarter
from tinytl_tf.errors import InputError

SIDE = 64  # pixels of an image
DIGIT = 60  # pixels of the digit and a margin of paper on each side, as wide as one of its 8x8 pixels
INK, PAPER = (35, 35, 60), (246, 244, 238)  # colors of the unshifted digits


def load_digits(*, shifted: bool, seed: int = 0) -> Splits:
    """Renders the 1797 digits of scikit-learn, 8x8 pixels each, as 64x64 color images.

    The digits are dark ink on light paper. Each shifted digit has its own ink and paper color (half are light on dark),
    is rotated by up to 25 degrees, sheared, scaled and moved a little, and lies on uneven paper under uneven light. All
    of this depends only on `seed` and the index of the digit, so an image is always the same.

    The last quarter of each class, in the order of scikit-learn, is the test set.

    Args:
        shifted: whether to return the shifted digits.
        seed: chooses the looks of the shifted digits.

    Returns:
        Training and test set with the classes "0" to "9".

    Raises:
        InputError: if scikit-learn is not installed.
    """
    name = "digits-shifted" if shifted else "digits"
    try:
        from sklearn import datasets
    except ImportError as error:
        raise InputError(
            f"the data set '{name}' needs scikit-learn; install it with: pip install 'tinytl_tf[quickstart]'"
        ) from error
    digits = datasets.load_digits()

    def read(index: int, short_side: int | None) -> np.ndarray:
        strokes = digits.images[index]
        return _photo(strokes, np.random.default_rng([seed, index])) if shifted else _scan(strokes)

    dataset = ImageDataset(
        name,
        [str(digit) for digit in digits.target_names],
        digits.target,
        read,
        digest=lambda index: hashlib.sha256(f"{name} {seed} {index}".encode()).hexdigest(),  # all that pixels depend on
    )
    return dataclasses.replace(last_quarter(dataset), by_seed=shifted)


def _scan(strokes: np.ndarray) -> np.ndarray:
    return _paint(_ink(strokes, np.eye(2), np.zeros(2)), np.array(INK), np.array(PAPER)).astype(np.uint8)


def _photo(strokes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ink, paper = _colors(rng)
    ink_cover = _ink(strokes, _turn(rng), rng.uniform(-0.06, 0.06, 2))
    texture = 1 + _smooth_noise(rng, cells=12, strength=0.06)
    light = 1 + _smooth_noise(rng, cells=2, strength=0.2)
    photo = _paint(ink_cover, ink, paper * texture) * light
    return np.clip(photo + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8)


def _ink(strokes: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Returns how much of each pixel is covered by ink, [SIDE, SIDE, 1] in 0..1.

    `turn` [2, 2] maps a position in the result to a position in the digit, both measured from the center in units of
    the image side.
    """
    strokes = np.pad(strokes.astype(np.float32) / 16, 1)  # without a margin of paper, strokes end in a straight cut
    large = Image.fromarray(strokes).resize((DIGIT, DIGIT), Image.Resampling.BICUBIC)
    page = Image.new("F", (SIDE, SIDE))
    page.paste(large, ((SIDE - DIGIT) // 2, (SIDE - DIGIT) // 2))
    center = SIDE / 2
    offset = center - turn @ np.full(2, center) + shift * SIDE
    matrix = (*turn[0], offset[0], *turn[1], offset[1])
    page = page.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    # The 8x8 pixels are blurry: a steep ramp around one half sharpens them to the edge of a pen stroke.
    return np.clip((np.asarray(page) - 0.5) * 3 + 0.5, 0, 1)[..., None]


def _turn(rng: np.random.Generator) -> np.ndarray:
    angle, shear = np.radians(rng.uniform(-25, 25)), rng.uniform(-0.2, 0.2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return rotation @ np.array([[1, shear], [0, 1]]) / rng.uniform(0.85, 1.1)


def _colors(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns ink and paper, RGB 0..255: one dark, one light, in either order."""
    dark, light = rng.uniform(10, 110, 3), rng.uniform(150, 250, 3)
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def _smooth_noise(rng: np.random.Generator, cells: int, strength: float) -> np.ndarray:
    """Returns noise [SIDE, SIDE, 1] in -strength..strength, which varies over distances of 1/cells of the image."""
    coarse = rng.uniform(-strength, strength, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))[..., None]


def _paint(cover: np.ndarray, ink: np.ndarray, paper: np.ndarray) -> np.ndarray:
    return paper + cover * (ink - paper)
