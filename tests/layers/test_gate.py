"""`Gate` against keras' Activation and Multiply."""

import keras
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import Gate


@pytest.mark.parametrize("name", [None, "silu", "relu6"])
def test_equals_keras(name):
    x, gates = random((2, 5, 4, 8)) * 4, random((2, 1, 1, 8), 1)
    activation = keras.activations.get(name)
    for i in (0, 1):  # which of the two gets a gradient
        put = lambda value, i=i: [value, gates] if i == 0 else [x, value]  # noqa: E731
        inputs = (x, gates)[i]
        y, (dx,) = value_and_gradients(lambda value, put=put: Gate(name, dtype="float64")(put(value)), inputs, [])
        plain = lambda value, put=put: keras.ops.multiply(activation(put(value)[0]), put(value)[1])  # noqa: E731
        expected, (his,) = value_and_gradients(plain, inputs, [])
        assert_close(y, expected, 1e-12)
        assert_close(dx, his, 1e-12)


@pytest.mark.parametrize("gates", [(2, 1, 1, 4), (2, 5, 4, 8), (2, 8)])
def test_refuses_other_gates(gates):
    with pytest.raises(ValueError) as error:
        Gate("silu", name="gate")([random((2, 5, 4, 8)), random(gates)])
    assert str(error.value) == f"gate needs gates of shape (2, 1, 1, 8) for input (2, 5, 4, 8), got {gates}"


def test_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="activation must be one of .*, got 'swish'"):
        Gate("swish")
