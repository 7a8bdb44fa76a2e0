import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytl_tf.data import ImageDataset
from tinytl_tf.data.splits import first_of_each_class, hold_out, is_held_out, last_quarter
from tinytl_tf.errors import InputError


def dataset(labels):
    """Each image is one pixel that holds its index."""
    names = [str(label) for label in range(max(labels) + 1)]
    return ImageDataset("set", names, labels, lambda index, _: np.full((1, 1, 3), index, np.uint8))


def indices(subset):
    return [int(subset.image(index)[0, 0, 0]) for index in range(len(subset))]


def test_a_quarter_is_held_out_and_another_one_by_another_seed():
    digests = [hashlib.sha256(str(index).encode()).hexdigest() for index in range(8000)]
    held = {seed: {digest for digest in digests if is_held_out(digest, seed)} for seed in (0, 1)}
    for seed in held:
        assert 1880 <= len(held[seed]) <= 2120  # three standard deviations of 39
    assert 400 <= len(held[0] & held[1]) <= 600


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60, unique=True), st.integers(0, 5), st.data())
def test_who_is_held_out_depends_on_the_image_alone(pixels, seed, data):
    """Of 12 and then 13 photos of a class, 4 of 6 held-out ones had been trained on."""

    def held_of(chosen):
        images = ImageDataset("set", ["a"], [0] * len(chosen), lambda i, _: np.full((1, 1, 3), chosen[i], np.uint8))
        try:
            splits = hold_out(images, seed)
        except InputError:
            return set(chosen)
        return set() if splits.test is None else set(indices(splits.test))

    chosen = data.draw(st.lists(st.sampled_from(pixels), min_size=1, unique=True))
    assert held_of(chosen) == held_of(pixels).intersection(chosen)


def test_the_sets_are_in_the_order_of_the_whole():
    splits = hold_out(dataset([0] * 20 + [1] * 20), 0)
    assert splits.by_seed
    assert splits.held_out
    for part in (splits.train, splits.test):
        assert indices(part) == sorted(indices(part))
    assert sorted(indices(splits.train) + indices(splits.test)) == list(range(40))
    assert [splits.test.labels[place] for place, index in enumerate(indices(splits.test)) if index >= 20] == [1] * sum(
        index >= 20 for index in indices(splits.test)
    )


def test_last_quarter_of_each_class():
    splits = last_quarter(dataset([0] * 8 + [1] * 4))
    assert indices(splits.train) == [0, 1, 2, 3, 4, 5, 8, 9, 10]
    assert indices(splits.test) == [6, 7, 11]


@given(st.lists(st.integers(2, 30), min_size=2, max_size=5))
def test_last_quarter_parts_every_class(counts):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    splits = last_quarter(dataset(labels))
    assert sorted(indices(splits.train) + indices(splits.test)) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held_out = (splits.test.labels == label).sum()
        assert 1 <= held_out < count
        assert held_out == max(1, (count + 2) // 4)


def test_last_quarter_needs_two_images():
    with pytest.raises(InputError) as info:
        last_quarter(dataset([0, 0, 1]))
    assert str(info.value) == "set has too few images of class '1'; at least 2 are needed, to train and to test"


def test_first_of_each_class():
    subset = first_of_each_class(dataset([0, 1, 0, 1, 0, 1, 2, 2]), 5, "train_images")
    assert indices(subset) == [0, 1, 2, 3, 6]


def test_no_count_takes_all():
    images = dataset([0, 1])
    assert first_of_each_class(images, None, "train_images") is images


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (1, "train_images is 1; expected at least one image for each of the 2 classes"),
        (
            5,
            "train_images is 5, which takes 3 images of class '0', but set has 2 of them; ask for fewer",
        ),
    ],
)
def test_bad_counts(count, message):
    with pytest.raises(InputError) as info:
        first_of_each_class(dataset([0, 1, 0, 1]), count, "train_images")
    assert str(info.value) == message
