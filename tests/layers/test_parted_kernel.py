"""Layers of which a share of the kernel is trained compute and train as the whole kernel's first channels do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.layers import FrozenConv1D, FrozenConv2D, FrozenDense, FrozenDepthwiseConv2D

CASES = {
    "pointwise": (lambda **o: FrozenConv2D(16, 1, **o), (2, 6, 5, 8)),
    "strided": (lambda **o: FrozenConv2D(16, 3, strides=2, activation="relu", **o), (2, 6, 5, 8)),
    "bias": (lambda **o: FrozenConv2D(16, 3, norm=False, use_bias=True, **o), (2, 6, 5, 8)),
    "line": (lambda **o: FrozenConv1D(16, 3, **o), (2, 9, 8)),
    "dense": (lambda **o: FrozenDense(16, **o), (2, 9, 8)),
    "dense_of_vectors": (lambda **o: FrozenDense(16, False, **o), (2, 8)),
}
TRAIN = ["kernel"]


def draw(shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def pair(case, share=1 / 4, **options):
    """A layer with a whole kernel and one with a split kernel, of the same values; and their input."""
    make, shape = CASES[case]
    whole, split = make(train=TRAIN, **options), make(train=TRAIN, kernel_share=share, **options)
    x = draw(shape)
    for layer in (whole, split):
        layer(x)
    for seed, variable in enumerate(whole.variables):
        variable.assign(tf.abs(draw(variable.shape, seed)) + 0.1)
    first = split.kernel.shape[-1]
    kernel = whole.kernel.numpy()
    split.kernel.assign(kernel[..., :first])
    split.kernel_rest.assign(kernel[..., first:])
    for own, its in zip(split.variables[2:], whole.variables[1:], strict=True):
        own.assign(its)
    return whole, split, x


def gradients(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(y * draw(y.shape, 9))
    return y, tape.gradient(loss, [x, layer.kernel.value])


@pytest.mark.parametrize("share", [1 / 2, 1 / 4, 1 / 8])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_of_the_whole_kernel(case, share):
    whole, split, x = pair(case, share)
    assert [v.path.rpartition("/")[2] for v in split.trainable_variables] == TRAIN
    (y, (dx, dk)), (split_y, (split_dx, split_dk)) = gradients(whole, x), gradients(split, x)
    assert split_dk.shape[-1] == 16 * share
    for actual, expected in ((split_y, y), (split_dx, dx), (split_dk, dk[..., : int(16 * share)])):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_trained_gamma():
    make, shape = CASES["pointwise"]
    layer, x = make(train=["norm/gamma", "kernel"], kernel_share=0.5), draw(CASES["pointwise"][1])
    layer(x)
    layer.kernel_rest.assign(tf.zeros(layer.kernel_rest.shape))
    y, (_, dk) = gradients(layer, x)
    assert np.abs(dk).max() > 0
    np.testing.assert_array_equal(y[..., 8:], np.zeros([*shape[:-1], 8]))


@pytest.mark.parametrize("case", CASES)
def test_a_saved_layer_is_the_same(tmp_path, case):
    _, split, x = pair(case, kept_bits=8)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, split(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), split(x))
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in split.trainable_variables]
    assert (loaded.layers[-1].kernel_share, loaded.layers[-1].kept_bits) == (1 / 4, 8)


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_of_an_input_in_8_bits(case):
    """A value is off by at most half of 1/127 of the largest: 0.3 % of it, and of Gauss' values 1 % in the mean."""
    make, shape = CASES[case]
    x, found = draw(shape) * tf.reshape(tf.constant([1.0, 100.0]), [2] + [1] * (len(shape) - 1)), []
    for bits in (32, 8):
        layer = make(train=TRAIN, kept_bits=bits)
        layer(x)
        layer.kernel.assign(draw(layer.kernel.shape, 1))
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_sum(y / tf.reshape(tf.constant([1.0, 100.0]), [2] + [1] * (len(shape) - 1)))
        found.append((y.numpy(), tape.gradient(loss, layer.kernel.value).numpy().ravel()))
    (y, exact), (same, short) = found
    np.testing.assert_array_equal(y, same)
    cosine = exact @ short / np.linalg.norm(exact) / np.linalg.norm(short)
    assert 0.9995 < cosine < 1 - 1e-9  # each image has a scale of its own, or the smaller one would be lost


def test_arguments():
    with pytest.raises(InputError, match="a share of a kernel from 1, 1/2, 1/4, 1/8, got 0.3"):
        FrozenConv2D(16, 1, kernel_share=0.3)
    with pytest.raises(InputError, match="kept in 32 or 8 bits, got 4"):
        FrozenDense(16, kept_bits=4)
    with pytest.raises(ValueError, match="a whole number of channels, got 0.5 of 3"):
        FrozenConv2D(3, 1, kernel_share=0.5)(draw([1, 4, 4, 2]))
    with pytest.raises(ValueError, match="kernel_share must be 1 and kept_bits 32 with groups"):
        FrozenConv2D(16, 1, groups=2, kernel_share=0.5)
    with pytest.raises(ValueError, match="kept_bits must not be given: a depthwise kernel"):
        FrozenDepthwiseConv2D(3, kept_bits=8)
