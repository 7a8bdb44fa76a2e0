"""`Crop` against keras' layers, and what it refuses."""

import keras
import numpy as np
import pytest

from tests.layers.gradients import random, value_and_gradients
from tinytl_tf.layers import Crop


@pytest.mark.parametrize(
    ("shape", "box", "layer"),
    [
        ((2, 7, 8, 3), ((1, 0, 0), (4, 6, 3)), keras.layers.Cropping2D(((1, 2), (0, 2)))),
        ((2, 7, 3), ((2, 0), (4, 3)), keras.layers.Cropping1D((2, 1))),
    ],
)
def test_equals_keras(shape, box, layer):
    x, ours = random(shape, dtype="float32"), Crop(*box)
    for mine, his in zip(value_and_gradients(ours, x, []), value_and_gradients(layer, x, []), strict=True):
        np.testing.assert_array_equal(mine, his)
    assert ours.compute_output_shape((None, *shape[1:])) == layer.compute_output_shape((None, *shape[1:]))
    np.testing.assert_array_equal(Crop.from_config(ours.get_config())(x), ours(x))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (((-1, 0), (2, 2)), "begin must be whole numbers from 0, got (-1, 0)"),
        (((1, 0), (0, 2)), "size must be whole numbers from 1, got (0, 2)"),
        (((1,), (2, 2)), "begin and size must be as many numbers, got (1,) and (2, 2)"),
        (((1.0, 0), (2, 2)), "begin must be whole numbers from 0, got (1.0, 0)"),
    ],
)
def test_refuses_what_is_no_box(box, message):
    with pytest.raises(ValueError) as error:
        Crop(*box)
    assert str(error.value) == message


@pytest.mark.parametrize("shape", [(3, 8), (None, 8)])
def test_refuses_a_box_outside_of_the_input(shape):
    with pytest.raises(ValueError) as error:
        Crop((2, 0), (2, 8), name="part")(keras.Input(shape))
    assert f"part needs an input of known sizes of (4, 8) or more, got (None, {shape[0]}, 8)" in str(error.value)
