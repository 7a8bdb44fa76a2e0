"""Learning rate of each step; the Keras loop and the device client use the same functions."""

import math

__all__ = ["SCHEDULES", "constant", "cosine"]


def cosine(step: int, total_steps: int, base: float) -> float:
    """Half a cosine from `base` at step 0 towards 0 after the last step.

    Args:
        step: Index of the step, from 0.
        total_steps: Number of steps of the whole run.
        base: Learning rate of step 0.

    Returns:
        `base / 2 * (1 + cos(pi * step / total_steps))`.
    """
    return 0.5 * base * (1.0 + math.cos(math.pi * step / total_steps))


def constant(step: int, total_steps: int, base: float) -> float:
    """`base` at every step; takes the arguments of `cosine`."""
    return base


SCHEDULES = {"cosine": cosine, "constant": constant}
