import pytest
import tensorflow as tf
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, TOLERANCE, assert_same, draw, images, property_test
from tinytl_tf import ops

# A half holds the sums exactly and rounds the quotient, or the reciprocal and a product: half an ulp each.
ROUNDED = TOLERANCE | {"float16": 2 * 2**-11, "bfloat16": 2 * 2**-8}
NUMBER = st.integers(1, 4)
WINDOWS = {
    "shape": images(),
    "size": st.one_of(NUMBER, st.tuples(NUMBER, NUMBER)),
    "strides": st.one_of(st.none(), NUMBER, st.tuples(NUMBER, NUMBER)),
    "padding": st.sampled_from(("same", "valid")),
    "dtype": st.sampled_from(DTYPES + HALVES),
    "graph": st.booleans(),
}


@property_test(max_examples=60)
@given(**WINDOWS)
@example(shape=(2, 4, 7, 2), size=3, strides=None, padding="same", dtype="float64", graph=False)  # pads on both sides
def test_average_pool(shape, size, strides, padding, dtype, graph):
    rows, columns = (size, size) if isinstance(size, int) else size
    assume(padding == "same" or (rows <= shape[1] and columns <= shape[2]))
    assume(dtype in DTYPES or strides is None)  # a half does not hold sums of quotients
    assert_same(
        lambda x: ops.average_pool(x, size, strides, padding),
        lambda x: tf.nn.avg_pool2d(x, size, strides or size, padding.upper()),
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


def test_windows_that_do_not_overlap_need_no_zeros_between_gradients():
    x = tf.TensorSpec([1, 8, 8, 4])
    gradient = tf.function(lambda x: tf.gradients(ops.average_pool(x, 2), x), autograph=False)
    types = {op.type for op in gradient.get_concrete_function(x).graph.get_operations()}
    assert "ResizeNearestNeighbor" in types
    assert "Pad" not in types


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"window of \(2, 2\) is larger than input \(1, 4\) with padding"),
        ({"padding": "full"}, 'padding must be "same" or "valid", got \'full\''),
        ({"padding": ((1, 0), (0, 0))}, r"padding must be \"same\" or \"valid\", got \(\(1, 0\)"),
    ],
)
@pytest.mark.parametrize("op", [ops.average_pool, ops.max_pool])
def test_refuses(op, options, message):
    with pytest.raises(ValueError, match=message):
        op(tf.zeros([1, 1, 4, 3]), **options)
