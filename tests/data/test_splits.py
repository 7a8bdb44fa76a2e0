import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytl_tf.data import ImageDataset
from tinytl_tf.data.splits import first_of_each_class, hold_out
from tinytl_tf.errors import InputError


def dataset(labels):
    """Each image is one pixel that holds its index."""
    names = [str(label) for label in range(max(labels) + 1)]
    return ImageDataset("set", names, labels, lambda index, _: np.full((1, 1, 3), index, np.uint8))


def indices(subset):
    return [int(subset.image(index)[0, 0, 0]) for index in range(len(subset))]


def test_last_quarter_of_each_class_is_held_out():
    splits = hold_out(dataset([0] * 8 + [1] * 4))
    assert indices(splits.train) == [0, 1, 2, 3, 4, 5, 8, 9, 10]
    assert indices(splits.test) == [6, 7, 11]


def test_rank_orders_the_images_of_a_class():
    splits = hold_out(dataset([0, 0, 0, 0, 1, 1, 1, 1]), np.array([9, 1, 2, 3, 7, 5, 8, 6]))
    assert indices(splits.test) == [0, 6]


@given(st.lists(st.integers(2, 30), min_size=2, max_size=5))
def test_hold_out_parts_every_class(counts):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    splits = hold_out(dataset(labels))
    assert sorted(indices(splits.train) + indices(splits.test)) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held_out = (splits.test.labels == label).sum()
        assert 1 <= held_out < count
        assert abs(held_out - count / 4) <= 0.5


def test_hold_out_needs_two_images():
    with pytest.raises(InputError) as info:
        hold_out(dataset([0, 0, 1]))
    assert str(info.value) == ("set has 1 of the at least 2 images that class '1' needs, one to train and one to test")


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
