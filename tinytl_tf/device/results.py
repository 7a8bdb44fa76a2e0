"""Results of the device client."""

import dataclasses

import numpy as np

__all__ = ["InferResult", "TrainResult"]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """One training step.

    Attributes:
        loss: Mean loss of the batch before the step.
        accuracy: Share of the batch (of its attributes, with several) that was right before the step, 0 to 1.
        applied: False if the step changed nothing, because the loss or a gradient was not finite.
    """

    loss: float
    accuracy: float
    applied: bool


@dataclasses.dataclass(frozen=True)
class InferResult:
    """The answer for one image.

    Attributes:
        logits: float32 `[C]`.
        probabilities: float32 `[C]`, softmax of the logits, or sigmoid of each where images have several attributes.
    """

    logits: np.ndarray
    probabilities: np.ndarray
