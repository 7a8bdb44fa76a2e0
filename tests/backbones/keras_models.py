"""Small Keras models with weights and statistics like those of trained models, and checks of their conversions."""

import keras
import numpy as np

from tests.backbones.test_builder import assert_close
from tinytl_tf.backbones.from_keras import from_keras

SIZE = 12
L = keras.layers


def trained(model):
    """The model with weights that no initializer gives."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        name = variable.path.rpartition("/")[2]
        if name in ("moving_variance", "variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif name in ("gamma", "scale"):
            variable.assign(rng.uniform(0.6, 1.2, variable.shape))
        elif variable.dtype == "float32" and (len(variable.shape) == 1 or name == "bias"):  # attention has wide ones
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def images(channels=3, size=SIZE):
    return np.random.default_rng(1).integers(0, 256, (2, size, size, channels)).astype(np.float32)


def chain(*layers, head=None, size=SIZE):
    """A trained model of images that begins with a rescaling and ends with logits of 4 classes."""
    inputs = keras.Input((size, size, 3))
    x = L.Rescaling(1 / 255)(inputs)
    for layer in layers:
        x = layer(x)
    pooling = {4: L.GlobalAveragePooling2D, 3: L.GlobalAveragePooling1D}
    x = pooling[len(x.shape)]()(x) if len(x.shape) in pooling else x
    return trained(keras.Model(inputs, (head or L.Dense(4, name="predictions"))(x)))


def assert_taken_over(model, inputs=None, **arguments):
    """Makes a network of a model; it gives the model's logits, and the model stays as it was."""
    before = [(variable.path, variable.trainable, variable.numpy()) for variable in model.weights]
    network = from_keras(model, **arguments)
    inputs = images() if inputs is None else inputs
    assert_close(np.asarray(network(inputs)), np.asarray(model(inputs, training=False)))
    for variable, (path, trainable, value) in zip(model.weights, before, strict=True):
        assert (variable.path, variable.trainable) == (path, trainable)
        np.testing.assert_array_equal(variable, value)
    paths = [variable.path for variable in network.weights]
    assert len(set(paths)) == len(paths)
    return network
