import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, assert_same, draw, property_test
from tests.ops.test_group_normalization import TOLERANCE
from tinytl_tf import ops


def plain(x, gamma=1.0, beta=0.0, epsilon=1e-3):
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) / tf.sqrt(variance + epsilon) * gamma + beta


@property_test(max_examples=20)
@given(
    space=st.lists(st.integers(1, 5), max_size=2),
    channels=st.sampled_from((2, 5, 16)),
    epsilon=st.sampled_from((1e-3, 1e-6)),
    dtype=st.sampled_from(DTYPES),
    graph=st.booleans(),
)
def test_equals_autodiff(space, channels, epsilon, dtype, graph):
    vectors = [draw([channels], dtype, seed=seed) for seed in (1, 2)]
    assert_same(
        lambda *arguments: ops.layer_norm(*arguments, epsilon=epsilon),
        lambda *arguments: plain(*arguments, epsilon),
        [draw([3, *space, channels], dtype, seed=0), *vectors],
        graph=graph,
        tolerance=TOLERANCE,
        least=1.0,  # Two channels: what is left of the gradient is a difference of equal numbers.
    )


@pytest.mark.parametrize("given_vectors", [(), ("gamma",), ("beta",)], ids=str)
def test_vectors_may_be_left_out(given_vectors):
    vectors = [draw([6], "float32", seed=1)] * len(given_vectors)
    assert_same(
        lambda x, *v: ops.layer_norm(x, **dict(zip(given_vectors, v, strict=True))),
        lambda x, *v: plain(x, **dict(zip(given_vectors, v, strict=True))),
        [draw([2, 3, 6], "float32", seed=0), *vectors],
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_gathered_in_float32(dtype):
    x = tf.cast(draw([2, 3, 64], "float32", seed=0) * 1000, dtype)  # whose squares overflow in float16
    got = ops.layer_norm(x)
    expected = keras.ops.layer_normalization(x, epsilon=1e-3)
    assert got.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(tf.cast(got, "float32"), tf.cast(expected, "float32"))


def test_a_large_mean_costs_no_digits():
    moved = tf.cast(draw([4, 32], "float64", seed=0) + 1000.0, "float32")
    exact = plain(tf.cast(moved, "float64"))
    # One rounding of the mean, 1000 * 2**-24, is all that is lost.
    np.testing.assert_allclose(ops.layer_norm(moved), exact, rtol=0, atol=3e-4)
