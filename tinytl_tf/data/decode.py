"""One image file, whatever its kind, to 8-bit RGB."""

import io
import os

import numpy as np
from PIL import Image, ImageOps

from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError

MAX_PIXELS = 89_000_000  # just below the size at which Pillow starts to warn of a decompression bomb


def decode(source: str | os.PathLike | bytes, name: str, short_side: int | None = None) -> np.ndarray:
    """Decodes one image to upright 8-bit RGB.

    The EXIF orientation is applied. Grayscale, palette, CMYK and 16-bit pixels are converted; transparent pixels
    show a white background, because the color stored under them is arbitrary. Of an animation the first
    frame is taken.

    Args:
        source: path of the file, or its bytes.
        name: what an error calls the image.
        short_side: when given, a larger image is shrunk until its short side has this many pixels. A JPEG is then
            already decoded at a fraction of its size, several times faster.

    Returns:
        uint8 array [height, width, 3], values 0 to 255.

    Raises:
        InputError: the file cannot be read, is broken or too large; the message names it.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if short_side:
                image.draft(None, _shrunk(image.size, short_side))
            return np.array(_shrink(_to_rgb(ImageOps.exif_transpose(image)), short_side))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"image {name} has more than {MAX_PIXELS:,} pixels, the most that is read; shrink it or remove it"
        ) from error
    except Exception as error:  # Pillow's readers meet broken bytes with OSError, SyntaxError, struct.error and others
        raise InputError(f"image {name} cannot be decoded ({reason(error)}); repair it or remove it") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image)).convert("RGB")
    if image.mode == "F":
        raise ValueError("expected integer pixels, got floating-point pixels")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(pixels: np.ndarray) -> Image.Image:
    if pixels.min() < 0 or pixels.max() > 0xFFFF:
        raise ValueError("expected pixels of at most 16 bits, got 32-bit pixels")
    return Image.fromarray((pixels >> 8).astype(np.uint8))


def _shrink(image: Image.Image, short_side: int | None) -> Image.Image:
    size = _shrunk(image.size, short_side) if short_side else image.size
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _shrunk(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(size))
    return round(size[0] * scale), round(size[1] * scale)
