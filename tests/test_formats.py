"""docs/formats.md is enough to write a client: its sentences, followed literally, give the same bytes and pixels."""

import math
import pathlib
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests import tiny_tflite
from tinytl_tf.data import ImageDataset, eval_batches
from tinytl_tf.data.augmentation import COLORS, central_box, resize
from tinytl_tf.device import TrainableModel
from tinytl_tf.tflite.manifest import CONTRACT, LABELS_ENTRY

TEXT = (pathlib.Path(__file__).parents[1] / "docs" / "formats.md").read_text()
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
        integers = np.trunc(0.5 + weights / weights.sum() * 2**22).astype(np.int64)
        total = 2**21 + np.tensordot(integers, pixels[first:last].astype(np.int64), 1)
        rows.append(np.clip(total >> 22, 0, 255))
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
    dataset = ImageDataset("memory", ("a", "b"), [0, 1], lambda *_: photo.copy()).with_central_fraction(fraction)
    ((images, _),) = eval_batches(dataset, batch_size=2, image_size=size)
    height, width = photo.shape[:2]
    scale = max(math.ceil(size[0] / fraction) / height, math.ceil(size[1] / fraction) / width)
    tall, wide = size[0] / scale, size[1] / scale
    left, upper = (width - wide) / 2, (height - tall) / 2
    assert_resized(images[0], photo, size, (left, upper, left + wide, upper + tall))


def test_a_large_photo_is_shrunk_as_the_document_says(tmp_path):
    from tinytl_tf.data.decode import decode

    photo = RNG.integers(0, 256, (90, 130, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    short_side = round(2.5 * 16)
    scale = short_side / 90
    shrunk = decode(tmp_path / "photo.png", "x", short_side)
    assert_resized(shrunk, photo, (40, round(130 * scale)), (0, 0, 130, 90))


def test_a_state_file_is_what_the_document_says(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    model = TrainableModel(path)
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
