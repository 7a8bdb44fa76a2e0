"""`GroupNorm` against keras' GroupNormalization."""

import keras
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


def test_refuses_unknown_sizes():
    with pytest.raises(ValueError, match=r"norm needs a known height and width of 1 or more, got \(None, None\)"):
        GroupNorm(name="norm")(keras.Input((None, None, 8)))
