"""Shared functions to compute the gradients of our layers and of Keras layers, and to compare them."""

import numpy as np
import tensorflow as tf

__all__ = ["assert_close", "random", "value_and_gradients"]


def random(shape, seed=0, dtype="float64"):
    """Numbers of a normal distribution."""
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), dtype)


def value_and_gradients(fn, inputs, variables):
    """Returns the value of `fn(inputs)` and its gradients, for a fixed gradient of the output."""
    variables = [getattr(variable, "value", variable) for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([inputs, *variables])
        y = fn(inputs)
    return y, tape.gradient(y, [inputs, *variables], output_gradients=random(y.shape, 7, y.dtype))


def assert_close(ours, plain, tolerance):
    """Compares tensors, with a tolerance relative to the largest number expected."""
    assert ours.shape == plain.shape
    np.testing.assert_allclose(ours, plain, rtol=0, atol=tolerance * np.abs(plain).max())
