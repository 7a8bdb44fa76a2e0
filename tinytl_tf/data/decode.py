"""Decodes an image file of any supported format to 8-bit RGB."""

import contextlib
import importlib
import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageOps

from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError
from tinytl_tf.progress import clear_progress

# Decoders that the content of a file may select: Pillow has more, and one of them starts a PostScript interpreter.
_PLUGINS = {
    "BMP": "Bmp",
    "GIF": "Gif",
    "JPEG": "Jpeg",
    "PNG": "Png",
    "PPM": "Ppm",
    "TIFF": "Tiff",
    "WEBP": "WebP",
}
FORMATS = tuple(_PLUGINS)
MAX_PIXELS = 89_000_000  # just below the size at which Pillow starts to warn of a decompression bomb
MAX_WHOLE_PIXELS = 25_000_000  # for formats that are decoded completely before they are shrunk: 100 to 300 MB
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")
_SIXTEEN_BITS = 65535

for _format in FORMATS:
    importlib.import_module(f"PIL.{_PLUGINS[_format]}ImagePlugin")  # `Image.open` would load half of them

_logger = logging.getLogger(__name__)
_warning_lock = threading.Lock()
_warned: set[str] = set()  # names of images whose warnings were logged, so that they are not logged in each epoch


def decode(
    source: str | os.PathLike | bytes, name: str, short_side: int | None = None, deep_maximum: int = _SIXTEEN_BITS
) -> np.ndarray:
    """Decodes one image to upright 8-bit RGB.

    The EXIF orientation is applied. Grayscale, palette, CMYK and deep pixels are converted; transparent pixels get a
    white background, because the color stored under them is arbitrary. The first frame of an animation is used.

    Args:
        source: path of the file, or its bytes.
        name: name of the image in error messages.
        short_side: if given, a larger image is shrunk until its short side has this many pixels. A JPEG is then decoded
            at a fraction of its size, which is several times faster.
        deep_maximum: the value that becomes 255 in images with more than 8 bits; see the function `deep_maximum`.

    Returns:
        uint8 array [height, width, 3], values 0 to 255.

    Raises:
        InputError: if the file cannot be read, is broken or too large, or has an unsupported format; the message names
            it.
    """
    with _errors_of(name), _open(source, name) as image:
        if short_side:
            image.draft(None, _shrunk(image.size, short_side))
        ImageOps.exif_transpose(image, in_place=True)  # otherwise always a copy
        small = _shrink(_to_rgb(image, deep_maximum), short_side)
        if small is not image:
            image.close()  # its pixels would stay in memory with the result's
        return np.asarray(small)


def check_header(source: str | os.PathLike | bytes, name: str) -> None:
    """Raises `InputError` if the header of an image cannot be read; `source` and `name` are those of `decode`."""
    with _errors_of(name), _open(source, name):
        pass


def deep_maximum(sources: Iterable[tuple[str | os.PathLike | bytes, str]]) -> int:
    """Returns the value that becomes 255 in images with more than 8 bits, the same for all splits of a data set.

    Files with 16 or 32 bits often use only 10, 12 or 14 of them: scaled by the full range, the images would be nearly
    black.

    Args:
        sources: Source and name of each image, as for `decode`.

    Returns:
        The largest value with as many bits as the largest gray pixel of the set needs: 8, 10, 12, 14 or 16 bits, or the
        exact number of bits above 16. 65535 for a set without images of more than 8 bits.

    Raises:
        InputError: If color images with 16 bits use no more than 14 of them: Pillow reads only their upper 8 bits.
    """
    gray, color, first = 0, 0, ""
    for source, name in sources:
        try:
            with _open(source, name) as image:
                if image.mode in _DEEP_MODES:
                    gray = max(gray, int(np.asarray(image).max()))
                elif _is_deep_color(image):
                    color, first = max(color, int(np.asarray(image)[..., :3].max())), first or name
        except Exception:  # noqa: BLE001, S112, an image that cannot be read is named by `check_header`
            continue
    if first and color < 2**6:
        raise InputError(
            f"image {first} and similar ones have colors of 16 bits and use at most {color.bit_length() + 8} "
            "of them: they would be nearly black; convert them to 8 bits"
        )
    bits = gray.bit_length()
    return 2 ** max(bits + bits % 2 if bits < 16 else bits, 8) - 1 if gray else _SIXTEEN_BITS


def _is_deep_color(image: Image.Image) -> bool:
    """Whether a color image has 16 bits per channel; Pillow keeps 8 of them."""
    if image.format not in ("PNG", "TIFF") or not image.tile or not image.mode.startswith("RGB"):
        return False
    raw_mode = image.tile[0][3]
    return ";16" in (raw_mode if isinstance(raw_mode, str) else str(raw_mode[0]))


@contextlib.contextmanager
def _errors_of(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"image {name} has more than {MAX_PIXELS:,} pixels, the most that is read; shrink it or remove it"
        ) from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error and more for broken bytes
        raise InputError(f"image {name} cannot be decoded ({reason(error)}); repair it or remove it") from error


@contextlib.contextmanager
def _open(source: str | os.PathLike | bytes, name: str) -> Iterator[Image.Image]:
    """Opens an image and reads its header; logs Pillow's warnings with the image's name."""
    if not isinstance(source, bytes) and not stat.S_ISREG(os.stat(source).st_mode):
        raise ValueError("expected a regular file")
    # `warnings` is global to the process, and images are decoded in threads.
    with _warning_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
        if image.format != "PNG":  # a PNG would be decoded completely for it
            image.getexif()
    if caught and name not in _warned:
        _warned.add(name)
        clear_progress()
        for warning in caught:
            _logger.warning("image %s: %s", name, " ".join(str(warning.message).split()))
    with image:
        most = MAX_PIXELS if image.format in ("JPEG", "MPO") else MAX_WHOLE_PIXELS
        if image.width * image.height > most:
            raise InputError(
                f"image {name} has {image.width * image.height:,} pixels, of {image.format} {most:,} are the most that "
                "is read; shrink it, save it as JPEG, or remove it"
            )
        yield image


def _to_rgb(image: Image.Image, deep_maximum: int) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_deep(np.asarray(image), deep_maximum).convert("RGB")
    if image.mode == "F":
        raise ValueError("expected integer pixels, got floating-point pixels")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # always copies


def _from_deep(pixels: np.ndarray, maximum: int) -> Image.Image:
    if pixels.min() < 0 or pixels.max() > maximum:
        raise ValueError(f"expected pixels from 0 to {maximum}, got {pixels.min()} to {pixels.max()}")
    return Image.fromarray((pixels.astype(np.int64) * 256 // (maximum + 1)).astype(np.uint8))


def _shrink(image: Image.Image, short_side: int | None) -> Image.Image:
    size = _shrunk(image.size, short_side) if short_side else image.size
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _shrunk(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(size))
    return round(size[0] * scale), round(size[1] * scale)
