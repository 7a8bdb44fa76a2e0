"""Features come in the order of the images, each computed once."""

import numpy as np
import pytest

from tests.data.conftest import file_bytes, picture
from tinytl_tf.data import Augmentation, CachedFeatures, FeatureCache, eval_batches, load, train_batches
from tinytl_tf.errors import InputError

SIZE = (6, 8)
FLIPS, NOTHING = Augmentation(crop=False, flip=True), Augmentation(crop=False, flip=False)
OPTIONS = {"batch_size": 4, "image_size": SIZE, "seed": 3, "workers": 1}


def features_in(folder):
    """Features that show what they were made of: the pixels themselves."""
    return CachedFeatures(FeatureCache(folder, "pixels", (*SIZE, 3), "uint8"), lambda pixels: pixels)


@pytest.fixture
def photos(make_folder):
    return make_folder({"train/cat": 6, "train/dog": 5, "test/cat": 2, "test/dog": 1})


def assert_same(left, right):
    assert len(left) == len(right) > 0
    for (features, labels), (images, its_labels) in zip(left, right, strict=True):
        assert features.dtype == images.dtype
        np.testing.assert_array_equal(features, images)
        np.testing.assert_array_equal(labels, its_labels)


@pytest.mark.parametrize("augmentation", [FLIPS, NOTHING])
@pytest.mark.parametrize("batch_size", [4, 16])
def test_features_are_those_of_the_same_images_in_the_same_order(photos, tmp_path, augmentation, batch_size):
    train, features = load(photos).train, features_in(tmp_path / "cache")
    options = OPTIONS | {"augmentation": augmentation, "batch_size": batch_size, "central_fraction": 0.8}
    for epoch in range(4):
        plain = list(train_batches(train, epoch=epoch, **options))
        assert_same(list(train_batches(train, epoch=epoch, features=features, **options)), plain)


def test_each_image_is_computed_once_and_mirrored_once_more(photos, tmp_path):
    splits, features = load(photos), features_in(tmp_path / "cache")
    for epoch in range(3):
        list(train_batches(splits.train, epoch=epoch, augmentation=NOTHING, features=features, **OPTIONS))
    assert features.computed <= 11
    list(train_batches(splits.train, epoch=3, augmentation=NOTHING, features=features, **OPTIONS | {"batch_size": 11}))
    assert features.computed == 11
    for epoch in range(40):
        list(train_batches(splits.train, epoch=epoch, augmentation=FLIPS, features=features, **OPTIONS))
    assert features.computed == 22
    assert_same(
        list(eval_batches(splits.test, batch_size=2, image_size=SIZE, features=features)),
        list(eval_batches(splits.test, batch_size=2, image_size=SIZE)),
    )
    assert features.computed == 25
    list(eval_batches(splits.test, batch_size=2, image_size=SIZE, central_fraction=0.5, features=features))
    assert features.computed == 28


def test_features_outlive_the_process(photos, tmp_path):
    for computed in (11, 0):
        train, features = load(photos).train, features_in(tmp_path / "cache")
        list(eval_batches(train, batch_size=1, image_size=SIZE, features=features))
        assert features.computed == computed
        features._cache.close()


def test_a_file_that_was_replaced_is_computed_again(photos, tmp_path):
    features = features_in(tmp_path / "cache")
    list(eval_batches(load(photos).train, batch_size=1, image_size=SIZE, features=features))
    file = photos / "train/cat/0.png"
    file.write_bytes(file_bytes(picture(99)))
    train = load(photos).train
    assert_same(
        list(eval_batches(train, batch_size=1, image_size=SIZE, features=features)),
        list(eval_batches(train, batch_size=1, image_size=SIZE)),
    )
    assert features.computed == 12


def test_images_are_not_read_where_their_features_are_known(photos, tmp_path, monkeypatch):
    train, features = load(photos).train, features_in(tmp_path / "cache")
    expected = list(eval_batches(train, batch_size=3, image_size=SIZE, features=features))
    monkeypatch.setattr(train, "_read", lambda *_: pytest.fail("an image was decoded"))
    assert_same(list(eval_batches(train, batch_size=3, image_size=SIZE, features=features)), expected)


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        (Augmentation(), "got crop: a random crop makes another image each time"),
        (Augmentation(crop=False, color="tf"), "got color: a random color makes another image each time"),
        (Augmentation(color="tf"), "got crop and color"),
    ],
)
def test_augmentation_that_cannot_be_cached_is_refused_in_words(photos, tmp_path, augmentation, words):
    with pytest.raises(InputError, match=f"expected augmentation by flips at most, {words}"):
        train_batches(
            load(photos).train, epoch=0, augmentation=augmentation, features=features_in(tmp_path / "c"), **OPTIONS
        )


def test_digests_are_those_of_files_and_of_pixels_where_there_are_none(photos, make_dataset):
    train = load(photos).train
    assert len({train.digest(index) for index in range(len(train))}) == len(train)
    assert train.subset(np.array([5, 2])).digest(1) == train.digest(2)
    memory = make_dataset(4)
    assert len({memory.digest(index) for index in range(4)}) == 4
    assert memory.digest(0) == memory.digest(0)
