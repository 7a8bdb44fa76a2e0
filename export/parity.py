"""Checks an exported file against TensorFlow, by numbers."""

import os
from typing import Any

import keras
import numpy as np

from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.training import get_optimizer, make_train_step

__all__ = ["LEARNING_RATE", "LOSS_TOLERANCE", "UPDATE_TOLERANCE", "check_parity", "random_photos"]


# What is left between two right implementations is float32 rounding in another order of summation, and the elements of
# ReLU6 masks that it flips. A step at a new point multiplies it: over 20 steps at rate 1e-3 of `full` on MobileNetV2,
# TensorFlow departs from itself, once it adds up gradients image by image, by 8e-2 of the loss and 4e-1 of the update.
# So the check takes few steps at a rate that moves every weight and leaves the loss smooth. Four steps on MobileNetV2
# at 128 px, batch 8, then measured at most 3e-6 and 1.3e-3, over tinytl-b, tinytl-lb and full, with SGD and Adam. Adam
# is no worse: only gradients as small as its epsilon, 1e-7, would turn rounding into steps.
LEARNING_RATE = 1e-4
LOSS_TOLERANCE = 1e-4
UPDATE_TOLERANCE = 1e-2


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
        optimizer: name of the file's optimizer.
        label_smoothing: of the file's loss.
        images: uint8 array `[steps, batch, height, width, 3]`.
        labels: int32 array `[steps, batch]`.

    Returns:
        `steps`, `batch_size`, `tolerance`, and with and without XNNPACK the largest relative `loss_difference` of a
        step, and the `update_difference`: the Euclidean norm of the difference of the two updates of all trained
        variables, over all steps, relative to the norm of TensorFlow's update.

    Raises:
        InputError: if a figure is out of tolerance.
    """
    variables = model.trainable_variables
    start = [variable.numpy() for variable in variables]
    step = make_train_step(model, variables, get_optimizer(optimizer), label_smoothing=label_smoothing, training=False)
    rate = np.float32(LEARNING_RATE)
    try:
        losses = [float(step(*batch, rate)["loss"]) for batch in zip(images, labels, strict=True)]
        expected = _flatten([variable.numpy() for variable in variables]) - _flatten(start)
    finally:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)

    report = {
        "steps": len(images),
        "batch_size": images.shape[1],
        "tolerance": {"learning_rate": LEARNING_RATE, "loss": LOSS_TOLERANCE, "update": UPDATE_TOLERANCE},
    }
    for name, xnnpack in (("xnnpack", True), ("without_xnnpack", False)):
        device = TrainableModel(path, xnnpack=xnnpack)
        results = [device.train(*batch, rate) for batch in zip(images, labels, strict=True)]
        if not all(result.applied for result in results):
            raise InputError(f"parity check failed ({name}): the file refused a step that TensorFlow takes")
        update = device.state()[: expected.size] - _flatten(start)
        loss_difference = max(abs(result.loss / loss - 1) for result, loss in zip(results, losses, strict=True))
        update_difference = float(np.linalg.norm(update - expected) / np.linalg.norm(expected))
        # `not <=` instead of `>`: a NaN must fail.
        if not (loss_difference <= LOSS_TOLERANCE and update_difference <= UPDATE_TOLERANCE):
            raise InputError(
                f"parity check failed ({name}): after {len(images)} steps the losses differ by {loss_difference:.1e} "
                f"(at most {LOSS_TOLERANCE:.0e}) and the updates by {update_difference:.1e} (at most "
                f"{UPDATE_TOLERANCE:.0e}) from TensorFlow's; nothing was written. Please report it with the model"
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
