"""What a network knows of an image before it is classified."""

import keras

__all__ = ["FEATURES", "feature_network"]

FEATURES = "pool"  # name of the last layer before dropout and classifier, in every network


def feature_network(model: keras.Model) -> keras.Model:
    """Returns the part of a network from images to features, `[batch, channels]`; its layers are shared.

    Args:
        model: a network made by `build`.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=32, width=0.35, weights=None)
        >>> feature_network(model).output_shape
        (None, 1280)
    """
    return keras.Model(model.input, model.get_layer(FEATURES).output)
