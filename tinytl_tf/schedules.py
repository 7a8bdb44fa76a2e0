"""Learning rate of each step; the Keras loop and the device client use the same functions."""

import math

__all__ = ["DEFAULT_SCHEDULE", "SCHEDULES", "constant", "cosine", "warmed_up"]


def cosine(step: int, total_steps: int, base: float) -> float:
    """Half a cosine wave from `base` at step 0 towards 0 after the last step.

    Args:
        step: Index of the step, from 0.
        total_steps: Number of steps of the run.
        base: Learning rate of step 0.

    Returns:
        `base / 2 * (1 + cos(pi * step / total_steps))`.
    """
    return 0.5 * base * (1.0 + math.cos(math.pi * step / total_steps))


def constant(step: int, total_steps: int, base: float) -> float:
    """`base` at every step; takes the arguments of `cosine`."""
    return base


def warmed_up(schedule: str, step: int, total_steps: int, base: float, warmup_steps: int) -> float:
    """Linear warm-up to `base` over the first steps, then a schedule over the remaining steps.

    Args:
        schedule: a key of `SCHEDULES`.
        step: Index of the step, from 0.
        total_steps: Number of steps of the run, including the warm-up.
        base: Highest learning rate.
        warmup_steps: Number of warm-up steps; with 0, only the schedule applies.

    Example:
        >>> [warmed_up("constant", step, 6, 0.4, 4) for step in range(6)]
        [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4]
    """
    if step < warmup_steps:
        return base * (step + 1) / warmup_steps
    return SCHEDULES[schedule](step - warmup_steps, total_steps - warmup_steps, base)


SCHEDULES = {"cosine": cosine, "constant": constant}
DEFAULT_SCHEDULE = "cosine"  # for a file that does not specify a schedule
