"""The golden photos: drawn with integers alone, so that their pixels are the same on every machine."""

import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

FINE = 4  # a pixel is the mean of FINE x FINE points
ORIENTATION = 0x0112  # EXIF tag
# How a camera stores the upright pixels [height, width, ...] under each orientation.
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x.swapaxes(0, 1), 2),
    8: lambda x: np.rot90(x, -1),
}


@dataclasses.dataclass(frozen=True)
class Photo:
    """One photo and what is special about it.

    Attributes:
        path: In `photos/`; the folder is the class.
        size: Upright height and width in pixels.
        colors: Three colors: of the background's top and bottom, and of the shape.
        shows: What a client has to get right.
        kind: `RGB`, `L`, `CMYK`, `RGBA`, `P`, or `I;16`.
        orientation: EXIF orientation, 1 to 8; 1 is left out of the file.
        options: Of Pillow's `save`.
    """

    path: str
    size: tuple[int, int]
    colors: tuple[tuple[int, int, int], ...]
    shows: str
    kind: str = "RGB"
    orientation: int = 1
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> str:
        """The class: the name of the folder."""
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        """The path as one word, for the names of files."""
        return self.path.replace("/", "_").replace(".", "_")

    @property
    def lossless(self) -> bool:
        """Whether all decoders give the same pixels."""
        return self.path.endswith(".png")


FULL, HALF = {"subsampling": 0}, {"subsampling": 2}  # color of a JPEG: for each pixel, or for each 2 x 2
LINEAR = {"gamma": 100_000}  # of a PNG that says its pixels are linear
PHOTOS = (
    Photo(
        "stripes/plain.jpg", (112, 112), ((230, 60, 40), (250, 200, 60), (30, 60, 160)), "a plain JPEG", options=FULL
    ),
    Photo(
        "stripes/small.png",
        (30, 41),
        ((40, 160, 90), (10, 60, 70), (240, 230, 200)),
        "smaller than the input, both ways; a gAMA chunk that is not applied",
        options=LINEAR,
    ),
    Photo(
        "stripes/turned_6.jpg",
        (150, 91),
        ((90, 40, 130), (220, 120, 160), (250, 240, 90)),
        "EXIF orientation 6, tall; color for each 2 x 2 pixels",
        orientation=6,
        options=HALF,
    ),
    Photo(
        "disk/gray_8.jpg",
        (95, 140),
        ((20, 20, 20), (120, 120, 120), (235, 235, 235)),
        "gray JPEG, EXIF orientation 8, wide",
        kind="L",
        orientation=8,
    ),
    Photo(
        "disk/large_3.jpg",
        (427, 641),
        ((90, 170, 240), (210, 230, 250), (230, 120, 30)),
        "EXIF orientation 3; large, may be decoded at half of its size",
        orientation=3,
        options=HALF,
    ),
    Photo(
        "disk/transparent.png",
        (101, 75),
        ((160, 30, 200), (20, 220, 30), (40, 90, 220)),
        "alpha from 0 to 255: shown on white",
        kind="RGBA",
    ),
    Photo(
        "cross/progressive_4.jpg",
        (100, 133),
        ((30, 110, 60), (170, 210, 110), (200, 30, 60)),
        "progressive JPEG, EXIF orientation 4, wide",
        orientation=4,
        options={"progressive": True, **FULL},
    ),
    Photo(
        "cross/palette.png",
        (90, 77),
        ((250, 240, 220), (190, 140, 100), (60, 30, 90)),
        "palette of 16 colors, one of them transparent: shown on white",
        kind="P",
    ),
    Photo(
        "cross/deep_gray.png",
        (72, 110),
        ((210, 210, 210), (90, 90, 90), (25, 25, 25)),
        "gray of 16 bits: the upper 8 count",
        kind="I;16",
    ),
    Photo(
        "leaf/large.png",
        (323, 211),
        ((240, 180, 190), (120, 90, 150), (40, 140, 50)),
        "large: shrunk to the short side of step 2 first",
    ),
    Photo(
        "leaf/turned_7.png",
        (83, 128),
        ((60, 60, 80), (150, 150, 190), (130, 220, 70)),
        "EXIF orientation 7, in the chunk eXIf of a PNG",
        orientation=7,
    ),
    Photo(
        "leaf/cmyk_5.jpg",
        (120, 120),
        ((250, 250, 170), (250, 160, 90), (20, 90, 60)),
        "CMYK JPEG, EXIF orientation 5",
        kind="CMYK",
        orientation=5,
        options=FULL,
    ),
)


def encode(photo: Photo) -> bytes:
    """Returns the photo's file."""
    drawn, cover = draw(photo)
    stored = STORED[photo.orientation]
    image = _image(photo.kind, np.ascontiguousarray(stored(drawn)), np.ascontiguousarray(stored(cover)))
    options = dict(photo.options)
    if photo.orientation != 1:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = photo.orientation
    if photo.lossless:
        chunks = PngImagePlugin.PngInfo()
        if "gamma" in options:
            chunks.add(b"gAMA", options.pop("gamma").to_bytes(4, "big"))
        options |= {"pnginfo": chunks, "optimize": True}
    else:
        options["quality"] = 92
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if photo.lossless else "JPEG", **options)
    return buffer.getvalue()


def draw(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    """Draws a photo upright.

    Returns:
        Its colors, uint8 `[height, width, 3]`, and how much of each pixel the shape covers, uint8 `[height, width]`
        of 0 to 255.
    """
    height, width = photo.size
    y, x = np.mgrid[: height * FINE, : width * FINE]
    inside = _SHAPES[photo.shape](y, x, height * FINE, width * FINE).astype(np.int64)
    cover = inside.reshape(height, FINE, width, FINE).sum((1, 3)) * 255 // FINE**2
    top, bottom, ink = (np.array(color) for color in photo.colors)
    y, x = (axis[..., None] for axis in np.mgrid[:height, :width])
    way, length = 3 * y + x, 3 * height + width  # more down than to the right: every orientation looks different
    paper = (top * (length - way) + bottom * way) // length
    ripple = (3 * y + 5 * x) % 8  # detail as small as a pixel
    colors = (ink * cover[..., None] + paper * (255 - cover[..., None])) // 255 + ripple - 4
    return np.clip(colors, 0, 255).astype(np.uint8), cover.astype(np.uint8)


def _stripes(y, x, height, width):
    return (4 * y + 3 * x) // max(height, width) % 2 == 0


def _disk(y, x, height, width):
    return 16 * ((y - height // 2) ** 2 + (x - width * 9 // 20) ** 2) < (3 * min(height, width) // 2) ** 2


def _cross(y, x, height, width):
    side = min(height, width)
    down, right = abs(y - height * 11 // 20), abs(x - width // 2)
    return (np.minimum(down, right) < side // 10) & (np.maximum(down, right) < side * 2 // 5)


def _leaf(y, x, height, width):
    """What two disks have in common."""
    side = min(height, width)
    down, right, radius = y - height // 2, x - width // 2, side // 2
    return (down**2 + (right - side // 5) ** 2 < radius**2) & (down**2 + (right + side // 5) ** 2 < radius**2)


_SHAPES = {"stripes": _stripes, "disk": _disk, "cross": _cross, "leaf": _leaf}


def _image(kind: str, colors: np.ndarray, cover: np.ndarray) -> Image.Image:
    """Returns the drawing as Pillow's image of a kind."""
    gray = colors.astype(np.int64) @ [2, 5, 1] // 8
    if kind == "L":
        return Image.fromarray(gray.astype(np.uint8))
    if kind == "I;16":
        return Image.fromarray((gray * 256 + gray[::-1, ::-1]).astype(np.uint16))  # the lower 8 bits differ
    if kind == "RGBA":
        alpha = np.maximum(cover, colors[..., 2] // 2 * 2)
        return Image.fromarray(np.dstack([colors, np.where(alpha < 64, 0, alpha).astype(np.uint8)]))
    if kind == "P":
        return _palette(gray, colors)
    image = Image.fromarray(colors)
    return image if kind == "RGB" else image.convert(kind)


def _palette(gray: np.ndarray, colors: np.ndarray) -> Image.Image:
    """16 colors by brightness; the darkest is transparent, and green underneath."""
    index = (gray // 16).astype(np.uint8)
    palette = [colors[index == i].mean(0).astype(int).tolist() if (index == i).any() else [0, 0, 0] for i in range(16)]
    darkest = int(index.min())
    palette[darkest] = [0, 255, 0]
    image = Image.fromarray(index)
    image.putpalette([level for color in palette for level in color])
    image.info["transparency"] = darkest
    return image
