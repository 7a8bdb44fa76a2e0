"""From the golden photos to the model's input: whole pixels, the steps between, and some changes of training."""

import pathlib
from typing import Any

import numpy as np
from make_model import SIZE
from make_photos import PHOTOS, Photo

from tinytl_tf.data.change import Change
from tinytl_tf.data.decode import decode
from tinytl_tf.data.resizing import CENTRAL_FRACTION, central_box, short_side

SHRUNK_SIDE = short_side((SIZE, SIZE))  # S of docs/formats.md

# Largest and mean difference of a level, 0 to 255, and why there is one. Those of JPEGs were measured with libjpeg's
# fast and exact transform, with smooth and plain enlarging of color, and with decoding at half of the size and at all
# of it: 5 and 1.1; 43 and 1.8; 38 and 1.7.
TOLERANCES = {
    "lossless": {"largest": 1, "mean": 0.5, "why": "which axis is resized first is free"},
    "lossless twice": {"largest": 2, "mean": 0.8, "why": "two resizings, in each the order of the axes is free"},
    "transparent": {"largest": 2, "mean": 0.8, "why": "some decoders multiply by alpha first and round there"},
    "JPEG": {"largest": 8, "mean": 1.5, "why": "decoders round differently"},
    "JPEG half color": {"largest": 60, "mean": 2.5, "why": "decoders enlarge color differently, which edges show"},
    "JPEG large": {"largest": 60, "mean": 2.5, "why": "may be decoded at half of its size, which edges show"},
    "color": {"largest": 3, "mean": 0.8, "why": "order of the axes, which the change multiplies, and rounding"},
    "hue": {"largest": 8, "mean": 1.5, "why": "hue and saturation may have 8 bits or more: 5 and 0.6 against float"},
}

# Photo, box in pixels of the shrunk photo (left, upper, right, lower edge), flip, change of color and its amount.
CHANGES: tuple[tuple[str, tuple[int, int, int, int], bool, str | None, float], ...] = (
    ("leaf/large.png", (0, 0, 160, 245), False, None, 0.0),
    ("leaf/large.png", (17, 60, 137, 201), True, None, 0.0),
    ("leaf/turned_7.png", (3, 1, 128, 83), False, None, 0.0),
    ("cross/palette.png", (40, 33, 77, 90), True, None, 0.0),
    ("stripes/small.png", (0, 0, 23, 30), False, None, 0.0),
    ("stripes/small.png", (38, 27, 41, 30), True, None, 0.0),
    ("leaf/turned_7.png", (20, 5, 95, 80), False, "brightness", 1.25),
    ("leaf/turned_7.png", (20, 5, 95, 80), False, "contrast", 0.7),
    ("leaf/turned_7.png", (20, 5, 95, 80), False, "saturation", 1.4),
    ("leaf/turned_7.png", (20, 5, 95, 80), True, "hue", -0.1),
)


def model_input(content: bytes, photo: Photo) -> np.ndarray:
    """Returns what the model sees of a photo's file, uint8 `[SIZE, SIZE, 3]`: steps 1 to 3 and 5 of docs/formats.md."""
    return Change().apply(decode(content, photo.path, SHRUNK_SIDE), (SIZE, SIZE), CENTRAL_FRACTION)


def changed(content: bytes, change: tuple) -> np.ndarray:
    """Returns the model's input after one of `CHANGES`, uint8 `[SIZE, SIZE, 3]`."""
    path, box, flip, color, amount = change
    # Brightness, contrast and saturation are given as factors here.
    colors = () if color is None else ((color, amount if color == "hue" else amount - 1),)
    return Change(box, flip, colors).apply(decode(content, path, SHRUNK_SIDE), (SIZE, SIZE), CENTRAL_FRACTION)


def tolerance(photo: Photo) -> str:
    """Returns the key of `TOLERANCES` for a photo."""
    shrunk = min(photo.size) > SHRUNK_SIDE
    if photo.lossless:
        return "transparent" if photo.kind in ("RGBA", "P") else "lossless twice" if shrunk else "lossless"
    if shrunk:
        return "JPEG large"
    return "JPEG half color" if photo.options.get("subsampling") == 2 else "JPEG"


def describe() -> dict[str, Any]:
    """Returns `pixels.json`."""
    return {
        "size": [SIZE, SIZE],
        "central_fraction": CENTRAL_FRACTION,
        "shrunk_side": SHRUNK_SIDE,
        "tolerances": TOLERANCES,
        "photos": [_describe(photo) for photo in PHOTOS],
        "changes": [
            {
                "photo": path,
                "box": list(box),
                "flip": flip,
                "color": color,
                "amount": amount,
                "pixels": change_file(index),
                "tolerance": _change_tolerance(path, color),
            }
            for index, (path, box, flip, color, amount) in enumerate(CHANGES)
        ],
    }


def write(folder: pathlib.Path, contents: dict[str, bytes]) -> None:
    """Writes the raw files.

    Args:
        folder: Where they go.
        contents: Path of a photo -> its file.
    """
    for photo in PHOTOS:
        content = contents[photo.path]
        _write(folder / pixels_file(photo), model_input(content, photo))
        if photo.lossless:
            _write(folder / decoded_file(photo), decode(content, photo.path))
    for index, change in enumerate(CHANGES):
        _write(folder / change_file(index), changed(contents[change[0]], change))


def pixels_file(photo: Photo) -> str:
    """Name of the file with the model's input, uint8 `[SIZE, SIZE, 3]`."""
    return f"pixels/{photo.name}.raw"


def decoded_file(photo: Photo) -> str:
    """Name of the file with a lossless photo after step 1, uint8 `[height, width, 3]`."""
    return f"decoded/{photo.name}.raw"


def change_file(index: int) -> str:
    """Name of the file with the model's input after a change, uint8 `[SIZE, SIZE, 3]`."""
    return f"pixels/change_{index}.raw"


def _describe(photo: Photo) -> dict[str, Any]:
    height, width = photo.size
    scale = min(1.0, SHRUNK_SIDE / min(photo.size))
    shrunk = round(height * scale), round(width * scale)
    return {
        "photo": photo.path,
        "shows": photo.shows,
        "kind": photo.kind,
        "orientation": photo.orientation,
        "size": [height, width],
        "shrunk": list(shrunk),
        "box": list(central_box(*shrunk, (SIZE, SIZE))),
        "decoded": decoded_file(photo) if photo.lossless else None,
        "pixels": pixels_file(photo),
        "tolerance": tolerance(photo),
        "optional": photo.kind == "CMYK",
    }


def _change_tolerance(path: str, color: str | None) -> str:
    if color is not None:
        return "hue" if color == "hue" else "color"
    return tolerance(next(photo for photo in PHOTOS if photo.path == path))


def _write(path: pathlib.Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pixels.tobytes())
