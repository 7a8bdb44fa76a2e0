"""Checks an exported file against TensorFlow, by numbers."""

import dataclasses
import os
from typing import Any

import keras
import numpy as np

from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.training import get_optimizer, make_train_step

__all__ = ["TOLERANCES", "Tolerance", "check_parity", "random_photos"]


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far a file may be from TensorFlow, and the learning rate at which that is measured.

    Attributes:
        learning_rate: of each step.
        loss: relative difference of the loss at any step.
        update: Euclidean norm of the difference of the two updates of all trained variables, over all steps, relative
            to the norm of TensorFlow's update.
    """

    learning_rate: float
    loss: float
    update: float


# SGD and momentum are linear in the gradient: what is left is float32 rounding in another order of summation, and a
# few elements of ReLU6 masks that it flips. Adam divides each gradient by its own size, so that rounding noise in a
# gradient near zero becomes a full step of learning_rate: its updates agree in the mean and not in each element.
TOLERANCES = {
    "sgd": Tolerance(learning_rate=1e-3, loss=1e-4, update=2e-3),
    "momentum": Tolerance(learning_rate=1e-3, loss=1e-4, update=2e-3),
    "adam": Tolerance(learning_rate=1e-4, loss=1e-3, update=1e-1),
}


def check_parity(
    path: str | os.PathLike,
    model: keras.Model,
    *,
    optimizer: str,
    label_smoothing: float,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, Any]:
    """Trains the file in LiteRT and the model in TensorFlow on the same batches and compares them.

    TensorFlow takes each batch as a whole and updates with Keras' optimizer, so that the loop over images and the
    update rules of the file are checked too. LiteRT runs with XNNPACK and without. Then the state is saved, restored
    in a new interpreter, and must give the same logits to the last bit. The model is left as it was.

    Args:
        path: the exported file.
        model: the network it was exported from.
        optimizer: a key of `TOLERANCES`, the file's optimizer.
        label_smoothing: of the file's loss.
        images: uint8 array `[steps, batch, height, width, 3]`.
        labels: int32 array `[steps, batch]`.

    Returns:
        `steps`, `batch_size`, and with and without XNNPACK the largest relative `loss_difference` and the
        `update_difference`, see `Tolerance`.

    Raises:
        InputError: if a figure is out of tolerance.
    """
    tolerance = TOLERANCES[optimizer]
    variables = model.trainable_variables
    start = [variable.numpy() for variable in variables]
    step = make_train_step(model, variables, get_optimizer(optimizer), label_smoothing=label_smoothing, training=False)
    rate = np.float32(tolerance.learning_rate)
    try:
        losses = [float(step(*batch, rate)["loss"]) for batch in zip(images, labels, strict=True)]
        expected = _flatten([variable.numpy() for variable in variables]) - _flatten(start)
    finally:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)

    report = {"steps": len(images), "batch_size": images.shape[1], "tolerance": dataclasses.asdict(tolerance)}
    for name, xnnpack in (("xnnpack", True), ("without_xnnpack", False)):
        device = TrainableModel(path, xnnpack=xnnpack)
        results = [device.train(*batch, rate) for batch in zip(images, labels, strict=True)]
        if not all(result.applied for result in results):
            raise InputError(f"parity check failed ({name}): the file refused a step that TensorFlow takes")
        update = device.state()[: expected.size] - _flatten(start)
        loss_difference = max(abs(result.loss / loss - 1) for result, loss in zip(results, losses, strict=True))
        update_difference = float(np.linalg.norm(update - expected) / np.linalg.norm(expected))
        # `not <=` instead of `>`: a NaN must fail.
        if not (loss_difference <= tolerance.loss and update_difference <= tolerance.update):
            raise InputError(
                f"parity check failed ({name}): after {len(images)} steps the losses differ by {loss_difference:.1e} "
                f"(at most {tolerance.loss:.0e}) and the updates by {update_difference:.1e} (at most "
                f"{tolerance.update:.0e}) from TensorFlow's; nothing was written. Please report it with the model"
            )
        _check_restore(path, device, images[0, 0], xnnpack)
        report[name] = {"loss_difference": loss_difference, "update_difference": update_difference}
    return report


def _check_restore(path: str | os.PathLike, trained: TrainableModel, image: np.ndarray, xnnpack: bool) -> None:
    restored = TrainableModel(path, xnnpack=xnnpack)
    restored.set_state(trained.state())
    if not np.array_equal(trained.infer(image).logits, restored.infer(image).logits):
        raise InputError("parity check failed: a new interpreter with the saved state gives other logits")


def random_photos(steps: int, batch_size: int, size: tuple[int, int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images that are smooth like photos, and labels; always the same.

    White noise would not do: it drives a pre-trained network far from what it ever saw, where one rounding flips
    many masks.

    Args:
        steps: number of batches.
        batch_size: images in each.
        size: height and width.
        classes: number of labels.

    Returns:
        uint8 array `[steps, batch_size, height, width, 3]` and int32 array `[steps, batch_size]`.
    """
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (steps * batch_size, 8, 8, 3)).astype(np.float32)
    smooth = np.asarray(keras.ops.image.resize(coarse, size, interpolation="bicubic"))
    noisy = np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
    labels = rng.integers(0, classes, (steps, batch_size)).astype(np.int32)
    return noisy.reshape(steps, batch_size, *size, 3), labels


def _flatten(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])
