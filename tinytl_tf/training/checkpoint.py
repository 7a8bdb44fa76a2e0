"""When a checkpoint of a run was saved."""

import dataclasses

__all__ = ["Checkpoint"]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """When a checkpoint was saved, for display and for `--json`.

    Attributes:
        name: `"best"` or `"last"`.
        step: Number of steps that its optimizer had taken; None if the model has no optimizer.
        epoch: Number of completed epochs; None within an epoch, or if the log does not have it.
        epochs: Number of epochs of the run.

    Example:
        >>> print(Checkpoint("best", step=40, epoch=5, epochs=8))
        checkpoint best, saved after epoch 5 of 8
        >>> print(Checkpoint("last", step=43, epoch=None, epochs=8))
        checkpoint last, saved after step 43
    """

    name: str
    step: int | None
    epoch: int | None
    epochs: int

    def __str__(self) -> str:
        if self.step is None:
            return f"checkpoint {self.name}"
        when = f"step {self.step}" if self.epoch is None else f"epoch {self.epoch} of {self.epochs}"
        return f"checkpoint {self.name}, saved after {when}"
