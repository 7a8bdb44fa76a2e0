"""Results of the device client."""

import dataclasses

import numpy as np

__all__ = ["InferResult", "TrainResult"]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """Result of one training step.

    Attributes:
        loss: Mean loss of the batch before the step.
        accuracy: Share of correct predictions for the batch before the step, 0 to 1. With several attributes or numbers
            per image, each of them counts.
        applied: False if the step changed nothing, because the loss or a gradient was not finite.
    """

    loss: float
    accuracy: float
    applied: bool


@dataclasses.dataclass(frozen=True)
class InferResult:
    """Result for one image or array.

    Attributes:
        logits: float32 `[C]`.
        probabilities: float32 `[C]`: the softmax of the logits; for several attributes, the sigmoid of each logit; for
            a regression, the predicted numbers.
    """

    logits: np.ndarray
    probabilities: np.ndarray
