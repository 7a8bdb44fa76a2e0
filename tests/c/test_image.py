"""From a PPM file to the model's input, as docs/formats.md says."""

import json
import os

import numpy as np
import pytest

from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tests.c.program import write_ppm
from tinytl_tf.data.resizing import central_box, resize

PIXELS = json.loads((GOLDEN / "pixels.json").read_text("utf-8"))
PHOTOS = [photo for photo in PIXELS["photos"] if photo["decoded"]]


def fit(c, tmp_path, picture, size, fraction=0.875):
    write_ppm(tmp_path / "picture.ppm", picture)
    c.ask("fit", tmp_path / "picture.ppm", fraction, *size, tmp_path / "pixels.raw")
    return np.fromfile(tmp_path / "pixels.raw", np.uint8).reshape(*size, 3)


@pytest.mark.parametrize("photo", PHOTOS, ids=[photo["photo"] for photo in PHOTOS])
def test_golden_pixels(c, tmp_path, photo):
    decoded = np.fromfile(GOLDEN / photo["decoded"], np.uint8).reshape(*photo["size"], 3)
    expected = np.fromfile(GOLDEN / photo["pixels"], np.uint8).reshape(*PIXELS["size"], 3)
    pixels = fit(c, tmp_path, decoded, PIXELS["size"], PIXELS["central_fraction"])
    difference = np.abs(pixels.astype(int) - expected)
    tolerance = PIXELS["tolerances"][photo["tolerance"]]
    assert difference.max() <= tolerance["largest"]
    assert difference.mean() <= tolerance["mean"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (31, 47), (64, 48), (48, 64), (200, 33)])
@pytest.mark.parametrize("fraction", [0.5, 0.875, 1.0])
def test_pixels_of_any_size_are_those_of_pillow(c, tmp_path, shape, fraction):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    size = (24, 40)
    short = round(2.5 * 40)
    if min(shape) > short:
        pytest.fail("this size would be shrunk first")
    expected = np.asarray(resize(picture, size, central_box(*shape, size, fraction)))
    difference = np.abs(fit(c, tmp_path, picture, size, fraction).astype(int) - expected)
    assert difference.max() <= 1  # the order of the axes is free


@pytest.mark.parametrize("shape", [(101, 250), (250, 101), (301, 422), (100, 421), (422, 100), (1001, 103)])
@pytest.mark.parametrize("size", [(24, 40), (40, 24)])
def test_a_large_picture_is_shrunk_first_as_pillow_does(c, tmp_path, shape, size):
    """Of noise, a pixel more or less is another picture."""
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    scale = min(1, round(2.5 * 40) / min(shape))
    height, width = (round(side * scale) for side in shape)
    shrunk = np.asarray(resize(picture, (height, width), (0, 0, shape[1], shape[0])))
    expected = np.asarray(resize(shrunk, size, central_box(height, width, size, 0.875)))
    difference = np.abs(fit(c, tmp_path, picture, size).astype(int) - expected)
    assert difference.max() <= 2  # the order of the axes is free, twice


def test_a_picture_that_fits_is_not_changed(c, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    np.testing.assert_array_equal(fit(c, tmp_path, picture, (24, 40), 1.0), picture)


@pytest.mark.parametrize("fraction", [1e-300, 1e-9, 0.001])
def test_a_fraction_of_less_than_a_pixel_shows_its_neighbors(c, tmp_path, fraction):
    picture = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    pixels = fit(c, tmp_path, picture, (4, 4), fraction)
    assert (np.abs(pixels.astype(int) - picture[4, 5]) <= 2).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with P6"),
        (b"P5\n1 1\n255\n\0", "begins with P6"),
        (b"P6\n0 1\n255\n", "1 to 32767 pixels"),
        (b"P6\n1 32768\n255\n", "1 to 32767 pixels"),
        (b"P6\n99999999999999999999 1\n255\n", "1 to 32767 pixels"),
        (b"P6\n-1 1\n255\n", "1 to 32767 pixels"),
        (b"P6\n1 1\n", "1 to 32767 pixels"),
        (b"P6\n1 1 # no end", "1 to 32767 pixels"),
        (b"P6\n1 1\n65535\n\0\0\0\0\0\0", "8 bits"),
        (b"P6\n1 1\n255\n\0\0", "number of pixels in its header"),
        (b"P6\n1 1\n255\n\0\0\0\0", "number of pixels in its header"),
        (b"P6\n32767 32767\n255\n\0\0\0", "number of pixels in its header"),
    ],
)
def test_bad_ppm(c, tmp_path, content, words):
    (tmp_path / "bad.ppm").write_bytes(content)
    with pytest.raises(Refused, match=words):
        c.ask("fit", tmp_path / "bad.ppm", 0.875, 8, 8, tmp_path / "pixels.raw")


def test_a_file_that_is_none_is_not_waited_for(c, tmp_path):
    os.mkfifo(tmp_path / "fifo.ppm")
    for name, words in (("fifo.ppm", "a folder or device"), (".", "a folder or device"), ("none.ppm", "No such file")):
        with pytest.raises(Refused, match=words):
            c.ask("fit", tmp_path / name, 0.875, 8, 8, tmp_path / "pixels.raw")
