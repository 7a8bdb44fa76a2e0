"""When a training has diverged: one rule for all trainers, see "Diverged trainings" in docs/formats.md."""

import math

__all__ = ["has_diverged", "too_few_applied"]

_FAR_ABOVE = 10


def has_diverged(before: float | None, after: float, guess: float) -> bool:
    """Whether a loss is so far above the loss before the training that the training has diverged.

    Args:
        before: Mean loss before the first step; None if unknown.
        after: Mean loss of the same images now.
        guess: Loss of a uniform guess, see `tinytl_tf.tasks.Task.guess_loss`: training has not diverged at a loss
            below ten times that, however small the loss was before.

    Example:
        >>> [has_diverged(1.5, after, guess=1.6) for after in (1.2, 9.0, 5443.0, math.nan)]
        [False, False, True, True]
    """
    known = guess if before is None or not math.isfinite(before) else max(before, guess)
    return not after <= _FAR_ABOVE * known


def too_few_applied(applied: int, steps: int) -> bool:
    """Whether more than half of the steps of an epoch were refused, as loss or gradients were not finite."""
    return 2 * applied < steps
