import concurrent.futures
import time

import numpy as np
import pytest

from tinytl_tf.data import ImageDataset
from tinytl_tf.data.classes import match_classes
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
        ([], [0], "set has no classes; at least 1 is needed"),
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
    with pytest.raises(InputError, match="^set: expected labels that differ, got .* twice; give each class "):
        ImageDataset("set", names, np.array([0, 1]), lambda *_: None)


def test_describes_classes_and_counts():
    images = ImageDataset("set", [f"c{i:02}" for i in range(14)], np.arange(20) % 14, lambda *_: None)
    listed = ", ".join(f"c{i:02} {2 if i < 6 else 1}" for i in range(12))
    assert images.describe() == f"20 images of 14 classes: {listed}, and 2 classes more"


def test_the_fingerprint_knows_content_order_labels_and_classes():
    def make(names=("a", "b"), labels=(0, 1), pixels=(1, 2), decoding="255", sources=("x", "y")):
        read = lambda index, _: np.full((1, 1, 3), pixels[index], np.uint8)  # noqa: E731
        return ImageDataset("set", names, np.array(labels), read, decoding=decoding, sources=sources).fingerprint()

    others = [("a", "c"), (1, 0)], [("a", "b"), (0, 1), (1, 3)], [("a", "b"), (0, 1), (2, 1)]
    prints = [make(), make(("a", "c")), make(labels=(1, 0)), make(decoding="9"), *(make(*other) for other in others)]
    assert len(set(prints)) == 7
    assert make(sources=("u", "v")) == prints[0]


def test_a_digest_is_computed_once_for_all_subsets():
    asked = []

    def digest(index):
        asked.append(index)
        return f"{index:064}"

    images = ImageDataset("set", ["a", "b"], [0, 1, 0], lambda *_: None, digest=digest)
    subset = images.subset([2, 0]).subset([1])
    assert subset.digests() == [f"{0:064}"]
    assert images.digests() == [f"{index:064}" for index in range(3)]
    assert sorted(asked) == [0, 1, 2]


def test_one_class_alone_is_a_set_that_nothing_can_be_told_apart_on():
    images = ImageDataset("set", ["a"], [0, 0], lambda *_: None)
    with pytest.raises(InputError, match="^set has 1 class; at least 2 are needed to tell apart$"):
        images.require_classes(2)
    ImageDataset("set", ["a"], np.zeros([2, 1]), lambda *_: None).require_classes(2)  # an attribute is told from none


def test_ten_thousand_classes_are_not_quadratic():
    names = [f"class {number}" for number in range(10_000)]
    started = time.process_time()
    images = ImageDataset("set", names, np.arange(10_000), lambda *_: None)
    assert match_classes(names, images.class_names, 10_000, where="set").tolist() == list(range(10_000))
    assert time.process_time() - started < 3  # 0.1 s; comparing each with each takes half a minute
