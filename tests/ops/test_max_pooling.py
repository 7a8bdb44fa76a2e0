"""The maximum's gradient is that of TensorFlow's MaxPoolGrad: to the first maximum by rows, whatever else is equal."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given

from tests.ops.autodiff import DTYPES, HALVES, assert_same, draw, property_test
from tests.ops.test_pooling import WINDOWS
from tinytl_tf import ops

SHAPE = (2, 7, 6, 3)


def plain(x, size, strides, padding):
    return tf.nn.max_pool2d(x, size, strides or size, padding.upper())


@property_test(max_examples=25)
@given(**WINDOWS)
def test_equals_autodiff(shape, size, strides, padding, dtype, graph):
    rows, columns = (size, size) if isinstance(size, int) else size
    assume(padding == "same" or (rows <= shape[1] and columns <= shape[2]))
    assert_same(
        lambda x: ops.max_pool(x, size, strides, padding),
        lambda x: plain(x, size, strides, padding),
        [draw(shape, dtype, seed=0)],
        graph=graph and dtype in DTYPES,
    )


@pytest.mark.parametrize(
    "values",
    [[0.0, 1.0, 2.0], [-2.0, -1.0, 0.0], [0.0, -0.0], [-0.0], [5.0], [1e-20, 3e-20], [-3e38, 3e38, 0.0]],
    ids=str,
)
@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [(2, 2, "valid"), (3, 2, "valid"), (3, 2, "same"), (3, 1, "same"), ((1, 4), (1, 3), "same"), (2, 3, "same")],
)
def test_equal_values(values, size, strides, padding):
    """Integer gradients: their sums are exact, so every one has to be at TensorFlow's place."""
    random = np.random.default_rng(0)
    x = tf.constant(random.choice(np.float32(values), SHAPE))
    results = []
    for op in (ops.max_pool, plain):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = op(x, size, strides, padding)
        dy = tf.constant(np.random.default_rng(1).integers(1, 100, y.shape), tf.float32)
        results.append((y, tape.gradient(y, x, output_gradients=dy)))
    (y, dx), (expected, expected_dx) = results
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(dx, expected_dx)


def test_a_window_has_at_most_as_many_numbers_as_a_byte():
    x = draw([1, 16, 17, 2], "float32", seed=0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, expected = ops.max_pool(x, 16, 1), plain(x, 16, 1, "valid")
    np.testing.assert_array_equal(tape.gradient(y, x), tape.gradient(expected, x))
    with pytest.raises(ValueError, match=r"at most 256 numbers, got \(16, 17\); pool in two steps"):
        ops.max_pool(x, (16, 17))


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_whose_difference_is_not_finite(dtype):
    ends = [tf.as_dtype(dtype).min, tf.as_dtype(dtype).max]
    x = tf.cast(np.random.default_rng(0).choice(ends, SHAPE), dtype)
    assert_same(lambda x: ops.max_pool(x, 3, 2, "same"), lambda x: plain(x, 3, 2, "same"), [x], tolerance={dtype: 0.0})


def test_the_index_is_arithmetic_and_waits_for_the_gradient():
    """Else the runtime would make a float of it, and a mask of each place, as soon as it can."""

    def step(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.max_pool(x, 3, 2, "same")
        return tape.gradient(y, x, output_gradients=dy)

    specs = [tf.TensorSpec([1, 8, 8, 4], name="x"), tf.TensorSpec([1, 4, 4, 4], name="dy")]
    graph = tf.function(step, autograph=False).get_concrete_function(*specs).graph
    # Comparisons and selects run outside XNNPACK.
    assert not {"Equal", "Greater", "GreaterEqual", "Less", "Select", "SelectV2"} & {
        op.type for op in graph.get_operations()
    }
    (kept,) = [tensor for op in graph.get_operations() for tensor in op.outputs if tensor.dtype == tf.uint8][:1]
    (tie,) = kept.consumers()
    assert tie.type == "BitwiseXor"
    (gradient,) = [tensor for tensor in tie.inputs if tensor is not kept]
    while gradient.op.inputs:
        gradient = gradient.op.inputs[0]
    assert gradient.op.name == "dy"
