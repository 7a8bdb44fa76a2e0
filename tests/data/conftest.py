"""Fixtures that create small image folders, packed data sets and arrays."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tinytl_tf.data import ImageDataset


def picture(seed=0, size=(12, 10), mode="RGB"):
    """A smooth random PIL image; `size` is (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size).convert(mode)


def file_bytes(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def make_folder(tmp_path):
    """`make_folder({"train/cat": 3, "test/cat": 1})` writes that many different pictures and returns the root."""

    def make(counts):
        seeds = itertools.count()
        for folder, count in counts.items():
            (tmp_path / "photos" / folder).mkdir(parents=True)
            for index in range(count):
                picture(next(seeds)).save(tmp_path / "photos" / folder / f"{index}.png")
        return tmp_path / "photos"

    return make


@pytest.fixture
def make_packed(tmp_path):
    """`make_packed()` writes a packed set of 8 pictures in 2 classes; arguments replace arrays, None drops one."""

    def make(**replaced):
        files = [file_bytes(picture(index), "JPEG") for index in range(8)]
        arrays = {
            "jpeg": np.frombuffer(b"".join(files), np.uint8),
            "offsets": np.cumsum([0, *map(len, files)]),
            "label": np.array([0, 1] * 4, np.int16),
            "classes": np.array(["cat", "dog"]),
        }
        arrays.update({key: np.asarray(value) for key, value in replaced.items() if value is not None})
        path = tmp_path / "set.npz"
        np.savez(path, **{key: value for key, value in arrays.items() if replaced.get(key, ()) is not None})
        return path

    return make


@pytest.fixture
def make_dataset():
    """`make_dataset(n)` holds n random images in 2 classes; the first pixel's red is the index."""

    def make(n, size=(20, 16)):
        pixels = np.random.default_rng(0).integers(0, 256, (n, *size, 3), dtype=np.uint8)
        pixels[:, 0, 0, 0] = np.arange(n)
        return ImageDataset("memory", ("a", "b"), np.arange(n) % 2, lambda index, short_side: pixels[index].copy())

    return make
