import itertools
import threading
import time

import numpy as np
import pytest

from tinytl_tf.data import Augmentation, ImageDataset, eval_batches, steps_per_epoch, train_batches
from tinytl_tf.errors import InputError

OPTIONS = {"batch_size": 4, "image_size": 8, "seed": 0, "epoch": 0, "augmentation": Augmentation(color="torch")}


def batches(dataset, **options):
    return list(train_batches(dataset, **{**OPTIONS, **options}))


def assert_equal(left, right):
    assert len(left) == len(right) > 0
    for (images, labels), (other_images, other_labels) in zip(left, right, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("tinytl-data")]


def test_shapes_and_types(make_dataset):
    for images, labels in batches(make_dataset(11), image_size=(8, 6)):
        assert (images.shape, images.dtype) == ((4, 8, 6, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((4,), np.int32)


def test_the_last_partial_batch_is_dropped(make_dataset):
    assert len(batches(make_dataset(11))) == steps_per_epoch(make_dataset(11), 4) == 2


def indexed(n):
    """Image i has brightness i everywhere, so that a batch tells which images it holds."""
    return ImageDataset(
        "memory", ("a", "b"), np.arange(n) % 2, lambda index, short_side: np.full((9, 9, 3), index, np.uint8)
    )


def test_each_image_comes_once_with_its_label():
    found = batches(indexed(24), augmentation=Augmentation())
    indices = np.concatenate([images[:, 0, 0, 0] for images, _ in found])
    assert sorted(indices) == list(range(24))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), indices % 2)


def test_order_changes_with_seed_and_epoch():
    orders = [
        tuple(images[0, 0, 0, 0] for images, _ in batches(indexed(24), batch_size=1, seed=seed, epoch=epoch))
        for seed, epoch in itertools.product((0, 1), (0, 1))
    ]
    assert len(set(orders)) == 4


def test_changes_of_an_image_differ_between_epochs_and_images(make_dataset):
    same = make_dataset(1).subset([0] * 8)  # eight times one image
    variants = [image.tobytes() for epoch in (0, 1) for images, _ in batches(same, epoch=epoch) for image in images]
    assert len(set(variants)) == 16


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_batches_do_not_depend_on_the_number_of_workers(make_dataset, workers):
    assert_equal(batches(make_dataset(30)), batches(make_dataset(30), workers=workers))


def test_slow_images_do_not_change_the_order(make_dataset):
    quick = make_dataset(30)

    def slow(index, short_side):
        time.sleep(0.003 * (index % 3))
        return quick.image(index, short_side)

    assert_equal(batches(quick), batches(ImageDataset("slow", ("a", "b"), quick.labels, slow), workers=4))


@pytest.mark.parametrize("start_step", [0, 1, 6])
def test_a_resumed_epoch_goes_on_as_it_would_have(make_dataset, start_step):
    assert_equal(batches(make_dataset(30))[start_step:], batches(make_dataset(30), start_step=start_step))


def test_resuming_at_the_end_gives_nothing(make_dataset):
    assert batches(make_dataset(8), start_step=2) == []


def test_changes_do_not_depend_on_the_batch_size(make_dataset):
    images = [np.concatenate([images for images, _ in batches(make_dataset(12), batch_size=n)]) for n in (3, 4)]
    np.testing.assert_array_equal(*images)


def test_evaluation_keeps_order_and_the_last_images(make_dataset):
    found = list(eval_batches(indexed(10), batch_size=4, image_size=8))
    assert [images.shape for images, _ in found] == [(4, 8, 8, 3), (4, 8, 8, 3), (2, 8, 8, 3)]
    assert np.concatenate([images[:, 3, 3, 0] for images, _ in found]).tolist() == list(range(10))
    assert np.concatenate([labels for _, labels in found]).tolist() == [0, 1] * 5


def test_evaluation_cuts_the_centre_out():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 100, 3), dtype=np.uint8)
    dataset = ImageDataset("memory", ("a", "b"), [0], lambda index, short_side: pixels.copy())
    ((images, _),) = eval_batches(dataset, batch_size=4, image_size=56)
    np.testing.assert_array_equal(images[0], pixels[4:60, 22:78])


def test_the_whole_image_is_evaluated_where_the_caller_says_so():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 100, 3), dtype=np.uint8)
    dataset = ImageDataset("memory", ("a", "b"), [0], lambda *_: pixels.copy()).subset([0, 0])
    ((evaluated, _),) = eval_batches(dataset, batch_size=2, image_size=64, central_fraction=1.0)
    plain = Augmentation(crop=False, flip=False)
    ((trained, _),) = batches(dataset, batch_size=2, image_size=64, augmentation=plain, central_fraction=1.0)
    for images in (evaluated, trained):
        np.testing.assert_array_equal(images[1], pixels[:, 18:82])


def test_large_images_are_asked_for_at_a_size_that_crops_still_fill():
    asked = []

    def read(index, short_side):
        asked.append(short_side)
        return np.zeros((9, 9, 3), np.uint8)

    dataset = ImageDataset("memory", ("a", "b"), [0, 1], read)
    list(eval_batches(dataset, batch_size=2, image_size=(100, 64)))
    assert asked == [250, 250]
    narrowest = np.sqrt(0.22 * 3 / 4)
    assert 250 * narrowest >= 100


@pytest.mark.parametrize("evaluate", [False, True])
def test_a_broken_image_reaches_the_caller(make_dataset, evaluate):
    good = make_dataset(12)

    def read(index, short_side):
        if index == 7:
            raise InputError("image 7 is broken")
        return good.image(index, short_side)

    dataset = ImageDataset("memory", ("a", "b"), good.labels, read)
    iterator = eval_batches(dataset, batch_size=2, image_size=8) if evaluate else train_batches(dataset, **OPTIONS)
    with pytest.raises(InputError, match="image 7 is broken"):
        list(iterator)
    assert data_threads() == []


def test_threads_end_with_the_iterator(make_dataset):
    for drop in (list, next, lambda iterator: None):
        iterator = train_batches(make_dataset(100), **OPTIONS)
        drop(iterator)
        del iterator
        assert data_threads() == []


@pytest.mark.parametrize(
    ("options", "most"), [({}, 4), ({"workers": 1, "ahead": 1}, 2), ({"workers": 1, "ahead": 0}, 1)]
)
def test_only_a_few_batches_are_made_ahead(options, most):
    read = []

    def slow(index, short_side):
        read.append(index)
        return np.zeros((2, 2, 3), np.uint8)

    dataset = ImageDataset("memory", ("a", "b"), np.arange(400) % 2, slow)
    iterator = train_batches(dataset, **OPTIONS, **options)
    next(iterator)
    time.sleep(0.1)
    assert 4 <= len(read) <= 4 * most
    iterator.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "expected batch_size to be 1 or more, got 0"),
        ({"seed": -1}, "expected seed to be 0 or more, got -1"),
        ({"epoch": -1}, "expected epoch to be 0 or more, got -1"),
        ({"start_step": -1}, "expected start_step to be 0 or more, got -1"),
        ({"central_fraction": 0.0}, "expected central_fraction above 0 and at most 1, got 0.0"),
        ({"central_fraction": 1.1}, "expected central_fraction above 0 and at most 1, got 1.1"),
        ({"central_fraction": float("nan")}, "expected central_fraction above 0 and at most 1, got nan"),
        ({"workers": 0}, "expected workers to be 1 or more, got 0"),
        ({"ahead": -1}, "expected ahead to be 0 or more, got -1"),
        (
            {"image_size": 0},
            "expected image_size as a number of pixels above 0 or (height, width), got 0",
        ),
        (
            {"image_size": (8, 8, 3)},
            "expected image_size as a number of pixels above 0 or (height, width), got (8, 8, 3)",
        ),
    ],
)
def test_bad_options_fail_at_once(make_dataset, options, message):
    with pytest.raises(InputError) as info:
        train_batches(make_dataset(12), **{**OPTIONS, **options})
    assert str(info.value) == message


def test_bad_evaluation_batch_fails_at_once(make_dataset):
    with pytest.raises(InputError, match="expected batch_size to be 1 or more, got 0"):
        eval_batches(make_dataset(12), batch_size=0, image_size=8)
    with pytest.raises(InputError, match="expected central_fraction above 0 and at most 1, got 2"):
        eval_batches(make_dataset(12), batch_size=2, image_size=8, central_fraction=2)


def test_fewer_images_than_a_batch_fill_it_by_repeating(make_dataset):
    dataset = make_dataset(3)
    assert steps_per_epoch(dataset, 8) == 1
    ((images, labels),) = train_batches(
        dataset, batch_size=8, image_size=16, seed=0, epoch=0, augmentation=Augmentation(crop=False, flip=False)
    )
    assert images.shape == (8, 16, 16, 3)
    counts = sorted(np.unique(images.reshape(8, -1), axis=0, return_counts=True)[1].tolist())
    assert counts == [2, 3, 3]
    assert np.isin(labels, [0, 1]).all()


def test_each_repetition_in_a_batch_is_changed_in_its_own_way(make_dataset):
    dataset = make_dataset(3)
    ((images, labels),) = batches(dataset, batch_size=8)
    ((first, first_labels),) = batches(dataset, batch_size=3)
    np.testing.assert_array_equal(images[:3], first)  # filling a batch up changes nothing of what is in it
    np.testing.assert_array_equal(labels, np.resize(first_labels, 8))
    assert len(np.unique(images.reshape(8, -1), axis=0)) == 8
    assert_equal([(images, labels)], batches(dataset, batch_size=8))


def test_parts_of_a_batch_are_the_batch(make_dataset):
    dataset = make_dataset(11)
    parts = [batches(dataset, part=(index, 2)) for index in range(2)]
    put_together = [tuple(map(np.concatenate, zip(*both, strict=True))) for both in zip(*parts, strict=True)]
    assert_equal(put_together, batches(dataset))


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 3)])
def test_parts_that_are_none_are_refused(make_dataset, part):
    with pytest.raises(InputError, match="^expected a part of a batch of 4 in equal ones, got number "):
        batches(make_dataset(11), part=part)
