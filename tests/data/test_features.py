"""Features come in the order of the images, each computed once."""

import numpy as np
import pytest

from tests.data.conftest import file_bytes, picture
from tinytl_tf.data import Augmentation, CachedFeatures, FeatureCache, eval_batches, load, train_batches
from tinytl_tf.errors import InputError

SIZE = (6, 8)
FLIPS, NOTHING = Augmentation(crop=False, flip=True), Augmentation(crop=False, flip=False)
OPTIONS = {"batch_size": 4, "image_size": SIZE, "seed": 3, "workers": 1}


RECORD = 32 + 6 * 8 * 3 + 4


def features_in(folder, together=1, calls=None, **options):
    """Features that show what they were made of: the pixels themselves; `calls` gets the images of each call."""

    def compute(pixels):
        assert pixels.shape == (together, *SIZE, 3)
        if calls is not None:
            calls.append(pixels.copy())
        return pixels

    return CachedFeatures(FeatureCache(folder, "pixels", (*SIZE, 3), "uint8", **options), compute, together=together)


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
@pytest.mark.parametrize("together", [1, 3, 7])
@pytest.mark.parametrize("room", [1, 5, 100])
def test_features_are_those_of_the_same_images_in_the_same_order(
    photos, tmp_path, augmentation, batch_size, together, room
):
    train, features = load(photos).train, features_in(tmp_path / "cache", together, limit_bytes=48 + room * RECORD)
    options = OPTIONS | {"augmentation": augmentation, "batch_size": batch_size, "central_fraction": 0.8}
    for epoch in range(4):
        plain = list(train_batches(train, epoch=epoch, **options))
        for workers in (1, 3):
            cached = train_batches(train, epoch=epoch, features=features, **options | {"workers": workers})
            assert_same(list(cached), plain)


def test_calls_are_filled_up_with_images_of_later_batches(photos, tmp_path):
    splits, calls = load(photos), []
    features = features_in(tmp_path / "cache", 4, calls)
    list(eval_batches(splits.train, batch_size=1, image_size=SIZE, workers=1, features=features))
    assert (len(calls), features.computed) == (3, 11)
    everything = np.concatenate([images for images, _ in eval_batches(splits.train, batch_size=11, image_size=SIZE)])
    np.testing.assert_array_equal(np.concatenate(calls)[:11], everything)
    np.testing.assert_array_equal(calls[-1][3], calls[-1][0])  # nothing is left to fill it up with
    list(eval_batches(splits.train, batch_size=2, image_size=SIZE, workers=1, features=features))
    assert (len(calls), features.computed) == (3, 11)
    for epoch in range(12):
        list(train_batches(splits.train, epoch=epoch, augmentation=FLIPS, features=features, **OPTIONS))
    assert 18 <= features.computed <= 22  # nearly all were mirrored once
    assert len({call.tobytes() for image in calls for call in image}) == features.computed
    assert len(calls) <= 3 + 12


@pytest.mark.parametrize("room", [1, 3])
def test_what_was_computed_ahead_is_not_computed_again_where_the_cache_has_no_room(photos, tmp_path, room):
    train, calls = load(photos).train, []
    features = features_in(tmp_path / "cache", 4, calls, limit_bytes=48 + room * RECORD)
    for epoch in range(1, 4):
        list(eval_batches(train, batch_size=1, image_size=SIZE, workers=1, features=features))
        assert features.computed == 11 + (epoch - 1) * (11 - room)
        assert len(calls) == 3 + (epoch - 1) * -(-(11 - room) // 4)
        assert features._ahead == {}


def test_what_was_computed_ahead_and_nobody_takes_does_not_pile_up(photos, tmp_path):
    train = load(photos).train
    features = features_in(tmp_path / "cache", 2, limit_bytes=48 + RECORD)
    for epoch in range(30):
        options = OPTIONS | {"batch_size": 1, "ahead": 0, "central_fraction": 1 - epoch / 100}
        next(train_batches(train, epoch=0, augmentation=NOTHING, features=features, **options))
    assert 0 < len(features._ahead) <= 8
    assert all(waiting.base is None for waiting in features._ahead.values())  # none holds the features of its call


def test_the_same_photo_twice_in_a_batch_is_computed_once(photos, tmp_path):
    train, features = load(photos).train.subset(np.array([4, 1, 4, 4])), features_in(tmp_path / "cache", 4)
    assert_same(
        list(eval_batches(train, batch_size=4, image_size=SIZE, features=features)),
        list(eval_batches(train, batch_size=4, image_size=SIZE)),
    )
    assert (features.computed, features.found) == (2, 2)


@pytest.mark.parametrize("together", [1, 4])
def test_each_image_is_computed_once_and_mirrored_once_more(photos, tmp_path, together):
    splits, features = load(photos), features_in(tmp_path / "cache", together)
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
