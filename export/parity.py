"""Checks an exported file against TensorFlow, by numbers."""

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


# Two correct implementations differ by float32 rounding in another order of summation, and by elements of ReLU6 masks
# that it flips. A step at a new point multiplies the difference: over 20 steps at rate 1e-3 of `full` on MobileNetV2,
# TensorFlow departs from itself, once it adds up gradients image by image, by 8e-2 of the loss and 4e-1 of the update.
# So each step of the check starts from one point, the file's. The figures below are of four steps on MobileNetV2 at 128
# px, batch 8, over tinytl-b, tinytl-lb and full, with trained and with random weights. The losses differed by 6e-7.
LEARNING_RATE = 1e-4
LOSS_TOLERANCE = 1e-4
# Of all variables together; SGD measured at most 2.1e-3. Adam's steps have one size for gradients of any size: if a
# mask flips, elements with a hundredth of the other gradients move differently. It measured 1.5e-2.
UPDATE_TOLERANCES = {"sgd": 1e-2, "momentum": 1e-2, "adam": 5e-2}
# Of each single variable: a small one that does not move (1), moves backward (2) or half as far (0.5) is invisible in
# the total. SGD measured at most 2e-2, Adam 0.22.
VARIABLE_TOLERANCES = {"sgd": 0.4, "momentum": 0.4, "adam": 0.9}
_ROUNDINGS = 100  # an update of so many is seen well through the rounding of its steps
ANSWER_TOLERANCE = 1e-3  # of a logit, relative to the largest or to 1; and of a probability


# Kernels and images of 8 bits. Measured on MobileNetV2 at 128 px, tinytl-b and tinytl-lb, trained on flowers and not,
# on their photos and on random ones, four batches of 8, with XNNPACK and without: the loss differs by at most 0.065
# of itself; the cosine of all gradients is at least 0.994, of the worst variable at least 0.88 on photos and 0.70
# on random ones.
QUANTIZED_LOSS_TOLERANCE = 0.1  # of the loss, or of 1 if that is more: a well trained model has a loss near 0
LEAST_COSINE = 0.95
LEAST_VARIABLE_COSINE = 0.5


# Clients that check a file for LiteRT: name in the report, and function that opens the file.
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
    """Trains the file on the device's runtime and the model in TensorFlow on the same batches and compares them.

    TensorFlow computes each batch in one piece and updates with Keras' optimizer, so that the loop over images and the
    update rules of the file are checked too. Before each step it is given the file's variables, so that no step
    multiplies the differences of those before it; its slots are its own. LiteRT runs with XNNPACK and without. First
    the untrained file's answers are compared, last the state is saved, restored in a new interpreter, and must give the
    same logits to the last bit. The model is left as it was.

    Args:
        path: the exported file.
        model: the network it was exported from.
        optimizer: name of the file's optimizer.
        label_smoothing: of the file's loss.
        images: uint8 array `[steps, batch, height, width, 3]`, or float32 arrays `[steps, batch, ...]`.
        labels: labels of the task, `[steps, batch]` or `[steps, batch, classes]`.
        task: task of the file, a key of `tinytl_tf.tasks.TASKS`.
        classes: number of outputs that are compared, the first ones; None for all. The remaining ones have no class.
        photos: images in the shape of one batch, to compare predictions; by default the first batch.
        clients: functions that open the file, by names for the report.

    Returns:
        `steps`, `batch_size`, `tolerance`, and for each client the largest `answer_difference` of a logit, the
        largest relative `loss_difference` of a step, and the `update_difference`: the Euclidean norm of the difference
        of the two updates of all trained variables, over all steps, relative to the norm of TensorFlow's update; of
        only the worst variable, `variable_difference`.

    Raises:
        ParityError: if a figure is out of tolerance, or there is nothing to compare.
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
    """Takes each step on both sides from the point where the file is.

    Returns:
        The results of the file, TensorFlow's losses, and the sum of TensorFlow's updates.
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
    """Compares the two updates of each variable that moved farther than rounding; returns the largest difference."""
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
    """Refuses a check without gradients: every trained variable must have one."""
    still = [
        variable for variable, value in zip(variables, start, strict=True) if np.array_equal(variable.numpy(), value)
    ]
    if not still:
        return
    # A branch begins with a scale of zero: its kernels have a gradient that is too small for a rate of 1e-4.
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
    """Compares the file's answers on raw photos with the model's; returns the largest difference of a logit."""
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
    """Compares the first steps of a file with int8 kernels with those of the same file with float32 ones.

    Each batch is a first step, from the exported state. Its update is the gradient, but for the learning rate, if the
    optimizer is sgd or momentum. Adam's is the sign of the gradient, which has no meaning for elements near zero.

    Args:
        path: the file, with sgd or momentum.
        reference: the file with float32 kernels.
        variables: trained variables of the files.
        images: uint8 array `[steps, batch, height, width, 3]`.
        labels: labels of the files' task, as for `check_parity`.

    Returns:
        With XNNPACK and without: the largest `loss_difference` of a step, relative to the larger of the loss and
        1; the `cosine` of all gradients; and `variables`, the cosine of each variable's, by its path, the worst
        first.

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
    """Change of the state by each single batch, `[steps, N]`, and the losses `[steps]`."""
    device = TrainableModel(path, xnnpack=xnnpack, trust=True)
    start = device.state()
    updates, losses = [], []
    for batch in zip(images, labels, strict=True):
        # A rate of one: the loss is that before the update, and small updates would drown in the rounding of the state.
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
    """Returns images that are smooth like photos, and labels; always the same.

    White noise is not suitable: a pre-trained network never saw such inputs, and a single rounding then flips many
    masks.

    Args:
        steps: number of batches.
        batch_size: images in each.
        size: height and width.
        classes: number of classes or attributes.
        task: task of the labels, a key of `tinytl_tf.tasks.TASKS`.

    Returns:
        uint8 array `[steps, batch_size, height, width, 3]` and int32 array `[steps, batch_size]`, or
        float32 `[steps, batch_size, classes]` of 0 and 1, of a regression of a spread of 1.
    """
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (steps * batch_size, 8, 8, 3)).astype(np.float32)
    smooth = np.asarray(keras.ops.image.resize(coarse, size, interpolation="bicubic"))
    noisy = np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
    return noisy.reshape(steps, batch_size, *size, 3), random_labels(rng, steps, batch_size, classes, task)


def _flatten(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])
