"""A user's module with a function that returns a Keras model."""

import keras

number = 3


def make(resolution=32):
    """A small network of two convolutions."""
    keras.utils.set_random_seed(0)
    images = keras.Input((resolution, resolution, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    for filters in (8, 16):
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(7, activation="softmax")(x), name="own")


def make_of_any_size():
    """A network that takes images of any size."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)), name="any_size")


def nothing():
    """No model."""


def make_for_signals():
    """A model of no images."""
    signals = keras.Input((20, 3))
    return keras.Model(signals, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(signals)))
