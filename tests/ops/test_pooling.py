import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, TOLERANCE, assert_same, draw, images, property_test
from tinytl_tf import ops

# A half holds the sums exactly and rounds the quotient, or the reciprocal and a product: half an ulp each.
ROUNDED = TOLERANCE | {"float16": 2 * 2**-11, "bfloat16": 2 * 2**-8}


@property_test(max_examples=80)
@given(shape=images(least=3), size=st.integers(1, 3), dtype=st.sampled_from(DTYPES + HALVES), graph=st.booleans())
def test_average_pool(shape, size, dtype, graph):
    assert_same(
        lambda x: ops.average_pool(x, size),
        lambda x: tf.nn.avg_pool2d(x, size, size, "VALID"),
        [draw(shape, dtype, seed=0)],
        graph=graph and dtype in DTYPES,
        tolerance=ROUNDED,
    )


@property_test(max_examples=60)
@given(shape=images(), keepdims=st.booleans(), dtype=st.sampled_from(DTYPES + HALVES), graph=st.booleans())
def test_global_average_pool(shape, keepdims, dtype, graph):
    assert_same(
        lambda x: ops.global_average_pool(x, keepdims=keepdims),
        lambda x: tf.reduce_mean(x, [1, 2], keepdims=keepdims),
        [draw(shape, dtype, seed=0)],
        graph=graph and dtype in DTYPES,
        tolerance=ROUNDED,
    )


def test_refuses_a_window_larger_than_the_image():
    with pytest.raises(ValueError, match=r"window of 2 needs an input at least as large, got \(1, 1, 4, 3\)"):
        ops.average_pool(tf.zeros([1, 1, 4, 3]))
