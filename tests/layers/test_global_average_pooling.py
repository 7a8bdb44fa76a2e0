"""`GlobalAveragePooling` against keras'."""

import keras
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import GlobalAveragePooling


def test_equals_keras():
    x = random((2, 5, 4, 3))
    y, (dx,) = value_and_gradients(GlobalAveragePooling(dtype="float64"), x, [])
    expected, (his,) = value_and_gradients(keras.layers.GlobalAveragePooling2D(dtype="float64"), x, [])
    assert_close(y, expected, 1e-12)
    assert_close(dx, his, 1e-12)


def test_refuses_unknown_sizes():
    with pytest.raises(ValueError, match=r"pool needs a known height and width of 1 or more, got \(None, 4\)"):
        GlobalAveragePooling(name="pool")(keras.Input((None, 4, 8)))
