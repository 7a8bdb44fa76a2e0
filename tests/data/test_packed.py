import contextlib
import io
import itertools
import os
import zipfile

import numpy as np
import pytest

from tests.damage import require_line
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


def test_a_set_that_unpacks_to_far_more_than_it_is_is_refused(make_packed, tmp_path):
    arrays = dict(np.load(make_packed()))
    np.savez_compressed(tmp_path / "set.npz", **arrays | {"extra": np.zeros(3_000_000, np.uint8)})
    with pytest.raises(InputError) as info:
        data.load(tmp_path / "set.npz")
    message = str(info.value)
    assert message.startswith(f"packed set {tmp_path}/set.npz unpacks to 3,0")
    assert message.endswith(" are read of a file of its size; pack it again with numpy.savez")


VALUES = [0, -1, 1, 2, 255, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, np.nan, np.inf, 1e39, 1e308, 0.5, "", "a\nb", b"x"]
TYPES = [np.int8, np.int64, np.uint64, np.float16, np.float64, "U300", "S300", bool, complex, "M8[s]"]


@pytest.mark.parametrize("key", ["offsets", "label", "classes", "split", "source"])
def test_each_damaged_array_is_refused_or_within_its_bounds(make_packed, key):
    right = {"offsets": None, "label": [0, 1] * 4, "classes": ["cat", "dog"], "split": ["train", "test"] * 4}
    right["source"] = [f"{index}.jpg" for index in range(8)]
    right["offsets"] = np.load(make_packed())["offsets"]
    accepted = 0
    for dtype, value, place in itertools.product(TYPES, VALUES, (0, 1, -1, slice(None))):
        try:
            array = np.asarray(right[key]).astype(dtype)
            with np.errstate(all="ignore"):
                array[place] = value
        except (ValueError, TypeError, OverflowError):
            continue
        try:
            splits = data.load(make_packed(**{"split": right["split"], key: array}), check_images=False)
        except InputError as error:
            require_line(error)
            continue
        accepted += 1
        for dataset in (splits.train, splits.test):
            assert 0 <= dataset.labels.min() <= dataset.labels.max() < 2
            for index in range(len(dataset)):
                with contextlib.suppress(InputError):
                    dataset.image(index)
    assert accepted > 0


@pytest.mark.parametrize("value", [-1, 2, 0.5, np.nan, np.inf, -np.inf, 1e39, 1e308])
def test_attributes_out_of_range_are_refused(make_packed, value):
    labels = np.eye(2)[np.arange(8) % 2]
    labels[3, 1] = value
    if value == 0.5:  # a soft label
        assert data.load(make_packed(label=labels)).train.labels.max() == 1
        return
    with pytest.raises(InputError, match="labels from 0 to 1") as error:
        data.load(make_packed(label=labels))
    require_line(error.value)


def test_a_source_of_several_lines_is_named_in_one(make_packed):
    path = make_packed(jpeg=np.zeros(100_000, np.uint8), source=[f"a\n{index}\x1b" for index in range(8)])
    with pytest.raises(InputError, match=r"\[a\\n3\\x1b\] cannot be decoded") as error:
        data.load(path, check_images=False).train.image(3)
    require_line(error.value)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "set.npz")
    with pytest.raises(InputError, match="cannot be read as .npz .*Not a regular file"):
        data.load(tmp_path / "set.npz")


@pytest.mark.parametrize(("dtype", "itemsize"), [("|u1", 1), ("<i8", 8), ("<U0", 1)])
def test_an_array_that_is_shorter_than_it_says_is_refused(make_packed, dtype, itemsize):
    path, header = make_packed(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("extra.npy", header.getvalue() + bytes(5))
    with pytest.raises(InputError) as info:
        data.load(path)
    assert str(info.value) == (
        f"packed set {path}: extra.npy claims {itemsize * 10**12:,} bytes and has 5; pack it again with numpy.savez"
    )
