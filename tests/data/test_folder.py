import logging
import os
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


def test_train_validation_and_test_are_three_sets(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "val/a": 2, "test/a": 1, "test/b": 1})
    splits = data.load(root)
    assert splits.test.labels.tolist() == [0, 1]
    assert splits.validation.labels.tolist() == [0, 0]
    assert splits.describe() == (
        "train: 2 images of 2 classes: a 1, b 1\n"
        "test: 2 images of 2 classes: a 1, b 1\n"
        "validation: 2 images of 2 classes: a 2, b 0"
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("training", "testing"),
        ("seg_train", "seg_test"),
        ("TRAIN", "Valid"),
        ("train_set", "val-set"),
    ],
)
def test_spellings_of_splits(make_folder, train, test):
    root = make_folder({f"{train}/cat": 2, f"{train}/dog": 1, f"{test}/cat": 1})
    splits = data.load(root)
    assert splits.train.class_names == ("cat", "dog")
    assert (len(splits.train), len(splits.test), splits.validation) == (3, 1, None)


def test_a_split_within_a_folder_of_its_own_name(make_folder):
    root = make_folder({"seg_train/seg_train/a": 1, "seg_train/seg_train/b": 1, "seg_test/seg_test/b": 1})
    assert data.load(root).train.class_names == ("a", "b")


def test_classes_that_only_begin_like_splits_stay_classes(make_folder):
    root = make_folder({"trains": 3, "tested": 3, "evaluator": 3})
    assert data.load(root).train.class_names == ("evaluator", "tested", "trains")


def test_two_spellings_of_one_split_are_refused(make_folder):
    root = make_folder({"train/a": 1, "Training/a": 1, "test/a": 1})
    with pytest.raises(InputError, match=r"has Training/ and train/ for the same split; keep one of them$"):
        load_folder(root)


def test_splits_below_the_classes_are_refused(make_folder):
    root = make_folder({"cat/train": 1, "cat/test": 1, "dog/train": 1, "dog/test": 1})
    with pytest.raises(InputError, match=r"^class folder .*/cat holds test/, which is named like a split; "):
        load_folder(root)


def test_a_folder_around_the_set_is_named(make_folder):
    root = make_folder({"set/train/a": 1, "set/train/b": 1, "set/test/a": 1})
    with pytest.raises(InputError, match=r"has only the folder set/, with folders inside; give that one: "):
        load_folder(root)


def test_folders_that_systems_make_are_no_classes(make_folder, caplog):
    root = make_folder({"a": 3, "b": 3, "@eaDir": 2, "__MACOSX": 1, "a/@eaDir": 2})
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.folder"):
        splits = load_folder(root)
    assert splits.train.class_names == ("a", "b")
    assert len(splits.train) + len(splits.test) == 6
    (record,) = caplog.records
    assert record.getMessage() == f"{root}: ignored 1 system folder @eaDir, 1 system folder __MACOSX"


def test_links_bring_no_image_twice(make_folder, caplog):
    """A link to its own parent made 41 copies, in train and test."""
    root = make_folder({"train/a": 2, "train/b": 2, "test/b": 1})
    (root / "train/a/up").symlink_to(root)
    (root / "train/a/loop").symlink_to(root / "train/a")
    (root / "test/b/again.png").symlink_to(root / "train/b/0.png")
    (root / "train/all").symlink_to(root)
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.folder"):
        splits = load_folder(root)
    assert splits.train.class_names == ("a", "b")
    assert (len(splits.train), len(splits.test)) == (4, 1)
    (record,) = caplog.records
    assert "3 links to files that are in the set already" in record.getMessage()
    assert "1 link all to a folder above it" in record.getMessage()


@pytest.mark.parametrize("folder", ["", "train/"])
def test_an_image_has_the_class_of_its_folder_and_not_of_a_link(make_folder, folder):
    """`a` is read before `b`, whose images were taken for `a` when a link in `a` led there."""
    root = make_folder({f"{folder}a": 2, f"{folder}b": 4, **({"test/b": 2} if folder else {})})
    (root / folder / "a/other").symlink_to(root / folder / "b")
    (root / folder / "a/other.png").symlink_to(root / folder / "b/1.png")
    if folder:
        (root / folder / "a/tested.png").symlink_to(root / "test/b/0.png")
    splits = load_folder(root)
    counts = sum(np.bincount(dataset.labels, minlength=2) for dataset in splits.by_name.values())
    assert counts.tolist() == ([2, 6] if folder else [2, 4])


def test_links_into_a_folder_that_is_no_split_are_followed(make_folder):
    root = make_folder({"all": 4, "train/a": 1, "train/b": 1, "test/b": 1})
    (root / "train/a/linked.png").symlink_to(root / "all/3.png")
    assert load_folder(root).train.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(("link", "target"), [("train/c", "train/a"), ("val", "train")])
def test_a_class_or_split_that_is_a_link_to_another_is_refused(make_folder, link, target):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 1})
    (root / link).symlink_to(root / target)
    with pytest.raises(InputError, match=" is a link to a folder that is in the set already; remove it$"):
        load_folder(root)


def test_splits_within_the_training_split_are_no_classes(make_folder):
    root = make_folder({"train/train/a": 1, "train/test/a": 1, "test/test/a": 1})
    with pytest.raises(InputError, match="/train holds only test/, train/, which are named like splits; expected "):
        load_folder(root)


def test_deep_pixels_have_one_scale_in_all_splits(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 1})
    for path, value in (("train/a/deep.png", 4000), ("test/b/deep.png", 400)):
        Image.fromarray(np.full((4, 4), value, np.uint16)).save(root / path)
    splits = load_folder(root)
    assert splits.train.image(1).max() == 250
    assert splits.test.image(1).max() == 25


def test_a_link_to_a_store_outside_is_followed(make_folder, tmp_path):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 1})
    (tmp_path / "store").mkdir()
    picture(77).save(tmp_path / "store/x.png")
    (root / "train/c").symlink_to(tmp_path / "store")
    assert load_folder(root).train.class_names == ("a", "b", "c")


def test_what_is_no_regular_file_is_left_out(make_folder, caplog):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 1})
    os.mkfifo(root / "train/a/pipe.jpg")
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.folder"):
        assert len(load_folder(root).train) == 2
    assert caplog.records[0].getMessage() == f"{root}: ignored 1 that are not regular files"


def test_a_name_that_is_not_utf_8_is_refused_at_once(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 1})
    os.mkdir(os.fsencode(root) + b"/train/caf\xe9")
    with pytest.raises(InputError, match=r"train/caf\\xe9' has a name that is not UTF-8; rename it"):
        load_folder(root)


def test_class_names_are_normalized_and_spelled_once(make_folder):
    root = make_folder({"e\u0301": 3, "b": 3})
    assert load_folder(root).train.class_names == ("b", "\u00e9")
    (root / "\u00e9").mkdir()
    with pytest.raises(InputError, match="has the class 'é' twice, spelled in two ways; rename one$"):
        load_folder(root)


def test_all_broken_images_are_named_before_any_work_or_skipped(make_folder, caplog):
    root = make_folder({"train/a": 3, "train/b": 3, "test/b": 1})
    for path in ("train/a/0.png", "train/b/2.png"):
        (root / path).write_bytes(b"broken")
    with pytest.raises(InputError) as error:
        data.load(root)
    assert str(error.value).startswith(f"image folder {root / 'train'} has 2 of 6 images that cannot be read: image ")
    assert "train/a/0.png" in str(error.value)
    assert "train/b/2.png" in str(error.value)
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.loading"):
        assert len(data.load(root, skip_broken=True).train) == 4
    assert "skipped 2 of 6 images that cannot be read: " in caplog.records[0].getMessage()


def test_an_image_that_is_cut_short_is_skipped_too_and_named_by_a_whole_check(make_folder):
    root = make_folder({"train/a": 3, "train/b": 3, "test/b": 1})
    cut = root / "train/a/photo.jpg"
    picture(5, (64, 64)).save(cut)
    cut.write_bytes(cut.read_bytes()[:-200])
    assert len(data.load(root).train) == 7  # its header is good
    assert len(data.load(root, skip_broken=True).train) == 6
    with pytest.raises(InputError, match="has 1 of 7 images that cannot be read: image .*photo.jpg cannot be decoded"):
        data.load(root, check_whole=True)


def test_a_class_may_lack_test_images(make_folder):
    root = make_folder({"train/a": 1, "train/b": 1, "test/b": 2})
    assert data.load(root).test.labels.tolist() == [1, 1]


@pytest.fixture
def flat(make_folder):
    return make_folder({"cat": 20, "dog": 20})


def test_a_flat_folder_is_split_by_content_alone(flat, tmp_path):
    """Neither the place of a file, nor its name, nor its class, nor the others have an influence."""
    expected = {(flat / name).read_bytes() for name in names(load_folder(flat).test, flat)}
    assert 4 <= len(expected) <= 17
    for index in range(40):
        source = flat / ("cat", "dog")[index % 2] / f"{index // 2}.png"
        target = tmp_path / "elsewhere" / ("b", "a", "c")[index % 3] / f"photo {99 - index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    found = names(load_folder(tmp_path / "elsewhere").test, tmp_path / "elsewhere")
    assert {(tmp_path / "elsewhere" / name).read_bytes() for name in found} == expected


def test_flat_split_is_the_same_in_every_version(tmp_path):
    """A change of the hash would silently move users' training images into their tests."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for index in range(8):
            header = b"P6 2 2 255\n"
            (tmp_path / name / f"{index}.ppm").write_bytes(header + bytes([label, *range(index, index + 11)]))
    splits = load_folder(tmp_path)
    held = {(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in map(splits.test.image, range(len(splits.test)))}
    assert held == {(0, 1), (0, 3), (0, 6), (0, 7), (1, 1), (1, 7)}


def test_flat_split_depends_on_the_seed(flat):
    assert names(load_folder(flat, seed=0).test, flat) != names(load_folder(flat, seed=1).test, flat)


def test_whatever_is_added_or_removed_moves_no_other_image(flat):
    before = names(load_folder(flat).test, flat)
    for index in range(20, 60):
        picture(1000 + index).save(flat / "cat" / f"{index}.png")
        after = names(load_folder(flat).test, flat)
        assert before <= after <= before | {f"cat/{index}.png"}
        before = after
    for index in range(50):
        (flat / "cat" / f"{index}.png").unlink()
        before.discard(f"cat/{index}.png")
        assert names(load_folder(flat).test, flat) == before


def test_copies_in_a_flat_folder_stay_together(flat):
    """They were in train and test: what was trained on was tested."""
    for path in sorted((flat / "cat").iterdir()):
        shutil.copy(path, flat / "dog" / f"copy of {path.name}")
    splits = load_folder(flat)
    assert len(splits.train) + len(splits.test) == 60
    assert not {splits.train.digest(index) for index in range(len(splits.train))}.intersection(splits.test.digests())


def test_a_class_without_held_out_images_is_said(make_folder):
    root = make_folder({"cat": 40, "dog": 2})
    seed = next(seed for seed in range(99) if "no photos held out to test dog" in load_lines(root, seed))
    assert load_folder(root, seed=seed).train.labels.tolist().count(1) == 2


def load_lines(root, seed):
    try:
        return load_folder(root, seed=seed).describe().splitlines()
    except InputError:
        return []


def test_a_class_that_is_held_out_whole_is_refused(make_folder):
    root = make_folder({"cat": 40, "dog": 1})
    errors = []
    for seed in range(20):
        try:
            assert (load_folder(root, seed=seed).train.labels == 1).sum() == 1
        except InputError as error:
            errors.append(str(error))
    assert 1 <= len(errors) <= 10
    assert set(errors) == {
        f"image folder {root} has 1 images of class 'dog', and all are held out to test; add images, sort them "
        "into folders train/ and test/, or choose another split seed"
    }


def test_one_class_alone_is_a_set_and_training_images_alone_too(make_folder):
    root = make_folder({"train/cat": 3})
    splits = load_folder(root)
    assert (splits.train.class_names, len(splits.train), splits.test, splits.validation) == (("cat",), 3, None, None)
    assert splits.describe().splitlines()[1] == "test: no images, so that no accuracy is measured"
    with pytest.raises(InputError, match="^image folder .*/train has no test images to report on; add images, "):
        splits.require_test()


def test_names_of_classes_need_no_table_of_unicode(make_folder):
    """U+3000, U+200C, U+00A0 and an emoji of several parts were refused at export, after training."""
    odd = ["赤\u3000バラ", "می\u200cخواهم", "a\u00a0b", "👩\u200d🌾", "\U0001fae8", "e\u0301"]
    root = make_folder({f"train/{name}": 1 for name in odd})
    assert set(load_folder(root).train.class_names) == {*odd[:-1], "\u00e9"}


@pytest.mark.parametrize("name", ["a\nb", "\x7f", "a\u2028b", "\u200d", "a\x85"])
def test_names_that_would_break_a_line_are_refused_when_the_folder_is_read(make_folder, name):
    root = make_folder({f"train/{name}": 1, "train/b": 1})
    with pytest.raises(InputError, match="expected the name of a class, got .*; give the class another name$"):
        load_folder(root)


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
        f"{root}: ignored 1 files of .heic that are not images, 1 files of .txt that are not images, "
        "1 files of no suffix that are not images"
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
    with pytest.raises(InputError, match=r"image .*train/a/gone\.png is a link to a file that is not there; remove"):
        load_folder(root)
