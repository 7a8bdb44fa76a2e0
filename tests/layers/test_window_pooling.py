"""`MaxPooling`, `AveragePooling` and `Upsampling` against keras' layers of images and of signals."""

import keras
import numpy as np
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tests.layers.keras_layer_test import run_layer_test
from tinytl_tf.layers import AveragePooling, MaxPooling, Upsampling

IMAGE, SIGNAL = (2, 7, 8, 3), (2, 11, 3)
KERAS = {
    (MaxPooling, 4): keras.layers.MaxPooling2D,
    (MaxPooling, 3): keras.layers.MaxPooling1D,
    (AveragePooling, 4): keras.layers.AveragePooling2D,
    (AveragePooling, 3): keras.layers.AveragePooling1D,
    (Upsampling, 4): keras.layers.UpSampling2D,
}


def check(layer_class, options, shape):
    ours, his = layer_class(**options, dtype="float64"), KERAS[layer_class, len(shape)](**options, dtype="float64")
    x = random(shape)
    y, (dx,) = value_and_gradients(ours, x, [])
    expected, (expected_dx,) = value_and_gradients(his, x, [])
    assert_close(y, expected, 1e-12)
    assert_close(dx, expected_dx, 1e-12)
    for known in (shape, (None, *shape[1:]), (None,) * (len(shape) - 1) + shape[-1:]):
        assert ours.compute_output_shape(known) == his.compute_output_shape(known)
    again = layer_class.from_config(ours.get_config())
    assert again.get_config() == ours.get_config()
    np.testing.assert_array_equal(again(x), y)


@pytest.mark.parametrize("layer_class", [MaxPooling, AveragePooling])
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"pool_size": 2}, IMAGE),
        ({"pool_size": (3, 2), "strides": (2, 1), "padding": "same", "data_format": "channels_last"}, IMAGE),
        ({"pool_size": [3, 3], "strides": 2}, IMAGE),
        ({"pool_size": 2}, SIGNAL),
        ({"pool_size": (3,), "strides": 2, "padding": "same"}, SIGNAL),
    ],
)
def test_pooling_equals_keras(layer_class, options, shape):
    check(layer_class, options, shape)


@pytest.mark.parametrize("options", [{}, {"size": (3, 2)}, {"size": [2, 1], "data_format": "channels_last"}])
def test_nearest_upsampling_equals_keras(options):
    check(Upsampling, options, IMAGE)


def test_defaults_are_those_of_keras_and_words_may_be_capitals():
    assert MaxPooling().get_config().items() >= {"pool_size": 2, "strides": None, "padding": "valid"}.items()
    assert AveragePooling(padding="SAME").padding == "same"


def test_bilinear_upsampling_equals_keras():
    """TensorFlow interpolates in float32."""
    ours, his = (layer((2, 3), interpolation="bilinear") for layer in (Upsampling, keras.layers.UpSampling2D))
    x = random(IMAGE, dtype="float32")
    y, (dx,) = value_and_gradients(ours, x, [])
    expected, (expected_dx,) = value_and_gradients(his, x, [])
    assert_close(y, expected, 1e-5)
    assert_close(dx, expected_dx, 1e-5)
    assert Upsampling.from_config(ours.get_config()).interpolation == "bilinear"


@pytest.mark.parametrize(
    ("layer_class", "options", "shape", "output_shape"),
    [
        (MaxPooling, {"pool_size": 3, "strides": (2, 2), "padding": "same"}, (2, 8, 8, 16), (2, 4, 4, 16)),
        (AveragePooling, {"pool_size": (2, 3)}, (2, 8, 9, 16), (2, 4, 3, 16)),
        (MaxPooling, {"pool_size": 2}, (2, 8, 16), (2, 4, 16)),
        (Upsampling, {"size": 2}, (2, 4, 4, 16), (2, 8, 8, 16)),
    ],
)
def test_passes_the_layer_test_of_keras(layer_class, options, shape, output_shape):
    run_layer_test(layer_class, options, shape, output_shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPooling(0), "pool_size must be an integer above 0 or a pair of them, got 0"),
        (lambda: MaxPooling((2, 2, 2)), r"pool_size must be .* got \(2, 2, 2\)"),
        (lambda: AveragePooling(2, strides=(1, 0)), r"strides must be .* got \(1, 0\)"),
        (lambda: MaxPooling(padding="causal"), 'padding must be "same" or "valid", got \'causal\''),
        (lambda: MaxPooling(padding=((1, 1), (1, 1))), 'padding must be "same" or "valid", got'),
        (lambda: MaxPooling(data_format="channels_first"), "data_format must be 'channels_last', got 'channels_first'"),
        (lambda: Upsampling(interpolation="bicubic"), "interpolation must be one of .* got 'bicubic'"),
        (lambda: Upsampling(2.0), "size must be an integer above 0 or a pair of them, got 2.0"),
        (lambda: MaxPooling((2, 2))(keras.Input((8, 3))), r"pool_size must be .* a tuple of one, got \(2, 2\)"),
        (lambda: MaxPooling(name="pool")(keras.Input((None, 3))), r"pool needs a known length of 1 or more, got"),
        (
            lambda: MaxPooling(name="pool")(keras.Input((8, None, 3))),
            "pool needs a known height and width of 1 or more",
        ),
        (lambda: Upsampling(name="up")(keras.Input((8, None, 3))), "up needs a known height and width of 1 or more"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
