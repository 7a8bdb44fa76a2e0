import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, assert_same, draw, images, property_test
from tinytl_tf import ops

# TensorFlow interpolates in float32 whatever the dtype, with positions up to 16 rounded to 2**-20; two axes and both
# ends of an interval make a few of these. A half rounds once more at the end of each of the two products.
TOLERANCE = {"float64": 1e-5, "float32": 1e-5, "float16": 4 * 2**-11, "bfloat16": 4 * 2**-8}

SIZE = st.integers(1, 17)


@property_test(max_examples=80)
@given(shape=images(), size=st.tuples(SIZE, SIZE), dtype=st.sampled_from(DTYPES + HALVES), graph=st.booleans())
def test_equals_autodiff(shape, size, dtype, graph):
    assert_same(
        lambda x: ops.resize_bilinear(x, size),
        lambda x: tf.cast(tf.image.resize(x, size, method="bilinear"), x.dtype),
        [draw(shape, dtype, seed=0)],
        graph=graph and dtype in DTYPES,
        tolerance=TOLERANCE,
    )


def test_the_same_size_is_no_operation():
    x = tf.ones([1, 4, 3, 2])
    assert ops.resize_bilinear(x, [4, 3]) is x


FACTOR = st.integers(1, 3)


@property_test(max_examples=25)
@given(
    shape=images(),
    size=st.one_of(FACTOR, st.tuples(FACTOR, FACTOR)),
    dtype=st.sampled_from(DTYPES),
    graph=st.booleans(),
)
def test_upsample_nearest(shape, size, dtype, graph):
    rows, columns = (size, size) if isinstance(size, int) else size
    assert_same(
        lambda x: ops.upsample_nearest(x, size),
        lambda x: tf.repeat(tf.repeat(x, rows, axis=1), columns, axis=2),
        [draw(shape, dtype, seed=0)],
        graph=graph,
    )
