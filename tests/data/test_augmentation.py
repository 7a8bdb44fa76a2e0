import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinytl_tf.data import Augmentation
from tinytl_tf.data.random_stream import RandomStream
from tinytl_tf.data.resizing import central_box
from tinytl_tf.errors import InputError

PLAIN = {"crop": False, "flip": False}


def gradient(height=64, width=64):
    """Red rises to the right, green downwards."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, np.full_like(red, 128)], axis=-1).astype(np.uint8)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32))
def test_box_lies_in_the_image(height, width, seed):
    left, top, right, bottom = Augmentation().draw(height, width, RandomStream(seed)).box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@given(st.integers(60, 300), st.integers(60, 300), st.integers(0, 2**32))
def test_box_keeps_area_and_aspect(height, width, seed):
    assume(0.5 < height / width < 2)
    left, top, right, bottom = Augmentation().draw(height, width, RandomStream(seed)).box
    w, h = right - left, bottom - top
    rounding = 1 + 1.5 / min(w, h)
    assert 0.22 / rounding**2 <= w * h / (height * width) <= 1
    assert 3 / 4 / rounding**2 <= w / h <= 4 / 3 * rounding**2


def test_boxes_cover_the_range():
    stream = RandomStream(0)
    boxes = np.array([Augmentation().draw(100, 100, stream).box for _ in range(3000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (w * h).min() < 2400
    assert (w * h).max() > 9500
    assert (w / h).min() < 0.77
    assert (w / h).max() > 1.3
    assert boxes[:, :2].min() == 0
    assert boxes[:, 2:].max() == 100
    # Uniform area, a little fewer large ones because those of an extreme aspect do not fit.
    assert 0.22 < (w * h / 10000).mean() < 0.61


def test_a_box_that_never_fits_is_central():
    """No part of 0.9 of a 10:1 image has an aspect of at most 4/3."""
    box = Augmentation(crop_area=(0.9, 1.0)).draw(10, 100, RandomStream(0)).box
    assert box == (43, 0, 56, 10)
    box = Augmentation(crop_area=(0.9, 1.0)).draw(100, 10, RandomStream(0)).box
    assert box == (0, 43, 10, 56)


@pytest.mark.parametrize("size", [(8, 8), (9, 5)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (64, 64)])
@pytest.mark.parametrize("color", ["none", "tf", "torch"])
def test_any_image_fits_any_size(shape, size, color):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    result = Augmentation(color=color)(image, size, RandomStream(1))
    assert result.shape == (*size, 3)
    assert result.dtype == np.uint8


def test_one_pixel_keeps_its_color():
    image = np.array([[[1, 2, 3]]], np.uint8)
    assert (Augmentation()(image, (4, 4), RandomStream(0)) == [1, 2, 3]).all()


def test_flip_mirrors_half_of_the_images():
    image = gradient()
    flip, plain = Augmentation(crop=False), Augmentation(**PLAIN)
    expected = plain(image, (56, 56), RandomStream(0))
    mirrored = 0
    for seed in range(200):
        result = flip(image, (56, 56), RandomStream(seed))
        is_mirrored = result[0, 0, 0] > result[0, -1, 0]
        np.testing.assert_array_equal(result, expected[:, ::-1] if is_mirrored else expected)
        mirrored += is_mirrored
    assert 75 <= mirrored <= 125


def test_all_off_is_the_evaluation_crop():
    result = Augmentation(**PLAIN)(gradient(), (56, 56), RandomStream(0))
    np.testing.assert_array_equal(result, gradient()[4:60, 4:60])


def test_crop_alone_never_mirrors():
    for seed in range(50):
        result = Augmentation(flip=False)(gradient(), (16, 16), RandomStream(seed))
        assert result[0, 0, 0] < result[0, -1, 0]


@pytest.mark.parametrize(("color", "limit"), [("tf", 32 / 255), ("torch", 0.4)])
def test_brightness_of_grey_stays_in_range(color, limit):
    """Contrast, saturation and hue leave an even gray as it is, up to rounding."""
    gray = np.full((8, 8, 3), 100, np.uint8)
    augmentation = Augmentation(color=color, **PLAIN)
    levels = [augmentation(gray, (8, 8), RandomStream(seed)).mean() for seed in range(300)]
    assert 100 * (1 - limit) - 2 <= min(levels) <= 100 * (1 - 0.9 * limit)
    assert 100 * (1 + 0.9 * limit) <= max(levels) <= 100 * (1 + limit) + 2


def test_tf_color_turns_no_hue_and_torch_does():
    red = np.full((8, 8, 3), (200, 40, 40), np.uint8)

    def greenest(color):
        augmentation = Augmentation(color=color, **PLAIN)
        results = [augmentation(red, (8, 8), RandomStream(seed))[0, 0].astype(int) for seed in range(100)]
        return max(abs(g - b) for _, g, b in results)

    assert greenest("tf") <= 1
    assert greenest("torch") > 40


class Fixed:
    """Draws the same place of every range, 0 for its low end and 1 for its high one, and keeps a given order."""

    def __init__(self, place, first):
        self.place, self.first, self.ranges = place, first, []

    def permutation(self, count):
        return [self.first, *(step for step in range(count) if step != self.first)]

    def uniform(self, low, high):
        self.ranges.append((low, high))
        # Only the step that is looked at changes the image.
        return low + self.place * (high - low) if len(self.ranges) == 1 else 0.0


@pytest.mark.parametrize(
    ("color", "step", "strength", "low", "high"),
    [
        # Of (200, 100, 50): times 1 - x and 1 + x.
        ("torch", 0, 0.4, (120, 60, 30), (255, 140, 70)),
        ("tf", 0, 32 / 255, (174, 87, 43), (225, 112, 56)),
        # An even image is its own mean, 124 of its gray: mean + (pixel - mean) * (1 -+ x).
        ("torch", 1, 0.4, (169, 109, 79), (230, 90, 20)),
        # Gray 124 + (pixel - 124) * (1 -+ x).
        ("torch", 2, 0.4, (169, 109, 79), (230, 90, 20)),
        ("tf", 2, 0.5, (162, 112, 87), (238, 88, 13)),
        # Hue 20 degrees, turned by a tenth of the circle to 344 and 56.
        ("torch", 3, 0.1, (200, 50, 90), (200, 190, 50)),
    ],
)
def test_each_change_of_color_at_the_ends_of_its_range(color, step, strength, low, high):
    even = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    for place, expected in ((0, low), (1, high)):
        rng = Fixed(place, step)
        result = Augmentation(color=color, **PLAIN)(even, (8, 8), rng)
        assert rng.ranges[0] == (-strength, strength)
        np.testing.assert_allclose(result[3, 3].astype(int), expected, atol=3)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 300), st.integers(1, 300))
def test_central_box_lies_in_the_image(height, width, h, w):
    left, top, right, bottom = central_box(height, width, (h, w))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left == pytest.approx(width - right, abs=1e-6)
    assert (right - left) / (bottom - top) == pytest.approx(w / h, rel=1e-6)


def test_central_box_follows_the_papers_sizes():
    """224 of 256 and 320 of 366 pixels of the short side."""
    assert central_box(256, 300, (224, 224)) == pytest.approx((38, 16, 262, 240))
    assert central_box(366, 366, (320, 320)) == pytest.approx((23, 23, 343, 343))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_area": (0, 1)}, "expected crop_area to be two rising numbers in (0, 1], got (0, 1)"),
        ({"crop_area": (0.9, 0.5)}, "expected crop_area to be two rising numbers in (0, 1], got (0.9, 0.5)"),
        ({"crop_area": (0.5, 1.5)}, "expected crop_area to be two rising numbers in (0, 1], got (0.5, 1.5)"),
        ({"crop_aspect": (0, 1)}, "expected crop_aspect to be two rising numbers above 0, got (0, 1)"),
        ({"color": "blue"}, "expected color to be one of none, tf, torch, got 'blue'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as info:
        Augmentation(**options)
    assert str(info.value) == message
