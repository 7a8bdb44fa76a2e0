import contextlib
import io
import itertools
import logging
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data.conftest import file_bytes, picture
from tinytl_tf.data.decode import check_header, decode, deep_maximum
from tinytl_tf.errors import InputError
from tinytl_tf.progress import Progress

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


@pytest.mark.parametrize(
    ("mode", "value", "problem"),
    [
        ("F", 1, "expected integer pixels, got floating-point pixels"),
        ("I", 2**20, "expected pixels from 0 to 65535, got 1048576 to 1048576"),
        ("I", -1, "expected pixels from 0 to 65535, got -1 to -1"),
    ],
)
def test_deep_pixels_out_of_range_are_refused(mode, value, problem):
    image = Image.new(mode, (2, 2), value)
    with pytest.raises(InputError) as error:
        decode(file_bytes(image, "TIFF"), "x")
    assert str(error.value) == f"image x cannot be decoded ({problem}); repair it or remove it"


@pytest.mark.parametrize(
    ("dtype", "peak", "maximum"),
    [("uint16", 4000, 4095), ("int32", 2**20, 2**21 - 1), ("uint16", 9, 255), ("uint16", 1900, 4095)],
)
def test_deep_pixels_are_scaled_by_the_maximum_of_the_set(tmp_path, dtype, peak, maximum):
    """12 bits in a file of 16 would be nearly black by the size of the file, 32 bits black."""
    paths = [tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "c.png"]
    pixels = np.full((4, 4), peak // 2, dtype)
    Image.fromarray(pixels).save(paths[0])
    pixels[0, 0] = peak
    Image.fromarray(pixels).save(paths[1])
    Image.new("RGB", (4, 4), 200).save(paths[2])
    assert deep_maximum([(path, str(path)) for path in paths]) == maximum
    decoded = [decode(path, "x", deep_maximum=maximum) for path in paths]
    assert decoded[0].max() == decoded[1][1, 1, 0] == (peak // 2) * 256 // (maximum + 1)
    assert decoded[1][0, 0, 0] == peak * 256 // (maximum + 1)
    assert deep_maximum([(paths[2], "c")]) == 65535


def deep_color_png(value):
    """A PNG of 16 bits a channel, which Pillow cannot write."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + struct.pack(">H", value) * 6 for _ in range(2))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_12_bits_of_color_in_16_are_refused_and_16_are_read():
    sources = [(deep_color_png(100), "a.png"), (deep_color_png(4095), "b.png")]
    with pytest.raises(InputError) as error:
        deep_maximum(sources)
    assert str(error.value) == (
        "image a.png and similar ones have colors of 16 bits and use at most 12 of them: they would be nearly "
        "black; convert them to 8 bits"
    )
    assert deep_maximum([*sources, (deep_color_png(65535), "c.png")]) == 65535
    assert decode(deep_color_png(0x8001), "x").max() == 0x80


def test_content_decides_and_no_other_decoder_is_reached(tmp_path):
    """PostScript under an image's name would start an interpreter."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    for reads in (decode, check_header):
        with pytest.raises(InputError, match=r"^image x cannot be decoded \(cannot identify image file"):
            reads(path, "x")


def test_what_is_no_regular_file_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match=r"^image x cannot be decoded \(expected a regular file\)"):
        decode(tmp_path / "pipe.jpg", "x")


def test_a_large_file_of_a_format_that_is_decoded_whole_is_refused_by_its_header():
    data = file_bytes(Image.new("1", (9_400, 9_400)))
    message = "image x has 88,360,000 pixels, of PNG 25,000,000 are the most that is read; "
    for reads in (decode, check_header):
        with pytest.raises(InputError) as error:
            reads(data, "x")
        assert str(error.value).startswith(message)


@pytest.fixture
def with_a_warning():
    """A JPEG of which Pillow warns."""
    exif = Image.Exif()
    exif[0x010F] = "maker"
    content = bytearray(file_bytes(Image.new("RGB", (8, 8)), "JPEG", exif=exif))
    position = content.index(b"\x01\x0f\x00\x02") + 4
    content[position : position + 4] = (10_000_000).to_bytes(4, "big")
    return bytes(content)


def test_a_warning_of_pillow_is_logged_with_the_name_of_the_image(with_a_warning, caplog):
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.decode"):
        decode(with_a_warning, "holiday.jpg")
        logged = len(caplog.records)
        decode(with_a_warning, "holiday.jpg")
    assert len(caplog.records) == logged > 0  # once, not once an epoch
    assert all(record.getMessage().startswith("image holiday.jpg: ") for record in caplog.records)


def test_a_warning_of_pillow_starts_on_an_empty_line_of_a_terminal(with_a_warning, monkeypatch):
    terminal, seconds = io.StringIO(), itertools.count()
    terminal.isatty = lambda: True
    handler = logging.StreamHandler(terminal)
    logging.getLogger("tinytl_tf").addHandler(handler)
    try:
        with Progress(9, "train", terminal, clock=lambda: float(next(seconds))) as progress:
            progress.advance()
            decode(with_a_warning, "wedding.jpg")
    finally:
        logging.getLogger("tinytl_tf").removeHandler(handler)
    shown, _, warning = terminal.getvalue().partition("image wedding.jpg: ")
    assert shown.startswith("\r\x1b[Ktrain 1/9")
    assert shown.endswith("\r\x1b[K")
    assert warning


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
