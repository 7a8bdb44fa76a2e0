"""What a user may name, and every way to get it wrong."""

import io
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tinytl_tf import data
from tinytl_tf.errors import InputError

LAYOUT = "expected FOLDER/train/CLASS/, with FOLDER/test/CLASS/ or FOLDER/val/CLASS/ to test, or FOLDER/CLASS/"
BAD_NAME = (
    "expected the name of a class, got '\\n', which has the control character or line separator U+000A; give the class "
    "another name"
)
SUFFIXES = ".bmp, .gif, .jpeg, .jpg, .pgm, .png, .ppm, .tif, .tiff, .webp"


def npy_bytes():
    """A single array, as numpy.save writes it, is no archive of arrays."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


# Folder as counts of images, and the message; {root} stands for its path.
BAD_FOLDERS = {
    "empty": ({"": 0}, f"image folder {{root}} has no class folders; {LAYOUT}"),
    "images without classes": ({"": 3}, f"image folder {{root}} has no class folders; {LAYOUT}"),
    "a name of one line feed": ({"\n": 3, "dog": 3}, f"image folder {{root}}: {BAD_NAME}"),
    "empty class": (
        {"cat": 3, "dog": 0},
        f"class folder {{root}}/dog has no images ({SUFFIXES}); add some or remove it",
    ),
    "no train": ({"val/cat": 1}, f"image folder {{root}} has val/ but no train/; {LAYOUT}"),
    "train without classes": (
        {"train": 1, "test/cat": 1},
        f"image folder {{root}}/train has no class folders; {LAYOUT}",
    ),
    "nothing in train and test": (
        {"train": 0, "test": 0},
        f"image folder {{root}}/train has no class folders; {LAYOUT}",
    ),
    "nothing in test": (
        {"train/cat": 1, "train/dog": 1, "test": 1},
        f"image folder {{root}}/test has no class folders; {LAYOUT}",
    ),
    "empty test class": (
        {"train/cat": 1, "train/dog": 1, "test/cat": 0},
        f"class folder {{root}}/test/cat has no images ({SUFFIXES}); add some or remove it",
    ),
    "unknown test class": (
        {"train/cat": 1, "train/dog": 1, "test/cow": 1},
        "class folder {root}/test/cow has no counterpart in {root}/train; add training images or remove it",
    ),
}

# Arrays replaced in a good packed set (None: left out), and the message.
BAD_PACKED = {
    "missing keys": (
        {"jpeg": None, "classes": None},
        "packed set {path} lacks jpeg, classes; expected the arrays jpeg, offsets, label, classes, got offsets, label",
    ),
    "jpeg of another type": (
        {"jpeg": np.zeros(9, np.float32)},
        "packed set {path}: expected 'jpeg' to be uint8 [bytes], got float32 [9]",
    ),
    "offsets of another type": (
        {"offsets": np.zeros(9)},
        "packed set {path}: expected 'offsets' to be int [n+1], got float64 [9]",
    ),
    "label of another shape": (
        {"label": np.zeros((4, 2, 1), int)},
        "packed set {path}: expected 'label' to be int [n] or numbers [n, classes], got int64 [4, 2, 1]",
    ),
    "a single label": (
        {"label": np.array(1)},
        "packed set {path}: expected 'label' to be int [n] or numbers [n, classes], got int64 []",
    ),
    "attributes of another number": (
        {"label": np.zeros((8, 3))},
        "packed set {path}: expected labels: numbers [8, 2], got float64 [8, 3]",
    ),
    "attributes out of range": (
        {"label": np.full((8, 2), 2)},
        "packed set {path}: expected labels from 0 to 1 for each attribute, got 2",
    ),
    "no images": (
        {"label": np.zeros(0, int), "offsets": np.zeros(1, int)},
        "packed set {path} has no images; at least 1 is needed",
    ),
    "too few offsets": (
        {"offsets": np.arange(8)},
        "packed set {path}: expected n labels, n+1 offsets and n sources, got 8, 8 and 8",
    ),
    "too few sources": (
        {"source": ["a"]},
        "packed set {path}: expected n labels, n+1 offsets and n sources, got 8, 9 and 1",
    ),
    "falling offsets": (
        {"jpeg": np.zeros(90, np.uint8), "offsets": np.arange(9)[::-1].copy()},
        "packed set {path}: expected 'offsets' to rise from 0 to at most 90, the bytes of 'jpeg'",
    ),
    "offsets beyond the end": (
        {"jpeg": np.zeros(5, np.uint8), "offsets": np.arange(9)},
        "packed set {path}: expected 'offsets' to rise from 0 to at most 5, the bytes of 'jpeg'",
    ),
    "label without a class": (
        {"label": np.array([0, 1, 2, 0, 1, 2, 0, 1])},
        "packed set {path} has labels from 0 to 2; its 2 classes need labels from 0 to 1",
    ),
    "classes are no names": (
        {"classes": np.zeros((2, 2))},
        "packed set {path}: expected 'classes' to be str [classes], got float64 [2, 2]",
    ),
    "a nameless class": (
        {"classes": ["cat", " "]},
        "packed set {path}: expected the name of a class, got ' ', which is invisible; give the class another name",
    ),
    "other split": (
        {"split": ["train"] * 6 + ["dev"] * 2},
        "packed set {path}: expected 'split' to name each image 'train' or 'test', or all of them ''",
    ),
    "short split": (
        {"split": ["train"]},
        "packed set {path}: expected 'split' to name each image 'train' or 'test', or all of them ''",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folder(make_folder, case):
    counts, message = BAD_FOLDERS[case]
    root = make_folder(counts)
    with pytest.raises(InputError) as info:
        data.load(root)
    assert str(info.value) == message.format(root=root)


@pytest.mark.parametrize("case", BAD_PACKED)
def test_bad_packed_set(make_packed, case):
    arrays, message = BAD_PACKED[case]
    path = make_packed(**arrays)
    with pytest.raises(InputError) as info:
        data.load(path)
    assert str(info.value) == message.format(path=path)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError) as info:
        data.load(tmp_path / "gone")
    assert str(info.value) == f"image folder {tmp_path}/gone does not exist; {LAYOUT}"


def test_file_instead_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError) as info:
        data.load(tmp_path / "file")
    assert str(info.value) == f"image folder {tmp_path}/file is not a folder; {LAYOUT}"


def test_folder_that_cannot_be_listed(make_folder, monkeypatch):
    root = make_folder({"cat": 2, "dog": 2})

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "iterdir", refuse)  # chmod does not stop root, which tests may run as
    with pytest.raises(InputError) as info:
        data.load(root)
    assert str(info.value) == (
        f"image folder {root} cannot be read ([Errno 13] Permission denied: '{root}'); check its permissions"
    )


def test_missing_packed_set(tmp_path):
    with pytest.raises(InputError) as info:
        data.load(tmp_path / "gone.npz")
    assert str(info.value) == f"packed set {tmp_path}/gone.npz does not exist; give the path of an .npz file"


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more", npy_bytes()])
def test_packed_set_of_another_kind(tmp_path, content):
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(InputError) as info:
        data.load(tmp_path / "set.npz")
    message = str(info.value)
    assert message.startswith(f"packed set {tmp_path}/set.npz cannot be read as .npz (")
    assert message.endswith("); pack it again with numpy.savez")


def test_packed_set_that_is_cut_or_damaged(make_packed):
    path = make_packed()
    content = path.read_bytes()
    for damaged in (content[:-50], content[: len(content) // 2], content[:500] + b"\xff" * 500 + content[1000:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as .npz"):
            data.load(path)


def test_packed_set_with_pickled_objects(make_packed):
    path = make_packed(classes=np.array(["cat", None], object))
    with pytest.raises(InputError, match="cannot be read as .npz"):
        data.load(path)


def test_numbers_of_images(make_folder):
    root = make_folder({"train/a": 5, "train/b": 5, "test/a": 3, "test/b": 3})
    splits = data.load(root, train_images=4, test_images=3)
    assert splits.train.labels.tolist() == [0, 0, 1, 1]
    assert splits.test.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("option", ["train_images", "test_images"])
def test_too_many_images(make_folder, option):
    root = make_folder({"train/a": 5, "train/b": 5, "test/a": 5, "test/b": 5})
    folder = "train" if option == "train_images" else "test"
    with pytest.raises(InputError) as info:
        data.load(root, **{option: 12})
    assert str(info.value) == (
        f"{option} is 12, which takes 6 images of class 'a', but image folder {root / folder} has 5 of them; "
        "ask for fewer"
    )


def test_home_and_strings(make_folder, monkeypatch):
    root = make_folder({"a": 2, "b": 2})
    monkeypatch.setenv("HOME", os.fspath(root.parent))
    assert len(data.load("~/photos").train) == len(data.load(str(root)).train) == 4


def test_seed_splits_a_flat_folder(make_folder):
    root = make_folder({"a": 40, "b": 40})
    tests = [data.load(root, seed=seed).test for seed in (0, 1)]
    assert any((tests[0].image(index) != tests[1].image(index)).any() for index in range(20))


def test_a_split_seed_that_does_nothing_is_refused(make_folder, make_packed):
    root = make_folder({"train/a": 4, "train/b": 4, "test/a": 4, "test/b": 4})
    packed = make_packed()
    for name, what in ((root, f"image folder {root}/train"), (packed, f"packed set {packed}"), ("digits", "digits")):
        for seed in (0, 3):
            with pytest.raises(InputError) as info:
                data.load(name, seed=seed)
            assert str(info.value) == (
                f"the split seed {seed} does nothing for {what}, whose test images are always the same; leave it out"
            )
        assert not data.load(name, default_seed=3).by_seed
    assert data.load("digits-shifted", seed=3).by_seed


def test_the_default_seed_is_that_of_no_other(make_folder):
    root = make_folder({"a": 40, "b": 40})
    expected, found = data.load(root, seed=1, train_images=8), data.load(root, default_seed=1, train_images=8)
    assert expected.by_seed
    assert found.by_seed
    assert found.test.fingerprint() == expected.test.fingerprint() != data.load(root).test.fingerprint()


def test_importing_and_reading_need_no_tensorflow(make_folder):
    root = make_folder({"a": 4, "b": 4})
    script = (
        "import sys\n"
        "from tinytl_tf import data\n"
        "splits = data.load(sys.argv[1])\n"
        "next(data.eval_batches(splits.test, batch_size=2, image_size=8))\n"
        "data.load('digits')\n"
        "heavy = {'tensorflow', 'keras', 'tensorflow_datasets', 'ai_edge_litert'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or None)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
