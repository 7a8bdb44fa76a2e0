import logging
import shutil

import numpy as np
import pytest

from tinytl_tf import data
from tinytl_tf.data.copies import find_copies
from tinytl_tf.errors import InputError


def test_images_in_both_sets_are_counted_and_named(make_folder, caplog):
    root = make_folder({"train/a": 4, "train/b": 4, "test/a": 3, "val/b": 1, "val/a": 1})
    shutil.copy(root / "train/b/2.png", root / "test/a/another name.png")
    shutil.copy(root / "train/a/0.png", root / "val/a/1.png")
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.loading"):
        splits = data.load(root)
    assert [record.getMessage() for record in caplog.records] == [
        f"1 of 4 test images are training images too: {root}/test/a/another name.png is {root}/train/b/2.png",
        f"1 of 3 validation images are training images too: {root}/val/a/1.png is {root}/train/a/0.png",
    ]
    assert (len(splits.train), len(splits.test), len(splits.validation)) == (8, 4, 3)
    with pytest.raises(InputError, match="^1 of 4 test images are training images too: .*; remove them from one of "):
        data.load(root, strict=True)


def test_sixteen_of_sixteen_are_listed_in_part(make_folder):
    root = make_folder({"train/a": 8, "train/b": 8})
    shutil.copytree(root / "train", root / "test")
    with pytest.raises(InputError, match="^16 of 16 test images are training images too: ") as error:
        data.load(root, strict=True)
    assert str(error.value).count(" is ") == 10
    assert "; ...; remove them" in str(error.value)


def test_sets_without_copies_pass_strictly(make_folder):
    assert len(data.load(make_folder({"train/a": 4, "train/b": 4, "test/a": 3}), strict=True).test) == 3


def test_only_files_of_a_size_that_is_in_both_sets_are_read(make_folder):
    root = make_folder({"train/a": 2, "train/b": 2, "test/a": 1})
    (root / "test/a/0.png").write_bytes((root / "train/a/0.png").read_bytes() + b"0" * 999)
    splits, asked = data.load(root), []
    splits.train.digest = splits.test.digest = asked.append
    assert find_copies(splits.train, splits.test) == []
    assert asked == []


def test_packed_sets_are_compared_too(make_packed, caplog):
    with np.load(make_packed()) as file:
        arrays = dict(file)
    jpeg = arrays["jpeg"].tobytes()
    first = jpeg[: arrays["offsets"][1]]
    packed = make_packed(
        jpeg=np.frombuffer(jpeg + first, np.uint8),
        offsets=[*arrays["offsets"], len(jpeg) + len(first)],
        label=[*arrays["label"], 0],
        split=["train"] * 8 + ["test"],
    )
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.loading"):
        data.load(packed)
    assert f"1 of 1 test images are training images too: {packed}[8] is {packed}[0]" in caplog.text
