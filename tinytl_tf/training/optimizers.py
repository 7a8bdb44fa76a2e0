"""Keras' optimizers, made from the table of `tinytl_tf.optimizers`; `export.update_rules` makes those of a file."""

import keras

from tinytl_tf import optimizers

__all__ = ["make_optimizer"]


def make_optimizer(name: str) -> keras.optimizers.Optimizer:
    """Returns a new optimizer of Keras; the loop sets its learning rate at each step.

    Raises:
        InputError: if there is none of that name.
    """
    optimizer = optimizers.get_optimizer(name)
    if optimizer.beta_1:
        return keras.optimizers.Adam(beta_1=optimizer.beta_1, beta_2=optimizer.beta_2, epsilon=optimizer.epsilon)
    return keras.optimizers.SGD(momentum=optimizer.momentum)
