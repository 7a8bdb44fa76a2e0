"""The optimizers of the exported file, as functions from gradients to assignments."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from tinytl_tf.errors import InputError

__all__ = ["UPDATE_RULES", "UpdateRule", "get_update_rule"]

# The defaults of keras.optimizers.
MOMENTUM = 0.9
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """One optimizer.

    Attributes:
        name: the name on the command line.
        slots: number of float32 tensors kept beside each trained variable.
        update: `(value, gradient, slots, step, learning_rate) -> (new value, new slots)`; `step` counts from 1, where
            the slots are zero.
    """

    name: str
    slots: int
    update: Callable[..., tuple[tf.Tensor, Sequence[tf.Tensor]]]


def _sgd(value, gradient, slots, step, learning_rate):
    return value - learning_rate * gradient, ()


def _momentum(value, gradient, slots, step, learning_rate):
    velocity = MOMENTUM * slots[0] - learning_rate * gradient
    return value + velocity, (velocity,)


def _adam(value, gradient, slots, step, learning_rate):
    first = slots[0] + (gradient - slots[0]) * (1 - BETA_1)
    second = slots[1] + (gradient * gradient - slots[1]) * (1 - BETA_2)
    rate = learning_rate * tf.sqrt(1 - tf.pow(BETA_2, step)) / (1 - tf.pow(BETA_1, step))
    return value - rate * first / (tf.sqrt(second) + EPSILON), (first, second)


UPDATE_RULES = {
    rule.name: rule
    for rule in (
        UpdateRule("sgd", slots=0, update=_sgd),
        UpdateRule("momentum", slots=1, update=_momentum),
        UpdateRule("adam", slots=2, update=_adam),
    )
}


def get_update_rule(name: str) -> UpdateRule:
    """Returns the rule called `name`; raises `InputError` if there is none."""
    if name not in UPDATE_RULES:
        raise InputError(f"unknown optimizer {name!r}; choose one of {', '.join(UPDATE_RULES)}")
    return UPDATE_RULES[name]
