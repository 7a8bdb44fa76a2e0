import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, TOLERANCE, assert_same, draw, property_test
from tinytl_tf import ops


def plain(kernel, epsilon, axes):
    """The released code's formula."""
    mean = tf.reduce_mean(kernel, axes, keepdims=True)
    count = np.prod([kernel.shape[axis] for axis in axes])
    variance = tf.reduce_sum((kernel - mean) ** 2, axes, keepdims=True) / (count - 1)
    return (kernel - mean) / (tf.sqrt(variance) + epsilon)


@property_test(max_examples=20)
@given(
    size=st.sampled_from((1, 3, 5)),
    channels=st.sampled_from((2, 3, 8)),
    filters=st.sampled_from((1, 4)),
    epsilon=st.sampled_from((1e-5, 0.1)),
    dtype=st.sampled_from(DTYPES),
)
def test_equals_autodiff(size, channels, filters, epsilon, dtype):
    kernel = draw([size, size, channels, filters], dtype, seed=0)
    # Two weights: what is left of the gradient is a difference of equal numbers.
    check = {"tolerance": TOLERANCE | {"float64": 1e-12}, "least": 1.0}
    assert_same(lambda k: ops.standardize(k, epsilon), lambda k: plain(k, epsilon, (0, 1, 2)), [kernel], **check)
    if size > 1:
        axes = (0, 1)
        ours = lambda k: ops.standardize(k, epsilon, axes=axes)  # noqa: E731
        assert_same(ours, lambda k: plain(k, epsilon, axes), [kernel[..., :1]], **check)


def test_equals_numpy():
    kernel = draw([3, 3, 4, 5], "float32", seed=0) * 0.1 + 1
    flat = kernel.numpy().reshape(-1, 5)
    expected = (flat - flat.mean(0)) / (flat.std(0, ddof=1) + 1e-5)
    np.testing.assert_allclose(ops.standardize(kernel), expected.reshape(kernel.shape), atol=1e-4)


def test_a_constant_kernel_has_a_gradient():
    kernel = tf.ones([3, 3, 2, 4])
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = ops.standardize(kernel)
    np.testing.assert_array_equal(y, tf.zeros_like(kernel))
    dy = draw(kernel.shape, "float32", seed=1)
    expected = (dy - tf.reduce_mean(dy, [0, 1, 2], keepdims=True)) / 1e-5
    np.testing.assert_allclose(tape.gradient(y, kernel, output_gradients=dy), expected, rtol=1e-5)


def test_refuses_a_single_weight():
    with pytest.raises(ValueError) as error:
        ops.standardize(tf.ones([1, 1, 1, 8]))
    assert str(error.value) == "standardize needs two weights or more for each output, got a kernel (1, 1, 1, 8)"
