"""Compares an exported file with TensorFlow numerically."""

import functools
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.device import TrainableModel, TrainResult
from tinytl_tf.errors import ParityError
from tinytl_tf.export.inputs import random_labels
from tinytl_tf.export.packing import state_order
from tinytl_tf.networks.schemes import rate_factor
from tinytl_tf.tasks import UNUSED, Task, get_task
from tinytl_tf.training import make_optimizer, make_train_step
from tinytl_tf.training.objectives import get_objective

__all__ = [
    "ANSWER_TOLERANCE",
    "LEARNING_RATE",
    "LEAST_COSINE",
    "LEAST_VARIABLE_COSINE",
    "LITERT",
    "LOSS_TOLERANCE",
    "QUANTIZED_LOSS_TOLERANCE",
    "UPDATE_TOLERANCES",
    "VARIABLE_TOLERANCES",
    "check_parity",
    "check_quantized",
    "random_photos",
]


# Two correct implementations differ by float32 rounding, because of a different order of summation, and by the ReLU6
# mask elements that rounding flips. Steps that start from differing values multiply the difference: over 20 steps of
# `full` at rate 1e-3 on MobileNetV2, TensorFlow with gradients added up image by image differs from TensorFlow with
# whole batches by 8e-2 of the loss and 4e-1 of the update. Therefore both sides start each step of the check from the
# file's values. The figures below are from four steps on MobileNetV2 at 128 px, batch 8, with tinytl-b, tinytl-lb and
# full, with trained and with random weights. The losses differed by 6e-7.
LEARNING_RATE = 1e-4
LOSS_TOLERANCE = 1e-4
# For all variables together. Measured with SGD: at most 2.1e-3. Adam's steps do not depend on the size of the gradient:
# if a mask flips, elements whose gradient is a hundredth of the others move differently. Measured with Adam: 1.5e-2.
UPDATE_TOLERANCES = {"sgd": 1e-2, "momentum": 1e-2, "adam": 5e-2}
# For each single variable: a small variable that does not move (difference 1), moves backward (2) or moves half as far
# (0.5) is not visible in the total. Measured: at most 2e-2 with SGD, 0.22 with Adam.
VARIABLE_TOLERANCES = {"sgd": 0.4, "momentum": 0.4, "adam": 0.9}
_ROUNDINGS = 100  # an update of this many rounding errors is clearly distinguishable from rounding
ANSWER_TOLERANCE = 1e-3  # of a logit, relative to the largest logit or to 1; and of a probability


# For 8-bit kernels and images. Measured on MobileNetV2 at 128 px with tinytl-b and tinytl-lb, before and after training
# on flowers, on flower photos and on random photos, four batches of 8, with and without XNNPACK: the loss differs by at
# most 0.065 of itself; the cosine of all gradients is at least 0.994, and that of the worst variable at least 0.88 on
# flower photos and 0.70 on random photos.
QUANTIZED_LOSS_TOLERANCE = 0.1  # relative to the loss, or to 1 if larger: a well-trained model has a loss near 0
LEAST_COSINE = 0.95
LEAST_VARIABLE_COSINE = 0.5


# Clients for checking a file for LiteRT: the name in the report, and the function that opens the file.
LITERT: dict[str, Callable[..., TrainableModel]] = {
    "xnnpack": functools.partial(TrainableModel, xnnpack=True, trust=True),
    "without_xnnpack": functools.partial(TrainableModel, xnnpack=False, trust=True),
}


def check_parity(
    path: str | os.PathLike,
    model: keras.Model,
    *,
    optimizer: str,
    label_smoothing: float,
    images: np.ndarray,
    labels: np.ndarray,
    task: str = "classification",
    classes: int | None = None,
    photos: np.ndarray | None = None,
    clients: Mapping[str, Callable[..., TrainableModel]] = LITERT,
) -> dict[str, Any]:
    """Trains the file in its runtime and the model in TensorFlow on the same batches, and compares the results.

    TensorFlow computes each batch at once and updates with Keras' optimizer, so the check covers the file's loop over
    images and its update rules. Before each step, TensorFlow gets the file's variables, so that differences do not
    grow from step to step; it keeps its own slots. LiteRT runs with and without XNNPACK. The check first compares the
    predictions of the untrained file. At the end, it restores the saved state in a new interpreter, whose logits must
    be identical to the last bit. The model is left unchanged.

    Args:
        path: the exported file.
        model: the network that the file was exported from.
        optimizer: name of the file's optimizer.
        label_smoothing: label smoothing of the file's loss.
        images: uint8 images `[steps, batch, height, width, 3]`, or float32 arrays `[steps, batch, ...]`.
        labels: labels of the task, `[steps, batch]` or `[steps, batch, classes]`.
        task: task of the file, a key of `tinytl_tf.tasks.TASKS`.
        classes: number of outputs to compare, from the first; None for all. The remaining outputs are spare classes.
        photos: images with the shape of one batch, to compare predictions on; by default, the first batch.
        clients: functions that open the file, by name for the report.

    Returns:
        A report with `steps`, `batch_size` and `tolerance`, and for each client: `answer_difference`, the largest
        difference of a logit; `loss_difference`, the largest relative difference of a step's loss;
        `update_difference`, the Euclidean norm of the difference between the two updates of all trained variables
        over all steps, relative to the norm of TensorFlow's update; and `variable_difference`, the same for only the
        worst variable.

    Raises:
        ParityError: if a figure is out of tolerance, or if there is nothing to compare.
    """
    photos = images[0] if photos is None else photos
    variables = state_order(model.trainable_variables)
    start = [variable.numpy() for variable in variables]
    rule = make_optimizer(optimizer)
    step = make_train_step(model, variables, rule, task=task, label_smoothing=label_smoothing, training=False)
    slots = [variable.numpy() for variable in rule.variables]
    # Variables with a higher rate take equally small steps.
    rate = LEARNING_RATE / max(1.0, *map(rate_factor, variables))
    answers = np.asarray(model(photos.astype(np.float32), training=False))[:, :classes]
    update_tolerance, variable_tolerance = UPDATE_TOLERANCES[optimizer], VARIABLE_TOLERANCES[optimizer]
    report = {
        "steps": len(images),
        "batch_size": images.shape[1],
        "tolerance": {
            "learning_rate": rate,
            "loss": LOSS_TOLERANCE,
            "update": update_tolerance,
            "variable_update": variable_tolerance,
            "answer": ANSWER_TOLERANCE,
        },
    }
    for name, client in clients.items():
        device = client(path)
        answer_difference = _check_answers(device, photos, answers, get_task(task), name)
        try:
            results, losses, expected = _train_both(device, step, variables, zip(images, labels, strict=True), rate)
            if not all(result.applied for result in results):
                raise ParityError(f"parity check failed ({name}): the file refused a step that TensorFlow takes")
            _require_movement(model, variables, start, images[0], labels[0], task)
        finally:
            _assign(variables, start)
            _assign(rule.variables, slots)
        update = device.state()[: expected.size] - _flatten(start)
        loss_difference = max(abs(result.loss / loss - 1) for result, loss in zip(results, losses, strict=True))
        update_difference = float(np.linalg.norm(update - expected) / np.linalg.norm(expected))
        # `not <=` instead of `>`: a NaN must fail.
        if not (loss_difference <= LOSS_TOLERANCE and update_difference <= update_tolerance):
            raise ParityError(
                f"parity check failed ({name}): after {len(images)} steps the losses differ by {loss_difference:.1e} "
                f"(at most {LOSS_TOLERANCE:.0e}) and the updates by {update_difference:.1e} (at most "
                f"{update_tolerance:.0e}) from TensorFlow's; nothing was written. Please report it with the model"
            )
        variable_difference = _check_each(variables, start, expected, update, variable_tolerance, name)
        _check_restore(client(path), device, images[0, 0])
        report[name] = {
            "answer_difference": answer_difference,
            "loss_difference": loss_difference,
            "update_difference": update_difference,
            "variable_difference": variable_difference,
        }
    return report


def _train_both(
    device: TrainableModel,
    step: Callable,
    variables: Sequence[keras.Variable],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    rate: float,
) -> tuple[list[TrainResult], list[float], np.ndarray]:
    """Runs each step in TensorFlow and in the file, starting from the file's current values.

    Returns:
        The results of the file's steps, TensorFlow's losses, and the sum of TensorFlow's updates.
    """
    results, losses, update = [], [], 0.0
    bounds = np.cumsum([variable.numpy().size for variable in variables])
    for batch in batches:
        before = device.state()[: bounds[-1]]
        parts = np.split(before, bounds[:-1])
        _assign(variables, [part.reshape(v.shape) for part, v in zip(parts, variables, strict=True)])
        losses.append(float(step(*batch, np.float32(rate))["loss"]))
        update = update + (_flatten([variable.numpy() for variable in variables]) - before)
        results.append(device.train(*batch, rate))
    return results, losses, update


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _check_each(
    variables: Sequence[keras.Variable],
    start: Sequence[np.ndarray],
    expected: np.ndarray,
    update: np.ndarray,
    tolerance: float,
    name: str,
) -> float:
    """Compares both updates of each variable that moved more than by rounding; returns the largest difference."""
    bounds = np.cumsum([0, *(value.size for value in start)])
    differences = {}
    for variable, value, low, high in zip(variables, start, bounds[:-1], bounds[1:], strict=True):
        size = np.linalg.norm(expected[low:high])
        if size > _ROUNDINGS * np.finfo(np.float32).eps * np.linalg.norm(value[value > UNUSED]):
            differences[variable.path] = float(np.linalg.norm(update[low:high] - expected[low:high]) / size)
    wrong = [path for path, difference in differences.items() if not difference <= tolerance]
    if wrong:
        raise ParityError(
            f"parity check failed ({name}): the file does not move {_listed(wrong)} as TensorFlow does; nothing was "
            "written. Please report it with the model"
        )
    return max(differences.values(), default=0.0)


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")


def _require_movement(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    start: Sequence[np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    task: str,
) -> None:
    """Raises `ParityError` if a trained variable has no gradient, because the check would compare nothing."""
    still = [
        variable for variable, value in zip(variables, start, strict=True) if np.array_equal(variable.numpy(), value)
    ]
    if not still:
        return
    # The scale of a branch starts at zero, so the gradients of its kernels are too small to see at a rate of 1e-4.
    watched = [variable.value for variable in still]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        logits = model(images.astype(np.float32), training=False)
        loss = tf.reduce_mean(get_objective(task).loss(logits, tf.constant(labels), 0.0))
    gradients = tape.gradient(loss, watched)
    dead = [v.path for v, g in zip(still, gradients, strict=True) if g is None or not np.any(np.abs(g) > 0)]
    if dead:
        raise ParityError(
            f"expected every trained variable to have a gradient, got none for {len(dead)} of {len(variables)} "
            f"({_listed(dead)}): there is nothing to compare; give the network trained weights"
        )


def _check_answers(device: TrainableModel, images: np.ndarray, expected: np.ndarray, task: Task, name: str) -> float:
    """Compares the predictions of the file and the model on raw photos; returns the largest difference of a logit."""
    results = [device.infer(image) for image in images]
    logits = [result.logits[: expected.shape[1]] for result in results]
    probabilities = [result.probabilities[: expected.shape[1]] for result in results]
    scale = max(float(np.abs(expected).max()), 1.0)
    difference = max(float(np.abs(a - e).max()) for a, e in zip(logits, expected, strict=True)) / scale
    chances = task.probabilities(expected)
    probability = max(float(np.abs(a - p).max()) for a, p in zip(probabilities, chances, strict=True))
    probability /= max(float(np.abs(chances).max()), 1.0)  # numbers of a regression may be large
    if not (difference <= ANSWER_TOLERANCE and probability <= ANSWER_TOLERANCE):
        raise ParityError(
            f"parity check failed ({name}): on the same photos the logits differ by {difference:.1e} and the "
            f"probabilities by {probability:.1e} from TensorFlow's (at most {ANSWER_TOLERANCE:.0e}); "
            "nothing was written. Please report it with the model"
        )
    return difference


def check_quantized(
    path: str | os.PathLike,
    reference: str | os.PathLike,
    variables: Sequence[keras.Variable],
    *,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, Any]:
    """Compares the first training steps of a file with int8 kernels with those of the same file with float32 kernels.

    Each batch is a first step from the exported state. With SGD or momentum, its update is the gradient times the
    learning rate. With Adam, it is the sign of the gradient, which is meaningless for elements near zero.

    Args:
        path: the file with int8 kernels, and with SGD or momentum.
        reference: the same file with float32 kernels.
        variables: trained variables of the files.
        images: uint8 array `[steps, batch, height, width, 3]`.
        labels: labels of the files' task, as for `check_parity`.

    Returns:
        A report with, for XNNPACK and without it: `loss_difference`, the largest difference of a step's loss, relative
        to the larger of the loss and 1; `cosine`, the cosine similarity of all gradients; and `variables`, the cosine
        similarity of each variable's gradient by path, the worst first.

    Raises:
        ParityError: if a figure is out of tolerance.
    """
    ordered = state_order(variables)
    bounds = np.cumsum([0, *(math.prod(variable.shape) for variable in ordered)])
    tolerance = {
        "loss": QUANTIZED_LOSS_TOLERANCE,
        "cosine": LEAST_COSINE,
        "variable_cosine": LEAST_VARIABLE_COSINE,
    }
    report: dict[str, Any] = {"steps": len(images), "batch_size": images.shape[1], "tolerance": tolerance}
    for name, xnnpack in (("xnnpack", True), ("without_xnnpack", False)):
        expected, expected_losses = _first_updates(reference, images, labels, xnnpack)
        updates, losses = _first_updates(path, images, labels, xnnpack)
        loss_difference = float(np.max(np.abs(losses - expected_losses) / np.maximum(expected_losses, 1)))
        cosine = _cosine(updates, expected)
        cosines = {
            variable.path: _cosine(updates[:, a:b], expected[:, a:b])
            for variable, a, b in zip(ordered, bounds, bounds[1:], strict=False)
        }
        worst = min(cosines, key=cosines.__getitem__)
        close = loss_difference <= QUANTIZED_LOSS_TOLERANCE
        if not (close and cosine >= LEAST_COSINE and cosines[worst] >= LEAST_VARIABLE_COSINE):
            raise ParityError(
                f"int8 check failed ({name}): against float32 the loss of the first step differs by "
                f"{loss_difference:.1e} (at most {QUANTIZED_LOSS_TOLERANCE:.0e}), the gradient has cosine "
                f"{cosine:.3f} (at least {LEAST_COSINE}), for {worst} {cosines[worst]:.3f} (at least "
                f"{LEAST_VARIABLE_COSINE}); nothing was written; export with frozen_weights float32"
            )
        report[name] = {
            "loss_difference": loss_difference,
            "cosine": cosine,
            "variables": dict(sorted(cosines.items(), key=lambda item: item[1])),
        }
    return report


def _first_updates(path, images, labels, xnnpack) -> tuple[np.ndarray, np.ndarray]:
    """Returns the change of the state by each batch, `[steps, N]`, and the losses, `[steps]`."""
    device = TrainableModel(path, xnnpack=xnnpack, trust=True)
    start = device.state()
    updates, losses = [], []
    for batch in zip(images, labels, strict=True):
        # A rate of 1 is fine: the loss is computed before the update, and smaller updates would be lost in rounding.
        losses.append(device.train(*batch, np.float32(1)).loss)
        updates.append(device.state() - start)
        device.reset()
    return np.stack(updates).astype(np.float64), np.array(losses)


def _cosine(left: np.ndarray, right: np.ndarray) -> float:
    norms = np.linalg.norm(left) * np.linalg.norm(right)
    return float(np.sum(left * right) / norms) if norms else float(not np.any(left) and not np.any(right))


def _check_restore(restored: TrainableModel, trained: TrainableModel, image: np.ndarray) -> None:
    restored.set_state(trained.state())
    if not np.array_equal(trained.infer(image).logits, restored.infer(image).logits):
        raise ParityError("parity check failed: a new interpreter with the saved state gives other logits")


def random_photos(
    steps: int, batch_size: int, size: tuple[int, int], classes: int, task: str = "classification"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images and labels. The images are smooth, like photos. Every call returns the same images.

    White noise is not suitable: a pre-trained network has never seen such inputs, and a single rounding error then
    flips many mask elements.

    Args:
        steps: number of batches.
        batch_size: images per batch.
        size: height and width.
        classes: number of classes, attributes or predicted numbers.
        task: task of the labels, a key of `tinytl_tf.tasks.TASKS`.

    Returns:
        uint8 images `[steps, batch_size, height, width, 3]`, and labels: int32 `[steps, batch_size]` for a
        classification; float32 `[steps, batch_size, classes]` of 0 and 1 for attributes, or with a standard deviation
        of 1 for a regression.
    """
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (steps * batch_size, 8, 8, 3)).astype(np.float32)
    smooth = np.asarray(keras.ops.image.resize(coarse, size, interpolation="bicubic"))
    noisy = np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
    return noisy.reshape(steps, batch_size, *size, 3), random_labels(rng, steps, batch_size, classes, task)


def _flatten(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])
