"""`FrozenDepthwiseConv2D`: its numbers are judged with those of `FrozenConv2D`; here what it has of its own."""

import keras

from tinytl_tf.layers import FrozenDepthwiseConv2D


def test_has_one_kernel_for_each_channel_and_no_filters():
    layer = FrozenDepthwiseConv2D(3, strides=2)
    assert layer(keras.Input((8, 7, 6))).shape == (None, 4, 4, 6)
    assert tuple(layer.kernel.shape) == (3, 3, 6, 1)
    assert "filters" not in layer.get_config()
