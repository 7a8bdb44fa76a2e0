import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data.conftest import file_bytes, picture
from tinytl_tf.data.decode import decode
from tinytl_tf.errors import InputError

LOSSLESS = [("RGB", "PNG"), ("RGB", "BMP"), ("RGB", "TIFF"), ("L", "PNG"), ("P", "PNG"), ("1", "PNG"), ("CMYK", "TIFF")]


@pytest.mark.parametrize(("mode", "format"), LOSSLESS)
def test_modes_become_rgb(mode, format):
    image = picture(mode=mode)
    decoded = decode(file_bytes(image, format), "x")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


def test_cmyk_jpeg_keeps_its_color():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    np.testing.assert_allclose(decode(file_bytes(red, "JPEG"), "x")[4, 4], [255, 0, 0], atol=3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_white(mode):
    image = picture(mode=mode)
    image.putalpha(Image.new("L", image.size, 0))
    image.putpixel((0, 0), (9, 9, 9, 255) if mode == "RGBA" else (9, 255))
    decoded = decode(file_bytes(image), "x")
    assert decoded[0, 0].tolist() == [9, 9, 9]
    assert (decoded.reshape(-1, 3)[1:] == 255).all()


def test_transparent_palette_entry_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert decode(file_bytes(image, transparency=0), "x").tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_greyscale_is_scaled(format):
    image = Image.fromarray(np.array([[0, 0x7FFF, 0xFFFF]], np.uint16))
    assert decode(file_bytes(image, format), "x")[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = picture(size=(12, 10))
    # How a camera stores the upright picture under each orientation: the inverse of what a viewer does.
    stored = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: np.rot90(x.transpose(1, 0, 2), 2),
        8: lambda x: np.rot90(x, -1),
    }[orientation](np.asarray(upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_bytes(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(decode(data, "x"), np.asarray(upright))


def test_one_pixel():
    assert decode(file_bytes(Image.new("RGB", (1, 1), (1, 2, 3))), "x").tolist() == [[[1, 2, 3]]]


def test_reads_a_path(tmp_path):
    picture().save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", "x").shape == (10, 12, 3)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(("size", "expected"), [((400, 300), (60, 80)), ((300, 400), (80, 60)), ((50, 40), (40, 50))])
def test_short_side_shrinks_only_larger_images(format, size, expected):
    data = file_bytes(picture(size=size), format)
    decoded = decode(data, "x", short_side=60)
    assert decoded.shape == (*expected, 3)
    reference = np.asarray(Image.fromarray(decode(data, "x")).resize(expected[::-1], Image.Resampling.BILINEAR))
    assert np.abs(decoded.astype(int) - reference).mean() < 2


def test_short_side_of_a_thin_image():
    assert decode(file_bytes(picture(size=(300, 1))), "x", short_side=60).shape == (1, 300, 3)


BROKEN = {
    "empty": b"",
    "no image": b"hello",
    "truncated JPEG": file_bytes(picture(size=(64, 64)), "JPEG")[:-200],
    "truncated PNG": file_bytes(picture(size=(64, 64)))[:-200],
    "header only": file_bytes(picture())[:20],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_named(kind):
    with pytest.raises(InputError) as info:
        decode(BROKEN[kind], "photos/a.jpg")
    message = str(info.value)
    assert message.startswith("image photos/a.jpg cannot be decoded (")
    assert message.endswith("); repair it or remove it")
    assert "\n" not in message


@given(st.sampled_from(["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"]), st.data())
def test_damaged_files_raise_nothing_but_input_error(format, data):
    content = bytearray(file_bytes(picture(), format))
    del content[data.draw(st.integers(1, len(content))) :]
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=5)):
        content[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        decoded = decode(bytes(content), "x")
        assert decoded.dtype == np.uint8
        assert decoded.shape[2:] == (3,)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_wide_pixels_are_refused(mode):
    image = Image.new(mode, (2, 2), 2**20)
    with pytest.raises(InputError, match=r"image x cannot be decoded \(expected .* pixels\); repair it or remove it"):
        decode(file_bytes(image, "TIFF"), "x")


@pytest.mark.parametrize("side", [9_500, 14_000])
def test_too_many_pixels(side):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        data = file_bytes(Image.new("1", (side, side)))
        with pytest.raises(InputError) as info:
            decode(data, "bomb.png")
    assert str(info.value) == (
        "image bomb.png has more than 89,000,000 pixels, the most that is read; shrink it or remove it"
    )
