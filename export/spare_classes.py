"""Spare outputs, for classes that are added on the device."""

import keras
import numpy as np

from tinytl_tf.networks.schemes import rate_factor
from tinytl_tf.networks.spec import CLASSIFIER
from tinytl_tf.tasks import UNUSED

__all__ = ["with_spare_classes"]


def with_spare_classes(model: keras.Model, count: int) -> keras.Model:
    """Returns the model with `count` additional outputs, which are never predicted until a client adds a class.

    Their kernel is zero and their bias is `tinytl_tf.tasks.UNUSED`, so that their probabilities and gradients are
    exactly zero.

    Args:
        model: A model that `check_model` accepts. The result shares all of its layers except the classifier.
        count: Number of outputs to add; 0 returns `model` itself.
    """
    if not count:
        return model
    old = model.get_layer(CLASSIFIER)
    new = keras.layers.Dense(old.units + count, name=CLASSIFIER)
    wider = keras.Model(model.input, new(old.input), name=model.name)
    new.kernel.assign(np.pad(old.kernel.numpy(), [(0, 0), (0, count)]))
    new.bias.assign(np.pad(old.bias.numpy(), (0, count), constant_values=UNUSED))
    for own, its in zip(new.weights, old.weights, strict=True):
        own.trainable, own.rate_factor = its.trainable, rate_factor(its)
    return wider
