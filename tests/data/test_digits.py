import sys

import numpy as np
import pytest

from tinytl_tf import data
from tinytl_tf.errors import InputError


def pixels(name, seed=None, count=40):
    train = data.load(name, seed=seed).train
    return np.stack([train.image(index) for index in range(count)])


@pytest.mark.parametrize("name", ["digits", "digits-shifted"])
def test_splits(name):
    splits = data.load(name)
    assert splits.train.class_names == tuple("0123456789")
    assert (len(splits.train), len(splits.test)) == (1346, 451)
    assert np.bincount(splits.test.labels).min() >= 44
    assert splits.test.image(450).shape == (64, 64, 3)


def test_both_domains_hold_the_same_digits():
    np.testing.assert_array_equal(data.load("digits").test.labels, data.load("digits-shifted").test.labels)


def test_digits_are_dark_on_light():
    for image in pixels("digits").astype(int):
        paper, ink = image[0, 0].sum(), image.sum(axis=-1).min()
        assert paper > 700
        assert ink < 150


def test_shifted_digits_have_many_papers_of_both_kinds():
    paper = pixels("digits-shifted", count=200)[:, :4, :4].mean(axis=(1, 2))
    assert paper.std(axis=0).min() > 40
    assert 60 < (paper.mean(axis=-1) > 128).sum() < 140


def test_shifted_ink_stands_out():
    """The middle half holds ink and paper; their brightness must differ for a person to read it."""
    middle = pixels("digits-shifted", count=200)[:, 16:48, 16:48].mean(axis=-1)
    low, high = np.percentile(middle, [5, 95], axis=(1, 2))
    assert (high - low).min() > 25


def test_shift_depends_on_seed_and_index_alone():
    np.testing.assert_array_equal(pixels("digits-shifted"), pixels("digits-shifted"))
    assert (pixels("digits-shifted", seed=1) != pixels("digits-shifted", seed=2)).mean() > 0.9
    whole, few = data.load("digits-shifted").test, data.load("digits-shifted", test_images=10).test
    first_five = np.flatnonzero(whole.labels == 5)[0]
    np.testing.assert_array_equal(few.image(int(np.flatnonzero(few.labels == 5)[0])), whole.image(int(first_five)))


@pytest.mark.parametrize("name", ["digits", "digits-shifted"])
def test_missing_scikit_learn(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError) as info:
        data.load(name)
    assert str(info.value) == (
        f"the data set '{name}' needs scikit-learn; install it with: pip install 'tinytl_tf[quickstart]'"
    )
