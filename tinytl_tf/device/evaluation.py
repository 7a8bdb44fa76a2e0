"""Accuracy and loss of a model on the device."""

from collections.abc import Iterable

import numpy as np

from tinytl_tf.device.results import EvaluateResult
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError

__all__ = ["evaluate"]


def evaluate(model: TrainableModel, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> EvaluateResult:
    """Runs inference on each image of `batches`.

    Args:
        model: The model.
        batches: Pairs of images, uint8 `[n, H, W, 3]`, and labels as `TrainableModel.train` takes them; any `n`.

    Returns:
        Accuracy and mean cross-entropy over all images, as the model's task counts them.

    Raises:
        InputError: If there is no image, an image or a label does not fit the model, or a logit is not finite.
    """
    right, loss, examples = 0.0, 0.0, 0
    for images, labels in batches:
        model.check_labels(labels, len(images))
        for index, image in enumerate(images):
            logits = model.infer(image).logits.astype(np.float64)
            if not np.isfinite(logits).all():
                raise InputError(
                    f"expected finite logits, got {logits.tolist()!r:.80}; "
                    "reset the model or restore another state, and train with a lower learning rate"
                )
            label = labels[index : index + 1]
            loss += float(model.task.loss(logits[np.newaxis], label)[0])
            right += float(model.task.correct(logits[np.newaxis], label)[0])
            examples += 1
    if not examples:
        raise InputError("expected images to evaluate on, got none; check the data's test split")
    return EvaluateResult(accuracy=right / examples, loss=loss / examples, examples=examples)
