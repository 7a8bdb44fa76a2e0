"""The part of a network that computes the features before the classifier."""

import keras

from tinytl_tf.backbones.describe import describe

__all__ = ["feature_network"]


def feature_network(model: keras.Model) -> keras.Model:
    """Returns the part of a network that maps images to features `[batch, channels]`; it shares the network's layers.

    Args:
        model: network made by `build`.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=32, width=0.35, weights=None)
        >>> feature_network(model).output_shape
        (None, 1280)
    """
    return keras.Model(model.input, model.get_layer(describe(model).features).output)
