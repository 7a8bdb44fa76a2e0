"""Decides whether a training run has diverged; see "Diverged trainings" in docs/formats.md for the rule."""

import math

__all__ = ["has_diverged", "too_few_applied"]

_FAR_ABOVE = 10


def has_diverged(before: float | None, after: float, guess: float) -> bool:
    """Whether the loss is so far above the loss before training that the training has diverged.

    Args:
        before: Mean loss before the first step; None if unknown.
        after: Mean loss of the same images now.
        guess: Loss of a uniform guess; see `tinytl_tf.tasks.Task.guess_loss`. A loss of up to ten times this value
            never counts as diverged, however small the loss was before.

    Example:
        >>> [has_diverged(1.5, after, guess=1.6) for after in (1.2, 9.0, 5443.0, math.nan)]
        [False, False, True, True]
    """
    known = guess if before is None or not math.isfinite(before) else max(before, guess)
    return not after <= _FAR_ABOVE * known


def too_few_applied(applied: int, steps: int) -> bool:
    """Whether more than half of an epoch's steps were refused because the loss or the gradients were not finite."""
    return 2 * applied < steps
