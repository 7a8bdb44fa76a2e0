"""docs/formats.md is enough to write a client: its sentences, followed literally, give the same bytes and pixels."""

import io
import math
import pathlib
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests import tiny_tflite
from tinytl_tf.data import ImageDataset, eval_batches
from tinytl_tf.data.augmentation import COLORS
from tinytl_tf.data.decode import decode
from tinytl_tf.data.resizing import central_box, resize
from tinytl_tf.device import TrainableModel
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.tflite.manifest import CONTRACT, LABELS_ENTRY

TEXT = (pathlib.Path(__file__).parents[1] / "docs" / "formats.md").read_text()
PRECISION = int(re.search(r"trunc\(0\.5 \+ weight \* 2\^(\d+)\)", TEXT)[1])
HALF = int(re.search(r"\(2\^(\d+) \+ the sum of pixel times integer weight\) >> (\d+)", TEXT)[1])
SHIFT = int(re.search(r"\(2\^(\d+) \+ the sum of pixel times integer weight\) >> (\d+)", TEXT)[2])
SHORT_SIDE = float(re.search(r"S = round\(([\d.]+) max\(H, W\)\)", TEXT)[1])
RNG = np.random.default_rng(0)


def resize_axis(pixels, a, b, m):
    """One axis (the first) as the document has it."""
    n = len(pixels)
    if (a, b, m) == (0, n, n):
        return pixels
    a, b = np.float32(a), np.float32(b)
    s = float(b - a) / m
    t = max(s, 1.0)
    rows = []
    for i in range(m):
        c = float(a) + (i + 0.5) * s
        first, last = max(0, math.trunc(c - t + 0.5)), min(n, math.trunc(c + t + 0.5))
        weights = np.array([max(0.0, 1 - abs((j - c + 0.5) / t)) for j in range(first, last)])
        integers = np.trunc(0.5 + weights / weights.sum() * 2**PRECISION).astype(np.int64)
        total = 2**HALF + np.tensordot(integers, pixels[first:last].astype(np.int64), 1)
        rows.append(np.clip(total >> SHIFT, 0, 255))
    return np.array(rows, np.uint8)


def assert_resized(actual, image, size, box):
    """Rows first or columns first: to the last bit, whichever the library has chosen."""
    left, upper, right, lower = box

    def rows(pixels):
        return resize_axis(pixels.transpose(1, 0, 2), left, right, size[1]).transpose(1, 0, 2)

    def columns(pixels):
        return resize_axis(pixels, upper, lower, size[0])

    first, second = columns(rows(image)), rows(columns(image))
    assert np.abs(first.astype(int) - second).max() <= 1
    assert np.array_equal(actual, first) or np.array_equal(actual, second)


@pytest.mark.parametrize("shape", [(40, 60), (97, 31), (16, 16), (200, 333)])
@pytest.mark.parametrize("size", [(16, 16), (24, 32)])
def test_resizing_is_what_the_document_says(shape, size):
    image = RNG.integers(0, 256, (*shape, 3), np.uint8)
    box = central_box(*shape, size)
    for part in (box, (0, 0, shape[1], shape[0])):
        assert_resized(np.asarray(resize(image, size, part)), image, size, part)


@pytest.mark.parametrize("fraction", [0.875, 0.5, 1.0])
def test_evaluation_takes_the_box_that_the_document_says(fraction):
    photo, size = RNG.integers(0, 256, (45, 70, 3), np.uint8), (16, 24)
    dataset = ImageDataset("memory", ("a", "b"), [0, 1], lambda *_: photo.copy())
    ((images, _),) = eval_batches(dataset, batch_size=2, image_size=size, central_fraction=fraction)
    height, width = photo.shape[:2]
    scale = max(math.ceil(size[0] / fraction) / height, math.ceil(size[1] / fraction) / width)
    tall, wide = size[0] / scale, size[1] / scale
    left, upper = (width - wide) / 2, (height - tall) / 2
    assert_resized(images[0], photo, size, (left, upper, left + wide, upper + tall))


def test_a_large_photo_is_shrunk_as_the_document_says():
    photo, asked = RNG.integers(0, 256, (90, 130, 3), np.uint8), []
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "PNG")

    def read(index, short_side):
        asked.append(short_side)
        return decode(content.getvalue(), "x", short_side)

    dataset = ImageDataset("memory", ("a", "b"), [0, 1], read)
    next(iter(eval_batches(dataset, batch_size=1, image_size=(12, 16))))
    side = round(SHORT_SIDE * 16)
    assert set(asked) == {side}
    assert_resized(decode(content.getvalue(), "x", side), photo, (side, round(130 * side / 90)), (0, 0, 130, 90))


def test_schedules_are_what_the_document_says():
    formulas = {
        "base / 2 * (1 + cos(pi k / n))": lambda k, n, base: base / 2 * (1 + math.cos(math.pi * k / n)),
        "base": lambda k, n, base: base,
    }
    said = {name: formulas[formula] for formula, name in re.findall(r"`(base[^`]*)` \(`(\w+)`\)", TEXT)}
    assert said.keys() == SCHEDULES.keys()
    for name, formula in said.items():
        assert [SCHEDULES[name](k, 7, 0.3) for k in range(7)] == pytest.approx([formula(k, 7, 0.3) for k in range(7)])


def test_changes_of_color_are_what_the_document_says():
    image = RNG.integers(0, 256, (9, 7, 3), np.uint8)
    picture, x = Image.fromarray(image), 0.3
    weights = [int(number) for number in re.search(r"\((\d+) R \+ (\d+) G \+ (\d+) B \+ 32768\) >> 16", TEXT).groups()]
    gray = (image.astype(int) @ weights + 32768) >> 16
    others = {
        ImageEnhance.Brightness: np.zeros_like(gray),
        ImageEnhance.Contrast: np.full_like(gray, int(gray.mean() + 0.5)),
        ImageEnhance.Color: gray,
    }
    for change, other in others.items():
        for factor in (1 - x, 1 + x):
            expected = np.clip(other[..., None] + factor * (image - other[..., None]), 0, 255)
            actual = np.asarray(change(picture).enhance(factor)).astype(float)
            assert np.abs(actual - expected).max() <= 1


def test_a_state_file_is_what_the_document_says(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    model = TrainableModel(path, trust=True)
    model.set_state(RNG.normal(size=model.state_size).astype(np.float32))
    model.save(tmp_path / "state.tinytl")
    content = (tmp_path / "state.tinytl").read_bytes()
    count = struct.unpack_from("<I", content, 44)[0]
    assert content[:8] == bytes.fromhex("54494E59544C0D0A")
    assert struct.unpack_from("<I", content, 8)[0] == 1
    assert content[12:44] == model.fingerprint
    assert len(content) == 52 + 4 * count
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", count, 48), model.state())
    assert struct.unpack_from("<I", content, 48 + 4 * count)[0] == zlib.crc32(content[: 48 + 4 * count])


def test_the_document_names_what_the_code_has():
    assert f"`{LABELS_ENTRY}`" in TEXT
    assert f"contract {CONTRACT}" in TEXT
    for name in ("tf", "torch"):
        brightness, contrast, saturation, hue = COLORS[name]
        numbers = re.search(rf"`{name}` ([\d./]+), ([\d.]+), ([\d.]+), ([\d.]*\d)", TEXT).groups()
        first = 32 / 255 if numbers[0] == "32/255" else float(numbers[0])
        assert (first, *map(float, numbers[1:])) == (brightness, contrast, saturation, hue)
