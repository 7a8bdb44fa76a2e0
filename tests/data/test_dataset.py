import concurrent.futures

import numpy as np
import pytest

from tinytl_tf.data import ImageDataset
from tinytl_tf.errors import InputError


def counting_dataset(n=4, cache_bytes=1000):
    reads = []

    def read(index, short_side):
        reads.append((index, short_side))
        return np.full((2, 2, 3), index, np.uint8)

    return ImageDataset("set", ["a", "b"], np.arange(n) % 2, read, cache_bytes=cache_bytes), reads


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


def test_nothing_is_kept_unless_asked_for():
    pixels = np.zeros((2, 2, 3), np.uint8)
    reads = []
    images = ImageDataset("set", ["a", "b"], [0, 1], lambda index, _: reads.append(index) or pixels)
    for _ in range(3):
        images.image(0)
    assert reads == [0, 0, 0]


def test_cache_has_a_limit():
    images, reads = counting_dataset(cache_bytes=2 * 12)
    for index in (0, 1, 2, 0, 1, 2):
        images.image(index)
    assert [index for index, _ in reads] == [0, 1, 2, 2]


def test_cache_counts_each_image_once_under_threads():
    images, reads = counting_dataset(cache_bytes=4 * 12)
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


def test_a_label_beyond_32_bits_is_refused_and_does_not_wrap_to_class_0():
    with pytest.raises(InputError, match=r"^set has labels from 0 to 4294967296; "):
        ImageDataset("set", ["a", "b"], np.array([0, 2**32]), lambda *_: None)


@pytest.mark.parametrize("names", [["a", "a"], ["\u00e9", "e\u0301"]])
def test_a_class_twice_is_refused(names):
    with pytest.raises(InputError, match="^set has the class .* twice; give each class a name of its own$"):
        ImageDataset("set", names, np.array([0, 1]), lambda *_: None)


def test_describes_classes_and_counts():
    images = ImageDataset("set", [f"c{i:02}" for i in range(14)], np.arange(20) % 14, lambda *_: None)
    listed = ", ".join(f"c{i:02} {2 if i < 6 else 1}" for i in range(12))
    assert images.describe() == f"20 images of 14 classes: {listed}, and 2 classes more"


def test_the_fingerprint_knows_names_sizes_labels_and_classes():
    def make(names=("a", "b"), labels=(0, 1), identity=(("x", 1), ("y", 2))):
        return ImageDataset("set", names, np.array(labels), lambda *_: None, identity=identity).fingerprint()

    prints = [make(), make(("a", "c")), make(labels=(1, 0)), make(identity=(("x", 1), ("y", 3)))]
    assert len(set(prints)) == 4
    assert make() == prints[0]
