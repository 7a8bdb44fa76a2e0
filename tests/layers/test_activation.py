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


def test_refuses_an_unknown_name():
    with pytest.raises(ValueError) as error:
        Activation("tanh")
    assert str(error.value) == "activation must be one of ['hard_swish', 'relu', 'relu6'], got 'tanh'"
