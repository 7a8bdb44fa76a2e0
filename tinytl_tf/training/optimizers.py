"""Keras' optimizers by name; `export.update_rules` has the same ones for a file."""

from collections.abc import Callable

import keras

from tinytl_tf.errors import InputError

__all__ = ["OPTIMIZERS", "get_optimizer"]

OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "sgd": lambda: keras.optimizers.SGD(),
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(),
}


def get_optimizer(name: str) -> keras.optimizers.Optimizer:
    """Returns a new optimizer with Keras' defaults; the loop sets its learning rate at each step.

    Raises:
        InputError: if there is none of that name.
    """
    if name not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]()
