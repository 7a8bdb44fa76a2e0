"""What the device client returns."""

import dataclasses

import numpy as np

__all__ = ["EvaluateResult", "InferResult", "TrainResult"]


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


@dataclasses.dataclass(frozen=True)
class EvaluateResult:
    """Figures over a data set.

    Attributes:
        accuracy: Share of the images (of their attributes, with several) that were answered rightly, 0 to 1.
        loss: Mean cross-entropy, without label smoothing.
        examples: Number of images.
    """

    accuracy: float
    loss: float
    examples: int
