"""Folders of `.npy` files."""

import io

import numpy as np
import pytest

from tinytl_tf import data
from tinytl_tf.errors import InputError

ARRAYS = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)
LABELS = np.array([1, 0] * 4)
FILES = {
    "x_train.npy": ARRAYS[:6],
    "y_train.npy": LABELS[:6],
    "x_test.npy": ARRAYS[6:],
    "y_test.npy": LABELS[6:],
    "classes.txt": b"walk\nrest\n",
}


def _huge():
    """A header that promises far more than follows it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    return stream.getvalue() + bytes(4)


HUGE = _huge()


def write(folder, files):
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif content is not None:
            np.save(folder / name, content)
    return folder


def test_the_sets_are_the_files(tmp_path):
    splits = data.load(write(tmp_path, FILES))
    assert splits.describe() == (
        "train: 6 arrays of 2 classes: walk 3, rest 3\ntest: 2 arrays of 2 classes: walk 1, rest 1"
    )
    np.testing.assert_array_equal([splits.train.array(i) for i in range(6)], ARRAYS[:6])
    np.testing.assert_array_equal([splits.test.array(i) for i in range(2)], ARRAYS[6:])
    assert splits.train.labels.tolist() == LABELS[:6].tolist()
    assert splits.test.source(1) == f"{tmp_path / 'x_test.npy'}[1]"


def test_capitals_names_as_labels_and_no_test_set(tmp_path):
    names = np.array(["walk", "rest"])[1 - LABELS]
    splits = data.load(write(tmp_path, {"X_train.npy": ARRAYS, "Y_TRAIN.npy": names}))
    assert splits.train.class_names == ("rest", "walk")
    assert splits.train.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert splits.test.labels.tolist() == [1, 0]
    write(tmp_path, {"classes.txt": b"walk\nrest"})
    assert data.load(tmp_path).train.class_names == ("walk", "rest")


def test_numbers_to_predict(tmp_path):
    values = LABELS.astype(np.float32)
    files = {"x_train.npy": ARRAYS, "y_train.npy": values, "classes.txt": b"speed"}
    splits = data.load(write(tmp_path, files))
    assert splits.train.task == "regression"
    np.testing.assert_array_equal(splits.train.labels, values[:6, None])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"y_train.npy": None}, "{0} lacks y_train.npy; save the array there with numpy.save"),
        ({"x_test.npy": None}, "{0} lacks x_test.npy; save"),
        ({"y_test.npy": None}, "{0} lacks y_test.npy; save"),
        ({"classes.txt": None}, "{0} lacks classes.txt; write the name of a class"),
        (
            {"y_test.npy": LABELS[:1]},
            "{0}: expected as many labels in y_test.npy as arrays in x_test.npy, got 1 and 2",
        ),
        (
            {"x_test.npy": ARRAYS[6:, :4]},
            "{0}: expected x_train.npy and x_test.npy of one type and shape, got float32 [6, 5, 3] and "
            "float32 [2, 4, 3]",
        ),
        ({"y_test.npy": np.float32([0, 1])}, "{0}: expected y_train.npy and y_test.npy of one type and shape, got "),
        ({"x_train.npy": b"no array"}, "{0}/x_train.npy cannot be read as .npy ("),
        ({"x_train.npy": np.array([{}])}, "{0}/x_train.npy cannot be read as .npy ("),
        ({"x_train.npy": HUGE}, "{0}/x_train.npy claims 4,000,000,000,000 bytes and has 4; save it again"),
        ({"x_train.npy": np.float32(1)}, "expected one array with a row for each example in {0}/x_train.npy"),
        ({"classes.txt": b"\xff"}, "{0}/classes.txt cannot be read as UTF-8 ("),
        (
            {"y_train.npy": np.array(["run"] * 6), "y_test.npy": np.array(["rest"] * 2)},
            "expected labels that {0}/classes.txt has, got 'run'; add it there",
        ),
        (
            {"x_train.npy": np.full_like(ARRAYS[:6], np.inf)},
            "expected finite numbers in 'array' of folder of arrays {0}",
        ),
    ],
)
def test_refused(tmp_path, files, message):
    write(tmp_path, FILES | files)
    with pytest.raises(InputError) as error:
        data.load(tmp_path)
    assert str(error.value).startswith(message.format(tmp_path))
    assert "\n" not in str(error.value)
