"""`Activation` against keras' activations."""

import keras
import numpy as np
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import Activation


@pytest.mark.parametrize("name", ["relu", "relu6", "hard_swish"])
def test_equals_keras(name):
    x = random((2, 5, 5, 8)) * 5
    y, (dx,) = value_and_gradients(Activation(name), x, [])
    expected, (his,) = value_and_gradients(getattr(keras.activations, name), x, [])
    assert_close(y, expected, 1e-7)
    assert_close(dx, his, 1e-7)
    assert np.count_nonzero(dx) < np.size(dx)


@pytest.mark.parametrize(("given", "slope"), [({}, 0.2), ({"negative_slope": 0.3}, 0.3), ({"negative_slope": 0}, 0.0)])
def test_slope_of_leaky_relu(given, slope):
    x = random((3, 8))
    y, (dx,) = value_and_gradients(Activation("leaky_relu", **given, dtype="float64"), x, [])
    expected, (his,) = value_and_gradients(keras.layers.LeakyReLU(slope, dtype="float64"), x, [])
    assert_close(y, expected, 1e-12)
    assert_close(dx, his, 1e-12)


def test_refuses_an_unknown_name():
    with pytest.raises(ValueError) as error:
        Activation("softmax")
    assert str(error.value) == (
        "activation must be one of ['elu', 'gelu', 'gelu_tanh', 'hard_sigmoid', 'hard_swish', 'leaky_relu', 'relu', "
        "'relu6', 'sigmoid', 'silu', 'tanh'], got 'softmax'"
    )


def test_refuses_a_slope_of_another_activation():
    with pytest.raises(ValueError) as error:
        Activation("relu", negative_slope=0.1)
    assert str(error.value) == "negative_slope belongs to 'leaky_relu', got 0.1 for 'relu'"
