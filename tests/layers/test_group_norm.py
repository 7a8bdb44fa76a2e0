"""`GroupNorm` against keras' GroupNormalization."""

import keras
import numpy as np
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import GroupNorm


@pytest.mark.parametrize(("channels", "groups"), [(16, 2), (24, 3), (1280, 160), (8, 1), (6, 1), (12, 2), (11, 11)])
def test_equals_keras_with_the_papers_groups(channels, groups):
    x = random((2, 3, 4, channels))
    ours = GroupNorm(train=["gamma", "beta"], dtype="float64")
    plain = keras.layers.GroupNormalization(groups, epsilon=1e-3, dtype="float64")
    ours(x), plain(x)
    for seed, (mine, his) in enumerate(zip(ours.weights, plain.weights, strict=True)):
        mine.assign(random(mine.shape, seed))
        his.assign(mine)
    y, gradients = value_and_gradients(ours, x, ours.weights)
    expected, theirs = value_and_gradients(plain, x, plain.weights)
    # 1280 groups-worth of variances come out of float64 sums in another order.
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(mine, his, 1e-10)


@pytest.mark.parametrize("shape", [(3, 12), (2, 5, 12), (2, 3, 4, 12)])
@pytest.mark.parametrize("groups", [1, 4, 12, -1])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, False)])
def test_equals_keras_with_other_groups(shape, groups, center, scale):
    x = random(shape)
    train = [name for name, there in (("gamma", scale), ("beta", center)) if there]
    ours = GroupNorm(1e-2, groups=groups, center=center, scale=scale, train=train, dtype="float64")
    plain = keras.layers.GroupNormalization(groups, epsilon=1e-2, center=center, scale=scale, dtype="float64")
    ours(x), plain(x)
    for seed, (mine, his) in enumerate(zip(ours.weights, plain.weights, strict=True)):
        assert mine.name == his.name
        mine.assign(random(mine.shape, seed))
        his.assign(mine)
    y, gradients = value_and_gradients(ours, x, ours.weights)
    expected, theirs = value_and_gradients(plain, x, plain.weights)
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        # One number in a group: all is rounding but beta, and Keras' is `x - mean` as a sum of products.
        np.testing.assert_allclose(mine, his, rtol=0, atol=1e-10 * max(1, np.abs(his).max()))


def test_refuses_unknown_sizes():
    with pytest.raises(ValueError, match=r"norm needs known sizes of 1 or more, got \(None, None, 8\)"):
        GroupNorm(name="norm")(keras.Input((None, None, 8)))


@pytest.mark.parametrize("groups", [0, -2, 1.5, True])
def test_refuses_groups_that_are_no_number(groups):
    with pytest.raises(ValueError, match="groups must be an integer above 0"):
        GroupNorm(groups=groups)


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match=r"^norm needs groups that divide the channels, got 3 of 8$"):
        GroupNorm(groups=3, name="norm").build((None, 2, 2, 8))
