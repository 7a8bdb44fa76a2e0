"""Keras optimizers from the table of `tinytl_tf.optimizers`; `export.update_rules` makes a file's update rules."""

import keras

from tinytl_tf import optimizers
from tinytl_tf.networks.schemes import rate_factor

__all__ = ["follow_rate_factors", "make_optimizer"]


def make_optimizer(name: str) -> keras.optimizers.Optimizer:
    """Returns a new Keras optimizer; the loop sets its learning rate at each step.

    Raises:
        InputError: If the name is unknown.
    """
    optimizer = optimizers.get_optimizer(name)
    if optimizer.beta_1:
        return keras.optimizers.Adam(beta_1=optimizer.beta_1, beta_2=optimizer.beta_2, epsilon=optimizer.epsilon)
    return keras.optimizers.SGD(momentum=optimizer.momentum)


def follow_rate_factors(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer update each variable at its own multiple of the learning rate; see `schemes.apply_scheme`.

    The rate is scaled, not the gradient, because Adam normalizes the gradient's scale. The saved state of the optimizer
    does not change, because the factors belong to the variables.

    Args:
        optimizer: the optimizer, which is changed; a second call changes nothing.
    """
    rule = type(optimizer).update_step

    def update_step(gradient, variable, learning_rate):
        # On several devices Keras passes a component of the variable, without its attributes.
        whole = optimizer._trainable_variables[optimizer._get_variable_index(variable)]
        factor = rate_factor(whole)
        return rule(optimizer, gradient, variable, learning_rate if factor == 1 else learning_rate * factor)

    optimizer.update_step = update_step
