import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, assert_same, draw, images, property_test
from tests.ops.test_plain_convolution import PADDINGS, SIZES, STEPS
from tests.ops.test_plain_convolution import plain as plain_convolution
from tinytl_tf import ops
from tinytl_tf.ops.padding import extent_of


def plain(x, kernel, strides, padding, dilation=1):
    """As a convolution of one group for each channel, whose strides may differ."""
    kernel = tf.transpose(kernel, [0, 1, 3, 2])
    return plain_convolution(x, kernel, strides, padding, kernel.shape[3], dilation)


def check(shape, size, steps, padding, train_kernel, dtype, graph=False):
    strides, dilation = steps
    extent = extent_of(size, dilation)
    pads = {"same": extent, "valid": (0, 0)}[padding] if isinstance(padding, str) else [sum(pad) for pad in padding]
    assume(all(length + pad >= k for length, pad, k in zip(shape[1:3], pads, extent, strict=True)))
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    assert_same(
        lambda x, kernel: ops.depthwise_conv2d(x, kernel, train_kernel=train_kernel, **options),
        lambda x, kernel: plain(x, kernel, **options),
        [draw(shape, dtype, seed=0), draw([*size, shape[3], 1], dtype, seed=1)],
        frozen=0 if train_kernel else 1,
        graph=graph,
    )


ARGUMENTS = {
    "shape": images(),
    "size": st.tuples(SIZES, SIZES),
    "steps": STEPS,
    "padding": PADDINGS,
    "train_kernel": st.booleans(),
}


@property_test(max_examples=200)
@given(**ARGUMENTS, dtype=st.sampled_from(DTYPES + HALVES))
def test_equals_autodiff(**arguments):
    check(**arguments)


@pytest.mark.thorough
@property_test(max_examples=20)
@given(**ARGUMENTS, dtype=st.sampled_from(DTYPES))
def test_equals_autodiff_with_an_unknown_batch(**arguments):
    check(**arguments, graph=True)


@pytest.mark.parametrize("kind", [tf.Variable, keras.Variable])
@pytest.mark.parametrize("train_kernel", [True, False])
def test_kernel_held_in_a_variable(kind, train_kernel):
    x, value = draw([2, 6, 5, 3], "float32", seed=0), draw([3, 3, 3, 1], "float32", seed=1)
    kernel = kind(value)
    with tf.GradientTape() as tape:
        y = ops.depthwise_conv2d(x, kernel, strides=2, train_kernel=train_kernel)
    dk = tape.gradient(y, kernel.value if kind is keras.Variable else kernel)
    with tf.GradientTape() as tape:
        tape.watch(value)
        y = plain(x, value, 2, "same")
    if train_kernel:
        np.testing.assert_allclose(dk, tape.gradient(y, value), atol=1e-5)
    else:
        assert dk is None


@pytest.mark.parametrize(
    ("x", "kernel", "options", "message"),
    [
        ([1, 4, 4, 3], [3, 3, 2, 1], {}, r"has shape \[height, width, 3, 1\], got \(3, 3, 2, 1\)"),
        ([1, 4, 4, 3], [3, 3, 3, 2], {}, r"has shape \[height, width, 3, 1\], got \(3, 3, 3, 2\)"),
        ([1, 4, 4, 2], [3, 3, 2, 1], {"padding": "full"}, "padding must be .* got 'full'"),
        ([1, 4, 2, 2], [3, 3, 2, 1], {"padding": "valid"}, r"window of \(3, 3\) is larger than input \(4, 2\)"),
    ],
)
def test_refuses(x, kernel, options, message):
    with pytest.raises(ValueError, match=message):
        ops.depthwise_conv2d(tf.zeros(x), tf.zeros(kernel), **options)
