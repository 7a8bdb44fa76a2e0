import keras
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, assert_same, draw, images, property_test
from tinytl_tf import ops

# The gradient is a difference of numbers divided by the deviation, which epsilon alone may hold above zero: up to
# 1 / sqrt(epsilon) = 30 times the rounding of a sum.
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}


def plain(x, gamma, beta, groups, epsilon):
    _, *space, channels = x.shape
    grouped = tf.reshape(x, [-1, *space, groups, channels // groups])
    axes = [*range(1, len(space) + 1), len(space) + 2]
    mean, variance = tf.nn.moments(grouped, axes, keepdims=True)
    return tf.reshape((grouped - mean) / tf.sqrt(variance + epsilon), [-1, *space, channels]) * gamma + beta


@property_test(max_examples=60)
@given(
    shape=images(channels=(4, 8)),
    rank=st.sampled_from((4, 3, 2)),
    groups=st.sampled_from((1, 2, 4)),
    epsilon=st.sampled_from((1e-3, 1e-5)),
    dtype=st.sampled_from(DTYPES),
    graph=st.booleans(),
)
def test_equals_autodiff(shape, rank, groups, epsilon, dtype, graph):
    shape = (shape[0], *shape[5 - rank :])
    assert_same(
        lambda *arguments: ops.group_norm(*arguments, groups=groups, epsilon=epsilon),
        lambda *arguments: plain(*arguments, groups, epsilon),
        [draw(shape, dtype, seed=0), draw(shape[-1:], dtype, seed=1), draw(shape[-1:], dtype, seed=2)],
        graph=graph,
        tolerance=TOLERANCE,
        least=1.0,  # Two pixels in a group: normal numbers whose difference is next to nothing.
    )


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_equals_keras(groups):
    x = draw([2, 5, 4, 8], "float32", seed=0) * 3 + 10
    layer = keras.layers.GroupNormalization(groups, epsilon=1e-3)
    layer.build(x.shape)
    layer.gamma.assign(draw([8], "float32", seed=1))
    layer.beta.assign(draw([8], "float32", seed=2))
    assert_same(
        lambda x: ops.group_norm(x, layer.gamma, layer.beta, groups=groups),
        layer,
        [x],
        # Keras subtracts squares to get the variance: with a mean of 10 and a deviation of 3 it loses a digit.
        tolerance={"float32": 1e-4},
    )


def test_a_large_mean_costs_no_digits():
    x = draw([1, 8, 8, 4], "float64", seed=0)
    moved = tf.cast(x + 1000.0, "float32")
    exact = plain(tf.cast(moved, "float64"), 1.0, 0.0, 2, 1e-3)
    normalized = ops.group_norm(moved, tf.ones([4]), tf.zeros([4]), groups=2)
    # One rounding of the mean, 1000 * 2**-24, is all that is lost.
    tf.debugging.assert_near(tf.cast(normalized, "float64"), exact, rtol=0, atol=3e-4)


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match=r"got 3 groups for input \(1, 2, 2, 4\)"):
        ops.group_norm(tf.zeros([1, 2, 2, 4]), tf.ones([4]), tf.zeros([4]), groups=3)
