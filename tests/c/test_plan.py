"""The plan of a training: order, rates and changes of each step, and the colors that it changes."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.c import plan
from tests.c.conftest import GOLDEN
from tests.c.program import write_ppm
from tinytl_tf.data.change import COLOR_CHANGES

PIXELS = json.loads((GOLDEN / "pixels.json").read_text("utf-8"))
LOSSLESS = {photo["photo"]: photo for photo in PIXELS["photos"] if photo["decoded"]}
LARGEST = 2**53 - 1


@pytest.mark.parametrize("count", [1, 2, 3, 12, 100])
@pytest.mark.parametrize("seed", [0, 1, 2**32, LARGEST])
def test_order(c, seed, count):
    orders = []
    for epoch in (0, 1, 999_999):
        orders.append([int(word) for word in c.ask("order", seed, epoch, count)])
        assert orders[-1] == plan.order(seed, epoch, count)
        assert sorted(orders[-1]) == list(range(count))
    assert count < 12 or orders[0] != orders[1] != orders[2]


def test_every_order_is_as_likely(c):
    """Of three photos there are six; a rule that swaps any two places would give some of them more often."""
    counts = dict.fromkeys(itertools.permutations("012"), 0)
    for seed in range(3000):
        counts[tuple(c.ask("order", seed, 0, 3))] += 1
    assert 430 < min(counts.values()) <= max(counts.values()) < 570


@pytest.mark.parametrize(("count", "batch"), [(1, 4), (3, 4), (4, 4), (5, 4), (9, 4), (3, 8)])
def test_places_of_a_batch(c, count, batch):
    (steps,) = map(int, c.ask("steps", count, batch))
    assert steps == max(1, count // batch)
    for step in range(steps):
        indices = range(step * batch, (step + 1) * batch)
        found = [tuple(map(int, c.ask("place", 7, 2, count, index))) for index in indices]
        assert found == plan.places(7, 2, count, batch, step)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_rates(c, schedule):
    for base, steps in ((0.01, 7), (1, 1), (3e38, 10**12)):
        for step in (0, 1, steps // 2, steps - 1):
            (word,) = c.ask("rate", schedule, repr(base), step, steps)
            assert float.fromhex(word) == pytest.approx(plan.rate(schedule, base, step, steps), rel=1e-12)


SETTINGS = {
    "the defaults": (1, (0.22, 1), (3 / 4, 4 / 3), 1, "none"),
    "all": (1, (0.1, 0.75), (0.5, 2), 1, "torch"),
    "crop alone": (1, (0.9, 1), (1, 1), 0, "none"),
    "a part that seldom fits": (1, (1, 1), (3 / 4, 4 / 3), 1, "tf"),
    "a part that never fits": (1, (1, 1), (50, 60), 1, "tf"),
    "a part of no pixel": (1, (1e-9, 1e-9), (1, 1), 0, "none"),
    "flip alone": (0, (0.22, 1), (3 / 4, 4 / 3), 1, "none"),
    "colors alone": (0, (0.22, 1), (3 / 4, 4 / 3), 0, "torch"),
    "nothing": (0, (0.22, 1), (3 / 4, 4 / 3), 0, "none"),
    "sides of half a pixel": (1, (0.25, 0.25), (1, 1), 0, "none"),
    "an aspect beyond all": (1, (0.22, 1), (1e-300, 1e300), 0, "none"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_changes(c, name):
    crop, area, aspect, flip, color = SETTINGS[name]
    seen = []
    for seed, epoch, photo, copy, (height, width) in itertools.product(
        (0, LARGEST), (0, 3), (0, 5, 10**9), (0, 1, 2), ((64, 64), (1, 1), (5, 5), (7, 7), (160, 245), (33, 3000))
    ):
        words = c.ask(
            *("draw", seed, epoch, photo, copy, height, width, crop, *map(repr, (*area, *aspect)), flip, color)
        )
        box = tuple(map(int, words[1:5])) if words[0] == "1" else None
        colors = [(name, float.fromhex(amount)) for name, amount in zip(words[6::2], words[7::2], strict=True)]
        expected = plan.draw(seed, epoch, photo, copy, height, width, crop, area, aspect, flip, color)
        assert (box, words[5] == "1") == expected[:2]
        assert [name for name, _ in colors] == [name for name, _ in expected[2]]
        amounts = [amount for _, amount in expected[2]]
        assert [amount for _, amount in colors] == pytest.approx(amounts, rel=1e-12)
        if box:
            assert box[0] >= 0 <= box[1]
            assert 0 < box[2] <= width - box[0]
            assert 0 < box[3] <= height - box[1]
        seen.append((box, words[5], tuple(colors)))
    assert len(set(seen)) > 1 or name in ("nothing", "flip alone")


def test_half_of_the_images_are_mirrored(c):
    flips = []
    for photo in range(2000):
        flips.append(int(c.ask("draw", 3, 1, photo, 0, 9, 9, 0, 1, 1, 1, 1, 1, "none")[5]))
        assert flips[-1] == plan.draw(3, 1, photo, 0, 9, 9, 0, (1, 1), (1, 1), 1, "none")[1]
    assert 900 < sum(flips) < 1100


@pytest.mark.parametrize("change", [c for c in PIXELS["changes"] if c["photo"] in LOSSLESS], ids=lambda c: c["pixels"])
def test_golden_changes(c, tmp_path, change):
    photo = LOSSLESS[change["photo"]]
    decoded = np.fromfile(GOLDEN / photo["decoded"], np.uint8).reshape(*photo["size"], 3)
    write_ppm(tmp_path / "photo.ppm", decoded)
    result = tmp_path / "pixels.raw"
    how = (*change["box"], int(change["flip"]), change["color"] or "-", change["amount"])
    c.ask("change", tmp_path / "photo.ppm", *how, *PIXELS["size"], result)
    expected = np.fromfile(GOLDEN / change["pixels"], np.uint8)
    difference = np.abs(np.fromfile(result, np.uint8).astype(int) - expected)
    tolerance = PIXELS["tolerances"][change["tolerance"]]
    assert difference.max() <= tolerance["largest"]
    assert difference.mean() <= tolerance["mean"]


def recolored(c, tmp_path, pixels, color, amount):
    pixels.tofile(tmp_path / "pixels.raw")
    c.ask("recolor", tmp_path / "pixels.raw", color, repr(amount))
    return np.fromfile(tmp_path / "pixels.raw", np.uint8).reshape(pixels.shape)


@pytest.mark.parametrize("amount", [0.6, 0.95, 1.0, 1.25, 1.4])
@pytest.mark.parametrize(
    ("color", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
def test_colors_are_those_of_pillow_to_the_last_bit(c, tmp_path, color, enhance, amount):
    for most in (40, 100, 101, 200, 256):  # other means of the gray
        pixels = np.random.default_rng(most).integers(0, most, (90, 70, 3), np.uint8)
        expected = np.asarray(enhance(Image.fromarray(pixels)).enhance(amount))
        np.testing.assert_array_equal(recolored(c, tmp_path, pixels, color, amount), expected)


@pytest.mark.parametrize("turn", [-0.1, -0.0137, 0.0, 0.0588, 0.1])
def test_hues_are_those_of_pillow_to_the_last_bit(c, tmp_path, turn):
    random = np.random.default_rng(2).integers(0, 256, (200, 100, 3), np.uint8)
    corners = np.array(list(itertools.product((0, 1, 127, 254, 255), repeat=3)), np.uint8)
    pixels = np.concatenate([random.reshape(-1, 3), corners])[np.newaxis]
    expected = np.asarray(COLOR_CHANGES["hue"](Image.fromarray(pixels), turn))
    np.testing.assert_array_equal(recolored(c, tmp_path, pixels, "hue", turn), expected)
