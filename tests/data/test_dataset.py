import concurrent.futures

import numpy as np
import pytest

from tinytl_tf.data import ImageDataset, dataset
from tinytl_tf.errors import InputError


def counting_dataset(n=4):
    reads = []

    def read(index, short_side):
        reads.append((index, short_side))
        return np.full((2, 2, 3), index, np.uint8)

    return ImageDataset("set", ["a", "b"], np.arange(n) % 2, read), reads


def test_attributes():
    images, _ = counting_dataset()
    assert len(images) == 4
    assert images.class_names == ("a", "b")
    assert images.labels.dtype == np.int32
    assert images.image(3).tolist() == np.full((2, 2, 3), 3).tolist()


def test_an_image_is_decoded_once():
    images, reads = counting_dataset()
    for _ in range(3):
        images.image(1)
        images.image(1, 64)
    assert reads == [(1, None), (1, 64)]


def test_cache_has_a_limit(monkeypatch):
    monkeypatch.setattr(dataset, "CACHE_BYTES", 2 * 12)
    images, reads = counting_dataset()
    for index in (0, 1, 2, 0, 1, 2):
        images.image(index)
    assert [index for index, _ in reads] == [0, 1, 2, 2]


def test_cache_counts_each_image_once_under_threads(monkeypatch):
    monkeypatch.setattr(dataset, "CACHE_BYTES", 4 * 12)
    images, reads = counting_dataset()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(images.image, [0, 1, 2, 3] * 50))
    reads.clear()
    for index in range(4):
        images.image(index)
    assert reads == []


def test_a_cached_image_cannot_be_changed():
    images, _ = counting_dataset()
    with pytest.raises(ValueError, match="read-only"):
        images.image(0)[0] = 1


def test_subset_keeps_classes_and_order():
    images, reads = counting_dataset()
    subset = images.subset([3, 0]).subset(np.array([1, 0]))
    assert subset.class_names == images.class_names
    assert subset.labels.tolist() == [0, 1]
    assert [subset.image(index, 5)[0, 0, 0] for index in range(2)] == [0, 3]
    assert reads == [(0, 5), (3, 5)]


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (["a"], [0], "set has 1 class; at least 2 are needed to tell apart"),
        (["a", "b"], [], "set has no images; at least 1 is needed"),
        (["a", "b"], [-1, 2], "set has labels from -1 to 2; its 2 classes need labels from 0 to 1"),
    ],
)
def test_bad_sets(classes, labels, message):
    with pytest.raises(InputError) as info:
        ImageDataset("set", classes, np.array(labels, int), lambda index, short_side: None)
    assert str(info.value) == message
