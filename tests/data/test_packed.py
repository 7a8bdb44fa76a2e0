import numpy as np
import pytest

from tests.data.conftest import file_bytes, picture
from tinytl_tf import data
from tinytl_tf.data.decode import decode
from tinytl_tf.errors import InputError


def test_without_split_the_last_quarter_of_each_class_is_test(make_packed):
    splits = data.load(make_packed())
    assert splits.train.class_names == ("cat", "dog")
    assert splits.train.labels.tolist() == [0, 1] * 3
    assert splits.test.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(splits.test.image(1), decode(file_bytes(picture(7), "JPEG"), "x"))


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_split_is_used(make_packed, dtype):
    splits = data.load(make_packed(split=np.array(["test", "test"] + ["train"] * 6, dtype)))
    assert len(splits.train) == 6
    np.testing.assert_array_equal(splits.test.image(0), decode(file_bytes(picture(0), "JPEG"), "x"))


def test_empty_split_counts_as_none(make_packed):
    assert len(data.load(make_packed(split=[""] * 8)).test) == 2


@pytest.mark.parametrize("source", [[f"a/{i}.jpg" for i in range(8)], [b"a/%d.jpg" % i for i in range(8)]])
def test_a_broken_image_is_named_by_its_source(make_packed, source):
    path = make_packed(jpeg=np.zeros(100_000, np.uint8), source=source)
    with pytest.raises(InputError, match=r"image .*set\.npz\[a/3\.jpg\] cannot be decoded"):
        data.load(path).train.image(3)


def test_a_broken_image_without_source_is_named_by_its_index(make_packed):
    path = make_packed(jpeg=np.zeros(100_000, np.uint8))
    with pytest.raises(InputError, match=r"image .*set\.npz\[7\] cannot be decoded"):
        data.load(path, check_images=False).test.image(1)
    with pytest.raises(InputError, match=r"^packed set .* has 6 of 6 images that cannot be read: image .*\[0\] cannot"):
        data.load(path)


@pytest.mark.parametrize(
    ("file", "classes", "train", "test"),
    [("oxford_flowers17_128", 17, 1020, 340), ("tf_flowers_128", 5, 2931, 736), ("cifar10_32_15k", 10, 10000, 5000)],
)
def test_shared_sets(shared, file, classes, train, test):
    splits = data.load(shared / "data" / f"{file}.npz")
    assert (len(splits.train.class_names), len(splits.train), len(splits.test)) == (classes, train, test)
    assert splits.train.image(0).dtype == np.uint8


def test_flowers17_takes_60_and_20_of_each_class(shared):
    splits = data.load(shared / "data" / "oxford_flowers17_128.npz")
    assert np.bincount(splits.train.labels).tolist() == [60] * 17
    assert np.bincount(splits.test.labels).tolist() == [20] * 17
