import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, assert_same, draw, images, property_test
from tinytl_tf import ops
from tinytl_tf.ops.padding import as_pair, extent_of

SIZES = st.sampled_from((1, 3, 5, 7))
PAD = st.tuples(st.integers(0, 3), st.integers(0, 3))
STEP = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
STEPS = st.one_of(st.tuples(STEP, st.just(1)), st.tuples(st.just(1), STEP))  # strides and dilation
PADDINGS = st.one_of(st.sampled_from(("same", "valid")), st.tuples(PAD, PAD))


def block_diagonal(kernel, groups):
    """The kernel of the ungrouped convolution that equals the grouped one."""
    depth = kernel.shape[2]
    blocks = [
        tf.pad(part, [[0, 0], [0, 0], [i * depth, (groups - 1 - i) * depth], [0, 0]])
        for i, part in enumerate(tf.split(kernel, groups, axis=3))
    ]
    return tf.concat(blocks, axis=3)


def spaced(kernel, dilation):
    """The kernel without dilation that equals the dilated one."""
    rows, columns = (
        tf.one_hot(tf.range(size) * step, (size - 1) * step + 1, dtype=kernel.dtype)
        for size, step in zip(kernel.shape[:2], as_pair(dilation), strict=True)
    )
    return tf.einsum("ah,bw,abio->hwio", rows, columns, kernel)


def plain(x, kernel, strides, padding, groups, dilation=1):
    kernel, strides = block_diagonal(kernel, groups), as_pair(strides)
    kernel = kernel if dilation == 1 else spaced(kernel, dilation)
    if isinstance(padding, str):
        return tf.nn.conv2d(x, kernel, strides, padding.upper())
    return tf.nn.conv2d(tf.pad(x, [[0, 0], *padding, [0, 0]]), kernel, strides, "VALID")


def check(shape, size, steps, padding, groups, multiplier, train_kernel, dtype, graph=False):
    strides, dilation = steps
    extent = extent_of(size, dilation)
    pads = {"same": extent, "valid": (0, 0)}[padding] if isinstance(padding, str) else [sum(pad) for pad in padding]
    assume(all(length + pad >= k for length, pad, k in zip(shape[1:3], pads, extent, strict=True)))
    x = draw([*shape[:3], shape[3] * groups], dtype, seed=0)
    kernel = draw([*size, shape[3], multiplier * groups], dtype, seed=1)
    options = {"strides": strides, "padding": padding, "groups": groups, "dilation": dilation}
    assert_same(
        lambda x, kernel: ops.conv2d(x, kernel, train_kernel=train_kernel, **options),
        lambda x, kernel: plain(x, kernel, **options),
        [x, kernel],
        frozen=0 if train_kernel else 1,
        graph=graph,
    )


ARGUMENTS = {
    "shape": images(channels=(1, 3)),
    "size": st.tuples(SIZES, SIZES),
    "steps": STEPS,
    "padding": PADDINGS,
    "groups": st.sampled_from((1, 2, 4)),
    "multiplier": st.integers(1, 2),
    "train_kernel": st.booleans(),
}


@property_test(max_examples=150)
@given(**ARGUMENTS, dtype=st.sampled_from(DTYPES + HALVES))
def test_equals_autodiff(**arguments):
    check(**arguments)


@property_test(max_examples=15)
@given(**ARGUMENTS, dtype=st.sampled_from(DTYPES))
def test_equals_autodiff_with_an_unknown_batch(**arguments):
    check(**arguments, graph=True)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kind", [tf.Variable, keras.Variable])
def test_kernel_held_in_a_variable(kind, groups, strides):
    x, value = draw([2, 6, 5, 8], "float32", seed=0), draw([3, 3, 8 // groups, 4], "float32", seed=1)
    kernel = kind(value)
    options = {"strides": strides, "groups": groups}
    for train_kernel in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.conv2d(x, kernel, train_kernel=train_kernel, **options)
        dx, dk = tape.gradient(y, [x, kernel.value if kind is keras.Variable else kernel])
        with tf.GradientTape() as tape:
            tape.watch([x, value])
            y = plain(x, value, padding="same", **options)
        expected_dx, expected_dk = tape.gradient(y, [x, value])
        np.testing.assert_allclose(dx, expected_dx, atol=1e-5)
        if train_kernel:
            np.testing.assert_allclose(dk, expected_dk, atol=1e-5)
        else:
            assert dk is None


@pytest.mark.parametrize(
    ("x", "kernel", "options", "message"),
    [
        ([1, 4, 4, 3], [3, 3, 2, 8], {}, "needs an input of 2 channels .* got an input of shape \\(1, 4, 4, 3\\)"),
        ([1, 4, 4, 4], [3, 3, 2, 3], {"groups": 2}, "filters divisible by 2"),
        ([1, 4, 4, 2], [3, 3, 2, 8], {"padding": "full"}, "padding must be .* got 'full'"),
        ([1, 2, 4, 2], [3, 3, 2, 8], {"padding": "valid"}, "window of \\(3, 3\\) is larger than input \\(2, 4\\)"),
        ([1, 9, 9, 2], [3, 3, 2, 8], {"strides": (1, 2), "dilation": 2}, r"got strides \(1, 2\) and dilation \(2, 2\)"),
    ],
)
def test_refuses(x, kernel, options, message):
    with pytest.raises(ValueError, match=message):
        ops.conv2d(tf.zeros(x), tf.zeros(kernel), **options)


def test_refuses_an_unknown_size():
    with pytest.raises(ValueError, match="expected a known height and width"):
        tf.function(lambda x: ops.conv2d(x, tf.zeros([3, 3, 2, 2]))).get_concrete_function(
            tf.TensorSpec([1, None, 4, 2])
        )
