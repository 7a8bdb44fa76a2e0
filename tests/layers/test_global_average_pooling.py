"""`GlobalAveragePooling` against keras'."""

import keras
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tests.layers.keras_layer_test import run_layer_test
from tinytl_tf.layers import GlobalAveragePooling

KERAS = {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 7, 3)])
def test_equals_keras(shape, keepdims):
    x = random(shape)
    ours = GlobalAveragePooling(keepdims=keepdims, data_format="channels_last", dtype="float64")
    his = KERAS[len(shape)](keepdims=keepdims, dtype="float64")
    y, (dx,) = value_and_gradients(ours, x, [])
    expected, (expected_dx,) = value_and_gradients(his, x, [])
    assert_close(y, expected, 1e-12)
    assert_close(dx, expected_dx, 1e-12)
    unknown = (None,) * (len(shape) - 1) + shape[-1:]
    assert ours.compute_output_shape(unknown) == his.compute_output_shape(unknown)
    assert GlobalAveragePooling.from_config(ours.get_config()).keepdims == keepdims


def test_a_file_of_an_older_version_is_read():
    assert GlobalAveragePooling.from_config({"name": "pool"})(keras.Input((4, 4, 8))).shape == (None, 8)


def test_passes_the_layer_test_of_keras():
    run_layer_test(GlobalAveragePooling, {"keepdims": True}, (2, 8, 8, 16), (2, 1, 1, 16))


def test_refuses_unknown_sizes():
    with pytest.raises(ValueError, match=r"pool needs a known height and width of 1 or more, got \(None, 4\)"):
        GlobalAveragePooling(name="pool")(keras.Input((None, 4, 8)))
    with pytest.raises(ValueError, match="data_format must be 'channels_last', got 'channels_first'"):
        GlobalAveragePooling(data_format="channels_first")
