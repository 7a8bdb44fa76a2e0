"""`FrozenNorm` against keras' BatchNormalization in inference mode."""

import itertools

import keras
import numpy as np
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import FrozenNorm

SUBSETS = [names for n in range(3) for names in itertools.combinations(("gamma", "beta"), n)]


@pytest.mark.parametrize("train", SUBSETS, ids=lambda names: "+".join(names) or "nothing")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_equals_keras_batch_normalization(train, dtype, tolerance):
    x = random((2, 5, 4, 6), dtype=dtype)
    ours = FrozenNorm(epsilon=1e-2, train=train, dtype=dtype)
    plain = keras.layers.BatchNormalization(epsilon=1e-2, dtype=dtype)
    ours(x), plain(x)
    for seed, (mine, his) in enumerate(zip(ours.weights, plain.weights, strict=True)):
        mine.assign(np.abs(random(mine.shape, seed, dtype)) + 0.1)
        his.assign(mine)
    y, gradients = value_and_gradients(ours, x, [getattr(ours, name) for name in train])
    expected, theirs = value_and_gradients(
        lambda x: plain(x, training=False), x, [getattr(plain, name) for name in train]
    )
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(mine, his, tolerance)


def test_statistics_stay_in_training():
    layer = FrozenNorm()
    layer(random((2, 3, 3, 4)) + 5, training=True)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(4))
    np.testing.assert_array_equal(layer.moving_variance, np.ones(4))


@pytest.mark.parametrize("shape", [(5, 6), (2, 4, 6)])
@pytest.mark.parametrize(("center", "scale"), [(True, False), (False, True), (False, False), (True, True)])
def test_other_ranks_and_vectors_left_out(shape, center, scale):
    x = random(shape)
    train = [name for name, there in (("gamma", scale), ("beta", center)) if there]
    ours = FrozenNorm(center=center, scale=scale, train=train, dtype="float64")
    plain = keras.layers.BatchNormalization(center=center, scale=scale, dtype="float64")
    ours(x), plain(x)
    for seed, (mine, his) in enumerate(zip(ours.weights, plain.weights, strict=True)):
        assert mine.name == his.name
        mine.assign(np.abs(random(mine.shape, seed)) + 0.1)
        his.assign(mine)
    y, gradients = value_and_gradients(ours, x, [getattr(ours, name) for name in train])
    expected, theirs = value_and_gradients(
        lambda x: plain(x, training=False), x, [getattr(plain, name) for name in train]
    )
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(mine, his, 1e-12)


def test_refuses_another_rank():
    with pytest.raises(ValueError, match="expected max_ndim=4, found ndim=5"):
        FrozenNorm()(random((1, 1, 1, 2, 3)))
