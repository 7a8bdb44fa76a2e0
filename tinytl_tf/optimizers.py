"""The table of optimizers, which flags, config checks, Keras, exported files and the paper account use."""

import dataclasses

from tinytl_tf.errors import InputError

__all__ = ["NOT_NEGATIVE", "OPTIMIZERS", "STEP", "Optimizer", "get_optimizer"]

NOT_NEGATIVE = ("second_moment", "step")  # parts of a state that are never negative after training
STEP = "step"  # name of the count of steps in a saved state


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """One optimizer with its constants, which are the defaults of `keras.optimizers`.

    Attributes:
        name: the name on the command line.
        slots: names of the float32 tensors kept for each trained variable.
        momentum: decay of the velocity, for `momentum`.
        beta_1: decay of the first moment, for `adam`.
        beta_2: decay of the second moment, for `adam`.
        epsilon: added to the square root of the second moment, for `adam`.
        rate_factor: factor for the default learning rate of a scheme, which was tuned with Adam.
    """

    name: str
    slots: tuple[str, ...] = ()
    momentum: float = 0.0
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 0.0
    rate_factor: float = 1.0


OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("sgd", rate_factor=10.0),
        Optimizer("momentum", slots=("velocity",), momentum=0.9, rate_factor=3.0),
        Optimizer("adam", slots=("first_moment", "second_moment"), beta_1=0.9, beta_2=0.999, epsilon=1e-7),
    )
}


def get_optimizer(name: str) -> Optimizer:
    """Returns the optimizer called `name`.

    Raises:
        InputError: If the name is unknown.
    """
    if name not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]
