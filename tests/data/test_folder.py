import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import picture
from tinytl_tf import data
from tinytl_tf.data.folder import load_folder
from tinytl_tf.errors import InputError


def names(dataset, root):
    """Paths of the images of a set, found by their pixels."""
    files = {np.asarray(Image.open(path)).tobytes(): path for path in root.rglob("*.png")}
    return {files[dataset.image(index).tobytes()].relative_to(root).as_posix() for index in range(len(dataset))}


@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_train_and_test_folders(make_folder, test_folder):
    root = make_folder({"train/dog": 3, "train/cat": 2, f"{test_folder}/cat": 1, f"{test_folder}/dog": 2})
    splits = data.load(root)
    assert splits.train.class_names == splits.test.class_names == ("cat", "dog")
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert splits.test.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(splits.train.image(4), np.asarray(picture(2)))  # dogs were written first


def test_test_goes_before_val(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "val/a": 2, "test/a": 1, "test/b": 1})
    assert data.load(root).test.labels.tolist() == [0, 1]


def test_a_class_may_lack_test_images(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 2})
    assert data.load(root).test.labels.tolist() == [1, 1]


@pytest.fixture
def flat(make_folder):
    return make_folder({"cat": 20, "dog": 20})


def test_flat_folder_is_split_by_name_not_by_place(flat, tmp_path):
    expected = names(load_folder(flat).test, flat)
    assert len(expected) == 10
    shutil.copytree(flat, tmp_path / "elsewhere")
    assert names(load_folder(tmp_path / "elsewhere").test, tmp_path / "elsewhere") == expected


def test_flat_split_is_the_same_in_every_version(make_folder):
    """A change of the hash would silently move users' training images into their tests."""
    root = make_folder({"cat": 8, "dog": 4})
    assert names(load_folder(root).test, root) == {"cat/4.png", "cat/5.png", "dog/0.png"}


def test_flat_split_depends_on_the_seed(flat):
    assert names(load_folder(flat, seed=0).test, flat) != names(load_folder(flat, seed=1).test, flat)


def test_adding_a_file_moves_at_most_one_other(flat):
    before = names(load_folder(flat).test, flat)
    for index in range(20, 30):
        picture(1000 + index).save(flat / "cat" / f"{index}.png")
        after = names(load_folder(flat).test, flat)
        assert len((before ^ after) - {f"cat/{index}.png"}) <= 1
        before = after


def test_other_files_are_counted_and_hidden_ones_ignored(make_folder, caplog):
    root = make_folder({"train/a": 1, "train/b": 1, "train/.cache": 1, "test/a": 1, "train/a/.ipynb_checkpoints": 2})
    (root / "train/a/notes.txt").write_text("x")
    (root / "train/b/b.HEIC").write_text("x")
    (root / "train/b/LICENSE").write_text("x")
    (root / "train/b/.DS_Store").write_text("x")
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.folder"):
        splits = load_folder(root)
    assert len(splits.train) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{root / 'train'}: ignored 3 files that are no images: 1 .heic, 1 .txt, 1 no suffix"
    ]


def test_folders_in_a_class_folder_are_searched(make_folder):
    root = make_folder({"train/a": 1, "train/a/deep/er": 2, "train/b": 1, "test/a": 1})
    assert load_folder(root).train.labels.tolist() == [0, 0, 0, 1]


def test_upper_case_suffix_and_odd_names(make_folder):
    root = make_folder({"train/à b": 1, "train/b": 1, "test/b": 1})
    picture().save(root / "train/b/IMG 1 ü.JPG")
    train = load_folder(root).train
    assert train.class_names == ("b", "à b")
    assert train.labels.tolist() == [0, 0, 1]


def test_a_lost_file_is_named(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 1})
    (root / "train/a/gone.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"image .*train/a/gone\.png cannot be decoded \(.*No such file"):
        load_folder(root).train.image(1)
